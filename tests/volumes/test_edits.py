"""Changed regions: pyramids of any whole factors follow, and what is refused has changed nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
import zarr

import aiocopick
from aiocopick import AsyncRoot
from aiocopick.errors import FormatError, NotFoundError
from aiocopick.volumes.pyramid import downsample_mean, downsample_nearest
from tests.volumes.places import Place
from tests.volumes.projects import OBJECTS, SIZE, project, requests, spacing_of, tomogram_of, write_document

pytestmark = pytest.mark.asyncio

FORMATS = pytest.mark.parametrize("zarr_format", [2, 3])
REGIONS = [
    (slice(0, 5), slice(3, 9), slice(2, 3)),
    (slice(4, 5), slice(0, 15), slice(5, 14)),
    (slice(None), slice(1, 14, 4), slice(0, 13, 6)),
    (slice(None), slice(None), slice(None)),
]


async def write_levels(volume: Any, levels: list[Any], axes: str, scales: list[Any] | None = None) -> None:
    """Replace the arrays and the description of a volume."""

    def write() -> None:
        group: Any = zarr.open_group(volume.zarr(), mode="r+")
        for index, data in enumerate(levels):
            group.create_array(str(index), data=data, chunks=(4,) * data.ndim, overwrite=True)

    await anyio.to_thread.run_sync(write)
    datasets: list[dict[str, Any]] = [{"path": str(index)} for index in range(len(levels))]
    for dataset, scale in zip(datasets, scales or (), strict=False):
        dataset["coordinateTransformations"] = [{"type": "scale", "scale": scale}]
    multiscales = [{"axes": [{"name": name} for name in axes], "datasets": datasets}]
    if await volume.zarr().exists(".zgroup"):
        await write_document(volume, ".zattrs", {"multiscales": multiscales})
    else:
        attributes = {"ome": {"multiscales": multiscales}}
        await write_document(volume, "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": attributes})


def pyramid(data: Any, factors: list[tuple[int, ...]], downsample: Any = downsample_mean) -> list[Any]:
    levels = [data]
    for factor in factors:
        levels.append(downsample(levels[-1], factor))
    return levels


@FORMATS
@pytest.mark.parametrize(
    ("factors", "axes"),
    [
        ([(4, 4, 4)], "zyx"),
        ([(1, 2, 2), (1, 2, 2)], "zyx"),
        ([(1, 2, 2), (1, 2, 2)], "xyz"),
        ([(3, 3, 3)], "zyx"),
        ([(1, 3, 5), (2, 1, 2)], "yxz"),
        ([(2, 2, 2), (4, 4, 4)], "zyx"),
        ([(1, 1, 1), (2, 2, 2)], "zyx"),
    ],
)
async def test_pyramids_of_other_factors_follow(memory: Place, factors: Any, axes: str, zarr_format: int) -> None:
    data = np.random.default_rng(0).normal(0, 100, (5, 15, 14))
    async with project(memory, zarr_format=zarr_format) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(data)
        await write_levels(tomogram, pyramid(data, factors), axes)
        for number, region in enumerate(REGIONS):
            value = np.random.default_rng(number).normal(0, 100, data[region].shape)
            data[region] = value
            await tomogram.set_region(value, **dict(zip(axes, region, strict=True)), update_pyramid=True)
            for index, expected in enumerate(pyramid(data, factors)):
                np.testing.assert_allclose(await tomogram.numpy(str(index)), expected, rtol=1e-9, atol=1e-9)


async def test_levels_that_were_rounded_down_follow(memory: Place) -> None:
    data = np.random.default_rng(0).normal(0, 100, (7, 15, 13))
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(data)
        await write_levels(tomogram, [data, downsample_mean(data)[:3, :7, :6]], "zyx")
        for region in (np.s_[6:7, 14:15, 12:13], np.s_[::2, ::7, 1:13:3], np.s_[5:7, :, :]):
            z, y, x = region
            data[region] = 7.0
            await tomogram.set_region(7.0, x=x, y=y, z=z, update_pyramid=True)
            np.testing.assert_allclose(await tomogram.numpy(), data)
            np.testing.assert_allclose(await tomogram.numpy("1"), downsample_mean(data)[:3, :7, :6])


async def test_scales_decide_where_rounding_leaves_a_choice(memory: Place) -> None:
    data = np.arange(27.0).reshape(3, 3, 3)
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(data)
        for scales, expected in (([[1] * 3, [2] * 3], data[:2, :2, :2].mean()), (None, data.mean())):
            await write_levels(tomogram, [data, np.zeros((1, 1, 1))], "zyx", scales)
            await tomogram.set_region(data, update_pyramid=True)
            assert (await tomogram.numpy("1")).item() == expected


@FORMATS
async def test_features_and_labels_follow_as_well(memory: Place, zarr_format: int) -> None:
    async with project(memory, zarr_format=zarr_format) as root:
        tomogram = await tomogram_of(root)
        data = np.random.default_rng(0).normal(0, 100, (2, 5, 15, 14))
        features = await tomogram.new_features("edges")
        await features.from_numpy(data)
        factors = [(1, 1, 3, 3)]
        await write_levels(features, pyramid(data, factors), "czyx")
        data[1, :, 4:9, 2:4] = 5.0
        await features.set_region(5.0, slices=np.s_[1, :, 4:9, 2:4], update_pyramid=True)
        for index, expected in enumerate(pyramid(data, factors)):
            np.testing.assert_allclose(await features.numpy(str(index)), expected)
        labels = np.random.default_rng(0).integers(0, 9, (5, 15, 14)).astype("u2")
        segmentation = await (await spacing_of(root)).run.new_segmentation(SIZE, "membrane", "1")
        await segmentation.from_numpy(labels)
        below = [(1, 4, 4)]
        await write_levels(segmentation, pyramid(labels, below, downsample_nearest), "zyx")
        labels[1:4, 2:9, 0:14:3] = 11
        await segmentation.set_region(11, z=slice(1, 4), y=slice(2, 9), x=slice(0, 14, 3), update_pyramid=True)
        for index, expected in enumerate(pyramid(labels, below, downsample_nearest)):
            np.testing.assert_array_equal(await segmentation.numpy(str(index)), expected)


async def test_a_region_of_whole_blocks_is_not_read(memory: Place) -> None:
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(np.zeros((8, 8, 8)), levels=2, chunks=(4, 4, 4))
        requests(root)
        await tomogram.set_region(1.0, update_pyramid=True)
        assert requests(root) == {"write": 9}


def everything(folder: Path) -> dict[str, bytes]:
    return {path.as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


async def prepared(root: AsyncRoot) -> dict[str, Any]:
    """A volume of each kind whose pyramid, if it has one, cannot follow by whole voxels."""
    data = np.arange(12 * 12 * 12.0).reshape(12, 12, 12)
    tomogram = await tomogram_of(root)
    await tomogram.from_numpy(data)
    await write_levels(tomogram, [data, np.zeros((8, 8, 8))], "zyx")
    features = await tomogram.new_features("edges")
    await features.from_numpy(np.stack([data, data]))
    await write_levels(features, [np.stack([data, data]), np.zeros((1, 6, 6, 6))], "czyx")
    run = tomogram.voxel_spacing.run
    segmentation = await run.new_segmentation(SIZE, "membrane", "1")
    labels = data.astype("u2")
    await segmentation.from_numpy(labels)
    # A coarser level that cannot hold all labels of the finest one.
    await write_levels(segmentation, [labels, np.zeros((6, 6, 6), "u1")], "zyx")
    panoptic = await run.new_segmentation(SIZE, "all", "1", is_panoptic=True)
    await panoptic.from_numpy(np.stack([labels > 5, 3 * (labels > 5)]).astype("u2"))
    density = await root.get_object("ribosome")
    assert density is not None
    await density.from_numpy(data, SIZE)
    narrow = await (await spacing_of(root)).new_tomogram("narrow")
    await narrow.from_numpy(data)
    await write_levels(narrow, [data, np.zeros((6, 6, 6), "i1")], "zyx")
    found = [tomogram, features, segmentation, panoptic, density, narrow]
    names = ["tomogram", "features", "segmentation", "panoptic", "object", "narrow"]
    return dict(zip(names, found, strict=True))


OUTSIDE = slice(5, 4, 0)
REFUSED: dict[str, tuple[str, type[Exception], Callable[[Any], Awaitable[Any]]]] = {
    "factor": ("tomogram", FormatError, lambda v: v.set_region(1.0, update_pyramid=True)),
    "leading": ("features", FormatError, lambda v: v.set_region(1.0, update_pyramid=True)),
    "labels": ("segmentation", ValueError, lambda v: v.set_region(300, z=0, update_pyramid=True)),
    "means": ("narrow", ValueError, lambda v: v.set_region(1000.0, z=0, update_pyramid=True)),
    "nan": ("narrow", ValueError, lambda v: v.set_region(np.nan, z=0, update_pyramid=True)),
    "not finest": ("tomogram", ValueError, lambda v: v.set_region(1.0, "1", update_pyramid=True)),
    "no level": ("tomogram", NotFoundError, lambda v: v.set_region(1.0, "7")),
    "shape": ("tomogram", ValueError, lambda v: v.set_region(np.zeros((2, 2)), z=slice(0, 3))),
    "text": ("tomogram", ValueError, lambda v: v.set_region(np.array("one"), z=0)),
    "objects": ("features", ValueError, lambda v: v.set_region(np.array([None]), slices=[0, 0, 0, slice(0, 1)])),
    "index": ("tomogram", IndexError, lambda v: v.set_region(1.0, z=12)),
    "step": ("tomogram", IndexError, lambda v: v.set_region(1.0, z=slice(5, 4, -1))),
    "index of features": ("features", IndexError, lambda v: v.set_region(1.0, slices=[2])),
    "too many slices": ("features", IndexError, lambda v: v.set_region(1.0, slices=[0] * 5)),
    "negative label": ("segmentation", ValueError, lambda v: v.set_region(-1, z=0)),
    "large label": ("segmentation", ValueError, lambda v: v.set_region(2**16, z=0)),
    "fraction": ("segmentation", ValueError, lambda v: v.set_region(0.5, z=0)),
    "channel": ("segmentation", ValueError, lambda v: v.set_region(1, channel="label")),
    "meaningless": ("panoptic", ValueError, lambda v: v.set_region(7, channel="label")),
    "stray": ("panoptic", ValueError, lambda v: v.set_region(7, channel="instance")),
    "object index": ("object", IndexError, lambda v: v.set_region(1.0, x=12)),
    "chunks": ("tomogram", ValueError, lambda v: v.from_numpy(np.ones((4, 4, 4)), chunks=(0, 4, 4))),
    "shards": ("tomogram", ValueError, lambda v: v.from_numpy(np.ones((4, 4, 4)), chunks=(4, 4, 4), shards=(3, 4, 4))),
    "levels": ("tomogram", ValueError, lambda v: v.from_numpy(np.ones((4, 4, 4)), levels=0)),
    "dimensions": ("tomogram", ValueError, lambda v: v.from_numpy(np.ones((4, 4)))),
    "no voxels": ("tomogram", ValueError, lambda v: v.from_numpy(np.ones((4, 0, 4)))),
    "strings": ("tomogram", ValueError, lambda v: v.from_numpy(np.full((4, 4, 4), "a"))),
    "dtype": ("tomogram", ValueError, lambda v: v.from_numpy(np.ones((4, 4, 4)), dtype="M8[s]")),
    "metadata": ("features", ValueError, lambda v: v.from_numpy(np.ones((4, 4, 4)), metadata={"a": object()})),
    "chunks of features": ("features", ValueError, lambda v: v.from_numpy(np.ones((4, 4, 4)), chunks=(4, 4))),
    "negative labels": ("segmentation", ValueError, lambda v: v.from_numpy(-np.ones((4, 4, 4), int))),
    "overflowing labels": ("segmentation", ValueError, lambda v: v.from_numpy(np.full((4, 4, 4), 300), dtype="u1")),
    "not panoptic": ("panoptic", ValueError, lambda v: v.from_numpy(np.ones((4, 4, 4), int))),
    "unknown label": ("panoptic", ValueError, lambda v: v.from_numpy(np.full((2, 4, 4, 4), 77))),
    "voxel size": ("object", ValueError, lambda v: v.from_numpy(np.ones((4, 4, 4)), 0.0)),
    "chunks of an object": ("object", ValueError, lambda v: v.from_numpy(np.ones((4, 4, 4)), SIZE, chunks=(0, 1, 1))),
}


@pytest.mark.parametrize("stacked", [False, True])
@FORMATS
async def test_what_is_refused_has_changed_nothing(tmp_path: Path, zarr_format: int, stacked: bool) -> None:
    under, over = tmp_path / "under", tmp_path / "over"
    options: dict[str, Any] = {"zarr_format": zarr_format}
    shared = {"pickable_objects": OBJECTS, "user_id": "user", "session_id": "1"}
    async with aiocopick.open(str(under), **options, **shared) as root:
        await prepared(root)
    config: Any = str(under)
    if stacked:
        layers = [
            {"config_type": "filesystem", "root": str(over), "layer_name": "over", "priority": 1, **options},
            {"config_type": "filesystem", "root": str(under), "layer_name": "under", "read_only": True},
        ]
        config, options = {"config_type": "multilayer", "layers": layers}, {}
    before = everything(tmp_path)
    async with aiocopick.open(config, **options, **shared) as root:
        run = await root.get_run("TS_1")
        assert run is not None
        for name, (kind, error, edit) in REFUSED.items():
            spacing = await run.get_voxel_spacing(SIZE)
            assert spacing is not None
            tomogram = await spacing.get_tomogram("wbp")
            assert tomogram is not None
            volumes: dict[str, Any] = {
                "tomogram": tomogram,
                "features": await tomogram.get_features("edges"),
                "segmentation": (await run.get_segmentations(name="membrane"))[0],
                "panoptic": (await run.get_segmentations(name="all", is_panoptic=True))[0],
                "object": await root.get_object("ribosome"),
                "narrow": await spacing.get_tomogram("narrow"),
            }
            with pytest.raises(error):
                await edit(volumes[kind])
            assert everything(tmp_path) == before, name


async def test_a_refused_density_map_is_not_created(tmp_path: Path) -> None:
    layers = [
        {"config_type": "filesystem", "root": str(tmp_path / name), "layer_name": name, "priority": priority}
        for name, priority in (("over", 1), ("under", 0))
    ]
    config: Any = {"config_type": "multilayer", "layers": layers, "pickable_objects": OBJECTS}
    async with aiocopick.open(config) as root:
        density = await root.get_object("ribosome")
        assert density is not None
        for arguments in ({"chunks": (0, 1, 1)}, {"shards": (2, 2, 2)}, {"dtype": "O"}):
            with pytest.raises(ValueError, match=r"chunks|shards|numbers"):
                await density.from_numpy(np.ones((4, 4, 4)), SIZE, **arguments)
        assert everything(tmp_path) == {}
        assert not await density.has_density_map()
        await density.from_numpy(np.ones((4, 4, 4)), SIZE)
        assert (await density.numpy()).sum() == 64


async def test_a_chunk_that_cannot_be_read_is_found_before_anything_is_written(tmp_path: Path) -> None:
    async with aiocopick.open(str(tmp_path), pickable_objects=OBJECTS) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(np.ones((8, 8, 8)), levels=2, chunks=(4, 4, 4))
        storage: Any = root.layers[0].storage  # type: ignore[attr-defined]
        await storage.write(f"{tomogram.key}/0/1/1/1", b"broken")
        before = everything(tmp_path)
        with pytest.raises(FormatError, match="decoded"):
            await tomogram.set_region(2.0, z=slice(0, 7), y=slice(0, 7), x=slice(0, 7), update_pyramid=True)
        assert everything(tmp_path) == before
