"""fake-gcs-server: Google Cloud Storage's API on loopback.

It cuts a common prefix after the first character of the delimiter, which Google's own service does not.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote, urlencode

from tests.servers.loopback import HOST, request, request_json, request_ok
from tests.servers.process import Server, executable


class GcsServer(Server):
    """fake-gcs-server, in memory, without credentials."""

    name = "gcs"

    def command(self) -> list[str]:
        """See Server."""
        return [
            executable("gcs"),
            *("-scheme", "http", "-backend", "memory"),
            *("-host", HOST, "-port", str(self.port), "-public-host", f"{HOST}:{self.port}"),
        ]

    def is_ready(self) -> bool:
        """See Server."""
        status, _ = request("GET", f"{self.url}/storage/v1/b?project=test", timeout=2)
        return status == 200

    def fs_args(self) -> dict[str, Any]:
        """Arguments for `gcsfs.GCSFileSystem`, and so `fs_args` of a config."""
        return {"token": "anon", "endpoint_url": self.url}

    def new_bucket(self, prefix: str = "test") -> str:
        """Make an empty bucket with a name that was never used and return the name."""
        bucket = f"{prefix}-{uuid.uuid4().hex[:12]}"
        request_json("POST", f"{self.url}/storage/v1/b?project=test", {"name": bucket})
        return bucket

    def seed(self, bucket: str, objects: Mapping[str, bytes]) -> None:
        """Put many objects into a bucket, 16 at a time."""

        def put(item: tuple[str, bytes]) -> None:
            query = urlencode({"uploadType": "media", "name": item[0]})
            request_ok("POST", f"{self.url}/upload/storage/v1/b/{quote(bucket)}/o?{query}", item[1])

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(put, objects.items()))

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """All keys of a bucket below a prefix, sorted."""
        return sorted(entry["name"] for entry in self.list_page(bucket, prefix=prefix).get("items", ()))

    def list_page(self, bucket: str, **parameters: str) -> dict[str, Any]:
        """One answer of the listing as the server gives it; parameters as in the JSON API."""
        page: dict[str, Any] = request_json("GET", f"{self.url}/storage/v1/b/{quote(bucket)}/o?{urlencode(parameters)}")
        return page
