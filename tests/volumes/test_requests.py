"""How many requests the verbs of volumes send, as the server counts them, and in which order."""

from __future__ import annotations

import weakref
from typing import Any

import anyio
import numpy as np
import pytest
import zarr

from aiocopick.concurrency.threads import processors
from aiocopick.errors import AccessDeniedError, CopickError, NotFoundError, StorageError
from aiocopick.testing import CountingStorage, LatencyStorage
from tests.servers.s3 import MotoServer
from tests.volumes.places import Place
from tests.volumes.projects import METADATA_NAMES, noise, project, reopened, requests, spacing_of, tomogram_of, wrap

pytestmark = pytest.mark.asyncio

CHUNKS = (16, 16, 16)
SHAPE = (32, 32, 32)
# 8 + 1 + 1 chunks in three levels.
ALL_CHUNKS = 10


def is_metadata(key: str) -> bool:
    return key.rpartition("/")[2] in METADATA_NAMES


@pytest.mark.parametrize(("zarr_format", "group_keys"), [(2, 2), (3, 1)])
async def test_a_new_tomogram_is_written_in_chunks_and_metadata(
    moto_server: MotoServer, bucket: Place, zarr_format: int, group_keys: int
) -> None:
    async with project(bucket, zarr_format=zarr_format) as root:
        spacing = await spacing_of(root)
        await spacing.tomograms()
        with moto_server.counting() as created:
            tomogram = await spacing.new_tomogram("wbp")
        assert created == {"PutObject": group_keys}
        spacing.run.refresh()
        spacing.refresh()
        with moto_server.counting() as not_listed:
            await spacing.new_tomogram("denoised")
        assert not_listed == {"ListObjectsV2": 1, "PutObject": group_keys}
        with moto_server.counting() as written:
            await tomogram.from_numpy(noise(*SHAPE), chunks=CHUNKS)
        # One document per level, the one that makes them known, and the lease, which keeps other writers out.
        assert written == {"PutObject": ALL_CHUNKS + 3 + 1 + 1, "DeleteObject": 1}
        with moto_server.counting() as read:
            await tomogram.numpy()
        assert read == {"GetObject": 8}


@pytest.mark.parametrize("zarr_format", [2, 3])
async def test_the_first_read_learns_in_three_requests_and_the_next_in_none(
    moto_server: MotoServer, bucket: Place, zarr_format: int
) -> None:
    async with project(bucket, zarr_format=zarr_format) as root:
        await (await tomogram_of(root)).from_numpy(noise(*SHAPE), chunks=CHUNKS)
    tomogram = await reopened(bucket)
    with moto_server.counting() as first:
        await tomogram.numpy(z=slice(0, 16))
    # The first volume of a project is expected to be of zarr 2.
    assert first == {"GetObject": {2: 3, 3: 4}[zarr_format] + 4}
    with moto_server.counting() as second:
        await tomogram.numpy(z=slice(0, 16))
    assert second == {"GetObject": 4}
    with moto_server.counting() as array:
        await tomogram.open_array()
    assert not array
    with moto_server.counting() as levels:
        await tomogram.levels()
    assert levels == {"GetObject": 2}
    await tomogram.root.aclose()


@pytest.mark.parametrize("zarr_format", [2, 3])
async def test_metadata_takes_two_round_trips(memory: Place, zarr_format: int) -> None:
    async with project(memory, zarr_format=zarr_format) as root:
        await (await tomogram_of(root)).from_numpy(noise(*SHAPE), chunks=CHUNKS)
    tomogram = await reopened(memory)
    counted = wrap(tomogram.root, CountingStorage)
    await tomogram.levels()
    names = [key.rpartition("wbp.zarr/")[2] for _, key in counted.calls]
    array = ".zarray" if zarr_format == 2 else "zarr.json"
    assert set(names[:2]) == {"zarr.json", ".zattrs"}
    assert sorted(names[2:]) == [f"{level}/{array}" for level in range(3)]
    await tomogram.root.aclose()


class Together(CountingStorage):
    """A storage that answers no request for metadata before there are three."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.asked: list[str] = []
        self.three = anyio.Event()

    async def around(self, verb: str, key: str, call: Any) -> Any:
        if verb == "read" and is_metadata(key):
            self.asked.append(key.partition(".zarr/")[2])
            if len(self.asked) == 3:
                self.three.set()
            with anyio.fail_after(30):
                await self.three.wait()
        return await call()


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("level", [None, "1"])
async def test_metadata_far_away_takes_one_round_trip_if_the_volume_is_like_the_last_one(
    bucket: Place, zarr_format: int, level: str | None
) -> None:
    async with project(bucket, zarr_format=zarr_format) as root:
        data = noise(*SHAPE)
        for name in ("wbp", "denoised"):
            await (await tomogram_of(root, name)).from_numpy(data, chunks=CHUNKS)
    last = await reopened(bucket)
    await last.numpy()
    together = wrap(last.root, Together)
    [tomogram] = [item for item in await (await spacing_of(last.root)).tomograms() if item.tomo_type == "denoised"]
    read = await tomogram.numpy(level)
    assert read.shape == (SHAPE if level is None else (16, 16, 16))
    array = ".zarray" if zarr_format == 2 else "zarr.json"
    assert sorted(together.asked) == sorted(["zarr.json", ".zattrs", f"{level or '0'}/{array}"])
    await last.root.aclose()


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("error", [AccessDeniedError, NotFoundError, StorageError])
async def test_metadata_that_was_asked_for_too_early_is_asked_for_again_if_it_is_needed(
    bucket: Place, zarr_format: int, error: type[CopickError]
) -> None:
    class Failing(CountingStorage):
        failed = 0

        async def around(self, verb: str, key: str, call: Any) -> Any:
            if key.endswith("0/.zarray") and not self.failed:
                self.failed += 1
                raise error("not now", path=key)
            return await call()

    data = noise(*SHAPE)
    async with project(bucket, zarr_format=zarr_format) as root:
        await (await tomogram_of(root)).from_numpy(data, chunks=CHUNKS)
    tomogram = await reopened(bucket)
    failing = wrap(tomogram.root, Failing)
    np.testing.assert_array_equal(await tomogram.numpy(), data)
    assert failing.failed == 1
    await tomogram.root.aclose()


@pytest.mark.parametrize("zarr_format", [2, 3])
async def test_data_is_written_first_and_what_shows_it_last(memory: Place, zarr_format: int) -> None:
    async with project(memory, zarr_format=zarr_format) as root:
        tomogram = await tomogram_of(root)
        for time in range(2):
            counted = wrap(root, CountingStorage)
            await tomogram.from_numpy(noise(*SHAPE), chunks=CHUNKS)
            written = [key for verb, key in counted.calls if verb == "write" and not key.endswith(".lease")]
            last_chunk = max(at for at, key in enumerate(written) if not is_metadata(key))
            assert [key for key in written[last_chunk + 1 :] if not is_metadata(key)] == []
            assert written[-1].rpartition("wbp.zarr/")[2] == ("0/.zarray" if zarr_format == 2 else "0/zarr.json")
            # The group of a new volume is written first, so that two writers of one new volume notice each other.
            assert len([key for key in written[last_chunk + 1 :] if is_metadata(key)]) == 3 + time
            assert counted.count("stat") == 0
            tomogram.refresh()
        # The second time there was something to remove: what showed it went first.
        verbs = [verb for verb, _ in counted.calls]
        changed = [key for verb, key in counted.calls if verb in ("write", "delete") and not key.endswith(".lease")]
        assert is_metadata(changed[0])
        assert "list" in verbs
        deleted = [key for verb, key in counted.calls if verb == "delete"]
        kinds = [is_metadata(key) for key in deleted]
        assert kinds == sorted(kinds, reverse=True)


async def test_a_region_write_reads_only_what_it_changes_in_part(bucket: Place) -> None:
    async with project(bucket) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(noise(*SHAPE), chunks=CHUNKS, levels=1)
        requests(root)
        await tomogram.set_region(0, z=slice(0, 16))
        assert requests(root) == {"write": 4}
        await tomogram.set_region(0, z=slice(8, 32), y=slice(0, 16))
        assert requests(root) == {"read": 2, "write": 4}


async def test_boxes_ask_for_each_chunk_once(bucket: Place) -> None:
    async with project(bucket) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(noise(*SHAPE), chunks=CHUNKS, levels=1)
        requests(root)
        await tomogram.extract(np.random.default_rng(0).uniform(0, 320, (200, 3)), 8)
        assert requests(root) == {"read": 8}
        await tomogram.extract([[40.0, 40.0, 40.0]], 8)
        assert requests(root) == {"read": 1}


async def test_boxes_all_over_a_shard_ask_for_it_once(bucket: Place) -> None:
    data = noise(48, 64, 64)
    async with project(bucket, zarr_format=3) as root:
        tomogram = await tomogram_of(root)
        # Two shards: one of eight chunks, one of the four that the volume has there.
        await tomogram.from_numpy(data, chunks=(16, 32, 32), shards=(32, 64, 64), levels=1)
        requests(root)
        positions = [[10.0 * x, 10.0 * y, 10.0 * z] for x in (8, 40) for y in (8, 40) for z in (4, 20, 40)]
        boxes = await tomogram.extract(positions, 4)
        assert requests(root) == {"read": 2}
        for (x, y, z), box in zip(positions, boxes, strict=True):
            z, y, x = (int(at / 10) - 2 for at in (z, y, x))
            np.testing.assert_array_equal(box, data[z : z + 4, y : y + 4, x : x + 4])
        await tomogram.extract(positions[:1], 4)
        # The index and the chunk.
        assert requests(root) == {"read": 2}
        await tomogram.extract(positions[::3], 4)
        # The index of the first shard, once, and four of its chunks.
        assert requests(root) == {"read": 5}


async def test_slabs_ask_for_each_chunk_once(bucket: Place) -> None:
    async with project(bucket) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(noise(*SHAPE), chunks=CHUNKS, levels=1)
        for thickness in (None, 1, 5, 16, 20):
            requests(root)
            async for _ in tomogram.slabs("y", thickness):
                pass
            assert requests(root) == {"read": 8}


class SixAtOnce(CountingStorage):
    """A storage that answers one read, of the index of a shard, then six chunks together, and everything after them."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.asked = 0
        self.six = anyio.Event()

    async def around(self, verb: str, key: str, call: Any) -> Any:
        self.asked += 1
        if self.asked == 7:
            self.six.set()
        if self.asked > 1:
            with anyio.fail_after(30):
                await self.six.wait()
        return await call()


async def test_shards_are_read_in_part(bucket: Place) -> None:
    async with project(bucket, zarr_format=3) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(noise(64, 64, 64), chunks=(16, 16, 16), shards=(64, 64, 64), levels=1)
        requests(root)
        whole = root.stats.bytes_read
        await tomogram.numpy()
        assert requests(root) == {"read": 1}
        whole = root.stats.bytes_read - whole
        before = root.stats.bytes_read
        await tomogram.numpy(x=slice(0, 16), y=slice(0, 16), z=slice(0, 16))
        assert requests(root) == {"read": 2}
        assert root.stats.bytes_read - before < whole / 32
        wrap(root, SixAtOnce)
        await tomogram.numpy(x=slice(0, 40), y=slice(3, 30, 2), z=slice(5, 12))
        assert requests(root) == {"read": 7}
        await tomogram.numpy(x=slice(0, 63), y=slice(0, 63), z=slice(0, 63))
        # Some voxels of each chunk: all of it at once.
        assert requests(root) == {"read": 1}


@pytest.mark.parametrize("verb", ["read", "write"])
async def test_the_limit_of_requests_holds_for_chunks(memory: Place, verb: str) -> None:
    data = noise(48, 48, 48)
    concurrency = zarr.config.get("async.concurrency")
    async with project(memory, max_concurrency=5) as root:
        tomogram = await tomogram_of(root)
        if verb == "read":
            await tomogram.from_numpy(data, chunks=(8, 8, 8), levels=1)
            root.stats.peak_in_flight = 0
            await tomogram.numpy()
        else:
            root.stats.peak_in_flight = 0
            await tomogram.from_numpy(data, chunks=(8, 8, 8), levels=1)
        assert 1 <= root.stats.peak_in_flight <= 5
    assert zarr.config.get("async.concurrency") == concurrency


async def test_the_limit_of_bytes_holds_for_chunks(memory: Place) -> None:
    data = noise(64, 64, 64)
    under_way, most = 0, 0
    room, full = 2, anyio.Event()

    class Watching(CountingStorage):
        async def around(self, verb: str, key: str, call: Any) -> Any:
            nonlocal under_way, most
            if is_metadata(key) or key.endswith(".lease"):
                return await call()
            under_way += 1
            most = max(most, under_way)
            if under_way == room:
                full.set()
            try:
                # However quick a chunk is: it waits for all that there is room for, and then for those that there is none.
                await full.wait()
                await anyio.sleep(0.02)
                return await call()
            finally:
                under_way -= 1

    # Room for two chunks of 128 KiB, encoded and decoded.
    async with project(memory, max_bytes_in_flight=2**20 * 3 // 4) as root:
        tomogram = await tomogram_of(root)
        wrap(root, Watching)
        with anyio.fail_after(30):
            await tomogram.from_numpy(data, chunks=(32, 32, 32), levels=1)
        assert most == room
        # Of the six that there is room for, one for each thread is decoded.
        room, full = max(1, 6 - max(2, processors())), anyio.Event()
        most = 0
        with anyio.fail_after(30):
            await tomogram.numpy()
        assert most == room


async def test_the_limit_of_bytes_holds_for_blocks_of_several_chunks(memory: Place) -> None:
    alive, most = 0, 0

    def gone() -> None:
        nonlocal alive
        alive -= 1

    class Lazy:
        shape, dtype = (124, 124, 124), np.dtype("f4")

        def __getitem__(self, block: Any) -> Any:
            nonlocal alive, most
            part = np.ones([item.stop - item.start for item in block], "f4")
            alive += 1
            most = max(most, alive)
            weakref.finalize(part, gone)
            return part

    # Room for three chunks of 31 voxels, but they are made in blocks of eight where another level follows.
    async with project(memory, max_bytes_in_flight=2**20) as root:
        tomogram = await tomogram_of(root)
        wrap(root, lambda storage: LatencyStorage(storage, 0.001))
        await tomogram.from_numpy(Lazy(), chunks=(31, 31, 31), levels=2)
    assert most == 1
