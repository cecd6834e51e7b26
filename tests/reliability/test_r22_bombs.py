"""R22: small files that would take much memory are refused, or take little: JSON, chunks, shapes, nesting."""

from __future__ import annotations

import gzip
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import aiocopick
from aiocopick.errors import CopickError
from aiocopick.storage import open_storage
from tests.reliability.places import ALL, Place

MEBIBYTE = 2**20
PICKS = "ExperimentRuns/TS_1/Picks/u_1_o.json"
TOMOGRAM = "ExperimentRuns/TS_1/VoxelSpacing10.000/wbp.zarr"
ARRAY = {
    "zarr_format": 2, "shape": [64, 64, 64], "chunks": [64, 64, 64], "dtype": "<f4", "order": "C", "fill_value": 0,
    "filters": None, "compressor": {"id": "gzip", "level": 1}, "dimension_separator": "/",
}  # fmt: skip
HUGE = {**ARRAY, "shape": [10**12] * 3, "compressor": None}


def group() -> bytes:
    axes = [{"name": name, "type": "space", "unit": "angstrom"} for name in "zyx"]
    scale = {"type": "scale", "scale": [10.0] * 3}
    return json.dumps(
        {
            "multiscales": [
                {"version": "0.4", "axes": axes, "datasets": [{"path": "0", "coordinateTransformations": [scale]}]}
            ]
        }
    ).encode()


async def _load_picks(root: aiocopick.AsyncRoot) -> object:
    [picks] = await (await root.query())[0].query_picks()
    return await picks.load()


async def _read_tomogram(root: aiocopick.AsyncRoot) -> object:
    [spacing] = await (await root.query())[0].query_voxelspacings()
    return await (await spacing.tomograms())[0].numpy()


def volume(array: dict[str, Any], chunk: bytes) -> dict[str, bytes]:
    return {
        f"{TOMOGRAM}/.zgroup": b'{"zarr_format": 2}', f"{TOMOGRAM}/.zattrs": group(),
        f"{TOMOGRAM}/0/.zarray": json.dumps(array).encode(), f"{TOMOGRAM}/0/0/0/0": chunk,
    }  # fmt: skip


BOMBS: dict[str, tuple[dict[str, bytes], Callable[[aiocopick.AsyncRoot], Awaitable[object]]]] = {
    "3 MB of empty objects": ({PICKS: b'{"points": [' + b"{}," * 1_000_000 + b"{}]}"}, _load_picks),
    "3 MB of empty objects elsewhere": ({PICKS: b'{"x": [' + b"{}," * 1_000_000 + b'{}], "points": []}'}, _load_picks),
    "100,000 brackets": ({PICKS: b"[" * 100_000}, _load_picks),
    "a chunk of a thousand times its size": (volume(ARRAY, gzip.compress(bytes(300 * MEBIBYTE), 1)), _read_tomogram),
    "a shape of 10^36": (volume(HUGE, b""), _read_tomogram),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("place", ALL, indirect=True)
async def test_they_take_little_memory(place: Place, measured: Any) -> None:
    said = []
    for name, (contents, work) in BOMBS.items():
        writing = open_storage(place.writing)
        async with writing.scan("", None) as pages:
            await writing.delete_many([entry.key async for page in pages for entry in page])
        await writing.write_many(contents.items())
        size = sum(map(len, contents.values()))
        await writing.aclose()
        async with place.open(timeout=60) as root:
            await root.query()
            with place.memory() as memory:
                try:
                    await work(root)
                    end = "read"
                except CopickError as error:
                    end = type(error).__name__
        peak = memory.peak - size
        assert peak <= 64 * MEBIBYTE, (name, peak / MEBIBYTE)
        said.append(f"{name}: {end}, {max(0, peak) // MEBIBYTE} MiB")
    measured("; ".join(said))
