"""What a store insists on: the version that was loaded, or that was listed when data was set unseen."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
import trimesh

from aiocopick.entities import AsyncRoot
from aiocopick.errors import ConflictError
from aiocopick.layers.filesystem import FilesystemLayer
from aiocopick.layout.listing import Located
from aiocopick.models import CopickFilament, CopickLocation, CopickPoint
from tests.entities.projects import write_run

pytestmark = pytest.mark.asyncio

NOUNS = ("picks", "meshes", "filaments")


async def first(root: AsyncRoot, noun: str) -> Any:
    run = await AsyncRoot(root.config).get_run("TS_1")
    return (await getattr(run, noun)())[0]


def put(entity: Any, size: float) -> None:
    """Set data without loading it."""
    if entity.kind == "picks":
        entity.points = [CopickPoint(location=CopickLocation(x=size, y=0, z=0))]
    elif entity.kind == "mesh":
        entity.mesh = trimesh.creation.box((size, size, size))
    else:
        entity.filaments = [CopickFilament(instance_id=1, points=[(size, 0, 0), (1, 1, 1)])]


async def size_of(root: AsyncRoot, noun: str) -> float:
    entity = await first(root, noun)
    await entity.load()
    if noun == "picks":
        return float(entity.points[0].location.x)
    if noun == "meshes":
        return float(entity.mesh.extents[0])
    return float(entity.filaments[0].points[0][0])


@pytest.mark.parametrize("noun", NOUNS)
async def test_data_that_is_set_unseen_replaces_the_listed_version_alone(root: AsyncRoot, noun: str) -> None:
    async with root:
        await write_run(root, volumes=False)
        mine, theirs = await first(root, noun), await first(root, noun)
        put(theirs, 7)
        await theirs.store()
        put(mine, 9)
        for _ in range(2):
            with pytest.raises(ConflictError, match=r"store\(overwrite=True\)"):
                await mine.store()
        assert await size_of(root, noun) == 7
        await mine.store(overwrite=True)
        assert await size_of(root, noun) == 9
        put(mine, 5)
        await mine.store()
        assert await size_of(root, noun) == 5


@pytest.mark.parametrize("noun", NOUNS)
async def test_a_crawl_in_between_does_not_make_the_change_of_another_program_ours(root: AsyncRoot, noun: str) -> None:
    async with root:
        await write_run(root, volumes=False)
        mine, theirs = await first(root, noun), await first(root, noun)
        put(mine, 9)
        put(theirs, 7)
        await theirs.store()
        async for _ in mine.root.crawl(load=NOUNS):
            pass
        with pytest.raises(ConflictError):
            await mine.store()
        assert await size_of(root, noun) == 7


@pytest.mark.parametrize("noun", NOUNS)
async def test_a_file_that_was_deleted_since_it_was_listed_is_a_conflict(root: AsyncRoot, noun: str) -> None:
    async with root:
        await write_run(root, volumes=False)
        mine, theirs = await first(root, noun), await first(root, noun)
        await theirs.delete()
        put(mine, 9)
        with pytest.raises(ConflictError):
            await mine.store()
        await mine.store(overwrite=True)
        assert await size_of(root, noun) == 9


@pytest.mark.parametrize("noun", NOUNS)
@pytest.mark.parametrize("loaded", [True, False])
async def test_a_store_after_an_interrupted_one_is_no_conflict(
    root: AsyncRoot, noun: str, loaded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with root:
        await write_run(root, volumes=False)
        mine = await first(root, noun)
        if loaded:
            await mine.load()
        put(mine, 9)
        with monkeypatch.context() as patch:
            save = FilesystemLayer.save

            async def interrupted(layer: FilesystemLayer, *args: Any, **kwargs: Any) -> Located:
                await save(layer, *args, **kwargs)
                scope.cancel()
                await anyio.sleep(1)
                raise AssertionError

            patch.setattr(FilesystemLayer, "save", interrupted)
            with anyio.CancelScope() as scope:
                await mine.store()
        assert await size_of(root, noun) == 9
        put(mine, 5)
        await mine.store()
        assert await size_of(root, noun) == 5


@pytest.mark.parametrize("noun", NOUNS)
async def test_what_another_program_stored_after_an_interrupted_store_is_a_conflict(
    root: AsyncRoot, noun: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with root:
        await write_run(root, volumes=False)
        mine = await first(root, noun)
        await mine.load()
        put(mine, 9)
        with monkeypatch.context() as patch:

            async def interrupted(*args: Any, **kwargs: Any) -> Located:
                raise KeyboardInterrupt

            patch.setattr(FilesystemLayer, "save", interrupted)
            with pytest.raises(KeyboardInterrupt):
                await mine.store()
        theirs = await first(root, noun)
        put(theirs, 7)
        await theirs.store()
        with pytest.raises(ConflictError):
            await mine.store()
        assert await size_of(root, noun) == 7
