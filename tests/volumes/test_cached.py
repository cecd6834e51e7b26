"""Volumes and files of a project in a bucket, kept on local disk: how many requests each rule saves, and what is seen."""

from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aiocopick
from aiocopick import AsyncRoot
from tests.servers.s3 import MotoServer
from tests.volumes.places import Place
from tests.volumes.projects import OBJECTS, noise, project, spacing_of, tomogram_of

SHAPE, CHUNKS = (32, 32, 32), (16, 16, 16)
LEVELS = 2
ONE_CHUNK = {"x": slice(0, 16), "y": slice(0, 16), "z": slice(0, 16)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@asynccontextmanager
async def opened(place: Place, folder: Path | None, **options: Any) -> AsyncIterator[AsyncRoot]:
    cache = {"cache": str(folder)} if folder is not None else {}
    async with aiocopick.open(place.root, fs_args=place.fs_args, user_id="user", **cache, **options) as root:
        yield root


async def tomogram_in(root: AsyncRoot) -> Any:
    [run] = await root.runs()
    [spacing] = await run.voxel_spacings()
    [tomogram] = await spacing.tomograms()
    return tomogram


async def write_volume(place: Place, data: Any, **options: Any) -> None:
    """Write as another program does, which knows nothing of the cache."""
    async with project(place, **options) as root:
        spacing = await spacing_of(root)
        tomogram = await spacing.new_tomogram("wbp", exist_ok=True)
        await tomogram.from_numpy(data, chunks=CHUNKS, levels=LEVELS)


@pytest.mark.asyncio
@pytest.mark.parametrize("zarr_format", [2, 3])
async def test_a_known_volume_is_one_listing(
    moto_server: MotoServer, bucket: Place, folder: Path, zarr_format: int
) -> None:
    data = noise(*SHAPE)
    await write_volume(bucket, data, zarr_format=zarr_format)
    async with opened(bucket, folder) as root:
        tomogram = await tomogram_in(root)
        with moto_server.counting() as first:
            assert np.array_equal(await tomogram.numpy(), data)
        # As without a cache: nothing is listed for what is not kept.
        assert first == {"GetObject": {2: 3, 3: 4}[zarr_format] + 8}
        assert not root.stats.cache_hits
        with moto_server.counting() as second:
            assert np.array_equal(await tomogram.numpy(), data)
        assert not second
    async with opened(bucket, folder) as root:
        tomogram = await tomogram_in(root)
        with moto_server.counting() as again:
            assert np.array_equal(await tomogram.numpy(), data)
            assert np.array_equal(await tomogram.numpy(), data)
            boxes = await tomogram.extract([[100.0, 100.0, 100.0]], 8)
        assert again == {"ListObjectsV2": 1}
        assert boxes.shape == (1, 8, 8, 8)
        hits, size = root.stats.cache_hits, root.stats.as_dict()["cache_bytes"]
        assert np.array_equal(await tomogram.numpy(), data)
        assert root.stats.cache_hits == hits + 8
        assert root.stats.cache_bytes > size + data.nbytes / 2


@pytest.mark.asyncio
async def test_always_asks_for_each_chunk_without_its_body(
    moto_server: MotoServer, bucket: Place, folder: Path
) -> None:
    data = noise(*SHAPE)
    await write_volume(bucket, data)
    async with opened(bucket, folder, cache_policy="always") as root:
        await (await tomogram_in(root)).numpy()
    async with opened(bucket, folder, cache_policy="always") as root:
        tomogram = await tomogram_in(root)
        before = root.stats.bytes_read
        with moto_server.counting() as again:
            assert np.array_equal(await tomogram.numpy(), data)
        assert again == {"GetObject": 3 + 8}
        assert root.stats.bytes_read == before


@pytest.mark.asyncio
async def test_never_asks_only_for_what_is_not_there(moto_server: MotoServer, bucket: Place, folder: Path) -> None:
    data = noise(*SHAPE)
    await write_volume(bucket, data)
    async with opened(bucket, folder, cache_policy="never") as root:
        await (await tomogram_in(root)).numpy()
    await write_volume(bucket, data + 1)
    async with opened(bucket, folder, cache_policy="never") as root:
        tomogram = await tomogram_in(root)
        with moto_server.counting() as again:
            assert np.array_equal(await tomogram.numpy(), data)
        # The document of the other format, which this volume does not have.
        assert again == {"GetObject": 1}


@pytest.mark.asyncio
@pytest.mark.parametrize("policy", ["volume", "always"])
async def test_a_volume_of_equal_shape_is_another_volume(bucket: Place, folder: Path, policy: str) -> None:
    first, second = noise(*SHAPE), noise(*SHAPE) + 1
    await write_volume(bucket, first)
    async with opened(bucket, folder, cache_policy=policy) as root:
        tomogram = await tomogram_in(root)
        assert np.array_equal(await tomogram.numpy(), first)
        await write_volume(bucket, second)
        # Opened before: its chunks are those of then, unless each is asked for.
        assert np.array_equal(await tomogram.numpy(), first if policy == "volume" else second)
        tomogram.refresh()
        assert np.array_equal(await tomogram.numpy(), second)
    async with opened(bucket, folder, cache_policy=policy) as root:
        assert np.array_equal(await (await tomogram_in(root)).numpy(), second)


@pytest.mark.asyncio
async def test_a_region_of_another_writer_is_seen_and_kept(bucket: Place, folder: Path) -> None:
    data = noise(*SHAPE)
    await write_volume(bucket, data)
    async with opened(bucket, folder) as root, opened(bucket, None) as other:
        tomogram, theirs = await tomogram_in(root), await tomogram_in(other)
        assert np.array_equal(await tomogram.numpy(), data)
        await theirs.set_region(1.0, x=slice(0, 4), y=slice(0, 4), z=slice(0, 4))
        data[:4, :4, :4] = 1
        # A part of the same chunk: what the other one wrote there must survive.
        await tomogram.set_region(2.0, x=slice(4, 8), y=slice(0, 4), z=slice(0, 4))
        data[:4, :4, 4:8] = 2
        assert np.array_equal(await tomogram.numpy(), data)
        theirs.refresh()
        assert np.array_equal(await theirs.numpy(), data)
    async with opened(bucket, folder) as root:
        assert np.array_equal(await (await tomogram_in(root)).numpy(), data)


@pytest.mark.asyncio
async def test_a_change_reads_what_the_server_has(moto_server: MotoServer, bucket: Place, folder: Path) -> None:
    await write_volume(bucket, noise(*SHAPE))
    async with opened(bucket, folder) as root:
        tomogram = await tomogram_in(root)
        await tomogram.numpy()
        with moto_server.counting() as changed:
            await tomogram.set_region(2.0, x=slice(4, 8), y=slice(0, 4), z=slice(0, 4))
        assert changed == {"GetObject": 1, "PutObject": 1}
        with moto_server.counting() as again:
            await tomogram.numpy()
        assert not again


@pytest.mark.asyncio
async def test_missing_chunks_are_fill_value_without_a_request(
    moto_server: MotoServer, bucket: Place, folder: Path
) -> None:
    data = noise(*SHAPE)
    await write_volume(bucket, data)
    async with opened(bucket, folder) as root:
        tomogram = await tomogram_in(root)
        await tomogram.numpy()
        await tomogram.zarr().delete("0/1/1/1")
        data[16:, 16:, 16:] = 0
        assert np.array_equal(await tomogram.numpy(), data)
    async with opened(bucket, folder) as root:
        tomogram = await tomogram_in(root)
        with moto_server.counting() as again:
            assert np.array_equal(await tomogram.numpy(), data)
        assert again == {"ListObjectsV2": 1}
        # Written by the same root, through another store of the same volume.
        content = await tomogram.zarr().get("0/0/0/0")
        await tomogram.zarr().set("0/1/1/1", content)
        assert np.array_equal((await tomogram.numpy())[16:, 16:, 16:], data[:16, :16, :16])


@pytest.mark.asyncio
async def test_parts_of_shards_are_kept(moto_server: MotoServer, bucket: Place, folder: Path) -> None:
    data = noise(*SHAPE)
    async with project(bucket, zarr_format=3) as root:
        await (await tomogram_of(root)).from_numpy(data, chunks=(8, 8, 8), shards=CHUNKS, levels=1)
    region = {axis: slice(0, 8) for axis in "xyz"}
    for _ in range(2):
        async with opened(bucket, folder) as root:
            tomogram = await tomogram_in(root)
            with moto_server.counting() as counted:
                assert np.array_equal(await tomogram.numpy(**region), data[:8, :8, :8])
    assert counted == {"ListObjectsV2": 1}


@pytest.mark.asyncio
async def test_looks_and_crawls_take_the_version_of_the_listing(
    moto_server: MotoServer, bucket: Place, folder: Path
) -> None:
    async with project(bucket) as root:
        run = await root.new_run("TS_1")
        for session in "12":
            picks = await run.new_picks("ribosome", session, "user")
            await picks.from_numpy(np.ones((3, 3)) * int(session))
    async with opened(bucket, folder, pickable_objects=OBJECTS) as root, root.crawl(load={"picks"}) as runs:
        assert [run.name async for run in runs] == ["TS_1"]
    async with opened(bucket, folder, pickable_objects=OBJECTS) as root:
        with moto_server.counting() as crawled:
            async with root.crawl(load={"picks"}) as runs:
                [run] = [run async for run in runs]
            [first, second] = await run.picks()
            assert (await second.numpy())[0].tolist() == [[2.0] * 3] * 3
        assert set(crawled) == {"ListObjectsV2"}
        before = root.stats.bytes_read
        with moto_server.counting() as loaded:
            await first.load()
            await aiocopick.load([first, second])
        assert loaded == {"GetObject": 3}
        assert root.stats.bytes_read == before
    async with opened(bucket, folder, pickable_objects=OBJECTS) as root, opened(bucket, None) as other:
        [run] = await root.runs()
        [first, second] = await run.picks()
        with moto_server.counting() as looked:
            assert (await first.numpy())[0].tolist() == [[1.0] * 3] * 3
        assert not looked
        [theirs, _] = await (await other.runs())[0].picks()
        await theirs.update(lambda points: points[:1])
        await first.load()
        assert len(first.points) == 1
        await theirs.update(lambda points: [*points, *points])
        await first.update(lambda points: [*points, *points])
        assert len(first.points) == 4


@pytest.mark.asyncio
async def test_a_pickled_listing_is_an_old_one(moto_server: MotoServer, bucket: Place, folder: Path) -> None:
    async with project(bucket) as root:
        run = await root.new_run("TS_1")
        await (await run.new_picks("ribosome", "1", "user")).from_numpy(np.ones((3, 3)))
    async with opened(bucket, folder) as root:
        [run] = await root.runs()
        [picks] = await run.picks()
        await picks.numpy()
        picks.refresh()
        copy = pickle.loads(pickle.dumps(picks))
        with moto_server.counting() as looked:
            await copy.numpy()
        assert looked == {"GetObject": 1}
        await copy.root.aclose()


@pytest.mark.asyncio
async def test_versions_of_a_catalogue_are_asked_for(moto_server: MotoServer, bucket: Place, folder: Path) -> None:
    async with project(bucket) as root:
        run = await root.new_run("TS_1")
        await (await run.new_picks("ribosome", "1", "user")).from_numpy(np.ones((3, 3)))
        catalog = await aiocopick.catalog(root)
    async with opened(bucket, folder) as root:
        [picks] = await (await root.runs())[0].picks()
        await picks.numpy()
    async with opened(bucket, folder, catalog=catalog) as root:
        [picks] = await (await root.runs())[0].picks()
        before = root.stats.bytes_read
        with moto_server.counting() as looked:
            assert len((await picks.numpy())[0]) == 3
        assert looked == {"GetObject": 1}
        assert root.stats.bytes_read == before


@pytest.mark.asyncio
async def test_both_roots_of_an_overlay_are_kept(moto_server: MotoServer, bucket: Place, folder: Path) -> None:
    await write_volume(bucket, noise(*SHAPE))
    config = {
        "config_type": "filesystem",
        "pickable_objects": OBJECTS,
        "overlay_root": f"{bucket.root}-overlay",
        "static_root": bucket.root,
        "overlay_fs_args": bucket.fs_args,
        "static_fs_args": bucket.fs_args,
        "user_id": "user",
    }
    for time in range(2):
        async with aiocopick.open(config, cache=folder, cache_bytes="1 GB") as root:
            tomogram = await tomogram_in(root)
            with moto_server.counting() as read:
                await tomogram.numpy()
            run = (await root.runs())[0]
            if time == 0:
                await (await run.new_picks("ribosome", "1", "user")).from_numpy(np.ones((2, 3)))
            else:
                [picks] = await run.picks()
                with moto_server.counting() as looked:
                    assert len((await picks.numpy())[0]) == 2
    assert read == {"ListObjectsV2": 1}
    assert not looked


def test_the_facade_keeps_as_well(moto_server: MotoServer, bucket: Place, folder: Path) -> None:
    asyncio.run(write_volume(bucket, noise(*SHAPE)))
    for _ in range(2):
        with aiocopick.open_sync(bucket.root, fs_args=bucket.fs_args, cache=folder) as root:
            tomogram = root.runs[0].voxel_spacings[0].tomograms[0]
            with moto_server.counting() as read:
                tomogram.numpy()
    assert read == {"ListObjectsV2": 1}


READER = """
import asyncio, json, sys
import aiocopick

async def main():
    config = json.loads(sys.stdin.read())
    async with aiocopick.open(config) as root:
        [run] = await root.runs()
        [spacing] = await run.voxel_spacings()
        [tomogram] = await spacing.tomograms()
        data = await tomogram.numpy()
        print(json.dumps({"sum": float(data.sum(dtype="f8")), "bytes": root.stats.bytes_read}))

asyncio.run(main())
"""


@pytest.mark.asyncio
async def test_processes_share_the_folder(bucket: Place, folder: Path) -> None:
    import json

    data = noise(*SHAPE)
    await write_volume(bucket, data)
    config = json.dumps({"root": bucket.root, "fs_args": bucket.fs_args, "cache": str(folder)})
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", READER], input=config, capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout)
    assert told["sum"] == pytest.approx(float(data.sum(dtype="f8")))
    assert told["bytes"] > data.nbytes / 2
    async with opened(bucket, folder) as root:
        assert np.array_equal(await (await tomogram_in(root)).numpy(), data)
        assert root.stats.bytes_read == 0
