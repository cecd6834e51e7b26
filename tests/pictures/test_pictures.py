"""One picture: the right slice, drawn right, from no more than it needs."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from aiocopick.entities import AsyncRoot
from aiocopick.errors import CopickError, FormatError, InvalidNameError, NotFoundError
from aiocopick.models import PickableObject
from aiocopick.pictures import Choice, read_scene
from tests.entities.projects import Counted
from tests.pictures.scenes import BLUE, RED, pixels, places_of, tomogram_of, write_scene
from tests.volumes.projects import name_axes, write_document

pytestmark = pytest.mark.asyncio


async def test_a_thumbnail_is_the_slice_through_the_middle(root: AsyncRoot) -> None:
    run = await root.new_run("TS_1")
    values = np.zeros((9, 20, 30), np.float32)
    values[4, :, 15:] = 1
    tomogram = await tomogram_of(run, values)
    assert tomogram._repr_png_() is None
    picture = await tomogram.thumbnail(size=60)
    shown = pixels(picture)
    assert shown.shape == (40, 60, 3)
    assert shown[:, :24].max() < 10
    assert shown[:, 36:].min() > 245
    assert tomogram._repr_png_() == picture


async def test_the_coarsest_level_that_is_wide_enough_is_read(counted: Counted) -> None:
    run = await counted.root.new_run("TS_1")
    values = np.random.default_rng(0).normal(size=(8, 128, 512)).astype(np.float32)
    await tomogram_of(run, values, levels=3, chunks=(2, 64, 64))
    [spacing] = await (await counted.fresh().get_run("TS_1")).voxel_spacings()  # type: ignore[union-attr]
    [tomogram] = await spacing.tomograms()
    counted.storage.calls.clear()
    await tomogram.thumbnail()
    # Level 1 is 256 pixels wide: 4 chunks of a slice of 64 x 256 voxels, out of 8.
    chunks = [
        key.rpartition("wbp.zarr/")[2] for _, key in counted.storage.calls if "/.z" not in key and "/z" not in key
    ]
    assert sorted(chunks) == ["1/1/0/0", "1/1/0/1", "1/1/0/2", "1/1/0/3"]
    assert len(counted.storage.calls) == 2 + 3 + 4
    counted.storage.calls.clear()
    await tomogram.thumbnail("2")
    assert sorted(key.rpartition("wbp.zarr/")[2] for _, key in counted.storage.calls) == ["2/0/0/0", "2/0/0/1"]


async def test_a_picture_shows_picks_near_the_slice_and_outlines(root: AsyncRoot) -> None:
    run = await write_scene(root)
    picture = await run.picture(size=600, legend=False)
    red, blue = places_of(picture, RED), places_of(picture, BLUE)
    # Circles of a radius of 100 and 95 angstrom, a pixel being one angstrom; the third is far from the slice.
    assert np.hypot(red[:, 0] - 205, red[:, 1] - 305).min() > 90
    first = red[red[:, 1] > 210]
    assert np.abs(np.hypot(first[:, 0] - 205, first[:, 1] - 305) - 100).max() < 4
    second = red[red[:, 1] < 190]
    assert np.abs(np.hypot(second[:, 0] - 105, second[:, 1] - 105) - np.sqrt(100**2 - 30**2)).max() < 4
    assert len(first) > 300
    assert len(second) > 300
    assert (blue.min(axis=0) == [100, 300]).all()
    assert (blue.max(axis=0) == [309, 509]).all()
    # Nothing is painted inside.
    assert not ((blue[:, 0] > 110) & (blue[:, 0] < 290) & (blue[:, 1] > 310) & (blue[:, 1] < 490)).any()


async def test_a_picture_shows_what_is_asked_for(root: AsyncRoot) -> None:
    run = await write_scene(root)
    only_picks = await run.picture("wbp@10", "ribosome", legend=False)
    assert len(places_of(only_picks, RED))
    assert not len(places_of(only_picks, BLUE))
    only_outline = await run.picture(annotations=["membrane:*/*@10"], legend=False)
    assert not len(places_of(only_outline, RED))
    assert len(places_of(only_outline, BLUE))
    everywhere = await run.picture(annotations="ribosome", depth=100, legend=False)
    assert len(places_of(everywhere, RED)) > len(places_of(only_picks, RED))


async def test_a_picture_needs_few_requests(counted: Counted) -> None:
    await write_scene(counted.root)
    run = await counted.fresh().get_run("TS_1")
    assert run is not None
    await run.picks()
    counted.storage.calls.clear()
    await run.picture()
    # The picks; two documents of each group, one of each level, one chunk of each slice.
    assert counted.storage.count() == 1 + 2 * (2 + 1 + 1), counted.storage.calls


async def test_the_picture_stays_for_notebooks_without_requests(counted: Counted) -> None:
    run = await write_scene(counted.root)
    assert run._repr_png_() is None
    picture = await run.picture()
    before = counted.storage.count()
    assert run._repr_png_() == picture
    assert counted.storage.count() == before


async def test_what_cannot_be_shown_is_one_clear_error(root: AsyncRoot) -> None:
    run = await root.new_run("TS_1")
    with pytest.raises(NotFoundError, match="TS_1 has no tomogram to show"):
        await run.picture()
    tomogram = await (await run.new_voxel_spacing(10)).new_tomogram("wbp")
    with pytest.raises(NotFoundError, match=r"wbp\.zarr"):
        await run.picture()
    with pytest.raises(NotFoundError, match=r"wbp\.zarr"):
        await tomogram.thumbnail()
    await tomogram.from_numpy(np.zeros((4, 4, 4), np.float32), levels=1)
    with pytest.raises(NotFoundError, match=r"no such level; there is 0"):
        await tomogram.thumbnail("7")
    with pytest.raises(NotFoundError, match=r"no tomogram denoised@20.* its tomograms: wbp@10"):
        await run.picture("denoised@20")
    with pytest.raises(InvalidNameError, match="picks and segmentations can be drawn"):
        await run.picture(annotations="wbp@10")
    for size in (0, -1, 10**6, 2.5, True):
        with pytest.raises(ValueError, match="size must be a number of pixels"):
            await run.picture(size=size)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="depth"):
        await run.picture(depth=float("nan"))
    assert len(await run.picture()) > 100


async def test_a_level_without_voxels_is_one_clear_error(root: AsyncRoot) -> None:
    run = await root.new_run("TS_1")
    tomogram = await tomogram_of(run, np.zeros((4, 4, 4), np.float32))
    document = await root.layer.storage.read(f"{tomogram.key}/0/.zarray")  # type: ignore[union-attr]
    changed = document.replace(b"4,", b"0,", 1)
    assert changed != document
    await root.layer.storage.write(f"{tomogram.key}/0/.zarray", changed)  # type: ignore[union-attr]
    tomogram.refresh()
    with pytest.raises(FormatError, match=r"wbp\.zarr"):
        await tomogram.thumbnail()


async def test_odd_picks_are_drawn_or_left_out(root: AsyncRoot) -> None:
    run = await write_scene(root)
    picks = await run.new_picks("colourless", "1", "someone")
    await picks.from_numpy([[1e9, -1e9, 100.0], [-400.0, 10.0, 100.0]])
    many = await run.new_picks("colourless", "2", "someone")
    await many.from_numpy(
        np.column_stack([np.random.default_rng(0).uniform(0, 390, (10_000, 2)), np.full(10_000, 100.0)])
    )
    scene = await read_scene(run, Choice.of())
    by_name = {item.name: item for item in scene.marks}
    assert by_name["colourless"].count == 10_002
    assert len(by_name["colourless"].positions) == 10_000
    assert by_name["colourless"].colour not in (RED, BLUE)
    assert len(await run.picture()) > 1000


async def test_an_object_that_the_project_does_not_name_is_drawn(root: AsyncRoot) -> None:
    run = await write_scene(root)
    root.config.pickable_objects = [PickableObject(name="other", is_particle=True)]
    scene = await read_scene(run, Choice.of())
    assert [item.name for item in scene.marks] == ["ribosome"]
    assert len(await run.picture()) > 1000


@pytest.mark.parametrize("kind", ["multilabel", "instance", "panoptic"])
async def test_segmentations_of_every_type_have_outlines(root: AsyncRoot, kind: str) -> None:
    run = await write_scene(root)
    name = "ribosome" if kind == "instance" else "all"
    labels = np.zeros((20, 40, 60), np.uint16)
    labels[5:15, 5:10, 5:10] = 1
    flags = {f"is_{kind}": True}
    segmentation = await run.new_segmentation(10.0, name, "2", user_id="someone", **flags)  # type: ignore[arg-type]
    await segmentation.from_numpy(np.stack([labels, labels]) if kind == "panoptic" else labels)
    picture = await run.picture(annotations=segmentation.uri, size=600, legend=False)
    red = places_of(picture, RED)
    assert (red.min(axis=0) == [50, 50]).all()
    assert (red.max(axis=0) == [99, 99]).all()


async def test_a_segmentation_of_another_voxel_size_lies_where_it_should(root: AsyncRoot) -> None:
    run = await write_scene(root)
    labels = np.zeros((10, 20, 30), np.uint8)
    labels[4:7, 5:15, 5:15] = 1
    segmentation = await run.new_segmentation(20.0, "membrane", "3", user_id="someone")
    await segmentation.from_numpy(labels)
    blue = places_of(await run.picture(annotations="membrane:someone/3@20", size=600, legend=False), BLUE)
    assert np.abs(blue.min(axis=0) - 95).max() <= 5
    assert np.abs(blue.max(axis=0) - 295).max() <= 5


async def test_without_pillow_the_extra_is_named(root: AsyncRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    run = await root.new_run("TS_1")
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(CopickError, match=r"aiocopick\[pictures\]"):
        await run.picture()


@pytest.mark.parametrize("names", ["xyz", "yzx"])
async def test_axes_in_another_order_give_the_same_picture(root: AsyncRoot, names: str) -> None:
    run = await write_scene(root)
    expected = await run.picture(size=600)
    [spacing] = await run.voxel_spacings()
    [tomogram] = await spacing.tomograms()
    [segmentation] = await run.segmentations()
    values = np.zeros((20, 40, 60), np.float32)
    values[10, :20] = 1
    await tomogram.from_numpy(values, levels=1)
    thumbnail = await tomogram.thumbnail()
    for volume in (tomogram, segmentation):
        data = await volume.numpy()
        await volume.from_numpy(data.transpose(["zyx".index(axis) for axis in names]), levels=1)
        await name_axes(volume, names, 10.0)
    assert await tomogram.thumbnail() == thumbnail
    await tomogram.from_numpy(np.zeros((20, 40, 60), np.float32), levels=1)
    assert await run.picture(size=600) == expected


@pytest.mark.parametrize("shape", [(), (3,), (4, 5)])
async def test_what_has_no_three_axes_has_no_picture(root: AsyncRoot, shape: tuple[int, ...]) -> None:
    tomogram = await tomogram_of(await root.new_run("TS_1"), np.ones((4, 5, 6), np.float32))
    array = {"zarr_format": 2, "shape": list(shape), "chunks": list(shape), "dtype": "<f4", "compressor": None}
    await write_document(tomogram, "0/.zarray", array | {"fill_value": 0, "filters": None, "order": "C"})
    with pytest.raises(FormatError, match=r"wbp\.zarr/0"):
        await tomogram.thumbnail()
