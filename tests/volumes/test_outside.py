"""Boxes around points that are not in the volume: a warning says so, and if their axes look swapped."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

import aiocopick
from aiocopick.errors import PointsOutsideWarning
from tests.entities.projects import write_run

SIZE = 10.0
SHAPE = (8, 24, 40)
"""z, y, x: 80, 240 and 400 angstrom."""

INSIDE = np.array([[390.0, 230.0, 70.0], [0.0, 0.0, 0.0], [200.0, 120.0, 40.0]])
"""x, y, z."""


@pytest_asyncio.fixture(params=["tomogram", "membrane", "everything"])
async def volume(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    async with aiocopick.open(tmp_path, user_id="someone") as root:
        await write_run(root)
        run = (await root.runs())[0]
        tomograms = await (await run.voxel_spacings())[0].tomograms()
        volumes = {item.name: item for item in await run.segmentations()} | {"tomogram": tomograms[0]}
        volume = volumes[request.param]
        leading = (2,) if "everything" in request.param else ()
        await volume.from_numpy(np.zeros((*leading, *SHAPE), np.uint8), levels=1)
        yield volume


@pytest.mark.asyncio
async def test_points_inside_are_quiet(volume: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await volume.extract(INSIDE, 4)
        await volume.extract(np.zeros((0, 3)), 4)
        # One is outside, and no other order of the axes explains it.
        await volume.extract([*INSIDE, (900.0, 900.0, 900.0)], 4)
        # The border, and a box that only touches it.
        await volume.extract([(400.0, 240.0, 80.0), (-5.0, -5.0, -5.0)], 4)


@pytest.mark.asyncio
async def test_points_that_are_all_outside(volume: Any) -> None:
    with pytest.warns(
        PointsOutsideWarning, match="All 3 points are outside.* spans 400 x 240 x 80 angstrom.*their unit"
    ):
        boxes = await volume.extract(INSIDE + 1000, 4)
    assert not boxes.any()
    with pytest.warns(PointsOutsideWarning, match="All 1 points"):
        await volume.extract([(-50.0, 10.0, 10.0)], 4)


@pytest.mark.asyncio
@pytest.mark.parametrize(("points", "count"), [(INSIDE[:1], "All 1"), (INSIDE, "2 of 3")])
async def test_axes_that_look_swapped(volume: Any, points: Any, count: str) -> None:
    with pytest.warns(PointsOutsideWarning, match=rf"{count} points are outside.* positions\[:, ::-1\]"):
        await volume.extract(points[:, ::-1], 4)


@pytest.mark.asyncio
async def test_coarser_levels_span_the_same(volume: Any) -> None:
    await volume.from_numpy(np.zeros(volume_shape(volume), np.uint8), levels=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await volume.extract(INSIDE, 2, zarr_group="1")
    with pytest.warns(PointsOutsideWarning, match="look|fit"):
        await volume.extract(INSIDE[:, ::-1], 2, zarr_group="1")


def volume_shape(volume: Any) -> tuple[int, ...]:
    return (2, *SHAPE) if getattr(volume, "is_panoptic", False) else SHAPE


def test_blocking_code_is_warned(tmp_path: Path) -> None:
    root = aiocopick.open_sync(tmp_path, user_id="me")
    tomogram = root.new_run("TS_1").new_voxel_spacing(SIZE).new_tomogram("wbp")
    tomogram.from_numpy(np.zeros(SHAPE, np.float32), levels=1)
    with pytest.warns(PointsOutsideWarning, match=r"positions\[:, ::-1\]"):
        tomogram.extract(INSIDE[:, ::-1], 4)
    root.close()
