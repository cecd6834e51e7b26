"""S3 servers: moto, for counting requests, and MinIO, for what a real store does.

They differ in ways that matter: MinIO's continuation token does not advance past a common prefix and its pages count
raw keys; moto collapses fully. A listing that was tried on one of them is not known to work on the other.
"""

from __future__ import annotations

import importlib.util
import io
import re
import sys
import tarfile
import uuid
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.servers.loopback import HOST, request, request_json, request_ok
from tests.servers.process import Server, executable


class S3Server(Server):
    """A server that speaks S3, with one pair of credentials and path-style addresses."""

    access_key = "aiocopick-test"
    secret_key = "aiocopick-test-only"
    region = "us-east-1"

    def fs_args(self) -> dict[str, Any]:
        """Arguments for `s3fs.S3FileSystem`, and so `fs_args` of a config; safe to write to JSON."""
        return {
            "key": self.access_key,
            "secret": self.secret_key,
            "client_kwargs": {"endpoint_url": self.url, "region_name": self.region},
        }

    def client(self, url: str | None = None, **config: Any) -> Any:
        """A boto3 client of this server, or of `url` in front of it; `config` goes to botocore's Config."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=url or self.url,
            region_name=self.region,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(s3={"addressing_style": "path"}, **config),
        )

    @cached_property
    def _own_client(self) -> Any:
        """A client for making and filling buckets: to build one for each test takes longer than the request."""
        return self.client()

    def stop(self) -> None:
        """See Server."""
        if (client := self.__dict__.pop("_own_client", None)) is not None:
            client.close()
        super().stop()

    def new_bucket(self, prefix: str = "test") -> str:
        """Make an empty bucket with a name that was never used and return the name."""
        bucket = f"{prefix}-{uuid.uuid4().hex[:12]}"
        self._own_client.create_bucket(Bucket=bucket)
        return bucket

    def seed(self, bucket: str, objects: Mapping[str, bytes]) -> None:
        """Put many objects into a bucket, in one request."""
        self._unpack(bucket, _archive(objects))

    def seed_folder(self, bucket: str, folder: Path, prefix: str = "") -> None:
        """Put every file below a folder into a bucket, at `prefix` + its path; links are followed, as sync tools do."""
        self.seed(bucket, {f"{prefix}{key}": path.read_bytes() for key, path in _files(folder)})

    def keys(self, bucket: str, prefix: str = "") -> list[str]:
        """All keys of a bucket below a prefix, sorted."""
        client = self.client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        client.close()
        return sorted(keys)

    @abstractmethod
    def request_counts(self) -> Counter[str]:
        """S3 requests answered since the server started, by operation (`GetObject`, `ListObjectsV2`, ...)."""

    @contextmanager
    def counting(self) -> Iterator[Counter[str]]:
        """Count the requests of the block; the counter is filled when the block ends."""
        before = self.request_counts()
        counts: Counter[str] = Counter()
        yield counts
        counts.update(self.request_counts() - before)

    @abstractmethod
    def _unpack(self, bucket: str, archive: bytes) -> None:
        """Make an object of every file in a tar archive."""


class MotoServer(S3Server):
    """moto in a child process (its own interpreter, so the client under test has this one to itself)."""

    name = "moto"

    @classmethod
    def missing(cls) -> str | None:
        """See Server."""
        if all(importlib.util.find_spec(module) for module in ("moto", "flask", "flask_cors", "boto3")):
            return None
        return "moto's server mode is not installed: install the extra `dev`"

    def command(self) -> list[str]:
        """See Server."""
        return [sys.executable, str(Path(__file__).with_name("moto_child.py")), HOST, str(self.port)]

    def is_ready(self) -> bool:
        """See Server."""
        status, _ = request("GET", f"{self.url}/_counts", timeout=2)
        return status == 200

    def request_counts(self) -> Counter[str]:
        """See S3Server."""
        return Counter(request_json("GET", f"{self.url}/_counts"))

    def drop(self, bucket: str) -> None:
        """Forget a bucket with all that is in it: by requests that takes as long as filling it by requests."""
        request_ok("POST", f"{self.url}/_drop/{bucket}", b"")

    def _unpack(self, bucket: str, archive: bytes) -> None:
        request_ok("POST", f"{self.url}/_seed/{bucket}", archive)


class MinioServer(S3Server):
    """MinIO on a temporary folder."""

    name = "minio"

    def command(self) -> list[str]:
        """See Server."""
        data = self.folder / "data"
        data.mkdir()
        return [executable("minio"), "server", str(data), "--address", f"{HOST}:{self.port}"]

    def environment(self) -> Mapping[str, str]:
        """See Server."""
        return {
            "MINIO_ROOT_USER": self.access_key,
            "MINIO_ROOT_PASSWORD": self.secret_key,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            "MINIO_PROMETHEUS_AUTH_TYPE": "public",
        }

    def is_ready(self) -> bool:
        """See Server."""
        status, _ = request("GET", f"{self.url}/minio/health/live", timeout=2)
        return status == 200

    def denied_fs_args(self) -> dict[str, Any]:
        """Arguments like `fs_args` of somebody who may do nothing: every request is answered with AccessDenied."""
        return {"anon": True, "client_kwargs": self.fs_args()["client_kwargs"]}

    def request_counts(self) -> Counter[str]:
        """See S3Server."""
        text = request_ok("GET", f"{self.url}/minio/metrics/v3/api/requests").decode()
        counts: Counter[str] = Counter()
        for name, value in re.findall(r'^minio_api_requests_total\{name="(\w+)".*\} (\S+)$', text, re.MULTILINE):
            counts[name] += int(float(value))
        return counts

    def _unpack(self, bucket: str, archive: bytes) -> None:
        # MinIO's own extension: the archive is not stored, its members are.
        extract = {"snowball-auto-extract": "true"}
        self._own_client.put_object(Bucket=bucket, Key="seed.tar", Body=archive, Metadata=extract)


def _archive(objects: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for key, content in objects.items():
            member = tarfile.TarInfo(key)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            for key, file in _files(path):
                yield f"{path.name}/{key}", file
        else:
            yield path.name, path
