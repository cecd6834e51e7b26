from __future__ import annotations

import anyio
import pytest

from aiocopick.entities import AsyncPicks, AsyncRoot
from aiocopick.errors import ConflictError
from aiocopick.models import CopickFilament, CopickLocation, CopickPoint
from tests.entities.projects import POSITIONS, write_run


def point(x: float) -> CopickPoint:
    return CopickPoint(location=CopickLocation(x=x, y=0, z=0))


async def same_picks(root: AsyncRoot) -> AsyncPicks:
    run = await AsyncRoot(root.config).get_run("TS_1")
    assert run is not None
    return (await run.query_picks())[0]


@pytest.mark.asyncio
async def test_a_blind_overwrite_of_a_changed_file_is_a_conflict(root: AsyncRoot) -> None:
    async with root:
        await write_run(root, volumes=False)
        mine, theirs = await same_picks(root), await same_picks(root)
        await mine.load()
        await theirs.load()
        theirs.points.append(point(77))
        await theirs.store()
        mine.points.append(point(88))
        with pytest.raises(ConflictError, match=r"someone_1_ribosome\.json"):
            await mine.store()
        with pytest.raises(ConflictError):
            await mine.from_numpy(POSITIONS)
        await mine.load()
        mine.points.append(point(88))
        await mine.store()
        assert (await (await same_picks(root)).numpy())[0][:, 0].tolist() == [1.0, 4.5, 77.0, 88.0]


@pytest.mark.asyncio
async def test_storing_twice_is_no_conflict(root: AsyncRoot) -> None:
    async with root:
        run = await write_run(root, volumes=False)
        picks = (await run.picks())[0]
        for x in range(3):
            picks.points.append(point(x)) if x else await picks.load()
            await picks.store()
        mesh = (await run.meshes())[0]
        await mesh.load()
        await mesh.store()
        await mesh.store()


@pytest.mark.asyncio
async def test_a_file_that_was_deleted_meanwhile_is_a_conflict(root: AsyncRoot) -> None:
    async with root:
        await write_run(root, volumes=False)
        mine, theirs = await same_picks(root), await same_picks(root)
        await mine.load()
        await theirs.delete()
        with pytest.raises(ConflictError):
            await mine.store()


@pytest.mark.asyncio
async def test_ten_writers_of_one_file_lose_nothing(root: AsyncRoot) -> None:
    async with root:
        await write_run(root, volumes=False)

        async def write(index: int) -> None:
            picks = await same_picks(root)
            await picks.update(lambda points: points.append(point(100 + index)))

        async with anyio.create_task_group() as group:
            for index in range(10):
                group.start_soon(write, index)
        found = (await (await same_picks(root)).numpy())[0][:, 0].tolist()
        assert found[:2] == [1.0, 4.5]
        assert sorted(found[2:]) == [100.0 + index for index in range(10)]


@pytest.mark.asyncio
async def test_an_update_may_return_a_list_or_be_a_coroutine_and_starts_from_nothing(root: AsyncRoot) -> None:
    async with root:
        run = await write_run(root, volumes=False)
        picks = (await run.picks())[0]
        await picks.delete()

        async def first(points: list[CopickPoint]) -> list[CopickPoint]:
            assert points == []
            return [point(1), point(2)]

        await picks.update(first)
        await picks.update(lambda points: points[1:])
        assert (await (await same_picks(root)).numpy())[0][:, 0].tolist() == [2.0]
        with pytest.raises(TypeError, match="list"):
            await picks.update(lambda points: 5)
        assert (await (await same_picks(root)).numpy())[0][:, 0].tolist() == [2.0]


@pytest.mark.asyncio
async def test_filaments_can_be_updated(root: AsyncRoot) -> None:
    async with root:
        run = await write_run(root, volumes=False)
        filaments = (await run.filaments())[0]
        line = CopickFilament(instance_id=9, points=[(0, 0, 0), (1, 1, 1)])
        await filaments.update(lambda lines: lines.append(line))
        assert (await filaments.instance_ids()).tolist() == [1, 9]
        other = (await run.query_filaments())[0]
        assert (await other.instance_ids()).tolist() == [1, 9]
