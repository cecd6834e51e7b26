"""The storage contract on every backend."""

from __future__ import annotations

import asyncio
import uuid
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import pytest_asyncio

from aiocopick.storage import Storage, open_storage
from aiocopick.storage.cached import CachedStorage, Caching
from aiocopick.storage.settings import Settings
from aiocopick.testing import CONTENTS, CountingStorage, ReadContract, StorageContract
from tests.servers.azure import AzureServer
from tests.servers.fixtures import MakeWebServer
from tests.servers.gcs import GcsServer
from tests.servers.loopback import HOST
from tests.servers.s3 import S3Server
from tests.servers.sftp import SftpServer


class TestLocal(StorageContract):
    @pytest_asyncio.fixture
    async def storage(self, tmp_path: Path) -> AsyncIterator[Storage]:
        storage = open_storage(Settings(root=str(tmp_path / "project")))
        yield storage
        await storage.aclose()


class TestLocalURL(ReadContract):
    @pytest_asyncio.fixture
    async def filled(self, tmp_path: Path) -> AsyncIterator[Storage]:
        for key, content in CONTENTS.items():
            path = tmp_path / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        storage = open_storage(Settings(root=f"file://{tmp_path}/", follow_symlinks=False))
        yield storage
        await storage.aclose()


class TestMemory(StorageContract):
    @pytest_asyncio.fixture
    async def storage(self) -> AsyncIterator[Storage]:
        storage = open_storage(Settings(root=f"memory://{uuid.uuid4().hex}/project"))
        yield storage
        await storage.delete_many([entry.key for entry in await _everything(storage)])
        await storage.aclose()


class TestS3(StorageContract):
    engine = "s3fs"

    @pytest.fixture
    def bucket(self, s3_server: S3Server) -> str:
        return s3_server.new_bucket()

    @pytest_asyncio.fixture
    async def storage(self, s3_server: S3Server, bucket: str) -> AsyncIterator[Storage]:
        root = f"s3://{bucket}/a/project"
        storage = open_storage(Settings(root=root, fs_args=s3_server.fs_args(), engine=self.engine))
        yield storage
        await storage.aclose()

    @pytest_asyncio.fixture
    async def filled(self, storage: Storage, s3_server: S3Server, bucket: str) -> Storage:
        # In one request: the tests of writing write through the storage.
        s3_server.seed(bucket, {f"a/project/{key}": content for key, content in CONTENTS.items()})
        return storage


class TestObstore(TestS3):
    """S3 with its contents moved by the other engine."""

    engine = "obstore"


class TestCached(StorageContract):
    """A storage with a cache on local disk, for each policy."""

    @pytest_asyncio.fixture(params=["volume", "never"])
    async def storage(self, tmp_path: Path, request: Any) -> AsyncIterator[Storage]:
        settings = Settings(root=f"memory://{uuid.uuid4().hex}/project")
        caching = Caching(folder=str(tmp_path / "cache"), max_bytes=10**9, policy=request.param)
        storage = CachedStorage.make(open_storage(settings), caching, settings)
        yield storage
        await storage.delete_many([entry.key for entry in await _everything(storage)])
        await storage.aclose()

    @pytest_asyncio.fixture
    async def filled(self, storage: CachedStorage) -> Storage:
        """The storage with the contents in it, none of which it has kept."""
        await storage.write_many(CONTENTS.items())
        await asyncio.to_thread(storage._core.folder.clear)
        return storage


class TestS3Bucket(ReadContract):
    """A whole bucket as the root, filled by others."""

    buckets: ClassVar[dict[str, str]] = {}

    @pytest_asyncio.fixture
    async def filled(self, s3_server: S3Server) -> AsyncIterator[Storage]:
        # Tests of reading change nothing, so that one bucket on each server is enough.
        if s3_server.url not in self.buckets:
            self.buckets[s3_server.url] = s3_server.new_bucket()
            s3_server.seed(self.buckets[s3_server.url], CONTENTS)
        storage = open_storage(Settings(root=f"s3://{self.buckets[s3_server.url]}", fs_args=s3_server.fs_args()))
        yield storage
        await storage.aclose()


class TestGCS(StorageContract):
    @pytest_asyncio.fixture
    async def storage(self, gcs_server: GcsServer) -> AsyncIterator[Storage]:
        storage = open_storage(Settings(root=f"gs://{gcs_server.new_bucket()}/project", fs_args=gcs_server.fs_args()))
        yield storage
        await storage.aclose()


@pytest.mark.slow
class TestAzure(StorageContract):
    @pytest_asyncio.fixture
    async def storage(self, azure_server: AzureServer) -> AsyncIterator[Storage]:
        root = f"azure://{azure_server.new_bucket()}/project"
        storage = open_storage(Settings(root=root, fs_args=azure_server.fs_args()))
        yield storage
        await storage.aclose()


class TestHTTP(ReadContract):
    @pytest.fixture(params=[True, False], ids=["ranges", "no-ranges"])
    def address(self, request: pytest.FixtureRequest, tmp_path: Path, web_server: MakeWebServer) -> str:
        for key, content in CONTENTS.items():
            path = tmp_path / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return web_server(tmp_path, ranges=request.param).url

    @pytest_asyncio.fixture
    async def filled(self, address: str) -> AsyncIterator[Storage]:
        storage = open_storage(Settings(root=address))
        yield storage
        await storage.aclose()


class TestSyncOnlyProtocol(StorageContract):
    """A filesystem that has no async methods: the one of local files, seen through another protocol of fsspec's."""

    @pytest_asyncio.fixture
    async def storage(self, tmp_path: Path) -> AsyncIterator[Storage]:
        (tmp_path / "project").mkdir()
        arguments = {"path": str(tmp_path), "target_protocol": "file", "target_options": {"auto_mkdir": True}}
        storage = open_storage(Settings(root="dir://project", fs_args=arguments))
        yield storage
        await storage.aclose()


@pytest.fixture(scope="module")
def sftp_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    with SftpServer(tmp_path_factory.mktemp("sftp")) as server:
        yield server


@pytest.mark.slow
class TestSFTP(StorageContract):
    """A filesystem that lives on a loop of its own."""

    @pytest_asyncio.fixture
    async def storage(self, sftp_server: SftpServer) -> AsyncIterator[Storage]:
        folder = uuid.uuid4().hex
        (sftp_server.folder / folder / "project").mkdir(parents=True)
        storage = open_storage(Settings(root=f"sftp://{HOST}/{folder}/project", fs_args=sftp_server.fs_args()))
        yield storage
        await storage.aclose()

    @pytest_asyncio.fixture
    async def filled(self, storage: Storage, sftp_server: SftpServer) -> Storage:
        # On the disk of the server: the tests of writing write through the protocol.
        folder = sftp_server.folder / storage.url.partition(f"{HOST}/")[2]
        for key, content in CONTENTS.items():
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return storage


class TestZip(ReadContract):
    """An archive: one file with one position in it, read by one thread."""

    @pytest.fixture
    def archive(self, tmp_path: Path) -> Path:
        path = tmp_path / "project.zip"
        with zipfile.ZipFile(path, "w") as file:
            for key, content in CONTENTS.items():
                file.writestr(f"a/project/{key}", content)
        return path

    @pytest_asyncio.fixture
    async def filled(self, archive: Path) -> AsyncIterator[Storage]:
        storage = open_storage(Settings(root="zip://a/project", fs_args={"fo": str(archive)}))
        assert storage.read_only
        yield storage
        await storage.aclose()


@pytest.mark.slow
class TestWrapped(StorageContract):
    """What wrappers do to a storage is part of the contract as well."""

    @pytest_asyncio.fixture
    async def storage(self, tmp_path: Path) -> AsyncIterator[Storage]:
        storage = CountingStorage(open_storage(Settings(root=str(tmp_path / "project"))))
        yield storage
        await storage.aclose()


async def _everything(storage: Storage) -> list[Any]:
    async with storage.scan("", None) as pages:
        return [entry async for page in pages for entry in page]
