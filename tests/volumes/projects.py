"""Projects with volumes in them, made through the public API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

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
