from __future__ import annotations

import json

import numpy as np
import pytest
from zarr.core.buffer import default_buffer_prototype

from tests.entities.projects import POSITIONS, Counted, write_run
from tests.volumes.projects import name_axes, write_document

CENTERED = [f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"]
BUFFERS = default_buffer_prototype()
PIXELS = [f"rlnCoordinate{axis}" for axis in "XYZ"]


@pytest.mark.asyncio
async def test_coordinates_are_about_the_centre_of_the_finest_tomogram(counted: Counted) -> None:
    run = await write_run(counted.root, volumes=False)
    await run.new_voxel_spacing(2.0)
    tomogram = await (await run.new_voxel_spacing(5.0)).new_tomogram("wbp")
    await tomogram.from_numpy(np.zeros((4, 6, 8), dtype=np.float32), levels=1)
    picks = (await run.picks())[0]
    frame = await picks.df(tilt_series_pixel_size=2.5)
    assert frame["rlnTomoName"].tolist() == ["TS_1", "TS_1"]
    np.testing.assert_allclose(frame[CENTERED], POSITIONS - [20, 15, 10])
    np.testing.assert_allclose(frame[PIXELS], POSITIONS / 2.5)
    other = await run.new_picks("apo", "1")
    await other.from_df(frame[["rlnTomoName", *CENTERED]])
    np.testing.assert_allclose((await other.numpy())[0], POSITIONS)
    assert other in await run.query_picks()


@pytest.mark.asyncio
async def test_without_a_tomogram_pixels_are_of_the_smallest_voxel_spacing(
    counted: Counted, caplog: pytest.LogCaptureFixture
) -> None:
    run = await write_run(counted.root, volumes=False)
    await run.new_voxel_spacing(2.0)
    picks = (await run.picks())[0]
    frame = await picks.df()
    np.testing.assert_allclose(frame[PIXELS], POSITIONS / 2.0)
    await picks.from_df(frame)
    assert "read as pixels of 2 angstrom" in caplog.text
    np.testing.assert_allclose((await picks.numpy())[0], POSITIONS)
    with pytest.raises(ValueError, match="centre"):
        await picks.from_df(frame.rename(columns=dict(zip(PIXELS, CENTERED, strict=True))))


@pytest.mark.asyncio
async def test_other_formats_are_refused(counted: Counted) -> None:
    run = await write_run(counted.root, volumes=False)
    picks = (await run.picks())[0]
    with counted.requests():
        for call in (picks.df("dynamo"), picks.from_df(None, format="dynamo")):  # type: ignore[arg-type]
            with pytest.raises(ValueError, match="dynamo"):
                await call


@pytest.mark.asyncio
@pytest.mark.parametrize("names", ["zyx", "xyz", "czyx"])
async def test_the_centre_is_that_of_the_volume_in_any_order_of_axes_and_without_its_finest_level(
    counted: Counted, names: str
) -> None:
    run = await write_run(counted.root, volumes=False)
    tomogram = await (await run.new_voxel_spacing(5.0)).new_tomogram("wbp")
    shape = [{"z": 8, "y": 12, "x": 16}[name] for name in names if name != "c"]
    await tomogram.from_numpy(np.zeros(shape, dtype=np.float32), levels=2)
    await name_axes(tomogram, names.removeprefix("c"), 5.0)
    if "c" in names:
        for level in await tomogram.levels():
            document = json.loads((await tomogram.zarr().get(f"{level.path}/.zarray", BUFFERS)).to_bytes())
            for key in ("shape", "chunks"):
                document[key] = [1, *document[key]]
            await write_document(tomogram, f"{level.path}/.zarray", document)
    picks = (await run.picks())[0]
    frame = await picks.df()
    np.testing.assert_allclose(frame[CENTERED], POSITIONS - [40, 30, 20])
    await tomogram.zarr().delete("0/.zarray")
    await tomogram.zarr().delete_dir("0")
    tomogram.refresh()
    frame = await picks.df()
    np.testing.assert_allclose(frame[CENTERED], POSITIONS - [40, 30, 20])
