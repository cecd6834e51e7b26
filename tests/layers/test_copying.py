"""Copying up, stopped at any request: what lies below stays visible."""

from __future__ import annotations

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

POSITIONS = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
VOLUME = np.arange(4 * 5 * 6, dtype=np.uint8).reshape(4, 5, 6) % 7


async def fill(config: CopickConfigFS) -> None:
    run = await AsyncRoot(config).new_run("TS_1")
    await (await run.new_picks("ribosome", "1")).from_numpy(POSITIONS)
    await run.new_mesh("membrane", "1")
    await (await run.new_segmentation(10.0, "membrane", "1")).from_numpy(VOLUME, chunks=(2, 5, 6))


async def change(root: AsyncRoot, kind: str) -> None:
    (run,) = await root.query()
    if kind == "picks":
        await (await run.picks())[0].from_numpy(POSITIONS[:1])
    elif kind == "mesh":
        mesh = (await run.meshes())[0]
        await mesh.load()
        await mesh.store()
    else:
        region = {"z": slice(0, 1), "y": slice(0, 1), "x": slice(0, 1)}
        await (await run.segmentations())[0].set_region(np.full((1, 1, 1), 6, np.uint8), **region)


async def check(root: AsyncRoot, kind: str) -> str:
    """Whatever was stopped, the entity is whole, before or after the change; returns its layer."""
    (run,) = await root.query()
    found: Any
    if kind == "picks":
        (found,) = await run.query_picks()
        assert len((await found.numpy())[0]) in (1, 2)
    elif kind == "mesh":
        (found,) = await run.query_meshes()
        await found.load()
    else:
        (found,) = await run.query_segmentations()
        data = await found.numpy()
        np.testing.assert_array_equal(data.ravel()[1:], VOLUME.ravel()[1:])
        assert data[0, 0, 0] in (0, 6)
    return str(found.layer.name)


@pytest.mark.parametrize("after", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["before", "after"])
@pytest.mark.parametrize("how", ["fails", pytest.param("is cancelled", marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["picks", "mesh", "segmentation"])
@pytest.mark.asyncio
async def test_what_lies_below_stays_visible_when_copying_is_stopped(kind: str, how: str, after: bool) -> None:
    at, layers = 0, set()
    while True:
        at += 1
        above, below = configs()
        await fill(below)
        scope = anyio.CancelScope()
        cancel = scope.cancel if how == "is cancelled" else None
        storage = FaultStorage(open_storage(above), at, after=after, cancel=cancel)
        with scope, suppress(StorageError):
            await change(stacked(FilesystemLayer(above, storage), below), kind)
        layers.add(await check(stacked(FilesystemLayer(above), below), kind))
        # And what was stopped can be done again.
        await change(stacked(FilesystemLayer(above), below), kind)
        assert await check(stacked(FilesystemLayer(above), below), kind) == "above"
        if storage.made < at:
            break
    assert at > 2
    assert layers == {"above", "below"}
