"""Everyday operations, whose requests are counted: each on a project that nothing is known of yet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from aiocopick import AsyncRoot, CopickRootFS

OBJECTS = [
    {"name": "ribosome", "is_particle": True, "label": 1},
    {"name": "membrane", "is_particle": False, "label": 2},
]
SETTINGS: dict[str, Any] = {"user_id": "me", "session_id": "1", "pickable_objects": OBJECTS}
RUNS = tuple(f"TS_{index}" for index in range(1, 6))

POSITIONS = np.array([[1.0, 2.0, 3.0], [4.5, 5.25, 6.125]])
VOLUME = np.arange(16**3, dtype=np.float32).reshape(16, 16, 16)


def fill(root: CopickRootFS) -> None:
    """Five runs with something of each kind."""
    for name in RUNS:
        run = root.new_run(name)
        tomogram = run.new_voxel_spacing(10.0).new_tomogram("wbp")
        tomogram.from_numpy(VOLUME, levels=2, chunks=(8, 8, 8))
        tomogram.new_features("sobel").from_numpy(VOLUME)
        run.new_picks("ribosome", "1").from_numpy(POSITIONS)
        run.new_picks("ribosome", "0", "tool").from_numpy(POSITIONS)
        run.new_mesh("membrane", "1")
        run.new_segmentation(10.0, "membrane", "1").from_numpy(VOLUME > 7)
        run.new_filaments("ribosome", "1").from_numpy([POSITIONS])


async def _run(root: AsyncRoot) -> Any:
    return await root.get_run("TS_1")


async def _tomogram(root: AsyncRoot) -> Any:
    [spacing] = await (await _run(root)).voxel_spacings()
    return await spacing.get_tomogram("wbp")


async def _runs(root: AsyncRoot) -> None:
    assert len(await root.runs()) == len(RUNS)


async def _every_list(root: AsyncRoot) -> None:
    run = await _run(root)
    for noun in ("voxel_spacings", "picks", "meshes", "segmentations", "filaments"):
        assert await getattr(run, noun)()


async def _query_picks(root: AsyncRoot) -> None:
    assert len(await (await _run(root)).query_picks()) == 2


async def _read_picks(root: AsyncRoot) -> None:
    [picks] = await (await _run(root)).get_picks(user_id="me")
    assert len((await picks.numpy())[0]) == 2


async def _read_mesh(root: AsyncRoot) -> None:
    [mesh] = await (await _run(root)).get_meshes()
    await mesh.load()


async def _read_tomogram(root: AsyncRoot) -> None:
    assert (await (await _tomogram(root)).numpy()).shape == (16, 16, 16)


async def _read_box(root: AsyncRoot) -> None:
    tomogram = await _tomogram(root)
    assert (await tomogram.extract([[40.0, 40.0, 40.0]], 4)).shape == (1, 4, 4, 4)


async def _read_levels(root: AsyncRoot) -> None:
    assert len(await (await _tomogram(root)).levels()) == 2


async def _read_segmentation(root: AsyncRoot) -> None:
    [segmentation] = await (await _run(root)).get_segmentations()
    assert (await segmentation.numpy()).any()


async def _crawl(root: AsyncRoot) -> None:
    async with root.crawl() as runs:
        assert [run.name async for run in runs] == list(RUNS)


async def _crawl_picks(root: AsyncRoot) -> None:
    async with root.crawl(kinds={"picks"}, load={"picks"}) as runs:
        assert [len(await run.picks()) async for run in runs] == [2] * len(RUNS)


async def _prefetch(root: AsyncRoot) -> None:
    await root.prefetch()


async def _discover_objects(root: AsyncRoot) -> None:
    assert await root.discover_objects() == ["membrane", "ribosome"]


async def _new_run(root: AsyncRoot) -> None:
    await root.new_run("TS_9")


async def _new_picks(root: AsyncRoot) -> None:
    await (await (await _run(root)).new_picks("ribosome", "9")).from_numpy(POSITIONS)


async def _store_picks(root: AsyncRoot) -> None:
    [picks] = await (await _run(root)).get_picks(user_id="me")
    await picks.load()
    picks.points = picks.points[:1]
    await picks.store()


async def _new_tomogram(root: AsyncRoot) -> None:
    spacing = await (await _run(root)).get_voxel_spacing(10.0)
    await (await spacing.new_tomogram("denoised")).from_numpy(VOLUME, levels=2, chunks=(8, 8, 8))


async def _new_segmentation(root: AsyncRoot) -> None:
    segmentation = await (await _run(root)).new_segmentation(10.0, "membrane", "9")
    await segmentation.from_numpy(VOLUME > 7, chunks=(8, 8, 8))


async def _set_region(root: AsyncRoot) -> None:
    await (await _tomogram(root)).set_region(VOLUME[:4], z=slice(0, 4))


async def _delete_picks(root: AsyncRoot) -> None:
    await (await _run(root)).delete_picks("ribosome")


async def _delete_tomogram(root: AsyncRoot) -> None:
    await (await _tomogram(root)).delete()


async def _delete_run(root: AsyncRoot) -> None:
    await root.delete_run("TS_1")


ASYNC: dict[str, Callable[[AsyncRoot], Awaitable[None]]] = {
    "list the runs": _runs,
    "get a run and all its lists": _every_list,
    "get a run and query its picks": _query_picks,
    "get a run and read picks": _read_picks,
    "get a run and read a mesh": _read_mesh,
    "get a run and read a tomogram of eight chunks": _read_tomogram,
    "get a run and cut a box of eight chunks": _read_box,
    "get a run and the levels of a tomogram": _read_levels,
    "get a run and read a segmentation": _read_segmentation,
    "crawl five runs": _crawl,
    "crawl five runs and load their picks": _crawl_picks,
    "prefetch five runs": _prefetch,
    "discover the objects of five runs": _discover_objects,
    "make a run": _new_run,
    "get a run, make and store picks": _new_picks,
    "get a run, read and store picks": _store_picks,
    "get a run, make and write a tomogram": _new_tomogram,
    "get a run, make and write a segmentation": _new_segmentation,
    "get a run and change a region of a tomogram": _set_region,
    "get a run and delete its picks": _delete_picks,
    "get a run and delete a tomogram": _delete_tomogram,
    "delete a run": _delete_run,
}


def _blocking_runs(root: CopickRootFS) -> None:
    assert len(root.runs) == len(RUNS)


def _blocking_loop(root: CopickRootFS) -> None:
    assert [len(run.picks) for run in root.runs] == [2] * len(RUNS)


def _blocking_filters(root: CopickRootFS) -> None:
    for run in root.runs:
        [picks] = run.get_picks("ribosome", user_id="me")
        assert len(picks.numpy()[0]) == 2


def _blocking_spacings(root: CopickRootFS) -> None:
    for run in root.runs:
        spacing = run.get_voxel_spacing(10.0)
        assert spacing is not None
        assert [len(tomogram.features) for tomogram in spacing.tomograms] == [1]


def _blocking_crawl(root: CopickRootFS) -> None:
    assert [len(run.picks) for run in root.crawl()] == [2] * len(RUNS)


def _blocking_refresh(root: CopickRootFS) -> None:
    run = root.get_run("TS_1")
    assert run is not None
    run.refresh()
    run.refresh_picks()
    root.refresh()


def _blocking_new_picks(root: CopickRootFS) -> None:
    run = root.get_run("TS_1")
    assert run is not None
    run.new_picks("ribosome", "9").from_numpy(POSITIONS)
    assert len(run.picks) == 3


def _blocking_delete(root: CopickRootFS) -> None:
    run = root.get_run("TS_1")
    assert run is not None
    run.picks[0].delete()
    run.delete()


BLOCKING: dict[str, Callable[[CopickRootFS], None]] = {
    "list the runs, blocking": _blocking_runs,
    "loop over five runs and their picks": _blocking_loop,
    "loop over five runs and read their picks": _blocking_filters,
    "loop over five runs, their tomograms and feature maps": _blocking_spacings,
    "crawl five runs, blocking": _blocking_crawl,
    "get a run and refresh everything": _blocking_refresh,
    "get a run, make and store picks, and list them": _blocking_new_picks,
    "get a run, delete picks and the run": _blocking_delete,
}
