from __future__ import annotations

import numpy as np
import pytest

import aiocopick
from aiocopick.entities import AsyncPicks, AsyncRoot
from aiocopick.errors import ConflictError, CopickError, FormatError, NotFoundError
from aiocopick.models import CopickPicksFile
from tests.entities.projects import POSITIONS, Counted, write_run


@pytest.mark.asyncio
async def test_a_result_for_each_in_order(root: AsyncRoot) -> None:
    async with root:
        for name in ("TS_1", "TS_2", "TS_3"):
            await write_run(root, name, volumes=False)
        runs = await AsyncRoot(root.config).query()
        entities = [entity for run in runs for entity in (*await run.picks(), *await run.meshes(), run)]
        results = await aiocopick.load(entities)
        assert len(results) == len(entities) == 12
        assert [type(result).__name__ for result in results[:4]] == [
            "LoadedPicksFile",
            "LoadedPicksFile",
            "Scene",
            "CopickRunMeta",
        ]
        assert [len(picks.points) for picks in entities if isinstance(picks, AsyncPicks)] == [2, 1] * 3
        assert results[4].points is entities[4].points
        assert await aiocopick.load([]) == []


@pytest.mark.asyncio
async def test_requests_of_a_bulk_load(counted: Counted) -> None:
    for name in ("TS_1", "TS_2", "TS_3"):
        await write_run(counted.root, name, volumes=False)
    runs = await counted.fresh().query()
    picks = [entity for run in runs for entity in await run.picks()]
    with counted.requests(read=6):
        await aiocopick.load(picks)


@pytest.mark.asyncio
async def test_errors_are_raised_or_returned(counted: Counted) -> None:
    for name in ("TS_1", "TS_2", "TS_3"):
        await write_run(counted.root, name, volumes=False)
    runs = await counted.fresh().query()
    picks = [(await run.picks())[0] for run in runs]
    await counted.storage.write(picks[1].key, b"{")
    await counted.storage.delete_many([picks[2].key])
    results = await aiocopick.load(picks, on_error="return")
    assert [type(result) for result in results[1:]] == [FormatError, NotFoundError]
    assert len(results[0].points) == 2
    with pytest.raises(CopickError):
        await aiocopick.load(picks)
    with pytest.raises(FormatError, match="TS_2"):
        await aiocopick.load(picks[:2])
    with pytest.raises(NotFoundError, match="TS_3"):
        await aiocopick.load([picks[0], picks[2]])


@pytest.mark.asyncio
async def test_the_same_entity_twice_and_two_entities_of_one_file(counted: Counted) -> None:
    run = await write_run(counted.root, volumes=False)
    one, other = (await run.query_picks())[0], (await run.query_picks())[0]
    results = await aiocopick.load([one, other, one])
    assert results[0].points is results[2].points is one.points
    assert other.points is not one.points
    one.points.clear()
    assert len((await other.numpy())[0]) == 2


@pytest.mark.asyncio
async def test_entities_that_nobody_listed(counted: Counted) -> None:
    run = await write_run(counted.root, volumes=False)
    made = AsyncPicks(run, CopickPicksFile(pickable_object_name="ribosome", user_id="tool", session_id="0"))
    missing = AsyncPicks(run, CopickPicksFile(pickable_object_name="none", user_id="tool", session_id="0"))
    found, error = await aiocopick.load([made, missing], on_error="return")
    assert len(found.points) == 1
    assert isinstance(error, NotFoundError)


@pytest.mark.asyncio
async def test_storing_many(root: AsyncRoot) -> None:
    async with root:
        run = await root.new_run("TS_1")
        picks = [await run.new_picks("ribosome", str(session)) for session in range(1, 6)]
        for index, item in enumerate(picks):
            await item.from_numpy(POSITIONS + index, store=False)
        assert await aiocopick.store(picks) == [None] * 5
        other = (await AsyncRoot(root.config).query())[0]
        for index, item in enumerate(await other.picks()):
            np.testing.assert_array_equal((await item.numpy())[0], POSITIONS + index)


@pytest.mark.asyncio
async def test_a_store_that_fails_is_in_its_place(counted: Counted) -> None:
    run = await write_run(counted.root, volumes=False)
    first, second = await run.query_picks()
    await first.load()
    await second.load()
    await (await run.query_picks())[0].update(lambda points: points.clear())
    results = await aiocopick.store([first, second], on_error="return")
    assert (type(results[0]).__name__, results[1]) == ("ConflictError", None)


@pytest.mark.asyncio
async def test_volumes_have_nothing_to_load_at_once(counted: Counted) -> None:
    run = await write_run(counted.root)
    with pytest.raises(TypeError, match="AsyncSegmentation"):
        await aiocopick.load(await run.segmentations())


@pytest.mark.asyncio
async def test_what_was_loaded_in_bulk_is_stored_without_conflict_unless_it_changed(root: AsyncRoot) -> None:
    async with root:
        await write_run(root, volumes=False)
        run = (await AsyncRoot(root.config).query())[0]
        first, second = await run.picks()
        await aiocopick.load([first, second])
        await first.store()
        await first.store()
        await (await run.query_picks())[1].update(lambda points: points.clear())
        with pytest.raises(ConflictError):
            await second.store()
        await second.load()
        await second.store()
