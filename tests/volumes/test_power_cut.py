"""Volumes on a local disk when the power fails: old, empty, or whole and new; and synced together, not chunk by chunk."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import anyio.to_thread
import numpy as np
import pytest
import zarr

import aiocopick
from aiocopick import upkeep
from aiocopick.errors import CopickError, NotFoundError, StorageError, StorageTimeoutError
from tests.storage.power_cut import PowerCut, State, needs_proc, put_down
from tests.volumes.places import Place
from tests.volumes.projects import METADATA_NAMES, noise, project, spacing_of, tomogram_of

pytestmark = [pytest.mark.asyncio, needs_proc]

OLD, NEW = noise(12, 12, 12), noise(16, 12, 8) + 1000
VOLUME = "ExperimentRuns/TS_1/VoxelSpacing10.000/wbp.zarr"


async def seen(root: str, **options: Any) -> str:
    """What somebody who opens the tomogram, or its finest level by name, now finds."""
    found = {await _opened(root, **options), await anyio.to_thread.run_sync(_by_name, Path(root) / VOLUME)}
    return found.pop() if len(found) == 1 else f"torn: {found}" if "torn" in str(found) else "/".join(sorted(found))


async def _opened(root: str, **options: Any) -> str:
    async with aiocopick.open(root, **options) as opened:
        tomogram = await (await (await opened.get_run("TS_1")).get_voxel_spacing(10.0)).get_tomogram("wbp")
        if tomogram is None:
            return "empty"
        try:
            return _told(await tomogram.numpy())
        except NotFoundError:
            return "empty"
        except CopickError as error:
            return f"torn: {error}"


def _by_name(volume: Path) -> str:
    try:
        return _told(zarr.open_array(str(volume), path="0", mode="r")[:])
    except (FileNotFoundError, KeyError):
        return "empty"
    except Exception as error:
        return f"torn: {error!r}"


def _told(data: Any) -> str:
    same = {"old": OLD, "new": NEW}
    return next((name for name, other in same.items() if np.array_equal(data, other)), "torn")


def some(states: list[State], most: int = 100) -> list[State]:
    """The first ones, every so many of the others, and the last one."""
    first, others = states[:4], states[4:]
    step = -(-len(others) // most) or 1
    return first + others[::-1][::step][::-1]


async def told(states: list[State], folder: Path) -> dict[str, int]:
    """How often the volume is what in some states of a disk."""
    found: dict[str, int] = {}
    for number, state in enumerate(some(states)):
        place = folder / str(number)
        await anyio.to_thread.run_sync(put_down, state, place)
        what = await seen(str(place))
        found[what] = found.get(what, 0) + 1
    return found


async def written(root: Path, data: Any, zarr_format: int, **options: Any) -> None:
    async with project(Place("local", str(root)), zarr_format=zarr_format) as opened:
        tomogram = await (await spacing_of(opened)).new_tomogram("wbp", exist_ok=True)
        await tomogram.from_numpy(data, levels=2, chunks=(4, 4, 4), **options)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "after", "options"),
    [(None, 2, {}), (None, 3, {}), (2, 2, {}), (2, 3, {"shards": (8, 8, 8)}), (3, 2, {}), (3, 3, {})],
)
async def test_a_volume_is_old_or_empty_or_whole_and_new(
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    before: int | None,
    after: int,
    options: dict[str, Any],
) -> None:
    if before is None:
        async with project(Place("local", str(root)), zarr_format=after) as opened:
            await tomogram_of(opened)
    else:
        await written(root, OLD, before)
    with monkeypatch.context() as patch:
        cut = PowerCut(patch, root, cuts=True)
        await written(root, NEW, after, **options)
    found = await told(cut.states, tmp_path)
    assert not [what for what in found if "torn" in what]
    assert {"empty", "new"} <= found.keys()
    assert ("old" in found) is (before is not None)
    # What was acknowledged is there.
    assert set(await told(cut.states[-1:], tmp_path / "project")) == {"new"}
    assert all(cut.keeps(path) for path in (root / VOLUME).rglob("*") if path.is_file())


@pytest.mark.parametrize("there", ["nothing", "another", "a part"])
async def test_a_copied_volume_is_old_or_empty_or_whole(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str
) -> None:
    await written(root, OLD if there == "another" else NEW, 2)
    (tmp_path / "source").mkdir()
    await written(tmp_path / "source", NEW, 2)
    if there == "nothing":
        await _deleted(root)
    if there == "a part":
        (root / VOLUME / "0/0/0/0").unlink()
    async with aiocopick.open(str(tmp_path / "source")) as source, aiocopick.open(str(root)) as target:
        with monkeypatch.context() as patch:
            cut = PowerCut(patch, root, cuts=True)
            await upkeep.copy(source, target, overwrite=there == "another")
    assert all(cut.keeps(path) for path in (root / VOLUME).rglob("*") if path.is_file())
    if there == "a part":
        # It was shown with a hole before; the chunk must not be there as half of one.
        sizes = {len(state[f"{VOLUME}/0/0/0/0"] or b"") for state in cut.states if f"{VOLUME}/0/0/0/0" in state}
        assert sizes == {(root / VOLUME / "0/0/0/0").stat().st_size}
        return
    found = await told(cut.states, tmp_path)
    assert not [what for what in found if "torn" in what]
    assert ("old" in found) is (there == "another")
    assert {"empty", "new"} <= found.keys()


async def _deleted(root: Path) -> None:
    async with aiocopick.open(str(root)) as opened:
        await (await (await (await opened.get_run("TS_1")).get_voxel_spacing(10.0)).get_tomogram("wbp")).delete()


async def test_a_copy_made_in_the_overlay_hides_the_original_only_when_it_is_whole(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await written(root, OLD, 2)
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    config = {"config_type": "filesystem", "pickable_objects": [], "static_root": str(root)}
    with monkeypatch.context() as patch:
        cut = PowerCut(patch, overlay, cuts=True)
        async with aiocopick.open({**config, "overlay_root": str(overlay)}) as opened:
            tomogram = await (await (await opened.get_run("TS_1")).get_voxel_spacing(10.0)).get_tomogram("wbp")
            await tomogram.set_region(OLD[:4, :4, :4], x=slice(4), y=slice(4), z=slice(4))
    assert (overlay / VOLUME / "0/.zarray").exists()
    for number, state in enumerate(some(cut.states)):
        place = tmp_path / str(number)
        await anyio.to_thread.run_sync(put_down, state, place)
        async with aiocopick.open({**config, "overlay_root": str(place)}) as opened:
            tomogram = await (await (await opened.get_run("TS_1")).get_voxel_spacing(10.0)).get_tomogram("wbp")
            assert np.array_equal(await tomogram.numpy(), OLD)
    assert all(cut.keeps(path) for path in (overlay / VOLUME).rglob("*") if path.is_file())


async def test_chunks_are_synced_together_before_the_metadata(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with project(Place("local", str(root))) as opened:
        tomogram = await tomogram_of(opened)
        with monkeypatch.context() as patch:
            cut = PowerCut(patch, root)
            await tomogram.from_numpy(noise(16, 16, 16), levels=1, chunks=(4, 4, 4))
    calls = [(name, path) for name, path in cut.calls if path.startswith(f"{VOLUME}/")]
    put = [path for name, path in calls if name == "replace" and os.path.basename(path) not in METADATA_NAMES]
    files = [path for name, path in calls if name == "fsync" and path in put]
    folders = [path for name, path in calls if name == "fsync" and (root / path).is_dir()]
    assert len(put) == len(set(put)) == 64
    assert sorted(files) == sorted(put)
    # A folder of four chunks is synced for all of them, or for those in each of two batches.
    assert set(folders) == {f"{VOLUME}/0"} | {f"{VOLUME}/0/{z}" for z in range(4)} | {
        f"{VOLUME}/0/{z}/{y}" for z in range(4) for y in range(4)
    }
    assert len(folders) < 50
    shown = min(calls.index(call) for call in calls if call == ("replace", f"{VOLUME}/0/.zarray"))
    at = [index for index, call in enumerate(calls) if call[1] in put]
    assert max(at) < shown
    assert max(index for index, call in enumerate(calls) if call[1] in folders and call[1] != f"{VOLUME}/0") < shown
    # Not one by one: the first is synced when several are there, and long before the last is written.
    first = min(index for index, (name, path) in enumerate(calls) if name == "fsync" and path in put)
    assert 8 <= sum(path in put for name, path in calls[:first] if name == "replace") <= 32


@pytest.mark.parametrize(("what", "code"), [("a file", errno.EIO), ("a folder", errno.EIO), ("a file", errno.ESTALE)])
async def test_a_failing_sync_fails_the_write_and_shows_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, what: str, code: int
) -> None:
    """Nor is it tried again: the system would say that all is well."""
    fsync, failed = os.fsync, []

    def failing(handle: int) -> None:
        path = os.readlink(f"/proc/self/fd/{handle}")
        is_folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        if f"{VOLUME}/0/" in path and is_folder is (what == "a folder") and not failed:
            failed.append(path)
            raise OSError(code, "as the test asked for")
        fsync(handle)

    async with project(Place("local", str(root)), retries=3) as opened:
        tomogram = await tomogram_of(opened)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failing)
            with pytest.raises(StorageError, match=r"Cannot write .*wbp\.zarr/0/"):
                await tomogram.from_numpy(NEW, levels=1, chunks=(4, 4, 4))
        assert await seen(str(root)) == "empty"
        await tomogram.from_numpy(NEW, levels=1, chunks=(4, 4, 4))
    assert failed
    assert await seen(str(root)) == "new"


@pytest.mark.parametrize("how", ["deadline", "cancelled"])
async def test_a_sync_that_hangs_holds_nobody_up(root: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    fsync, woken, hung = os.fsync, threading.Event(), threading.Event()

    def hanging(handle: int) -> None:
        path = os.readlink(f"/proc/self/fd/{handle}")
        if f"{VOLUME}/0/" in path and os.path.isfile(path):
            hung.set()
            woken.wait(60)
        fsync(handle)

    place = Place("local", str(root))
    async with project(place) as patient:
        await tomogram_of(patient)
    async with project(place, timeout=1.0 if how == "deadline" else 2.0, retries=0) as opened:
        [tomogram] = await (await spacing_of(opened)).tomograms()
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", hanging)
            try:
                with anyio.fail_after(30):
                    if how == "deadline":
                        with pytest.raises(StorageTimeoutError):
                            await tomogram.from_numpy(NEW, levels=1, chunks=(4, 4, 4))
                    else:
                        await _cancelled_at(hung, tomogram.from_numpy(NEW, levels=1, chunks=(4, 4, 4)))
            finally:
                woken.set()
        assert await seen(str(root)) == "empty"
    async with project(place) as patient:
        [tomogram] = await (await spacing_of(patient)).tomograms()
        await tomogram.from_numpy(NEW, levels=1, chunks=(4, 4, 4))
    assert await seen(str(root)) == "new"


async def _cancelled_at(hung: threading.Event, work: Awaitable[Any]) -> None:
    async with anyio.create_task_group() as group:

        async def run(work: Awaitable[Any]) -> None:
            await work

        group.start_soon(run, work)
        while not hung.is_set():
            await anyio.sleep(0.01)
        group.cancel_scope.cancel()
