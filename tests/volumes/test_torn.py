"""What others see of a volume while it is written, and after a write that stopped at any of its requests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
import zarr

import aiocopick
from aiocopick.errors import CopickError, NotFoundError, StorageError
from aiocopick.testing import FaultStorage, WrappedStorage
from aiocopick.volumes.pyramid import downsample_mean
from tests.children import child
from tests.volumes.places import Place
from tests.volumes.projects import noise, project, requests, spacing_of, tomogram_of, wrap

pytestmark = pytest.mark.asyncio

OLD, NEW = noise(20, 20, 20), noise(12, 12, 12) + 1000
CHANGES = pytest.mark.parametrize(("before", "after"), [(2, 2), (2, 3), (3, 2), (3, 3)])
LEVELS = {
    "old": [OLD, downsample_mean(OLD), downsample_mean(downsample_mean(OLD))],
    "new": [NEW, downsample_mean(NEW)],
}
OVERWRITE = {"chunks": (10, 10, 10), "levels": 2}


async def write_old(place: Place, zarr_format: int) -> None:
    async with project(place, zarr_format=zarr_format) as root:
        await (await tomogram_of(root)).from_numpy(OLD, chunks=(10, 10, 10), levels=3)


async def seen(place: Place) -> str:
    """What somebody who opens the tomogram now finds."""
    async with aiocopick.open(place.root, fs_args=place.fs_args) as root:
        [run] = await root.runs()
        [spacing] = await run.voxel_spacings()
        try:
            data = [
                await tomogram.numpy(level.path)
                for tomogram in await spacing.tomograms()
                for level in await tomogram.levels()
            ]
        except NotFoundError:
            return "empty"
        for name, expected in LEVELS.items():
            if len(data) == len(expected) and all(map(np.array_equal, data, expected)):
                return name
        return "torn" if data else "empty"


@CHANGES
async def test_whoever_opens_in_between_sees_empty_never_a_mixture(memory: Place, before: int, after: int) -> None:
    await write_old(memory, before)
    history: list[str] = []

    class Looking(WrappedStorage):
        async def around(self, verb: str, key: str, call: Any) -> Any:
            result = await call()
            if verb in ("write", "delete"):
                history.append(await seen(memory))
            return result

    async with project(memory, zarr_format=after, max_concurrency=1) as root:
        tomogram = await (await spacing_of(root)).new_tomogram("wbp", exist_ok=True)
        wrap(root, Looking)
        await tomogram.from_numpy(NEW, **OVERWRITE)
    assert history[-1] == await seen(memory) == "new"
    order = ["old", "empty", "new"]
    assert [order.index(state) for state in history] == sorted(order.index(state) for state in history)
    assert "empty" in history


@pytest.mark.slow
@CHANGES
@pytest.mark.parametrize("how", ["fails", "fails after", "is cancelled"])
async def test_an_overwrite_that_stops_at_any_request_tears_nothing(
    memory: Place, before: int, after: int, how: str
) -> None:
    states = set()
    for at in range(1, 200):
        await write_old(memory, before)
        async with project(memory, zarr_format=after) as root:
            tomogram = await (await spacing_of(root)).new_tomogram("wbp", exist_ok=True)
            with anyio.CancelScope() as scope:
                cancel = scope.cancel if how == "is cancelled" else None
                storage = wrap(
                    root,
                    lambda inner, at=at, cancel=cancel: FaultStorage(
                        inner, at, after=how == "fails after", cancel=cancel
                    ),
                )
                try:
                    await tomogram.from_numpy(NEW, **OVERWRITE)
                except StorageError:
                    assert how != "is cancelled"
            state = await seen(memory)
            states.add(state)
            assert state != "torn", f"request {at}"
            if storage.made < at:
                assert state == "new"
                break
            # The same entity, or somebody else, writes again.
            storage.at = 0
            await tomogram.from_numpy(NEW, **OVERWRITE)
            assert await seen(memory) == "new", f"request {at}"
            keys = {key async for key in tomogram.zarr().list()}
            chunks = {key for key in keys if not key.endswith((".zattrs", ".zarray", ".zgroup", "zarr.json"))}
            assert chunks == {f"0/{z}/{y}/{x}" for z in (0, 1) for y in (0, 1) for x in (0, 1)} | {"1/0/0/0"}
            await root.delete_run("TS_1")
    else:
        pytest.fail("the overwrite never came through")
    assert states == {"old", "empty", "new"} - ({"new"} if at == 1 else set())


@pytest.mark.parametrize("zarr_format", [2, 3])
async def test_a_volume_that_is_deleted_in_part_is_empty(memory: Place, zarr_format: int) -> None:
    for at in range(1, 100):
        await write_old(memory, zarr_format)
        async with project(memory) as root:
            tomogram = await (await spacing_of(root)).new_tomogram("wbp", exist_ok=True)
            storage = wrap(root, lambda inner, at=at: FaultStorage(inner, at))
            try:
                await tomogram.delete()
            except StorageError:
                assert await seen(memory) in ("old", "empty")
                storage.at = 0
                await tomogram.delete()
            assert await seen(memory) == "empty"
            # A lease that could not be given back is no failure of what was done.
            if storage.made < at:
                return
    pytest.fail("the deletion never came through")


READER = Path(__file__).with_name("reader.py")


@pytest.fixture
def reader(local: Place) -> Iterator[Callable[[], str]]:
    """Ask another process what it finds when it opens the tomogram, with aiocopick and with zarr alone."""
    with child([sys.executable, READER, local.root], stdin=subprocess.PIPE) as process:

        def ask() -> str:
            process.stdin.write("look\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            return process.stdout.readline().strip()  # type: ignore[union-attr]

        yield ask
        process.communicate()
        assert process.returncode == 0


@pytest.mark.slow
@CHANGES
async def test_another_process_reads_while_every_request_of_an_overwrite_fails(
    local: Place, reader: Callable[[], str], before: int, after: int
) -> None:
    # Sums are whole numbers, so that they are exact in every process.
    old, new = np.full((8, 8, 8), 3, np.float32), np.full((5, 5, 5), 7, np.float32)
    allowed = {"empty empty", f"{old.sum():.0f} {old.sum():.0f}", f"{new.sum():.0f} {new.sum():.0f}"}
    # The old array can still be opened by its name when the group says that there is none.
    allowed |= {f"empty {old.sum():.0f}"}
    for at in range(1, 100):
        async with project(local, zarr_format=before) as root:
            tomogram = await (await spacing_of(root)).new_tomogram("wbp", exist_ok=True)
            await tomogram.from_numpy(old, chunks=(4, 4, 4), levels=1)
        async with project(local, zarr_format=after) as root:
            tomogram = await (await spacing_of(root)).new_tomogram("wbp", exist_ok=True)
            storage = wrap(root, lambda inner, at=at: FaultStorage(inner, at))
            failed = False
            try:
                await tomogram.from_numpy(new, chunks=(4, 4, 4), levels=1)
            except StorageError:
                failed = True
            found = await anyio.to_thread.run_sync(reader)
            assert found in allowed, f"request {at}: {found}"
            if not failed:
                assert found == f"{new.sum():.0f} {new.sum():.0f}"
                if storage.made < at:
                    return
    pytest.fail("the overwrite never came through")


async def test_a_first_write_that_fails_leaves_an_empty_volume(memory: Place) -> None:
    for at in range(1, 100):
        async with project(memory) as root:
            tomogram = await (await spacing_of(root, f"TS_{at}")).new_tomogram("wbp")
            storage = wrap(root, lambda inner, at=at: FaultStorage(inner, at))
            try:
                await tomogram.from_numpy(NEW, **OVERWRITE)
            except CopickError:
                storage.at = 0
                with pytest.raises(NotFoundError):
                    await tomogram.numpy()
                # What it left behind is removed before the next try.
                await tomogram.from_numpy(NEW[:5, :5, :5])
                keys = [key async for key in tomogram.zarr().list()]
                assert sorted(keys) == sorted(
                    [".zgroup", ".zattrs", *(f"{level}/{name}" for level in range(3) for name in (".zarray", "0/0/0"))]
                )
            else:
                came_through, storage.at = storage.made < at, 0
                assert np.array_equal(await tomogram.numpy(), NEW)
                if came_through:
                    return
    pytest.fail("the write never came through")


async def test_refused_data_sends_no_request(memory: Place) -> None:
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        requests(root)
        with pytest.raises(ValueError, match="levels"):
            await tomogram.from_numpy(NEW, levels=0)
        assert requests(root) == {}
        assert zarr.open_group(tomogram.zarr(), mode="r").attrs == {}
