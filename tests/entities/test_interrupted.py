"""Whatever changes a project is stopped at each of its requests: nobody ever sees a part of it."""

from __future__ import annotations

import asyncio
import functools
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

import anyio
import numpy as np
import pytest
import pytest_asyncio

from aiocopick.entities import AsyncRoot
from aiocopick.errors import NotFoundError, StorageError
from aiocopick.layers import Stack
from aiocopick.layers.filesystem import FilesystemLayer
from aiocopick.models import CopickConfigFS
from aiocopick.storage import Storage, open_storage
from aiocopick.testing import FaultStorage
from aiocopick.upkeep import examine
from tests.entities.mutators import MUTATORS, OBJECTS, Parts, verbs, write_everything

EMPTY = "empty"
Seen = dict[str, Any]


def test_every_verb_is_known() -> None:
    assert verbs() == set(MUTATORS)


def over(config: CopickConfigFS, storage: Storage) -> AsyncRoot:
    return AsyncRoot._over(config, Stack([FilesystemLayer(config, storage)]))


@functools.cache
def contents(zarr_format: int) -> dict[str, bytes]:
    """Every file of a project that holds everything."""

    async def write() -> dict[str, bytes]:
        config = CopickConfigFS(root=f"memory://{uuid.uuid4().hex}/project", zarr_format=zarr_format)
        async with AsyncRoot(config) as root:
            await write_everything(root)
            storage: Storage = root.layer.storage  # type: ignore[attr-defined]
            async with storage.scan("", None) as pages:
                keys = [entry.key async for page in pages for entry in page]
            return {key: await storage.read(key) for key in keys}

    return asyncio.run(write())


@pytest_asyncio.fixture
async def storage(config: CopickConfigFS) -> AsyncIterator[Storage]:
    storage = open_storage(config)
    yield storage
    await storage.aclose()


async def restore(storage: Storage, contents: Mapping[str, bytes]) -> None:
    async with storage.scan("", None) as pages:
        await storage.delete_many([entry.key async for page in pages for entry in page])
    # On a disk an empty folder is a run, too.
    for folder in [entry.key for entry in await storage.list("") if entry.is_prefix]:
        await storage.delete_tree(folder)
    await storage.write_many(contents.items())


async def seen(root: AsyncRoot) -> Seen:
    """Everything that somebody who opens the project now finds, by URI; reading it must not fail."""
    found: Seen = {"project": await root.load_meta()}

    async def volume(entity: Any) -> None:
        try:
            levels = [(await entity.numpy(level.path)).tobytes() for level in await entity.levels()]
        except NotFoundError:
            levels = []
        found[f"{entity.kind} {entity.path}"] = levels or EMPTY

    for run in await root.query():
        found[run.path] = (await run.load_meta()).model_dump()
        for spacing in await run.voxel_spacings():
            found[spacing.path] = (await spacing.load_meta()).model_dump()
            for tomogram in await spacing.tomograms():
                await volume(tomogram)
                for features in await tomogram.features():
                    await volume(features)
        for segmentation in await run.segmentations():
            await volume(segmentation)
        for file in (*await run.picks(), *await run.meshes(), *await run.filaments()):
            await file.load()
            found[file.path] = await root.layer.storage.read(file.key)
    for item in await root.query_objects():
        if await item.has_density_map():
            await volume(item)
    return found


def torn(now: Seen, before: Seen, after: Seen) -> list[str]:
    """What is neither as it was nor as it should become; a volume may be empty, and what is made or deleted missing."""
    wrong = []
    for name in before.keys() | after.keys() | now.keys():
        allowed = [before.get(name), after.get(name)]
        if not _same(*allowed):
            # An object whose map is empty has none.
            allowed.append(None if name.startswith("object ") else EMPTY)
        if not any(_same(now.get(name), value) for value in allowed):
            wrong.append(name)
    return wrong


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(np.all(one == other))


@pytest.mark.asyncio
@pytest.mark.parametrize("verb", MUTATORS)
@pytest.mark.parametrize(
    ("how", "zarr_format"),
    [
        ("fails", 3),
        ("is cancelled", 2),
        # Each one stops every verb at each of its requests once more.
        pytest.param("fails", 2, marks=pytest.mark.slow),
        pytest.param("fails after", 2, marks=pytest.mark.slow),
    ],
)
async def test_what_stops_at_any_request_tears_nothing(storage: Storage, verb: str, how: str, zarr_format: int) -> None:
    full = await asyncio.to_thread(contents, zarr_format)
    assert await stop_at_every_request(storage, verb, how, zarr_format, full) > 0


async def stop_at_every_request(
    storage: Storage, verb: str, how: str, zarr_format: int, full: Mapping[str, bytes]
) -> int:
    """Stop a verb at its first request, its second and so on, until it comes through; how many stops that were."""
    config = CopickConfigFS(root=storage.url, zarr_format=zarr_format, user_id="someone", session_id="1")
    config.pickable_objects = list(OBJECTS)

    async def attempt(at: int) -> int:
        """Requests made; fewer than asked for when it came through."""
        faulty = FaultStorage(storage, 0, after=how == "fails after")
        root = over(config, faulty)
        parts = await Parts.of(root)
        before = faulty.made
        faulty.at = at and before + at
        with anyio.CancelScope() as scope:
            faulty.cancel = scope.cancel if how == "is cancelled" else None
            await MUTATORS[verb](root, parts)
        return faulty.made - before

    await restore(storage, full)
    whole = await seen(over(config, storage))
    await attempt(0)
    changed = await seen(over(config, storage))
    for at in range(1, 100):
        await restore(storage, full)
        try:
            if await attempt(at) < at:
                return at - 1
        except StorageError:
            assert how != "is cancelled"
        now = await seen(over(config, storage))
        assert torn(now, whole, changed) == [], f"request {at}"
        unfinished = {name.partition(" ")[2] for name, content in now.items() if content == EMPTY}
        findings = await examine(over(config, storage)) if unfinished else []
        assert unfinished <= {item.path for item in findings if item.problem == "unfinished volume"}
    pytest.fail("it never came through")
