"""A volume that lies in a read-only layer is replaced in the one above, stopped at any request: one of both is seen."""

from __future__ import annotations

import itertools
from contextlib import suppress
from typing import Any

import anyio
import numpy as np
import pytest

from aiocopick import AsyncRoot, CopickConfigFS, StorageError
from aiocopick.layers.filesystem import FilesystemLayer
from aiocopick.storage import open_storage
from aiocopick.testing import FaultStorage
from tests.layers.pairs import configs, stacked

KINDS = ("tomogram", "features", "segmentation", "object")
OLD = np.arange(4 * 5 * 6, dtype=np.uint8).reshape(4, 5, 6) % 7
# Other chunks, fewer of them, and other values everywhere.
NEW = np.full((2, 4, 4), 9, np.uint8)
SIZE = 10.0


async def fill(config: CopickConfigFS, kind: str) -> None:
    root = AsyncRoot(config)
    volume: Any
    if kind == "object":
        volume = await root.get_object("ribosome")
    else:
        run = await root.new_run("TS_1")
        if kind == "segmentation":
            volume = await run.new_segmentation(SIZE, "membrane", "1")
        else:
            volume = await (await run.new_voxel_spacing(SIZE)).new_tomogram("wbp")
            if kind == "features":
                volume = await volume.new_features("sobel")
    await write(volume, OLD, (2, 3, 3))


async def write(volume: Any, data: np.ndarray[Any, Any], chunks: tuple[int, ...]) -> None:
    if volume.kind == "object":
        await volume.from_numpy(data, SIZE, dtype=np.uint8, chunks=chunks)
    elif volume.kind == "segmentation":
        await volume.from_numpy(data, chunks=chunks)
    else:
        await volume.from_numpy(data, dtype=np.uint8, chunks=chunks)


async def find(root: AsyncRoot, kind: str) -> Any:
    """The one volume, found by listing and not only by its name."""
    if kind == "object":
        return await root.get_object("ribosome")
    (run,) = await root.query()
    if kind == "segmentation":
        (volume,) = await run.query_segmentations()
        return volume
    (spacing,) = await run.query_voxelspacings()
    tomograms = await spacing.query_tomograms()
    if kind == "tomogram":
        (volume,) = tomograms
        return volume
    # The tomogram itself has no data, and lies where it was made.
    (volume,) = await tomograms[0].query_features()
    return volume


async def seen(volume: Any) -> str:
    """Which of both contents a volume shows; neither is a failure."""
    data = await volume.numpy()
    if data.shape == NEW.shape:
        np.testing.assert_array_equal(data, NEW)
        return "new"
    np.testing.assert_array_equal(data, OLD)
    return "old"


@pytest.mark.parametrize(
    ("zarr_format", "how"),
    [
        (2, "fails"),
        *(
            pytest.param(zarr_format, how, marks=pytest.mark.slow)
            for zarr_format, how in itertools.product((2, 3), ("fails", "fails after", "is cancelled"))
            if (zarr_format, how) != (2, "fails")
        ),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.asyncio
async def test_what_lies_below_is_seen_until_its_successor_is_whole(kind: str, zarr_format: int, how: str) -> None:
    states = []
    for at in range(1, 100):
        above, below = configs(zarr_format=zarr_format)
        await fill(below, kind)
        volume: Any = None
        with anyio.CancelScope() as scope:
            cancel = scope.cancel if how == "is cancelled" else None
            storage = FaultStorage(open_storage(above), 0, after=how == "fails after", cancel=cancel)
            volume = await find(stacked(FilesystemLayer(above, storage), below), kind)
            storage.at = storage.made + at
            with suppress(StorageError):
                await write(volume, NEW, (2, 2, 2))
        over = storage.made < storage.at
        storage.at = 0
        state = await seen(await find(stacked(FilesystemLayer(above), below), kind))
        states.append(state)
        # Whoever tried sees what is there as well, or what he replaced when only the last reply was lost.
        assert await seen(volume) in ("old", state)
        if over:
            assert volume.layer.name == "above"
            break
        # A change of what is seen now is not mixed with what was left there.
        found = await find(stacked(FilesystemLayer(above), below), kind)
        corner = {"z": slice(0, 1), "y": slice(0, 1), "x": slice(0, 1)}
        if kind == "features":
            await found.set_region(np.full((1, 1, 1), 5, np.uint8), slices=list(corner.values()))
        else:
            await found.set_region(np.full((1, 1, 1), 5, np.uint8), **corner)
        expected = (OLD if state == "old" else NEW).copy()
        expected[0, 0, 0] = 5
        again = await find(stacked(FilesystemLayer(above), below), kind)
        np.testing.assert_array_equal(await again.numpy(), expected)
        assert again.layer.name == "above"
        # And it can be replaced after all.
        await write(again, NEW, (2, 2, 2))
        assert await seen(await find(stacked(FilesystemLayer(above), below), kind)) == "new"
    else:
        pytest.fail("it was never replaced")
    assert states[0] == "old"
    assert states[-1] == "new"
    assert len(states) > 8
    lower = await find(AsyncRoot(below), kind)
    assert await seen(lower) == "old"


@pytest.mark.asyncio
async def test_a_name_is_free_again_when_what_was_being_replaced_is_gone() -> None:
    above, below = configs()
    await fill(below, "segmentation")
    storage = FaultStorage(open_storage(above), 0)
    volume = await find(stacked(FilesystemLayer(above, storage), below), "segmentation")
    storage.at = storage.made + 6
    with pytest.raises(StorageError):
        await write(volume, NEW, (2, 2, 2))
    await AsyncRoot(below).delete_run("TS_1")
    (run,) = await AsyncRoot(above).query()
    assert await run.query_segmentations() == []
    made = await run.new_segmentation(SIZE, "membrane", "1")
    assert [key async for key in made.zarr().list_prefix("0/")] == []
    await write(made, NEW, (1, 4, 4))
    assert await seen(await find(AsyncRoot(above), "segmentation")) == "new"
