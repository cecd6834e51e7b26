"""Each thing that goes wrong has its own class, around single calls and around fan-outs alike."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

import aiocopick
from aiocopick.entities import AsyncRoot, AsyncRun
from aiocopick.errors import (
    AccessDeniedError,
    CopickError,
    FormatError,
    NotFoundError,
    StorageError,
    StorageTimeoutError,
)
from aiocopick.layers import Stack
from aiocopick.layers.filesystem import FilesystemLayer
from aiocopick.testing import WrappedStorage
from tests.entities.projects import Counted, write_run


class Refusing(WrappedStorage):
    """Raises an error of one class for every key that is chosen."""

    error: type[CopickError]
    chosen: Callable[[str], bool]

    async def around(self, verb, key, call):
        if self.chosen(key):
            raise self.error(f"{verb} {key} was refused", path=key)
        return await call()


def refusing(counted: Counted, error: type[CopickError], chosen: Callable[[str], bool]) -> AsyncRoot:
    storage = Refusing(counted.storage)
    storage.error, storage.chosen = error, chosen
    return AsyncRoot._over(counted.root.config, Stack([FilesystemLayer(counted.root.config, storage)]))


SINGLE = {
    "query": lambda root, run: root.query(),
    "runs": lambda root, run: root.runs(),
    "get_run": lambda root, run: root.get_run("TS_1"),
    "new_run": lambda root, run: root.new_run("TS_9"),
    "ensure": lambda root, run: root.ensure(),
    "pickable_objects": lambda root, run: root.pickable_objects(),
    "picks": lambda root, run: run.picks(),
    "query_segmentations": lambda root, run: run.query_segmentations(),
    "get_voxel_spacing": lambda root, run: run.get_voxel_spacing(10),
    "new_picks": lambda root, run: run.new_picks("apo", "1"),
    "load_meta": lambda root, run: run.load_meta(),
    "discover": lambda root, run: root.discover_objects(),
    "resolve": lambda root, run: root.resolve("*"),
    "must_exist": lambda root, run: root.ensure(create=True),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [AccessDeniedError, StorageTimeoutError, StorageError])
@pytest.mark.parametrize("call", SINGLE)
async def test_what_the_storage_says_comes_through_bare(counted: Counted, call: str, error: type[CopickError]) -> None:
    await counted.root.new_run("TS_1")
    root = refusing(counted, error, lambda key: True)
    run = AsyncRun._of(root, (await counted.root.runs())[0].ref)
    with pytest.raises(error) as raised:
        await SINGLE[call](root, run)
    assert type(raised.value) is error


@pytest.mark.asyncio
async def test_a_walk_that_fails_in_several_folders_raises_one_error(counted: Counted, monkeypatch) -> None:
    import dataclasses

    await write_run(counted.root)
    limited = dataclasses.replace(counted.storage.capabilities, delimiter=False)
    root = refusing(counted, AccessDeniedError, lambda key: key.count("/") == 2)
    monkeypatch.setattr(Refusing, "capabilities", property(lambda self: limited))
    run = (await root.query())[0]
    with pytest.raises(AccessDeniedError):
        await run.picks()
    with pytest.raises(PermissionError):
        await run.segmentations()


@pytest.mark.asyncio
async def test_fan_outs_over_files_raise_what_a_single_file_raises(counted: Counted) -> None:
    for name in ("TS_1", "TS_2", "TS_3"):
        await write_run(counted.root, name, volumes=False)
    for error in (AccessDeniedError, NotFoundError, StorageTimeoutError):
        root = refusing(counted, error, lambda key: key.endswith(".json"))
        picks = [item for run in await root.query() for item in await run.picks()]
        with pytest.raises(error):
            await picks[0].load()
        with pytest.raises(error):
            await aiocopick.load(picks)
        for item in picks:
            item.points = []
        with pytest.raises((error, CopickError)):
            await aiocopick.store(picks)
    for run in await counted.root.query():
        for item in await run.picks():
            await counted.storage.write(item.key, b"{")
    picks = [item for run in await counted.fresh().query() for item in await run.picks()]
    with pytest.raises(FormatError):
        await aiocopick.load(picks)


@pytest.mark.asyncio
async def test_denied_is_never_empty(counted: Counted) -> None:
    await write_run(counted.root, volumes=False)
    root = refusing(counted, AccessDeniedError, lambda key: key == "ExperimentRuns")
    for crawl in (root.crawl(), root.crawl(runs="TS_*")):
        with pytest.raises(AccessDeniedError):
            _ = [run async for run in crawl]
    with pytest.raises(AccessDeniedError):
        async with root.crawl():
            pass
    root = refusing(counted, AccessDeniedError, lambda key: "TS_1" in key)
    (run,) = [run async for run in root.crawl()]
    assert isinstance(run.error, AccessDeniedError)
    async with root.crawl(runs=["TS_1"]) as runs:
        (run,) = [run async for run in runs]
    assert isinstance(run.error, AccessDeniedError)


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.asyncio
async def test_a_server_that_never_answers(silent_server: str) -> None:
    arguments = {"key": "a", "secret": "b", "client_kwargs": {"endpoint_url": silent_server}}
    async with aiocopick.open("s3://bucket/project", fs_args=arguments, timeout=0.5) as root:
        for call in (root.query(), root.get_run("TS_1"), root.ensure()):
            with pytest.raises(StorageTimeoutError, match="s3://bucket/project"):
                await call


@pytest.mark.asyncio
async def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    arguments = {"key": "a", "secret": "b", "client_kwargs": {"endpoint_url": f"http://127.0.0.1:{port}"}}
    async with aiocopick.open("s3://bucket/project", fs_args=arguments, timeout=1, retries=1) as root:
        with pytest.raises(StorageError, match="s3://bucket/project"):
            await root.query()


@pytest.mark.asyncio
async def test_a_bucket_that_is_not_there(moto_server) -> None:
    async with aiocopick.open("s3://never-made-bucket/project", fs_args=moto_server.fs_args()) as root:
        with pytest.raises(NotFoundError, match="never-made-bucket"):
            await root.query()


@pytest.mark.asyncio
async def test_a_root_that_is_a_file(tmp_path) -> None:
    path = tmp_path / "file.mrc"
    path.write_bytes(b"\x00")
    async with aiocopick.open({"root": str(path)}) as root:
        with pytest.raises(CopickError, match=r"file\.mrc"):
            await root.new_run("TS_1")
    with pytest.raises(NotFoundError, match=r"file\.mrc"):
        await aiocopick.open({"root": str(path)}, must_exist=True)
