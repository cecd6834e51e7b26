"""copick 1.31 and 2.0 read what we write, and we read what they write: all levels, all values, odd sizes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

import aiocopick
from tests.volumes.places import Place
from tests.volumes.projects import SIZE, project, tomogram_of

pytestmark = pytest.mark.asyncio

SIDE = Path(__file__).with_name("copick_side.py")
OBJECTS = [{"name": "ribosome", "is_particle": True, "label": 1, "radius": 60, "color": [1, 2, 3, 255]}]


async def ask(python: Any, *arguments: str) -> None:
    command = [str(python), str(SIDE), *arguments]
    done = await anyio.to_thread.run_sync(lambda: subprocess.run(command, capture_output=True, text=True, timeout=300))
    assert done.returncode == 0, done.stderr


async def our_view(folder: str) -> dict[str, Any]:
    found = {}
    async with aiocopick.open(folder) as root:
        [run] = await root.runs()
        [spacing] = await run.voxel_spacings()
        [tomogram] = await spacing.tomograms()
        for level in await tomogram.levels():
            found[f"wbp-{level.path}"] = await tomogram.numpy(level.path)
        for segmentation in await run.segmentations():
            for level in await segmentation.levels():
                found[f"{segmentation.name}-{level.path}"] = await segmentation.numpy(level.path)
    return found


async def their_view(python: Any, folder: str, out: Path) -> dict[str, Any]:
    await ask(python, "read", folder, str(out))
    with np.load(out) as arrays:
        return dict(arrays)


def assert_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert ours.keys() == theirs.keys()
    assert len(ours) == 7
    for name, array in ours.items():
        assert array.dtype == theirs[name].dtype, name
        np.testing.assert_array_equal(array, theirs[name], err_msg=name)


@pytest.fixture(params=["copick1_python", "copick2_python"])
def python(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


async def test_we_read_what_copick_writes(python: Any, tmp_path: Path) -> None:
    folder = str(tmp_path / "theirs")
    await ask(python, "write", folder)
    assert_same(await our_view(folder), await their_view(python, folder, tmp_path / "seen.npz"))


async def write_ours(folder: str, zarr_format: int) -> None:
    data = np.random.default_rng(1).normal(size=(33, 50, 41)).astype("f4")
    labels = (data > 0).astype("u2")
    async with project(Place("local", folder), zarr_format=zarr_format, pickable_objects=OBJECTS) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(data)
        run = tomogram.voxel_spacing.run
        await (await run.new_segmentation(SIZE, "ribosome", "1")).from_numpy(data > 0, levels=2)
        panoptic = await run.new_segmentation(SIZE, "all", "1", is_panoptic=True)
        await panoptic.from_numpy(np.stack([labels, 3 * labels]), levels=2)


async def test_copick_reads_what_we_write_in_zarr_2(python: Any, tmp_path: Path) -> None:
    folder = str(tmp_path / "ours")
    await write_ours(folder, 2)
    assert_same(await our_view(folder), await their_view(python, folder, tmp_path / "seen.npz"))


async def test_copick_2_reads_what_we_write_in_zarr_3(copick2_python: Any, tmp_path: Path) -> None:
    folder = str(tmp_path / "ours")
    await write_ours(folder, 3)
    assert_same(await our_view(folder), await their_view(copick2_python, folder, tmp_path / "seen.npz"))
