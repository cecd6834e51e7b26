from __future__ import annotations

import asyncio
import os
import pickle
import threading

import pytest

from aiocopick.entities import AsyncRoot
from aiocopick.errors import FormatError
from tests.entities.projects import POSITIONS, write_run


async def look(root: AsyncRoot) -> list[str]:
    runs = await root.query()
    return [picks.uri for run in runs for picks in await run.picks()]


FOUND = ["ribosome:someone/1", "ribosome:tool/0"]


def test_one_root_in_two_loops_one_after_the_other(root: AsyncRoot) -> None:
    asyncio.run(write_run(root, volumes=False))
    for _ in range(3):
        assert asyncio.run(look(root)) == FOUND

    async def cached() -> list[str]:
        return [picks.uri for run in await root.runs() for picks in await run.picks()]

    assert asyncio.run(cached()) == FOUND


def test_one_root_in_several_loops_at_once(root: AsyncRoot) -> None:
    asyncio.run(write_run(root, volumes=False))
    results: list[list[str]] = []

    def work() -> None:
        for _ in range(3):
            results.append(asyncio.run(look(root)))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [FOUND] * 9


@pytest.mark.parametrize("place", ["local", "s3"], indirect=True)
def test_a_root_is_used_after_fork(root: AsyncRoot) -> None:
    asyncio.run(write_run(root, volumes=False))
    child = os.fork()
    if child == 0:
        # Nothing of pytest's may run in the child.
        code = 1
        try:
            code = 0 if asyncio.run(look(root)) == FOUND else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert asyncio.run(look(root)) == FOUND


@pytest.mark.asyncio
async def test_roots_and_entities_survive_pickling(root: AsyncRoot) -> None:
    async with root:
        run = await write_run(root)
        copy = pickle.loads(pickle.dumps(root))
        assert copy == root
        assert hash(copy) == hash(root)
        assert await look(copy) == FOUND
        spacing = (await run.voxel_spacings())[0]
        tomogram = (await spacing.tomograms())[1]
        entities = [
            run,
            spacing,
            tomogram,
            *await tomogram.features(),
            *await run.picks(),
            *await run.meshes(),
            *await run.segmentations(),
            *await run.filaments(),
        ]
        copies = pickle.loads(pickle.dumps(entities))
        assert copies == entities
        assert [item.path for item in copies] == [item.path for item in entities]
        assert len({id(item.root) for item in copies}) == 1
        assert {type(item) for item in copies} == {type(item) for item in entities}
        await copies[0].root.aclose()
        await copy.aclose()


@pytest.mark.asyncio
async def test_data_travels_with_its_entity(root: AsyncRoot) -> None:
    async with root:
        run = await write_run(root, volumes=False)
        picks = (await run.query_picks())[0]
        assert pickle.loads(pickle.dumps(picks))._table is None
        await picks.load()
        picks.points[0].score = 0.125
        copy = pickle.loads(pickle.dumps(picks))
        assert copy.points == picks.points
        await copy.store()
        assert (await (await run.query_picks())[0].scores())[0] == 0.125
        filaments = (await run.filaments())[0]
        assert pickle.loads(pickle.dumps(filaments)).filaments == filaments.filaments
        mesh = (await run.meshes())[0]
        await mesh.load()
        assert pickle.loads(pickle.dumps(mesh)).mesh.bounds is None
        await copy.root.aclose()


@pytest.mark.asyncio
async def test_a_closed_or_reconnected_root_connects_again(root: AsyncRoot) -> None:
    async with root:
        await write_run(root, volumes=False)
    assert await look(root) == FOUND
    await root.reconnect()
    assert not root._runs.complete
    assert await look(root) == FOUND
    await root.aclose()


@pytest.mark.asyncio
async def test_options_are_a_view_of_the_same_project(root: AsyncRoot) -> None:
    async with root:
        run = await write_run(root, volumes=False)
        view = root.options(timeout=5, max_concurrency=2, zarr_format=3)
        assert (view.config.timeout, view.config.max_concurrency, view.config.zarr_format) == (5, 2, 3)
        assert root.config.timeout != 5
        assert view.stats is root.stats
        assert view == root
        assert await view.query() == [run]
        with pytest.raises(TypeError, match="speed"):
            root.options(speed=11)
        for shared in ({"cache": "folder"}, {"cache_bytes": 1}, {"engine": "s3fs"}, {"root": "elsewhere"}):
            with pytest.raises(TypeError, match=f"cannot change '{next(iter(shared))}'.*open the project with"):
                root.options(timeout=5, **shared)
        for wrong in ({"timeout": "soon"}, {"max_concurrency": 0}, {"max_file_bytes": {"picks": -1}}):
            with pytest.raises(FormatError, match=f"wrong value: {next(iter(wrong))}"):
                root.options(**wrong)


def test_data_of_one_loop_is_stored_in_another(root: AsyncRoot) -> None:
    run = asyncio.run(write_run(root, volumes=False))

    async def change() -> None:
        picks = (await run.picks())[0]
        await picks.from_numpy(POSITIONS * 2)

    asyncio.run(change())

    async def read() -> float:
        return float((await (await run.query_picks())[0].numpy())[0][0, 0])

    assert asyncio.run(read()) == 2.0
