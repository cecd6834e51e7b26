"""Volumes of all kinds: what is written is what is read, on every storage, in both formats."""

from __future__ import annotations

import json
import threading
import tracemalloc
from functools import partial
from typing import Any

import anyio
import numpy as np
import pytest
import zarr
from zarr.core.buffer import default_buffer_prototype

import aiocopick
from aiocopick.errors import FormatError, NotFoundError, ReadOnlyError
from aiocopick.volumes.pyramid import downsample_mean, downsample_nearest
from tests.volumes.places import Place
from tests.volumes.projects import (
    SIZE,
    name_axes,
    noise,
    project,
    reopened,
    spacing_of,
    tomogram_of,
    write_document,
)

pytestmark = pytest.mark.asyncio

FORMATS = pytest.mark.parametrize("zarr_format", [2, 3])


@FORMATS
async def test_a_tomogram_and_its_pyramid(place: Place, zarr_format: int) -> None:
    data = noise(33, 50, 41)
    async with project(place, zarr_format=zarr_format) as root:
        tomogram = await tomogram_of(root)
        with pytest.raises(NotFoundError, match="none was written to it yet"):
            await tomogram.numpy()
        await tomogram.from_numpy(data)
        np.testing.assert_array_equal(await tomogram.numpy(), data)
    other = await reopened(place)
    levels = await other.levels()
    assert [level.path for level in levels] == ["0", "1", "2"]
    assert [level.shape for level in levels] == [(33, 50, 41), (17, 25, 21), (9, 13, 11)]
    assert [level.voxel_size for level in levels] == [(SIZE * 2**k,) * 3 for k in range(3)]
    expected = data
    for level in levels:
        np.testing.assert_allclose(await other.numpy(level.path), expected, rtol=1e-5, atol=1e-4)
        expected = downsample_mean(expected)
    await other.root.aclose()


@FORMATS
async def test_regions_are_read_along_named_axes(memory: Place, zarr_format: int) -> None:
    data = noise(33, 50, 41)
    async with project(memory, zarr_format=zarr_format) as root:
        tomogram = await tomogram_of(root)
        shards = (16, 32, 16) if zarr_format == 3 else None
        await tomogram.from_numpy(data, chunks=(16, 16, 8), shards=shards)
        a, b, c = slice(3, 40, 2), slice(7, 33), slice(None, -5)
        np.testing.assert_array_equal(await tomogram.numpy(x=a, y=b, z=c), data[c, b, a])
        np.testing.assert_array_equal(await tomogram.numpy("0", z=4), data[4])
        np.testing.assert_array_equal(await tomogram.numpy(x=-1, y=3), data[:, 3, -1])
        assert (await tomogram.numpy(z=slice(5, 5))).shape == (0, 50, 41)
        level = (await tomogram.levels())[0]
        assert level.chunks == (16, 16, 8)
        assert level.shards == shards
        for bad in ({"z": 33}, {"y": slice(None, None, -1)}):
            with pytest.raises(IndexError):
                await tomogram.numpy(**bad)


@FORMATS
async def test_set_region_changes_that_region_only(memory: Place, zarr_format: int) -> None:
    data = noise(33, 50, 41)
    async with project(memory, zarr_format=zarr_format) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(data, chunks=(16, 16, 16), shards=(32, 32, 32) if zarr_format == 3 else None)
        coarse = await tomogram.numpy("1")
        patch = noise(7, 11, 13)
        await tomogram.set_region(patch, x=slice(20, 33), y=slice(5, 16), z=slice(26, 33))
        data[26:33, 5:16, 20:33] = patch
        np.testing.assert_array_equal(await tomogram.numpy(), data)
        np.testing.assert_array_equal(await tomogram.numpy("1"), coarse)
        await tomogram.set_region(1.5, z=3)
        data[3] = 1.5
        await tomogram.set_region(np.ones((5, 50, 1)), x=slice(None, None, 41), z=slice(0, 5))
        data[0:5, :, 0:1] = 1
        np.testing.assert_array_equal(await tomogram.numpy(), data)
        with pytest.raises(ValueError, match="does not fit a region of shape"):
            await tomogram.set_region(np.zeros((2, 2, 2)), z=slice(0, 3))
        with pytest.raises(NotFoundError):
            await tomogram.set_region(0, "7")


@FORMATS
async def test_set_region_updates_the_pyramid_when_asked(memory: Place, zarr_format: int) -> None:
    data = noise(33, 50, 41)
    async with project(memory, zarr_format=zarr_format) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(data, levels=4, chunks=(8, 16, 16))
        for region in ((slice(31, 33), slice(5, 6), slice(40, 41)), (slice(0, 9), slice(0, 50), slice(7, 20))):
            z, y, x = region
            await tomogram.set_region(1000.0, x=x, y=y, z=z, update_pyramid=True)
            data[region] = 1000.0
            expected = data
            for level in range(4):
                np.testing.assert_allclose(await tomogram.numpy(str(level)), expected, rtol=1e-5, atol=1e-3)
                expected = downsample_mean(expected)
        with pytest.raises(ValueError, match="finest"):
            await tomogram.set_region(0, "1", update_pyramid=True)


@FORMATS
async def test_set_region_updates_coarser_levels_of_another_type(memory: Place, zarr_format: int) -> None:
    async with project(memory, zarr_format=zarr_format) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(noise(16, 16, 16), levels=2, dtype="i2", chunks=(8, 8, 8))

        def replace_level(dtype: str) -> None:
            group: Any = zarr.open_group(tomogram.zarr(), mode="r+")
            attributes = dict(group.attrs)
            del group["1"]
            group.create_array("1", shape=(8, 8, 8), chunks=(4, 4, 4), dtype=dtype)[:] = 0
            group.attrs.update(attributes)

        for dtype, value in (("f8", 7.0), ("u1", 9)):
            await anyio.to_thread.run_sync(replace_level, dtype)
            tomogram.refresh()
            await tomogram.set_region(value, update_pyramid=True)
            coarse = await tomogram.numpy("1")
            assert coarse.dtype == np.dtype(dtype)
            assert (coarse == value).all()


async def test_set_region_updates_labels_by_taking_them(memory: Place) -> None:
    async with project(memory) as root:
        run = (await spacing_of(root)).run
        segmentation = await run.new_segmentation(SIZE, "membrane", "1")
        labels = np.random.default_rng(0).integers(0, 5, (9, 11, 13))
        await segmentation.from_numpy(labels, levels=3, chunks=(4, 4, 4))
        await segmentation.set_region(
            np.full((3, 3, 3), 4), x=slice(1, 4), y=slice(2, 5), z=slice(3, 6), update_pyramid=True
        )
        labels[3:6, 2:5, 1:4] = 4
        np.testing.assert_array_equal(await segmentation.numpy("1"), downsample_nearest(labels))
        np.testing.assert_array_equal(await segmentation.numpy("2"), downsample_nearest(downsample_nearest(labels)))
        with pytest.raises(ValueError, match="do not fit uint8"):
            await segmentation.set_region(300, z=0)
        with pytest.raises(ValueError, match="do not fit uint8"):
            await segmentation.set_region(-1, z=0)


@FORMATS
async def test_a_volume_replaces_what_was_there(place: Place, zarr_format: int) -> None:
    other_format = 5 - zarr_format
    async with project(place, zarr_format=zarr_format) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(noise(40, 40, 40), levels=4, chunks=(16, 16, 16))
        small = noise(17, 20, 20)
        await tomogram.from_numpy(small, levels=2, chunks=(16, 16, 16))
        np.testing.assert_array_equal(await tomogram.numpy(), small)
    async with project(place, zarr_format=other_format) as root:
        other = await (await spacing_of(root)).new_tomogram("wbp", exist_ok=True)
        np.testing.assert_array_equal(await other.numpy(), small)
        await other.from_numpy(small + 1, levels=1, chunks=(20, 20, 20))
        keys = [key async for key in other.zarr().list()]
        named = {".zgroup", ".zattrs", "0/.zarray"} if other_format == 2 else {"zarr.json", "0/zarr.json"}
        assert set(keys) == named | {"0/0/0/0"}
    tomogram = await reopened(place)
    np.testing.assert_array_equal(await tomogram.numpy(), small + 1)
    assert len(await tomogram.levels()) == 1
    await tomogram.root.aclose()


@pytest.mark.parametrize("dtype", ["int8", "uint16", "float16", "float64", "bool", ">i2", None])
@FORMATS
async def test_types_are_kept(memory: Place, zarr_format: int, dtype: Any) -> None:
    data = noise(5, 6, 7, dtype="int8" if dtype is None else dtype)
    async with project(memory, zarr_format=zarr_format) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(data, dtype=dtype)
        stored = await tomogram.numpy()
        assert stored.dtype == data.dtype.newbyteorder("=")
        np.testing.assert_array_equal(stored, data)
        np.testing.assert_array_equal(await tomogram.numpy("1"), downsample_mean(data))


async def test_arrays_in_any_order_of_memory(memory: Place) -> None:
    data = noise(12, 13, 14)
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        for view in (np.asfortranarray(data), data[::-1, ::2], data.transpose(2, 0, 1)):
            await tomogram.from_numpy(view, chunks=(5, 5, 5))
            np.testing.assert_array_equal(await tomogram.numpy(), view)
            np.testing.assert_allclose(await tomogram.numpy("1"), downsample_mean(view), rtol=1e-5, atol=1e-4)


async def test_block_by_block_from_dask_and_zarr(memory: Place) -> None:
    dask_array = pytest.importorskip("dask.array", reason="dask is not installed")
    data = noise(40, 41, 42)
    asked: list[tuple[int, ...]] = []

    class Lazy:
        shape, dtype = data.shape, data.dtype

        def __getitem__(self, block: Any) -> Any:
            part = data[block]
            asked.append(part.shape)
            return part

    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        for source in (dask_array.from_array(data, chunks=10), Lazy()):
            await tomogram.from_numpy(source, chunks=(16, 15, 16))
            np.testing.assert_array_equal(await tomogram.numpy(), data)
            np.testing.assert_allclose(await tomogram.numpy("1"), downsample_mean(data), rtol=1e-5, atol=1e-4)
        # Blocks are chunks, doubled along an odd axis so that no pair of voxels is split.
        assert max(asked) <= (16, 30, 16)
        assert len(asked) == 3 * 2 * 3
        segmentation = await tomogram.voxel_spacing.run.new_segmentation(SIZE, "membrane", "1")
        await segmentation.from_numpy(dask_array.from_array((data > 0).astype(int) * 300, chunks=10))
        assert (await segmentation.numpy()).dtype == np.uint16
        again = await (await spacing_of(root)).new_tomogram("copy")
        await again.from_numpy(await tomogram.to_dask(), levels=1)
        np.testing.assert_array_equal(await again.numpy(), data)


async def test_progress_counts_all_chunks(memory: Place) -> None:
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        seen: list[tuple[int, int]] = []
        await tomogram.from_numpy(
            noise(32, 32, 32), levels=2, chunks=(16, 16, 16), progress=lambda *at: seen.append(at)
        )
        assert seen == [(number, 9) for number in range(1, 10)]


@pytest.mark.parametrize(
    ("data", "arguments"),
    [
        (np.zeros((3, 3)), {}),
        (np.zeros((2, 3, 3, 3)), {}),
        (np.zeros((0, 3, 3)), {}),
        (np.zeros((3, 3, 3)), {"levels": 0}),
        (np.zeros((3, 3, 3)), {"levels": 1.5}),
        (np.zeros((3, 3, 3)), {"levels": 65}),
        (np.zeros((3, 3, 3)), {"levels": None}),
        (np.zeros((3, 3, 3)), {"levels": np.nan}),
        (np.full((3, 3, 3), "1"), {}),
        (np.full((3, 3, 3), None), {}),
        (np.zeros((3, 3, 3), "M8[s]"), {}),
        (np.zeros((3, 3, 3)), {"chunks": 2}),
        (np.zeros((3, 3, 3)), {"chunks": (2, 2, None)}),
        (np.zeros((3, 3, 3)), {"chunks": (1, 2)}),
        (np.zeros((3, 3, 3)), {"shards": (2, 2, 2)}),
        (np.zeros((3, 3, 3)), {"dtype": "U3"}),
        (np.zeros((3, 3, 3)), {"dtype": object}),
    ],
)
async def test_what_cannot_be_written_changes_nothing(memory: Place, data: Any, arguments: dict[str, Any]) -> None:
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(np.ones((3, 3, 3)))
        with pytest.raises(ValueError, match=r".+"):
            await tomogram.from_numpy(data, **arguments)
        assert (await tomogram.numpy()).sum() == 27


@pytest.mark.parametrize("metadata", [{"mean": np.float32(1)}, {"mean": np.nan}, {"model": object()}, ["mean"]])
async def test_metadata_that_json_cannot_hold_changes_nothing(memory: Place, metadata: Any) -> None:
    async with project(memory) as root:
        features = await (await tomogram_of(root)).new_features("embedding")
        await features.from_numpy(np.ones((3, 3, 3)))
        with pytest.raises(ValueError, match="metadata"):
            await features.from_numpy(np.zeros((3, 3, 3)), metadata=metadata)
        assert (await features.numpy()).sum() == 27


async def test_blocks_of_another_shape_are_refused(memory: Place) -> None:
    class Shorter:
        shape, dtype = (9, 9, 9), np.dtype("f4")

        def __getitem__(self, block: Any) -> Any:
            return np.zeros((9, 9, 9), "f4")[block][:-1]

    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        with pytest.raises(ValueError, match=r"block of shape \(3, 4, 4\)"):
            await tomogram.from_numpy(Shorter(), chunks=(4, 4, 4))


async def test_segmentations_choose_their_type(memory: Place) -> None:
    async with project(memory) as root:
        run = (await spacing_of(root)).run
        segmentation = await run.new_segmentation(SIZE, "membrane", "1")
        instance = await run.new_segmentation(SIZE, "ribosome", "1", is_instance=True)
        for entity, highest, expected in (
            (segmentation, 1, "uint8"),
            (segmentation, 70000, "uint32"),
            (instance, 1, "uint16"),
        ):
            labels = np.zeros((9, 9, 9))
            labels[0, 0, 0] = highest
            await entity.from_numpy(labels, levels=3)
            assert [level.dtype for level in await entity.levels()] == [np.dtype(expected)] * 3
            assert (await entity.numpy("2"))[0, 0, 0] == highest
        for bad, message in ((-1, "non-negative"), (0.5, "integers"), (np.nan, "finite")):
            with pytest.raises(ValueError, match=message):
                await segmentation.from_numpy(np.full((3, 3, 3), bad))
        with pytest.raises(ValueError, match="do not fit uint8"):
            await segmentation.from_numpy(np.full((3, 3, 3), 300), dtype=np.uint8)
        assert (await segmentation.numpy())[0, 0, 0] == 70000
        with pytest.raises(ValueError, match="only panoptic"):
            await segmentation.numpy(channel="label")
        with pytest.raises(ValueError, match="segments"):
            await segmentation.segments()
        with pytest.raises(ValueError, match="instance_ids"):
            await segmentation.instance_ids()


async def test_instances_are_counted_chunk_by_chunk(memory: Place) -> None:
    async with project(memory) as root:
        run = (await spacing_of(root)).run
        instance = await run.new_segmentation(SIZE, "ribosome", "1", is_instance=True)
        labels = np.zeros((12, 12, 12), int)
        labels[0, 0, 0], labels[11, 11, 11], labels[5, 5, 5] = 7, 3, 900
        await instance.from_numpy(labels, chunks=(5, 5, 5))
        found = await instance.instance_ids()
        assert found.tolist() == [3, 7, 900]
        assert found.dtype == np.int64
        with pytest.raises(ValueError, match="holds instances of ribosome"):
            await instance.instance_ids(object_name="membrane")


@FORMATS
async def test_panoptic_segmentations(memory: Place, zarr_format: int) -> None:
    async with project(memory, zarr_format=zarr_format) as root:
        run = (await spacing_of(root)).run
        panoptic = await run.new_segmentation(SIZE, "all", "1", is_panoptic=True)
        labels = np.zeros((9, 10, 11), int)
        labels[:4], labels[6:] = 1, 2
        instances = np.where(labels == 1, 5, 0)
        instances[0, 0, 0] = 6
        await panoptic.from_numpy(np.stack([labels, instances]), levels=2, chunks=(4, 4, 4))
        np.testing.assert_array_equal(await panoptic.numpy(), np.stack([labels, instances]))
        np.testing.assert_array_equal(await panoptic.numpy(channel="instance", z=slice(0, 3)), instances[:3])
        np.testing.assert_array_equal(await panoptic.numpy("1", channel=0), downsample_nearest(labels))
        np.testing.assert_array_equal(await panoptic.label_volume(), labels)
        np.testing.assert_array_equal(await panoptic.instance_volume("ribosome"), instances)
        assert (await panoptic.instance_volume("membrane")).sum() == 0
        assert await panoptic.segments() == [("membrane", 0), ("ribosome", 5), ("ribosome", 6)]
        assert (await panoptic.instance_ids(object_name="ribosome")).tolist() == [5, 6]
        levels = await panoptic.levels()
        assert levels[0].shape == (2, 9, 10, 11)
        assert levels[0].voxel_size == (SIZE,) * 3
        await panoptic.set_region(9, z=0, y=0, x=0, channel="instance")
        assert ("ribosome", 9) in await panoptic.segments()
        await panoptic.set_region(np.stack([labels, instances])[:, 2], z=1)
        np.testing.assert_array_equal(await panoptic.numpy(z=1), np.stack([labels, instances])[:, 2])
        await panoptic.set_region(0, z=slice(0, 2), y=3)
        assert not (await panoptic.numpy(z=slice(0, 2), y=3)).any()
        for change, message in (
            (lambda: panoptic.set_region(9, z=5, channel="instance"), "background"),
            (lambda: panoptic.set_region(7, z=5, channel="label"), "which no pickable object"),
            (lambda: panoptic.set_region(np.zeros((9, 10, 11))), r"\(2, Z, Y, X\)"),
            (lambda: panoptic.set_region(np.zeros((1, 9, 10, 11))), r"\(2, Z, Y, X\)"),
            (lambda: panoptic.set_region(np.zeros((10, 11)), z=3), r"\(2, Z, Y, X\)"),
            (lambda: panoptic.set_region(np.zeros((5, 5)), z=3, channel="label"), "does not fit a region"),
            (lambda: panoptic.from_numpy(labels), r"\(2, Z, Y, X\)"),
            (lambda: panoptic.from_numpy(np.stack([labels + 5, instances])), "which no pickable object"),
            (lambda: panoptic.numpy(channel="color"), "Unknown panoptic channel"),
            (lambda: panoptic.instance_ids(), "object_name"),
            (lambda: panoptic.instance_volume("nobody"), "not found"),
        ):
            with pytest.raises(ValueError, match=message):
                await change()


async def test_a_panoptic_segmentation_without_channels_is_refused(memory: Place) -> None:
    async with project(memory) as root:
        run = (await spacing_of(root)).run
        panoptic = await run.new_segmentation(SIZE, "all", "1", is_panoptic=True)
        await panoptic.from_numpy(np.zeros((2, 2, 8, 8), int))
        document = json.loads((await panoptic.zarr().get("0/.zarray", default_buffer_prototype())).to_bytes())
        await write_document(panoptic, ".zattrs", {})
        await write_document(panoptic, "0/.zarray", document | {"shape": [2, 8, 8], "chunks": [2, 8, 8]})
        assert (await panoptic.numpy()).shape == (2, 8, 8)
        for call in (
            lambda: panoptic.numpy(channel="label"),
            lambda: panoptic.label_volume(),
            lambda: panoptic.instance_volume("ribosome"),
            lambda: panoptic.instance_ids(object_name="ribosome"),
            lambda: panoptic.segments(),
            lambda: panoptic.set_region(0, channel="label"),
            lambda: panoptic.set_region(0),
            lambda: aiocopick.layer_data(panoptic),
        ):
            with pytest.raises(FormatError, match="channels"):
                await call()


@FORMATS
async def test_features(memory: Place, zarr_format: int) -> None:
    async with project(memory, zarr_format=zarr_format) as root:
        tomogram = await tomogram_of(root)
        features = await tomogram.new_features("embedding")
        data = noise(4, 9, 10, 11)
        await features.from_numpy(data, metadata={"model": "x"}, overwrite=False)
        np.testing.assert_array_equal(await features.numpy(), data)
        np.testing.assert_array_equal(await features.numpy(slices=(2, slice(1, 5))), data[2, 1:5])
        np.testing.assert_array_equal(await features.numpy(slices=(slice(1, 3), 0, 0, 0)), data[1:3, 0, 0, 0])
        np.testing.assert_array_equal(await features.numpy(slices=np.s_[1:3, ..., 5]), data[1:3, ..., 5])
        np.testing.assert_array_equal(await features.numpy(slices=np.s_[..., 5]), data[..., 5])
        np.testing.assert_array_equal(await features.numpy(slices=np.s_[...]), data)
        np.testing.assert_array_equal(await features.numpy(slices=np.s_[2]), data[2])
        for bad in (np.s_[..., 0, ...], np.s_[0, 0, 0, 0, 0]):
            with pytest.raises((IndexError, TypeError)):
                await features.numpy(slices=bad)
        await features.set_region(0, slices=(1,))
        data[1] = 0
        np.testing.assert_array_equal(await features.numpy(), data)
        with pytest.raises(FileExistsError, match="not empty"):
            await features.from_numpy(data, overwrite=False)
        await features.from_numpy(data[0], chunks=(4, 4, 4))
        np.testing.assert_array_equal(await features.numpy(), data[0])
        with pytest.raises(ValueError, match="feature"):
            await features.from_numpy(data[0, 0])


@FORMATS
async def test_object_maps(place: Place, zarr_format: int) -> None:
    async with project(place, zarr_format=zarr_format) as root:
        ribosome, membrane = await root.get_object("ribosome"), await root.get_object("membrane")
        assert ribosome is not None
        assert membrane is not None
        assert membrane.zarr() is None
        assert await membrane.numpy() is None
        assert await ribosome.numpy() is None
        assert not await ribosome.has_density_map()
        with pytest.raises(ValueError, match="particle"):
            await membrane.from_numpy(np.ones((4, 4, 4)), 5.0)
        for call in (
            lambda: membrane.levels(),
            lambda: membrane.open_array(),
            lambda: membrane.extract([[0, 0, 0]], 4),
            lambda: membrane.to_dask(),
            lambda: membrane.set_region(0),
            lambda: anext(membrane.slabs()),
        ):
            with pytest.raises(NotFoundError, match="particle"):
                await call()
        data = noise(12, 12, 12)
        await ribosome.from_numpy(data, 2.5)
        assert await ribosome.has_density_map()
        np.testing.assert_array_equal(await ribosome.numpy(), data)
        [level] = await ribosome.levels()
        assert level.voxel_size == (2.5, 2.5, 2.5)
        await ribosome.set_region(0, z=slice(0, 3))
        assert (await ribosome.numpy(z=2)).sum() == 0
    async with project(place, read_only=True) as root:
        ribosome = await root.get_object("ribosome")
        assert ribosome is not None
        assert (await ribosome.numpy()).shape == (12, 12, 12)


async def test_levels_for_a_voxel_size(memory: Place) -> None:
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(noise(16, 16, 16))
        for size, path in ((1, "0"), (10, "0"), (19.99, "0"), (20, "1"), (20.0004, "1"), (39, "1"), (1000, "2")):
            assert (await tomogram.level_for(size)).path == path
        for size in (0, -10, np.nan, np.inf):
            with pytest.raises(ValueError, match="voxel_size"):
                await tomogram.level_for(size)


@FORMATS
async def test_boxes_are_filled_at_the_edges_and_in_order(memory: Place, zarr_format: int) -> None:
    data = noise(33, 50, 41, dtype=np.int16)
    async with project(memory, zarr_format=zarr_format) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(
            data, dtype=None, chunks=(16, 16, 16), shards=(32, 32, 32) if zarr_format == 3 else None
        )
        rng = np.random.default_rng(3)
        voxels = rng.integers(-10, 60, (50, 3))
        positions = voxels[:, ::-1] * SIZE + rng.uniform(-4.9, 4.9, (50, 3))
        box = (4, 7, 10)
        boxes = await tomogram.extract(positions, box, fill=-7)
        assert boxes.shape == (50, 4, 7, 10)
        assert boxes.dtype == np.int16
        padded = np.pad(data, 80, constant_values=-7)
        for cut, corner in zip(boxes, voxels - np.array(box) // 2 + 80, strict=True):
            z, y, x = corner
            np.testing.assert_array_equal(cut, padded[z : z + 4, y : y + 7, x : x + 10])
        assert (await tomogram.extract(np.empty((0, 3)), 8)).shape == (0, 8, 8, 8)
        assert (await tomogram.extract([], 8)).shape == (0, 8, 8, 8)
        half = await tomogram.extract(positions, 4, "1")
        assert half.shape == (50, 4, 4, 4)
        for bad in (
            {"positions": [[1, 2]], "box": 4},
            {"positions": [[0, 0, np.nan]], "box": 4},
            {"positions": [[0, 0, 0]], "box": 0},
            {"positions": [[0, 0, 0]], "box": (4, 4)},
            {"positions": [[0, 0, 0]], "box": None},
            {"positions": [[0, 0, 0]], "box": np.inf},
            {"positions": [[0, 0, 0]], "box": 10**30},
            {"positions": np.empty((5, 0)), "box": 4},
            {"positions": [[0, 0, 0]], "box": 4, "fill": 1e6},
            {"positions": [[0, 0, 0]], "box": 4, "fill": 0.5},
            {"positions": [[0, 0, 0]], "box": 4, "fill": None},
            {"positions": [[0, 0, 0]], "box": 4, "fill": 1j},
            {"positions": [[0, 0, 0]], "box": 4, "fill": [1]},
        ):
            with pytest.raises(ValueError, match=r"positions|box|fill"):
                await tomogram.extract(**bad)


@FORMATS
async def test_axes_in_another_order_are_cut_and_shown_by_their_names(memory: Place, zarr_format: int) -> None:
    pytest.importorskip("dask", reason="dask is not installed")
    data = noise(33, 50, 41)
    async with project(memory, zarr_format=zarr_format) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(data, chunks=(16, 16, 16))
        turned = await (await spacing_of(root)).new_tomogram("turned")
        # y, x, z
        await turned.from_numpy(data.transpose(1, 2, 0), chunks=(16, 16, 16))
        await name_axes(turned, "yxz", SIZE)
        positions = np.random.default_rng(3).uniform(-50, 450, (20, 3))
        for group in (None, "1"):
            np.testing.assert_allclose(
                await turned.extract(positions, (4, 7, 10), group),
                await tomogram.extract(positions, (4, 7, 10), group),
                atol=1e-3,
            )
        shown, _, _ = await aiocopick.layer_data(turned)
        np.testing.assert_array_equal(shown, data)
        lazily, _, _ = await aiocopick.layer_data(turned, lazy=True)
        np.testing.assert_array_equal(lazily[0], data)
        features = await tomogram.new_features("last")
        await features.from_numpy(noise(8, 9, 10, 2))
        await name_axes(features, "zyxc", SIZE)
        with pytest.raises(FormatError, match="last axes"):
            await features.extract(positions, 4)


async def test_a_level_that_the_group_does_not_name_has_a_voxel_size(memory: Place) -> None:
    data = noise(33, 50, 41)
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(data)
        expected = await tomogram.extract([[100.0, 120.0, 140.0]], 4, "2")
        document = json.loads((await tomogram.zarr().get(".zattrs", default_buffer_prototype())).to_bytes())
        del document["multiscales"][0]["datasets"][1:]
        await write_document(tomogram, ".zattrs", document)
        assert [level.path for level in await tomogram.levels()] == ["0"]
        np.testing.assert_array_equal(await tomogram.extract([[100.0, 120.0, 140.0]], 4, "2"), expected)
        _, keywords, _ = await aiocopick.layer_data(tomogram, zarr_group="1")
        assert keywords["scale"] == (20.0, 20.0, 20.0)


async def test_a_level_that_is_named_but_missing_is_left_out(memory: Place) -> None:
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(noise(4, 4, 4), levels=2)
        document = await tomogram.zarr().get("1/.zarray", default_buffer_prototype())
        await tomogram.zarr().delete("1/.zarray")
        tomogram.refresh()
        with pytest.raises(NotFoundError, match="not complete, level '1' is missing; there is 0"):
            await tomogram.numpy("1")
        assert [level.path for level in await tomogram.levels()] == ["0"]
        assert (await tomogram.numpy()).shape == (4, 4, 4)
        await tomogram.zarr().set("1/.zarray", document)
        assert (await tomogram.numpy("1")).shape == (2, 2, 2)
        with pytest.raises(NotFoundError, match="there is no level '7', only 0, 1"):
            await tomogram.numpy("7")


@pytest.mark.parametrize("shape", [(), (4,), (4, 4)])
async def test_arrays_that_are_no_volumes_are_refused(memory: Place, shape: tuple[int, ...]) -> None:
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(noise(4, 4, 4), levels=1)
        document = json.loads((await tomogram.zarr().get("0/.zarray", default_buffer_prototype())).to_bytes())
        await write_document(tomogram, "0/.zarray", document | {"shape": list(shape), "chunks": list(shape)})
        await write_document(tomogram, ".zattrs", {})
        for call in (
            lambda: tomogram.numpy(),
            lambda: tomogram.extract([[0, 0, 0]], 4),
            lambda: anext(tomogram.slabs()),
            lambda: aiocopick.layer_data(tomogram),
            lambda: aiocopick.layer_data(tomogram, lazy=True),
        ):
            with pytest.raises(FormatError, match="at least 3 axes"):
                await call()


async def test_slabs_make_up_the_volume(memory: Place) -> None:
    data = noise(33, 50, 41)
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(data, chunks=(16, 16, 16))
        for axis, number in (("z", 0), ("y", 1), ("x", 2), (1, 1), (-1, 2)):
            for thickness in (None, 1, 7, 16, 20, 1000):
                slabs = [slab async for slab in tomogram.slabs(axis, thickness)]
                np.testing.assert_array_equal(np.concatenate(slabs, axis=number), data)
                assert {slab.shape[number] for slab in slabs[:-1]} <= {thickness or 16}
        assert len([slab async for slab in tomogram.slabs("z", 11.0)]) == 3  # type: ignore[arg-type]
        for axis_that_is_none in ("w", None, 1.5, True):
            with pytest.raises(ValueError, match="axis"):
                tomogram.slabs(axis_that_is_none)  # type: ignore[arg-type]
        for no_thickness in (0, 1.5, "1", True):
            with pytest.raises(ValueError, match="thickness"):
                tomogram.slabs("z", no_thickness)  # type: ignore[arg-type]
        async for _ in tomogram.slabs():
            break


async def test_thin_slabs_take_the_memory_of_one_layer(memory: Place) -> None:
    shape = (32, 256, 256)
    layer = 16 * 256 * 256 * 4
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(np.ones(shape), levels=1, chunks=(16, 32, 32))
        slabs = tomogram.slabs("z", 1)
        tracemalloc.start()
        try:
            for _ in range(shape[0] // 2):
                slab = await anext(slabs)
                assert slab.shape == (1, 256, 256)
                tracemalloc.reset_peak()
            await anext(slabs)
            tracemalloc.reset_peak()
            for _ in range(3):
                await anext(slabs)
            assert tracemalloc.get_traced_memory()[1] < 1.5 * layer
        finally:
            tracemalloc.stop()


async def test_a_region_larger_than_allowed_is_refused(memory: Place) -> None:
    async with project(memory, max_array_bytes=10_000) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(noise(20, 20, 20), chunks=(10, 10, 10), levels=1)
        with pytest.raises(FormatError, match="max_array_bytes"):
            await tomogram.numpy()
        assert (await tomogram.numpy(z=slice(0, 5))).shape == (5, 20, 20)
        with pytest.raises(FormatError, match="max_array_bytes"):
            await tomogram.extract(np.zeros((100, 3)), 10)


async def test_read_only_projects_refuse_all_changes(place: Place) -> None:
    data = noise(9, 9, 9)
    async with project(place) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(data)
        features = await tomogram.new_features("embedding")
        await features.from_numpy(data)
        segmentation = await tomogram.voxel_spacing.run.new_segmentation(SIZE, "membrane", "1")
        await segmentation.from_numpy(data > 0)
    async with project(place, read_only=True) as root:
        [run] = await root.runs()
        [spacing] = await run.voxel_spacings()
        [tomogram] = await spacing.tomograms()
        [features] = await tomogram.features()
        [segmentation] = await run.segmentations()
        ribosome = await root.get_object("ribosome")
        assert ribosome is not None
        for change in (
            lambda: tomogram.from_numpy(data),
            lambda: tomogram.set_region(0, z=0),
            lambda: tomogram.set_region(0, z=0, update_pyramid=True),
            lambda: tomogram.delete(),
            lambda: features.from_numpy(data),
            lambda: features.set_region(0, slices=(0,)),
            lambda: segmentation.from_numpy(data > 0),
            lambda: segmentation.set_region(0, z=0),
            lambda: ribosome.from_numpy(data, 1.0),
            lambda: tomogram.zarr().clear(),
            lambda: tomogram.zarr().delete_dir("0"),
        ):
            with pytest.raises(ReadOnlyError):
                await change()
        array = await tomogram.open_array()
        with pytest.raises(ReadOnlyError):
            await array.setitem((slice(None),) * 3, 0)
        assert not {"write", "delete", "copy"} & root.stats.requests.keys()
        np.testing.assert_array_equal(await tomogram.numpy(), data)


async def test_what_was_written_through_the_store_is_replaced_too(memory: Place) -> None:
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        group = await zarr.api.asynchronous.open_group(tomogram.zarr(), mode="r+")
        await group.create_array("0", shape=(8, 8, 8), chunks=(4, 4, 4), dtype="f4")
        await group.create_array("raw", shape=(8,), dtype="f4")
        await tomogram.from_numpy(noise(4, 4, 4), levels=1)
        keys = [key async for key in tomogram.zarr().list()]
        assert set(keys) == {".zgroup", ".zattrs", "0/.zarray", "0/0/0/0"}


async def test_regions_are_changed_side_by_side(memory: Place) -> None:
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(np.zeros((64, 8, 8)), chunks=(16, 8, 8), levels=2)
        for _ in range(5):
            tomogram.refresh()
            # Regions of 32 planes share no chunk of either level.
            async with anyio.create_task_group() as group:
                for z in (0, 32):
                    change = partial(tomogram.set_region, 1.0, z=slice(z, z + 32), update_pyramid=True)
                    group.start_soon(change)
        assert (await tomogram.numpy("1")).min() == 1


async def test_regions_are_taken_from_what_must_be_computed(memory: Place) -> None:
    data = noise(12, 13, 14)
    threads: set[threading.Thread] = set()

    class Lazy:
        shape, dtype = data.shape, data.dtype

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            threads.add(threading.current_thread())
            return data

    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(np.zeros_like(data), chunks=(5, 5, 5))
        await tomogram.set_region(Lazy())
        np.testing.assert_array_equal(await tomogram.numpy(), data)
        assert threading.current_thread() not in threads


async def test_readers_and_writers_of_one_entity_side_by_side(memory: Place) -> None:
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        data = noise(32, 32, 32)
        await tomogram.from_numpy(data, chunks=(16, 16, 16))
        tomogram.refresh()
        results: list[Any] = []

        async def read(z: int) -> None:
            results.append((z, await tomogram.numpy(z=z)))

        async with anyio.create_task_group() as group:
            for z in range(32):
                group.start_soon(read, z)
        for z, plane in results:
            np.testing.assert_array_equal(plane, data[z])
