"""Projects with volumes in them, made through the public API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from zarr.core.buffer import default_buffer_prototype

import aiocopick
from aiocopick import AsyncRoot, AsyncRun, AsyncTomogram, AsyncVoxelSpacing
from aiocopick.storage import Storage
from tests.volumes.places import Place

OBJECTS = [
    {"name": "ribosome", "is_particle": True, "label": 1, "radius": 150.0, "color": [0, 128, 255, 255]},
    {"name": "membrane", "is_particle": False, "label": 2},
]
SIZE = 10.0

METADATA_NAMES = {".zattrs", ".zgroup", ".zarray", "zarr.json"}


def noise(*shape: int, dtype: Any = np.float32) -> Any:
    """Numbers that differ from voxel to voxel."""
    return np.random.default_rng(len(shape)).normal(0, 100, shape).astype(dtype)


@asynccontextmanager
async def project(place: Place, **overrides: Any) -> AsyncIterator[AsyncRoot]:
    options = {"pickable_objects": OBJECTS, "user_id": "user", "session_id": "1"} | overrides
    async with aiocopick.open(place.root, fs_args=place.fs_args, **options) as root:
        yield root


async def spacing_of(root: AsyncRoot, run: str = "TS_1") -> AsyncVoxelSpacing:
    made: AsyncRun = await root.new_run(run, exist_ok=True)
    return await made.new_voxel_spacing(SIZE, exist_ok=True)


async def tomogram_of(root: AsyncRoot, tomo_type: str = "wbp") -> AsyncTomogram:
    """A new, empty tomogram."""
    return await (await spacing_of(root)).new_tomogram(tomo_type)


async def reopened(place: Place, **overrides: Any) -> Any:
    """The one tomogram of a project, as somebody else finds it; its root must be closed."""
    root = await aiocopick.open(place.root, fs_args=place.fs_args, **overrides)
    [run] = await root.runs()
    [spacing] = await run.voxel_spacings()
    return next(item for item in await spacing.tomograms() if item.tomo_type == "wbp")


async def write_document(volume: Any, key: str, document: dict[str, Any]) -> None:
    """Replace a metadata file of a volume, as its owner would not."""
    content = default_buffer_prototype().buffer.from_bytes(json.dumps(document).encode())
    await volume.zarr().set(key, content)
    volume.refresh()


async def name_axes(volume: Any, names: str, size: float) -> None:
    """Give the axes of a volume other names, at the voxel size of the finest level."""
    levels = [level.path for level in await volume.levels()]
    entry = {
        "axes": [{"name": name, "type": "space", "unit": "angstrom"} for name in names],
        "datasets": [
            {"path": path, "coordinateTransformations": [{"type": "scale", "scale": [size * 2**at] * len(names)}]}
            for at, path in enumerate(levels)
        ],
    }
    if await volume.zarr().exists(".zgroup"):
        await write_document(volume, ".zattrs", {"multiscales": [entry]})
        return
    attributes = {"ome": {"version": "0.5", "multiscales": [entry]}}
    await write_document(volume, "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": attributes})


def requests(root: AsyncRoot) -> dict[str, int]:
    """Requests since the last call, by verb."""
    counted = {verb: count for verb, count in root.stats.requests.items() if count}
    root.stats.requests.clear()
    return counted


def wrap(root: AsyncRoot, make: Callable[[Storage], Storage]) -> Any:
    """Put a storage for tests around that of a project with one layer; returns it."""
    [layer] = root._stack.layers
    wrapped = make(layer.storage)  # type: ignore[attr-defined]
    layer.storage = wrapped  # type: ignore[attr-defined]
    return wrapped
