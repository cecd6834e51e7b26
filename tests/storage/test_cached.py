"""The cache on local disk: its folder, what is in it after accidents, and who may share it."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sys
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import pytest_asyncio

from aiocopick.concurrency.threads import in_thread
from aiocopick.errors import ConflictError, FormatError, NotFoundError, StorageError
from aiocopick.models import CopickConfigFS, CopickConfigFSSpec, parse_config
from aiocopick.storage import Entry, Storage, cache_folder as module, open_storage
from aiocopick.storage.cache_folder import MARKER, CacheFolder
from aiocopick.storage.cached import CachedStorage, Caching, Listed, identity
from aiocopick.storage.settings import Settings
from aiocopick.testing import CountingStorage
from tests.children import child
from tests.servers.fixtures import MakeWebServer
from tests.servers.s3 import MinioServer, MotoServer

CONTENT = b"content" * 100


def folder_at(path: Path, max_bytes: int = 10**6) -> CacheFolder:
    folder = CacheFolder(str(path), max_bytes)
    folder.prepare()
    return folder


def files_in(path: Path) -> list[Path]:
    return sorted(item for item in path.rglob("*") if item.is_file() and item.name != MARKER)


def total_of(path: Path) -> int:
    return sum(item.stat().st_size for item in files_in(path))


@pytest.fixture
def folder(tmp_path: Path) -> CacheFolder:
    return folder_at(tmp_path / "cache")


# --- entries ----------------------------------------------------------------------------------------------------------


def test_an_entry_is_what_was_saved(folder: CacheFolder) -> None:
    folder.save("a/b/one", "key", CONTENT, "etag")
    assert folder.load("a/b/one", "key") == (CONTENT, "etag")
    assert folder.load("a/b/one", "key", "etag") == (CONTENT, "etag")
    assert folder.load("a/b/one", "key", "other") is None
    assert folder.load("a/b/one", "another key") is None
    assert folder.load("a/b/one", "key", most=10) is None
    folder.save("a/b/one", "key", b"", None)
    assert folder.load("a/b/one", "key") == (b"", None)
    folder.drop("a")
    assert folder.load("a/b/one", "key") is None


@pytest.mark.parametrize("damage", ["flipped", "cut", "longer", "zeros", "empty", "key", "etag"])
def test_a_damaged_entry_is_none(folder: CacheFolder, damage: str) -> None:
    folder.save("one", "key", CONTENT, "etag")
    path = Path(folder.path, "one")
    whole = path.read_bytes()
    damaged = {
        "flipped": whole[:-1] + b"x",
        "cut": whole[:-1],
        "longer": whole + b"x",
        "zeros": bytes(len(whole)),
        "empty": b"",
        "key": whole.replace(b"key", b"yek"),
        "etag": whole.replace(b"etag", b"gate"),
    }[damage]
    path.write_bytes(damaged)
    assert folder.load("one", "key") is None
    assert not path.exists()
    folder.save("one", "key", CONTENT, "etag")
    assert folder.load("one", "key") == (CONTENT, "etag")


def test_the_least_recently_used_go(tmp_path: Path) -> None:
    folder = folder_at(tmp_path / "cache", 10_000)
    for number in range(9):
        folder.save(f"d/{number}", f"{number}", bytes(1000), "etag")
    assert folder.load("d/0", "0") is not None
    for number in range(9, 12):
        folder.save(f"d/{number}", f"{number}", bytes(1000), "etag")
    assert total_of(tmp_path / "cache") <= 10_000
    assert folder.load("d/0", "0") is not None
    assert folder.load("d/11", "11") is not None
    assert folder.load("d/1", "1") is None
    folder.save("d/large", "large", bytes(20_000), "etag")
    assert folder.load("d/large", "large") is None


def test_what_is_open_stays(tmp_path: Path) -> None:
    folder = folder_at(tmp_path / "cache", 3000)
    folder.save("first", "first", bytes(1000), "etag")
    with folder._opened_entry(os.path.join(folder.path, "first")):
        for number in range(5):
            folder.save(f"{number}", f"{number}", bytes(1000), "etag")
        assert folder.load("first", "first") is not None


def test_several_processes_keep_to_the_limit(tmp_path: Path) -> None:
    # Two objects know as little of each other as two processes.
    first, second = (folder_at(tmp_path / "cache", 100_000) for _ in range(2))
    for number in range(300):
        for name, folder in (("first", first), ("second", second)):
            folder.save(f"{name}/{number}", f"{number}", bytes(1000), "etag")
    assert total_of(tmp_path / "cache") <= 110_000


def test_what_a_kill_left_is_removed_later(tmp_path: Path) -> None:
    folder = folder_at(tmp_path / "cache")
    folder.save("d/one", "one", CONTENT, "etag")
    old, young = (Path(folder.path, "d", f"tmp-{name}") for name in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    folder.trim()
    assert (old.exists(), young.exists()) == (False, True)


WRITER = """
import sys
from aiocopick.storage.cache_folder import CacheFolder

folder = CacheFolder(sys.argv[1], 10**9)
folder.prepare()
print("ready", flush=True)
number = 0
while True:
    number += 1
    content = number.to_bytes(8, "big") * 50_000
    folder.save(f"d/{number % 5}", f"key {number % 5}", content, str(number))
"""


def test_a_kill_leaves_nothing_wrong(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    with child([sys.executable, "-c", WRITER, path]) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        folder = folder_at(path)
        seen = 0
        while seen < 20:
            kept = folder.load("d/0", "key 0")
            if kept is not None:
                seen += 1
                assert kept.data == int(str(kept.etag)).to_bytes(8, "big") * 50_000
    assert sum(usage.damaged for usage in folder.verify().values()) == 0
    for number in range(5):
        kept = folder.load(f"d/{number}", f"key {number}")
        assert kept is None or kept.data == int(str(kept.etag)).to_bytes(8, "big") * 50_000


# --- the folder -------------------------------------------------------------------------------------------------------


def test_only_its_owner_can_look_into_it(folder: CacheFolder) -> None:
    folder.save("a/one", "key", CONTENT, "etag")
    assert Path(folder.path).stat().st_mode & 0o777 == 0o700
    assert Path(folder.path, "a", "one").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "cache"
    path.mkdir()
    path.chmod(mode)
    with pytest.raises(StorageError, match=r"cache cannot be the cache: others can write to it .*chmod 700"):
        folder_at(path)
    assert list(path.iterdir()) == []


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_at(tmp_path / "cache")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(StorageError, match="belongs to another user"):
        folder_at(tmp_path / "cache")


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("of years")
    tmp_path.chmod(0o700)
    with pytest.raises(StorageError, match="holds other files"):
        folder_at(tmp_path)
    with pytest.raises(StorageError, match="it is a file"):
        folder_at(tmp_path / "thesis.tex")
    with pytest.raises(StorageError, match="is not on local disk"):
        open_storage(CopickConfigFS(root="s3://bucket/project", cache="s3://bucket/cache"))


def test_a_folder_of_a_later_release_is_refused(tmp_path: Path) -> None:
    folder = folder_at(tmp_path / "cache")
    Path(folder.path, MARKER).write_text('{"format": 2, "salt": "00"}')
    with pytest.raises(StorageError, match="another release"):
        folder_at(tmp_path / "cache")
    Path(folder.path, MARKER).write_text("{")
    with pytest.raises(StorageError, match="cannot be read"):
        folder_at(tmp_path / "cache")


def test_all_that_start_at_once_use_the_first_salt(tmp_path: Path) -> None:
    first = folder_at(tmp_path / "cache")
    first._mark(os.path.join(first.path, MARKER))
    assert folder_at(tmp_path / "cache").prepare() == first.prepare()
    assert [item.name for item in Path(first.path).iterdir()] == [MARKER]


def test_a_disk_without_links_has_a_cache_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", refused)
    first = folder_at(tmp_path / "cache")
    assert [item.name for item in Path(first.path).iterdir()] == [MARKER]
    assert folder_at(tmp_path / "cache").prepare() == first.prepare()


# --- as a storage -----------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def counted(tmp_path: Path) -> AsyncIterator[tuple[CountingStorage, CachedStorage]]:
    settings = Settings(root=f"memory://{uuid.uuid4().hex}/project")
    inner = CountingStorage(open_storage(settings))
    storage = CachedStorage.make(inner, Caching(folder=str(tmp_path / "cache"), max_bytes=10**6), settings)
    await inner.write("a/Picks/one.json", CONTENT)
    inner.calls.clear()
    yield inner, storage
    await storage.aclose()


@pytest.mark.asyncio
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES])
async def test_a_full_or_read_only_disk_is_a_warning(
    counted: tuple[CountingStorage, CachedStorage],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
) -> None:
    inner, storage = counted
    assert await storage.read("a/Picks/one.json") == CONTENT

    def full(path: str, parts: Any) -> None:
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr(module, "_write_new", full)
    await inner.write("a/Picks/two.json", b"other")
    with caplog.at_level(logging.WARNING, "aiocopick"):
        for _ in range(2):
            assert await storage.read("a/Picks/two.json") == b"other"
            await storage.write("a/Picks/three.json", b"three")
        assert await storage.read("a/Picks/one.json") == CONTENT
    [record] = caplog.records
    assert os.strerror(number) in record.getMessage()


@pytest.mark.asyncio
async def test_a_folder_that_cannot_be_made_is_a_warning(
    counted: tuple[CountingStorage, CachedStorage], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    inner, storage = counted

    def refuse(path: str, *args: Any, **kwargs: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)

    monkeypatch.setattr(os, "makedirs", refuse)
    with caplog.at_level(logging.WARNING, "aiocopick"):
        for _ in range(2):
            assert await storage.read("a/Picks/one.json") == CONTENT
    assert len(caplog.records) == 1
    assert inner.count("read") == 2


@pytest.mark.asyncio
async def test_a_refused_folder_is_an_error_before_anything_is_written(
    counted: tuple[CountingStorage, CachedStorage], tmp_path: Path
) -> None:
    inner, storage = counted
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    for operation in (storage.read("a/Picks/one.json"), storage.write("a/Picks/one.json", b"new")):
        with pytest.raises(StorageError, match="others can write"):
            await operation
    assert not inner.calls


@pytest.mark.asyncio
async def test_damage_costs_a_request_and_is_repaired(
    counted: tuple[CountingStorage, CachedStorage], tmp_path: Path
) -> None:
    inner, storage = counted
    await storage.read("a/Picks/one.json")
    [path] = files_in(tmp_path / "cache")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    for _ in range(2):
        assert await storage.read("a/Picks/one.json") == CONTENT
    assert inner.count("read") == 3


@pytest.mark.asyncio
async def test_what_is_kept_has_the_limits_of_what_is_asked_for(
    counted: tuple[CountingStorage, CachedStorage],
) -> None:
    _, storage = counted
    chunk, metadata = "a.zarr/0/0.0.0", "a.zarr/0/.zarray"
    for key in (chunk, metadata):
        await storage.write(key, CONTENT)
    size = len(CONTENT)
    assert await storage.options(max_chunk_bytes=size).read(chunk) == CONTENT
    with pytest.raises(FormatError, match="no chunk of this array can be"):
        await storage.options(max_chunk_bytes=size - 1).read(chunk)
    assert await storage.options(max_chunk_bytes=size - 1).read(metadata) == CONTENT
    with pytest.raises(ConflictError, match="changed since"):
        await storage.options(max_listed_bytes=size - 1).read(metadata)


@pytest.mark.asyncio
async def test_a_listing_saves_the_request_of_a_look_only(counted: tuple[CountingStorage, CachedStorage]) -> None:
    inner, storage = counted
    key = "a/Picks/one.json"
    await storage.read(key)
    await storage.list("a/Picks")
    inner.calls.clear()
    assert (await storage.read_versioned(key, listed=True))[0] == CONTENT
    assert not inner.calls
    await storage.read_versioned(key)
    await storage.read(key)
    async with storage.read_many([key]) as results:
        assert [result async for result in results] == [(key, CONTENT)]
    assert inner.calls == [("read", key)] * 3
    # The next listing tells of what another writer did, and a write of our own is known.
    await inner.write(key, b"changed")
    await storage.list("a/Picks")
    assert (await storage.read_versioned(key, listed=True))[0] == b"changed"
    await storage.write(key, b"by us")
    inner.calls.clear()
    assert (await storage.read_versioned(key, listed=True))[0] == b"by us"
    assert not inner.calls
    await storage.delete_many([key])
    for listed in (True, False):
        with pytest.raises(NotFoundError):
            await storage.read_versioned(key, listed=listed)


@pytest.mark.asyncio
async def test_a_directory_that_is_deleted_leaves_nothing_in_the_cache(
    counted: tuple[CountingStorage, CachedStorage], tmp_path: Path
) -> None:
    _, storage = counted
    keys = ["a/Picks/one.json", "a/Picks/two.json", "a/b.zarr/.zattrs", "a/b.zarr/0/0.0.0", "b.zarr/0/0.0.0"]
    for key in keys:
        await storage.write(key, CONTENT)
    assert len(files_in(tmp_path / "cache")) == 5
    await storage.delete_tree("a/Picks")
    assert len(files_in(tmp_path / "cache")) == 3
    await storage.delete_tree("a/b.zarr")
    assert len(files_in(tmp_path / "cache")) == 1
    await storage.delete_tree("b.zarr")
    assert files_in(tmp_path / "cache") == []


def test_a_listing_counts_for_a_minute() -> None:
    now = 0.0
    listed = Listed(lambda: now)
    listed.note([Entry("one", etag="1"), Entry("folder", is_prefix=True), Entry("bare")])
    assert listed.version("one") == "1"
    now = 29.0
    listed.note([Entry("two", etag="2")])
    now = 45.0
    assert (listed.version("one"), listed.version("two")) == ("1", "2")
    now = 61.0
    assert listed.version("one") != "1"
    listed.note([Entry("two", etag="3")])
    assert listed.version("two") == "3"
    now = 200.0
    assert listed.version("two") != "3"


@pytest.mark.asyncio
async def test_views_of_a_directory_that_was_deleted_know_it(counted: tuple[CountingStorage, CachedStorage]) -> None:
    inner, storage = counted
    await storage.write("run/wbp.zarr/0/0", CONTENT)
    volume = storage.opened("run/wbp.zarr")
    assert await volume.read("run/wbp.zarr/0/0") == CONTENT
    await storage.delete_tree("run")
    with pytest.raises(NotFoundError):
        await volume.read("run/wbp.zarr/0/0")
    await inner.write("run/wbp.zarr/0/0", b"new")
    assert await storage.opened("run/wbp.zarr").read("run/wbp.zarr/0/0") == b"new"


@pytest.mark.asyncio
async def test_a_change_that_is_noticed_makes_all_versions_doubtful(
    counted: tuple[CountingStorage, CachedStorage],
) -> None:
    inner, storage = counted
    keys = [f"run/wbp.zarr/0/{number}" for number in range(3)]
    for key in keys[:2]:
        await storage.write(key, b"old")
    await inner.write(keys[2], b"old")
    volume = storage.opened("run/wbp.zarr")
    assert await volume.read(keys[0]) == b"old"
    for key in keys:
        await inner.write(key, b"new")
    # Listed before: nothing tells that it changed.
    assert await volume.read(keys[1]) == b"old"
    # This one is not kept, so it is read, and is not what was listed.
    assert await volume.read(keys[2]) == b"new"
    assert await volume.read(keys[1]) == b"new"


@pytest.mark.asyncio
async def test_what_is_not_kept_is_looked_for_only_now_and_then(
    counted: tuple[CountingStorage, CachedStorage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, storage = counted
    keys = [f"run/wbp.zarr/0/{number:03}" for number in range(300)]
    for key in keys:
        await inner.write(key, key.encode())
    looked: list[str] = []
    load = CacheFolder.load
    monkeypatch.setattr(CacheFolder, "load", lambda self, name, *args: looked.append(name) or load(self, name, *args))
    volume = storage.opened("run/wbp.zarr")
    inner.calls.clear()
    for key in keys[:100]:
        assert await volume.read(key) == key.encode()
    # Cold: nothing is listed, and nothing is looked for.
    assert inner.calls == [("read", key) for key in keys[:100]]
    assert not looked
    # Another process keeps more of it meanwhile, which is noticed some reads later.
    other = CachedStorage.make(inner, storage._core.caching, storage._core.settings)
    for key in keys:
        await other.read(key)
    inner.calls.clear()
    looked.clear()
    for key in keys[100:]:
        assert await volume.read(key) == key.encode()
    assert inner.count("read") <= 64
    assert len(looked) >= 200 - 64


@pytest.mark.asyncio
@pytest.mark.parametrize("policy", ["volume", "never", "always"])
async def test_kept_chunks_are_worked_on_some_at_a_time_and_the_others_by_themselves(
    counted: tuple[CountingStorage, CachedStorage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy: Any
) -> None:
    inner, filled = counted
    keys = [f"run/wbp.zarr/0/{number:02}" for number in range(20)]
    for key in keys[:18]:
        await inner.write(key, key.encode())
    caching = Caching(folder=filled._core.caching.folder, max_bytes=10**6, policy=policy)
    storage = CachedStorage.make(inner, caching, filled._core.settings)
    for key in keys[:16]:
        await storage.read(key)
    paths = [Path(caching.folder, storage._core.place(key, None)[0]) for key in keys]
    paths[3].write_bytes(paths[3].read_bytes()[:-1] + b"x")
    paths[8].unlink()

    def use(key: str, data: bytes) -> str:
        assert data == key.encode()
        if key == keys[5]:
            raise FormatError("it means nothing", path=key)
        return key

    hops: list[Any] = []

    async def hopped(function: Any, *args: Any) -> Any:
        hops.append(function)
        return await in_thread(function, *args)

    monkeypatch.setattr("aiocopick.storage.cached.in_thread", hopped)
    volume = storage.opened("run/wbp.zarr")
    for again in (False, True):
        inner.calls.clear()
        hops.clear()
        hits = storage.stats.cache_hits
        async with volume.read_through([*keys, keys[0]], use, limit=3) as results:
            found = [pair async for pair in results]
        assert sorted(key for key, _ in found) == sorted([*keys, keys[0]])
        by_key = dict(found)
        assert isinstance(by_key.pop(keys[5]), FormatError)
        assert all(isinstance(by_key.pop(key), NotFoundError) for key in keys[18:])
        assert by_key == {key: key for key in keys[:18] if key != keys[5]}
        if policy == "always":
            continue
        # Damaged, removed, and never read; what does not exist is known once it was listed or asked for.
        asked = [key for verb, key in inner.calls if verb == "read"]
        wanted = [] if again else [keys[3], keys[8], *keys[16:18]]
        assert sorted(asked) == sorted([*wanted, *([] if policy == "volume" else keys[18:])])
        assert storage.stats.cache_hits - hits == 19 - len(wanted)
        if again:
            # Twenty-one keys in batches of four.
            assert len(hops) == 6


@pytest.mark.asyncio
async def test_a_volume_of_many_chunks_is_listed_as_far_as_it_is_read(
    minio_server: MinioServer, tmp_path: Path
) -> None:
    bucket = minio_server.new_bucket()
    chunks = {f"run/wbp.zarr/{level}/{number:05}": b"%d" % number for level in (0, 1) for number in range(1500)}
    minio_server.seed(bucket, chunks | {"run/wbp.zarr/zarr.json": b"{}"})
    config = CopickConfigFS(root=f"s3://{bucket}", fs_args=minio_server.fs_args(), cache=str(tmp_path / "cache"))
    wanted = ["run/wbp.zarr/zarr.json", "run/wbp.zarr/0/00007", "run/wbp.zarr/1/00007", "run/wbp.zarr/1/01400"]
    storage = open_storage(config)
    for key in wanted:
        await storage.read(key)
    await storage.aclose()
    storage = open_storage(config)
    volume = storage.opened("run/wbp.zarr")
    assert [await volume.read(key) for key in wanted] == [b"{}", b"7", b"7", b"1400"]
    # One page from the beginning, two of the second level; the document after all chunks is asked for by name.
    assert {verb: count for verb, count in storage.stats.requests.items() if count} == {"list": 3, "read": 1}
    with pytest.raises(NotFoundError):
        await volume.read("run/wbp.zarr/1/01000a")
    assert storage.stats.requests["read"] == 1
    await storage.aclose()


@pytest.mark.asyncio
async def test_a_volume_that_cannot_be_listed_is_asked_for_by_name(
    counted: tuple[CountingStorage, CachedStorage], monkeypatch: pytest.MonkeyPatch
) -> None:
    inner, storage = counted
    chunks = ["run/wbp.zarr/0/0", "run/wbp.zarr/0/1"]
    for chunk in chunks:
        await storage.write(chunk, CONTENT)
    inner.calls.clear()
    tried = []

    async def denied(prefix: str, **kwargs: Any) -> None:
        tried.append(prefix)
        raise StorageError("denied")

    monkeypatch.setattr(inner, "first_page", denied)
    volume = storage.opened("run/wbp.zarr")
    assert [await volume.read(chunk) for chunk in [*chunks, *chunks]] == [CONTENT] * 4
    assert [verb for verb, _ in inner.calls] == ["read", "read"]
    assert tried == ["run/wbp.zarr"]


@pytest.mark.asyncio
async def test_a_web_server_is_asked_for_each_file(web_server: MakeWebServer, tmp_path: Path) -> None:
    served = tmp_path / "served"
    served.mkdir()
    (served / "one.json").write_bytes(CONTENT)
    server = web_server(served)
    storage = open_storage(CopickConfigFS(root=server.url, cache=tmp_path / "cache"))
    _, etag = await storage.read_versioned("one.json")
    for _ in range(2):
        assert await storage.read("one.json") == CONTENT
    # A server without versions is never taken at its former word.
    assert storage.stats.bytes_read == len(CONTENT) * (1 if etag else 3)
    (served / "one.json").write_bytes(b"changed")
    assert await storage.read("one.json") == b"changed"
    await storage.aclose()


# --- who shares -------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_nothing_in_the_folder_is_a_secret_and_keys_have_parts_of_their_own(
    moto_server: MotoServer, tmp_path: Path
) -> None:
    bucket = moto_server.new_bucket()
    moto_server.seed(bucket, {"Picks/one.json": CONTENT})
    arguments = moto_server.fs_args()
    places = set()
    for changes in ({}, {"key": "another-key"}, {"anon": True}, {"client_kwargs": {"endpoint_url": "http://x"}}):
        config = CopickConfigFS(root=f"s3://{bucket}", fs_args=arguments | changes, cache=str(tmp_path / "cache"))
        storage: Any = open_storage(config)
        await asyncio.to_thread(storage._core.prepare)
        places.add(storage._core.place("Picks/one.json", None)[0])
        if not changes:
            await storage.read("Picks/one.json")
        await storage.aclose()
    assert len(places) == 4
    texts = [str(path) for path in files_in(tmp_path)] + [
        path.read_bytes().decode("latin1") for path in files_in(tmp_path)
    ]
    assert not any(arguments["secret"] in text or arguments["key"] in text for text in texts)


def test_who_asks_is_told_by_arguments_address_and_environment() -> None:
    def who(fs_args: Any = (), root: str = "s3://bucket", **environment: str) -> str | None:
        return identity("s3", root, dict(fs_args), environment)

    same = who({"key": "a", "secret": "s"})
    assert same == who({"secret": "s", "key": "a"}) == who({"key": "a", "secret": "s"}, HOME="/home/me")
    others = [
        who({"key": "b", "secret": "s"}),
        who({"key": "a", "secret": "s", "endpoint_url": "http://x"}),
        who({"key": "a", "secret": "s"}, AWS_PROFILE="other"),
        who({"key": "a", "secret": "s"}, "https://me:secret@host/data"),
        who({"key": "a", "secret": "s"}, "https://host/data?token=1"),
    ]
    assert len({same, *others}) == 6
    assert who({"session": object()}) is None
    # What a program passes, and what a config can say of the same.
    for passed, written in (
        (Path("/keys/me.json"), "/keys/me.json"),
        (b"secret", "secret"),
        (MappingProxyType({"a": Path("b")}), {"a": "b"}),
        ({"b", "a"}, ["a", "b"]),
    ):
        assert who({"token": passed}) == who({"token": written}) != same


@pytest.mark.asyncio
async def test_arguments_that_do_not_tell_who_asks_are_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = Settings(root=f"memory://{uuid.uuid4().hex}", fs_args={"credential": object()})
    storage = CachedStorage.make(open_storage(settings), Caching(folder=str(tmp_path / "c"), max_bytes=100), settings)
    with caplog.at_level(logging.WARNING, "aiocopick"):
        await storage.write("Picks/one.json", CONTENT)
        assert await storage.read("Picks/one.json") == CONTENT
    assert "is not cached" in caplog.text
    assert files_in(tmp_path) == []
    await storage.delete_many(["Picks/one.json"])


def test_containers_of_one_account_are_told_apart(tmp_path: Path) -> None:
    places = set()
    for root in ("az://one@account/project", "az://two@account/project", "https://me:secret@host/project"):
        storage = CachedStorage.make(
            open_storage(Settings(root=root)), Caching(folder=str(tmp_path / "c"), max_bytes=100), Settings(root=root)
        )
        storage._core.prepare()
        places.add(storage._core.place("key", None)[0])
    assert len(places) == 3
    assert not any("secret" in place for place in places)


def test_storages_of_one_project_and_cache_are_equal(tmp_path: Path) -> None:
    def cached(**changes: Any) -> Storage:
        return open_storage(CopickConfigFS(**{"root": "s3://bucket/project", "cache": tmp_path / "cache", **changes}))

    storage = cached()
    assert storage == cached()
    assert hash(storage) == hash(cached())
    for other in (cached(root="s3://bucket/other"), cached(cache=tmp_path / "other"), cached(cache=False), "text"):
        assert storage != other


# --- the configuration ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number"),
    [("50 GB", 50 * 10**9), ("2GiB", 2 * 2**30), ("1.5 MB", 1_500_000), ("4096", 4096), ("10 kb", 10_000), (123, 123)],
)
def test_sizes_have_units(text: Any, number: int) -> None:
    assert CopickConfigFS(root="s3://bucket", cache_bytes=text).cache_bytes == number


@pytest.mark.parametrize("text", ["", "GB", "-1 GB", "1 XB", "one", "0", 0])
def test_a_size_that_is_none_is_refused(text: Any) -> None:
    with pytest.raises(FormatError, match="cache_bytes"):
        parse_config({"root": "s3://bucket", "cache_bytes": text})


def test_the_environment_names_the_cache_of_configs_that_name_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cache_of(**fields: Any) -> Storage:
        return open_storage(CopickConfigFS(**{"root": "s3://bucket/project", **fields}))

    assert not isinstance(cache_of(), CachedStorage)
    monkeypatch.setenv("AIOCOPICK_CACHE", str(tmp_path / "environment"))
    storage = cache_of()
    assert isinstance(storage, CachedStorage)
    assert storage._core.folder.path == str(tmp_path / "environment")
    named = cache_of(cache=tmp_path / "named", cache_policy="always")
    assert isinstance(named, CachedStorage)
    assert (named._core.folder.path, named._core.caching.policy) == (str(tmp_path / "named"), "always")
    assert not isinstance(cache_of(cache=False), CachedStorage)
    for root in (str(tmp_path), "memory://project"):
        assert not isinstance(cache_of(root=root), CachedStorage)
    assert not list(tmp_path.iterdir())
    pair = CopickConfigFSSpec(overlay_root="s3://a", static_root="s3://b", cache="~/x", cache_bytes="1 GB")
    assert [(layer.cache, layer.cache_bytes) for layer in pair.layer_configs()] == [("~/x", 10**9)] * 2


def test_use_moves_an_entry_to_the_end(folder: CacheFolder) -> None:
    folder.save("one", "key", CONTENT, "etag")
    os.utime(Path(folder.path, "one"), (1, 1))
    folder.load("one", "key")
    assert time.time() - Path(folder.path, "one").stat().st_mtime < 3600
