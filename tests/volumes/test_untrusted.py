"""Volumes made by strangers: only our errors, no code run, no memory given to what cannot be meant."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import pickle
import random
import tracemalloc
import zlib
from typing import Any

import anyio
import anyio.to_thread
import numcodecs
import numpy as np
import pytest

from aiocopick.errors import CopickError, FormatError
from aiocopick.volumes.codec_guard import decoded_size
from tests.formats.mutations import mutate
from tests.volumes.places import Place
from tests.volumes.projects import noise, project, tomogram_of

KEY = "ExperimentRuns/TS_1/VoxelSpacing10.000/wbp.zarr"
MEBIBYTE = 2**20


CODECS = ["blosc", "lz4", "zstd", "gzip", "zlib", "bz2", "lzma"]
# Blosc does not encode nothing.
SIZES = [(codec, size) for codec in CODECS for size in (0, 1, 1000, 300_000) if size or codec != "blosc"]


@pytest.mark.parametrize(("codec", "size"), SIZES)
def test_sizes_are_found_without_decoding(codec: str, size: int) -> None:
    data = np.random.default_rng(0).integers(0, 9, size, dtype=np.uint8).tobytes()
    encoded = memoryview(bytes(numcodecs.get_codec({"id": codec}).encode(data)))
    assert decoded_size(codec, encoded, 10 * MEBIBYTE) == size


BOMB = bytes(300 * MEBIBYTE)
BOMBS = {
    "gzip": lambda: gzip.compress(BOMB, 1),
    "zlib": lambda: zlib.compress(BOMB, 1),
    "bz2": lambda: bz2.compress(BOMB, 1),
    "lzma": lambda: lzma.compress(BOMB, preset=0),
    "zstd": lambda: bytes(numcodecs.Zstd().encode(BOMB)),
    "blosc": lambda: bytes(numcodecs.Blosc().encode(BOMB)),
    "lz4": lambda: bytes(numcodecs.LZ4().encode(BOMB)),
}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "codec", [pytest.param(name, marks=pytest.mark.slow) if name in ("bz2", "lzma") else name for name in BOMBS]
)
@pytest.mark.parametrize("zarr_format", [2, 3])
async def test_a_chunk_that_decodes_to_too_much_is_refused(memory: Place, codec: str, zarr_format: int) -> None:
    bomb = BOMBS[codec]()
    async with project(memory, zarr_format=zarr_format) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(noise(16, 16, 16), levels=1)
        storage: Any = root._stack.layers[0].storage  # type: ignore[attr-defined]
        name = ".zarray" if zarr_format == 2 else "zarr.json"
        document = json.loads(await storage.read(f"{KEY}/0/{name}"))
        if zarr_format == 2:
            document["compressor"] = {"id": codec}
        else:
            native = {"gzip": {"level": 1}, "zstd": {"level": 0, "checksum": False}, "blosc": BLOSC}
            coder = {"name": codec if codec in native else f"numcodecs.{codec}", "configuration": native.get(codec, {})}
            document["codecs"] = [{"name": "bytes", "configuration": {"endian": "little"}}, coder]
        await storage.write(f"{KEY}/0/{name}", json.dumps(document).encode())
        await storage.write(f"{KEY}/0/0/0/0", bomb)
        tomogram.refresh()
        await tomogram.open_array()
        tracemalloc.start()
        try:
            with pytest.raises(FormatError, match=r"0/0/0/0.*(decode|larger)"):
                await tomogram.numpy()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        # The encoded chunk itself is read; LZ4 is the least tight of them.
        assert peak < 64 * MEBIBYTE


BLOSC = {"cname": "lz4", "clevel": 5, "shuffle": "shuffle", "typesize": 4, "blocksize": 0}


@pytest.mark.asyncio
async def test_a_huge_shape_is_refused_before_memory_is_given(memory: Place) -> None:
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(noise(4, 4, 4), levels=1)
        storage: Any = root._stack.layers[0].storage  # type: ignore[attr-defined]
        document = json.loads(await storage.read(f"{KEY}/0/.zarray")) | {"shape": [10**12, 10**12, 10**12]}
        await storage.write(f"{KEY}/0/.zarray", json.dumps(document).encode())
        tomogram.refresh()
        tracemalloc.start()
        try:
            with pytest.raises(FormatError, match="max_array_bytes"):
                await tomogram.numpy()
            assert tracemalloc.get_traced_memory()[1] < 4 * MEBIBYTE
        finally:
            tracemalloc.stop()
        assert (await tomogram.numpy(x=slice(0, 4), y=slice(0, 4), z=slice(0, 4))).shape == (4, 4, 4)
        pytest.importorskip("dask", reason="dask is not installed")
        with pytest.raises(FormatError, match="too many for dask"):
            await tomogram.to_dask()


@pytest.mark.asyncio
@pytest.mark.parametrize("zarr_format", [2, 3])
async def test_broken_chunks_name_themselves(memory: Place, zarr_format: int) -> None:
    async with project(memory, zarr_format=zarr_format) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(noise(8, 8, 8), levels=1)
        storage: Any = root._stack.layers[0].storage  # type: ignore[attr-defined]
        whole = await storage.read(f"{KEY}/0/0/0/0")
        for broken in (b"", b"x", whole[:20], whole[: len(whole) // 2], bytes(len(whole))):
            await storage.write(f"{KEY}/0/0/0/0", broken)
            with pytest.raises(FormatError, match="0/0/0/0"):
                await tomogram.numpy()


@pytest.mark.asyncio
@pytest.mark.parametrize("shards", [None, (8, 8, 8)])
async def test_dask_tasks_name_the_volume_of_a_broken_chunk(memory: Place, shards: Any) -> None:
    pytest.importorskip("dask", reason="dask is not installed")
    async with project(memory, zarr_format=3) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(noise(8, 8, 8), levels=1, chunks=(4, 4, 4), shards=shards)
        array = await tomogram.to_dask()
        storage: Any = root._stack.layers[0].storage  # type: ignore[attr-defined]
        await storage.write(f"{KEY}/0/0/0/0", b"x" * 200)
        with pytest.raises(FormatError, match=r"wbp\.zarr/0: the block") as caught:
            await anyio.to_thread.run_sync(array.compute)
        assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args


@pytest.mark.slow
@pytest.mark.asyncio
@pytest.mark.parametrize("zarr_format", [2, 3])
async def test_mutated_metadata_gives_our_errors_only(memory: Place, zarr_format: int) -> None:
    rng = random.Random(zarr_format)
    async with project(memory, zarr_format=zarr_format, max_array_bytes=2**24) as root:
        tomogram = await tomogram_of(root)
        shards = (8, 8, 8) if zarr_format == 3 else None
        await tomogram.from_numpy(noise(8, 8, 8), levels=2, chunks=(4, 4, 4), shards=shards)
        storage: Any = root._stack.layers[0].storage  # type: ignore[attr-defined]
        names = [".zattrs", "0/.zarray"] if zarr_format == 2 else ["zarr.json", "0/zarr.json"]
        originals = {name: json.loads(await storage.read(f"{KEY}/{name}")) for name in names}
        refused = 0
        for _ in range(1500):
            name = rng.choice(names)
            changed = originals[name]
            for _ in range(rng.randint(1, 3)):
                changed = mutate(changed, rng)
            await storage.write(f"{KEY}/{name}", json.dumps(changed).encode())
            tomogram.refresh()
            try:
                await tomogram.levels()
                await tomogram.numpy(x=slice(0, 2))
            except CopickError:
                refused += 1
            await storage.write(f"{KEY}/{name}", json.dumps(originals[name]).encode())
        assert refused > 100
        tomogram.refresh()
        assert (await tomogram.numpy()).shape == (8, 8, 8)
