"""Azurite: Azure Blob Storage's API on loopback.

It cuts a common prefix after the first character of the delimiter, as fake-gcs-server does.
"""

from __future__ import annotations

import base64
import importlib.util
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.servers.loopback import HOST
from tests.servers.process import Server, executable

ACCOUNT = "aiocopicktest"
KEY = base64.b64encode(b"aiocopick-test-only").decode()


class AzureServer(Server):
    """Azurite's blob service, in memory. Requests are signed by Azure's SDK, which adlfs brings along."""

    name = "azure"

    @classmethod
    def missing(cls) -> str | None:
        """See Server."""
        if importlib.util.find_spec("adlfs") is None:
            return "adlfs is not installed: install the extra `azure`"
        return super().missing()

    def command(self) -> list[str]:
        """See Server."""
        return [
            executable("azure"),
            *("--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"),
            *("--blobHost", HOST, "--blobPort", str(self.port)),
        ]

    def environment(self) -> Mapping[str, str]:
        """See Server."""
        return {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"}

    @property
    def connection_string(self) -> str:
        """What Azure's SDK and adlfs connect with."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={self.url}/{ACCOUNT};"
        )

    def fs_args(self) -> dict[str, Any]:
        """Arguments for `adlfs.AzureBlobFileSystem`, and so `fs_args` of a config."""
        return {"account_name": ACCOUNT, "connection_string": self.connection_string}

    def container(self, name: str) -> Any:
        """A client of Azure's SDK for one container; close it, or use it in a `with` block."""
        from azure.storage.blob import ContainerClient

        return ContainerClient.from_connection_string(self.connection_string, name)

    def new_bucket(self, prefix: str = "test") -> str:
        """Make an empty container with a name that was never used and return the name."""
        name = f"{prefix}-{uuid.uuid4().hex[:12]}"
        with self.container(name) as container:
            container.create_container()
        return name

    def seed(self, bucket: str, objects: Mapping[str, bytes]) -> None:
        """Put many blobs into a container, 16 at a time."""
        with self.container(bucket) as container, ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda item: container.upload_blob(*item), objects.items()))

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """All names of a container below a prefix, sorted."""
        with self.container(bucket) as container:
            return sorted(container.list_blob_names(name_starts_with=prefix))
