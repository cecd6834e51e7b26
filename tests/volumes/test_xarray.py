"""Volumes as xarray arrays: dimensions, coordinates in angstrom, nothing read before it is asked for."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from anyio import to_thread

import aiocopick
from aiocopick.testing import CountingStorage
from tests.volumes.places import Place
from tests.volumes.projects import SIZE, name_axes, noise, project, spacing_of, tomogram_of, wrap


@pytest.mark.asyncio
@pytest.mark.parametrize("zarr_format", [2, 3])
async def test_a_tomogram_has_its_axes_in_angstrom_and_reads_when_asked(memory: Place, zarr_format: int) -> None:
    data = noise(8, 12, 16)
    async with project(memory, zarr_format=zarr_format) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(data, chunks=(4, 4, 4), levels=2)
        counted = wrap(root, CountingStorage)
        tomogram.refresh()
        array = await tomogram.to_xarray()
        # As for boxes: two documents, and one of the level.
        assert counted.count("read") == 3
        assert array.dims == ("z", "y", "x")
        assert array.name == "wbp@10.0"
        assert array.attrs["run"] == "TS_1"
        assert array.attrs["voxel_size"] == [SIZE] * 3
        np.testing.assert_array_equal(array.x, np.arange(16) * SIZE)
        assert array.z.attrs["units"] == "angstrom"
        assert counted.count() == 3
        part = await to_thread.run_sync(lambda: array.sel(z=slice(20, 50), y=40, x=[0, 150]).values)
        np.testing.assert_array_equal(part, data[2:6, 4][:, [0, 15]])
        coarse = await tomogram.to_xarray("1")
        assert coarse.shape == (4, 6, 8)
        np.testing.assert_array_equal(coarse.y, np.arange(6) * 2 * SIZE)
        # What a box around a position has in its middle is what the coordinate selects.
        box = await tomogram.extract([[30.0, 70.0, 40.0]], 1)
        at = await to_thread.run_sync(lambda: float(array.sel(x=30, y=70, z=40)))
        assert box.item() == at


@pytest.mark.asyncio
async def test_axes_before_z_y_x_are_named(memory: Place) -> None:
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(noise(4, 4, 4), levels=1)
        features = await tomogram.new_features("gradient")
        await features.from_numpy(noise(3, 4, 4, 4))
        array = await features.to_xarray()
        assert array.dims == ("feature", "z", "y", "x")
        assert "feature" not in array.coords
        run = (await spacing_of(root)).run
        panoptic = await run.new_segmentation(SIZE, "all", "1", is_panoptic=True)
        await panoptic.from_numpy(np.zeros((2, 4, 4, 4), np.uint16))
        array = await panoptic.to_xarray()
        assert array.dims == ("channel", "z", "y", "x")
        assert array.channel.values.tolist() == ["label", "instance"]
        membrane = await run.new_segmentation(SIZE, "membrane", "1")
        await membrane.from_numpy(np.ones((4, 4, 4), np.uint8))
        assert (await membrane.to_xarray()).dtype == np.uint8
        await root.pickable_objects()
        ribosome = await root.get_object("ribosome")
        assert ribosome is not None
        await ribosome.from_numpy(noise(4, 4, 4), 5.0)
        np.testing.assert_array_equal((await ribosome.to_xarray()).z, np.arange(4) * 5.0)


@pytest.mark.asyncio
async def test_axes_in_another_order_keep_their_names(memory: Place) -> None:
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(noise(4, 6, 8), levels=1)
        await name_axes(tomogram, "xyz", SIZE)
        array = await tomogram.to_xarray()
        assert array.dims == ("x", "y", "z")
        assert array.sizes == {"x": 4, "y": 6, "z": 8}


@pytest.mark.asyncio
async def test_without_xarray_the_error_names_the_extra(memory: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(noise(4, 4, 4), levels=1)
        monkeypatch.setitem(sys.modules, "xarray", None)
        with pytest.raises(aiocopick.CopickError, match=r"aiocopick\[xarray\]"):
            await tomogram.to_xarray()


def test_the_facade_gives_the_same(memory: Place) -> None:
    data: Any = noise(4, 6, 8)
    with aiocopick.open_sync(memory.root) as root:
        tomogram = root.new_run("TS_1").new_voxel_spacing(SIZE).new_tomogram("wbp")
        tomogram.from_numpy(data, levels=1)
        array = tomogram.to_xarray()
        assert array.dims == ("z", "y", "x")
        np.testing.assert_array_equal(array.values, data)
