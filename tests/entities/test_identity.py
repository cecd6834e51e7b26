"""One entity of one root is one object, whichever way leads to it."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trimesh

from aiocopick.entities import AsyncRoot, AsyncRun
from aiocopick.entities.root import entities_of
from aiocopick.errors import ConflictError
from aiocopick.layout.refs import NOUNS
from aiocopick.models import CopickFilament, CopickLocation, CopickPoint
from tests.entities.conftest import Counted
from tests.entities.projects import write_run

pytestmark = pytest.mark.asyncio


def point(x: float) -> CopickPoint:
    return CopickPoint(location=CopickLocation(x=x, y=0, z=0))


def line(instance_id: int) -> CopickFilament:
    return CopickFilament(instance_id=instance_id, points=[(0, 0, 0), (1, 1, 1)])


async def run_of(root: AsyncRoot) -> AsyncRun:
    run = await root.get_run("TS_1")
    assert run is not None
    return run


async def everything(run: AsyncRun) -> dict[Any, Any]:
    found = {entity.ref: entity for noun in NOUNS for entity in await entities_of(run, noun)}
    return found | {run.ref: run}


async def looked_up(root: AsyncRoot) -> AsyncRun:
    return await run_of(root)


async def listed(root: AsyncRoot) -> AsyncRun:
    [run] = await root.runs()
    return run


async def crawled(root: AsyncRoot) -> AsyncRun:
    [run] = [run async for run in root.crawl()]
    return run


async def crawled_ahead(root: AsyncRoot) -> AsyncRun:
    async with root.crawl() as runs:
        [run] = [run async for run in runs]
    return run


async def crawled_by_name(root: AsyncRoot) -> AsyncRun:
    [run] = [run async for run in root.crawl("TS_1", load=("picks", "meshes", "filaments", "meta"))]
    return run


async def made(root: AsyncRoot) -> AsyncRun:
    return await root.new_run("TS_1", exist_ok=True)


async def prefetched(root: AsyncRoot) -> AsyncRun:
    await root.prefetch()
    return await run_of(root)


WAYS: list[Callable[[AsyncRoot], Coroutine[Any, Any, AsyncRun]]] = [
    looked_up,
    listed,
    crawled,
    crawled_ahead,
    crawled_by_name,
    made,
    prefetched,
]


@pytest.mark.parametrize("first", WAYS, ids=lambda way: way.__name__)
async def test_every_way_to_every_kind_gives_the_same_object(root: AsyncRoot, first: Any) -> None:
    async with root:
        await write_run(AsyncRoot(root.config))
        known = await everything(await first(root))
        for way in WAYS:
            again = await everything(await way(root))
            assert again.keys() == known.keys()
            assert [ref for ref in known if again[ref] is not known[ref]] == [], way.__name__


async def test_uris_and_exist_ok_give_the_known_objects(root: AsyncRoot) -> None:
    async with root:
        await write_run(AsyncRoot(root.config))
        run = await run_of(root)
        known = await everything(run)
        for ref, entity in known.items():
            if ref.kind not in ("run", "voxel_spacing"):
                assert any(found is entity for found in await root.resolve(entity.uri, ref.kind)), ref
        picks, mesh, lines = (await run.picks())[0], (await run.meshes())[0], (await run.filaments())[0]
        for entity, new in ((picks, run.new_picks), (mesh, run.new_mesh), (lines, run.new_filaments)):
            names = (entity.pickable_object_name, entity.session_id, entity.user_id)
            assert await new(*names, exist_ok=True) is entity
        spacing = (await run.voxel_spacings())[0]
        [tomogram] = [item for item in await spacing.tomograms() if await item.features()]
        features = (await tomogram.features())[0]
        assert await run.new_voxel_spacing(spacing.voxel_size, exist_ok=True) is spacing
        assert await run.get_voxel_spacing(spacing.voxel_size) is spacing
        assert await spacing.new_tomogram(tomogram.tomo_type, exist_ok=True) is tomogram
        assert await spacing.get_tomogram(tomogram.tomo_type) is tomogram
        assert await tomogram.new_features(features.feature_type, exist_ok=True) is features
        assert await tomogram.get_features(features.feature_type) is features
        segmentation = (await run.get_segmentations(is_instance=None, is_panoptic=None))[0]
        again = await run.new_segmentation(
            segmentation.voxel_size,
            segmentation.name,
            segmentation.session_id,
            segmentation.is_multilabel,
            segmentation.user_id,
            exist_ok=True,
            is_instance=segmentation.is_instance,
            is_panoptic=segmentation.is_panoptic,
        )
        assert again is segmentation


async def test_what_is_made_before_a_look_is_in_the_list_after_it(root: AsyncRoot) -> None:
    async with root:
        await write_run(AsyncRoot(root.config), volumes=False)
        run = await run_of(root)
        picks = await run.new_picks("ribosome", "9", "new")
        mesh = await run.new_mesh("ribosome", "9", "new")
        lines = await run.new_filaments("ribosome", "9", "new")
        spacing = await run.new_voxel_spacing(33.0)
        await picks.from_numpy([[1.0, 2, 3]])
        mesh.mesh = box = trimesh.creation.box()
        lines.filaments = [line(5)]
        found = await everything(run)
        assert [found[item.ref] is item for item in (picks, mesh, lines, spacing)] == [True] * 4
        assert len(await run.picks()) == 3
        assert len(found[picks.ref].points) == 1
        await picks.from_numpy([[1.0, 2, 3], [4, 5, 6]])
        assert len((await run.get_picks(user_id="new"))[0].points) == 2
        assert (await run.get_meshes(user_id="new"))[0].mesh is box
        assert [item.instance_id for item in (await run.get_filaments(user_id="new"))[0].filaments] == [5]


async def test_making_something_lists_nothing(counted: Counted) -> None:
    await write_run(counted.root, volumes=False)
    root = counted.fresh()
    run = await run_of(root)
    with counted.requests(write=1):
        picks = await run.new_picks("ribosome", "9", "new")
    with counted.requests(write=1):
        again = await run.new_picks("ribosome", "10", "new")
    assert [item is other for item, other in zip(run._children["picks"], (again, picks), strict=True)] == [True, True]
    assert not run._children["picks"].complete
    with counted.requests(stat=1):
        new = await root.get_run("TS_1")
    assert new is run


async def test_a_query_and_a_refresh_give_other_objects(root: AsyncRoot) -> None:
    async with root:
        await write_run(AsyncRoot(root.config), volumes=False)
        run = await run_of(root)
        first = (await run.picks())[0]
        second = (await run.query_picks())[0]
        assert second is not first
        assert (await run.picks())[0] is second
        run.refresh_picks()
        third = (await run.picks())[0]
        assert third is not second
        assert third == first
        assert await run.query_picks(layers=[root.layer.name]) == await run.picks()
        assert (await run.picks())[0] is third
        root.refresh()
        assert await run_of(root) is not run


async def test_two_tasks_that_make_the_same_get_the_same(root: AsyncRoot) -> None:
    async with root:
        await write_run(AsyncRoot(root.config), volumes=False)
        run = await run_of(root)
        made: list[Any] = []

        async def make(what: Callable[[], Coroutine[Any, Any, Any]]) -> None:
            made.append(await what())

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(make, lambda: run.new_picks("ribosome", "9", exist_ok=True))
        assert len({id(item) for item in made}) == 1
        assert any(item is made[0] for item in await run.picks())


async def test_what_is_deleted_and_made_again_is_a_new_and_empty_object(root: AsyncRoot) -> None:
    async with root:
        await write_run(AsyncRoot(root.config), volumes=False)
        run = await run_of(root)
        old = (await run.picks())[0]
        await old.load()
        await old.delete()
        assert old not in await run.picks()
        new = await run.new_picks(old.pickable_object_name, old.session_id, old.user_id)
        assert new is not old
        assert new.points == []
        assert any(item is new for item in await run.picks())
        old.points = [point(1)]
        with pytest.raises(ConflictError, match="overwrite=True"):
            await old.store()
        await run.delete()
        assert await root.get_run("TS_1") is None
        again = await root.new_run("TS_1")
        assert again is not run
        assert await root.get_run("TS_1") is again


async def test_a_crawl_finds_what_others_made_and_keeps_what_was_set(root: AsyncRoot) -> None:
    async with root:
        await write_run(AsyncRoot(root.config), volumes=False)
        run = await run_of(root)
        first, second = await run.picks()
        mesh, lines = (await run.meshes())[0], (await run.filaments())[0]
        await second.load()
        await lines.load()
        await mesh.load()
        first.points = [point(7)]
        lines.filaments.append(line(9))
        mesh.mesh = box = trimesh.creation.box()
        went_through = await run.picks()
        other = await run_of(AsyncRoot(root.config))
        await other.new_picks("ribosome", "9", "other")
        theirs = next(item for item in await other.picks() if item == second)
        await theirs.from_numpy([[1.0, 1, 1]] * 4)
        gone = next(item for item in await run.picks() if item == first)
        async for found in root.crawl(load=("picks", "meshes", "filaments", "meta")):
            assert found is run
        assert len(await run.picks()) == 3
        assert len(went_through) == 2
        assert gone is first
        assert [item.location.x for item in first.points] == [7]
        assert len(second.points) == 4
        assert [item.instance_id for item in lines.filaments][-1] == 9
        assert mesh.mesh is box


async def test_points_changed_in_place_survive_a_crawl(root: AsyncRoot) -> None:
    async with root:
        await write_run(AsyncRoot(root.config), volumes=False)
        run = await run_of(root)
        picks = (await run.picks())[0]
        await picks.load()
        picks.points.append(point(7))
        async for _ in root.crawl(load=("picks",)):
            assert picks.points[-1].location.x == 7
        await picks.store()
        async for _ in root.crawl(load=("picks",)):
            assert picks.points[-1].location.x == 7


async def test_data_older_than_what_a_crawl_found_is_loaded_again(root: AsyncRoot) -> None:
    async with root:
        await write_run(AsyncRoot(root.config), volumes=False)
        picks = (await (await run_of(root)).picks())[0]
        before = len((await picks.numpy())[0])
        theirs = (await (await run_of(AsyncRoot(root.config))).picks())[0]
        await theirs.from_numpy([[1.0, 1, 1]] * 9)
        assert len((await picks.numpy())[0]) == before
        async for _ in root.crawl():
            pass
        assert len((await picks.numpy())[0]) == 9


async def merged(root: AsyncRoot, run: AsyncRun) -> None:
    for noun in ("picks", "meshes", "filaments"):
        await entities_of(run, noun)


async def crawled_over(root: AsyncRoot, run: AsyncRun) -> None:
    async for _ in root.crawl():
        pass


async def listed_ahead(root: AsyncRoot, run: AsyncRun) -> None:
    await root.prefetch()
    await merged(root, run)


@pytest.mark.parametrize("listing", [merged, crawled_over, listed_ahead])
async def test_what_was_stored_stays_the_same_object_in_memory_when_it_is_listed(
    root: AsyncRoot, listing: Callable[[AsyncRoot, AsyncRun], Coroutine[Any, Any, None]]
) -> None:
    async with root:
        await write_run(AsyncRoot(root.config), volumes=False)
        run = await run_of(root)
        picks = await run.new_picks("ribosome", "9", "new")
        mesh = await run.new_mesh("membrane", "9", "new")
        lines = await run.new_filaments("actin", "9", "new")
        points, box = [point(1)], trimesh.creation.box()
        picks.points, mesh.mesh, lines.filaments = points, box, [line(4)]
        for file in (picks, mesh, lines):
            await file.store()
        traced = lines.filaments[0]
        await listing(root, run)
        for file in (picks, mesh, lines):
            await file._look()
        assert mesh.mesh is box
        assert picks.points is points
        assert lines.filaments[0] is traced


async def test_a_crawl_does_not_forget_what_was_made_while_it_goes(root: AsyncRoot) -> None:
    async with root:
        other = AsyncRoot(root.config)
        for name in ("TS_1", "TS_2", "TS_3"):
            await write_run(other, name, volumes=False)
        runs = await root.runs()
        for run in runs:
            await run.picks()
        async with root.crawl() as found:
            async for run in found:
                if run is runs[0]:
                    new = await runs[2].new_picks("ribosome", "9", "new")
                    gone = (await runs[2].picks())[-1]
                    await gone.delete()
        assert any(item is new for item in await runs[2].picks())
        assert gone not in await runs[2].picks()


async def test_a_crawl_holds_on_to_no_run(root: AsyncRoot) -> None:
    async with root:
        other = AsyncRoot(root.config)
        for index in range(20):
            await other.new_run(f"TS_{index}")
        async for _ in root.crawl():
            pass
        del _
        # The last tasks of the crawl are let go by the next turn of the loop.
        await anyio.lowlevel.checkpoint()
        gc.collect()
        assert len(root._named_runs) <= 1
        assert len(root._runs.items) == 0


async def test_a_view_has_objects_of_its_own(root: AsyncRoot) -> None:
    async with root:
        await write_run(AsyncRoot(root.config), volumes=False)
        view = root.options(timeout=5)
        mine, its = await run_of(root), await run_of(view)
        assert mine is not its
        assert mine == its
        picks, other = (await mine.picks())[0], (await its.picks())[0]
        assert picks == other
        await picks.from_numpy([[1.0, 2, 3]])
        other.points = [point(1)]
        with pytest.raises(ConflictError, match="overwrite=True"):
            await other.store()


async def test_pickled_entities_are_what_their_parents_give(root: AsyncRoot) -> None:
    async with root:
        await write_run(AsyncRoot(root.config))
        picks = (await (await run_of(root)).picks())[0]
        picks.points = [point(7)]
        if root.url.startswith("memory"):
            return
        there = pickle.loads(pickle.dumps(picks))
        async with there.root:
            assert any(item is there for item in await there.run.picks())
            assert await there.root.get_run("TS_1") is there.run
        assert copy.copy(picks) is not picks
        assert any(item is picks for item in await picks.run.picks())
