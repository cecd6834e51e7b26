"""Small projects to train on: in each run a tomogram of chunks, picks all over it, and a mask."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np

import aiocopick
from aiocopick import AsyncRoot, AsyncRun, Batch, Boxes

SHAPE = (32, 32, 32)
CHUNKS = (16, 16, 16)
SIZE = 10.0
PICKS = 6
OBJECTS = [
    {"name": "ribosome", "is_particle": True, "label": 3},
    {"name": "apo-ferritin", "is_particle": True, "label": 5},
    {"name": "membrane", "is_particle": False, "label": 2},
]


def address() -> str:
    """A project in memory that nothing else uses."""
    return f"memory://{uuid.uuid4().hex}/project"


def config(root: str, **fields: Any) -> aiocopick.CopickConfigFS:
    given: dict[str, Any] = {"pickable_objects": OBJECTS, "user_id": "curator", "session_id": "1"}
    return aiocopick.CopickConfigFS(root=root, **given | fields)


def voxels(number: int) -> Any:
    """Numbers that differ from voxel to voxel and from run to run."""
    return np.random.default_rng(number).normal(0, 100, SHAPE).astype(np.float32)


def places(number: int, count: int = PICKS) -> Any:
    """Positions inside of a tomogram, at voxels."""
    return np.random.default_rng(number).integers(4, 28, (count, 3)) * SIZE


async def add_run(
    root: AsyncRoot,
    number: int,
    *,
    count: int = PICKS,
    levels: int = 1,
    chunks: tuple[int, int, int] = CHUNKS,
    shards: tuple[int, int, int] | None = None,
) -> AsyncRun:
    run = await root.new_run(f"TS_{number}")
    spacing = await run.new_voxel_spacing(SIZE)
    tomogram = await spacing.new_tomogram("wbp")
    await tomogram.from_numpy(voxels(number), chunks=chunks, shards=shards, levels=levels)
    if count:
        picks = await run.new_picks("ribosome")
        await picks.from_numpy(places(number, count))
    mask = await run.new_segmentation(SIZE, "membrane", "0", user_id="tool")
    filled = np.zeros(SHAPE, np.uint8)
    filled[10:14, 3:30, 20] = 1
    await mask.from_numpy(filled, chunks=CHUNKS)
    return run


async def write(root: AsyncRoot, runs: int = 4, **how: Any) -> AsyncRoot:
    """Write `runs` runs, TS_0 and so on; returns the root."""
    for number in range(runs):
        await add_run(root, number, **how)
    return root


def of(root: Any, uri: Any = "ribosome:curator", **how: Any) -> Boxes:
    given: dict[str, Any] = {"size": 8, "voxel_size": 10, "tomogram": "wbp", "batch": 5}
    return aiocopick.boxes(root, uri, **given | how)


async def batches(boxes: Boxes, *, ahead: bool = False) -> list[Batch]:
    if not ahead:
        return [batch async for batch in boxes]
    async with boxes as found:
        return [batch async for batch in found]


def names(found: list[Batch]) -> list[tuple[Any, ...]]:
    """Where the boxes come from, in order."""
    return [
        (run, uri, int(index), *position.tolist())
        for batch in found
        for run, uri, index, position in zip(batch.runs, batch.uris, batch.indices, batch.positions, strict=True)
    ]


def joined(found: list[Batch]) -> Any:
    return np.concatenate([batch.boxes for batch in found])
