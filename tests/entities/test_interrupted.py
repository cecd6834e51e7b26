"""Whatever changes a project is stopped at each of its requests: nobody ever sees a part of it."""

from __future__ import annotations

import asyncio
import functools
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
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


State = dict[str, Any]


async def state(storage: Storage) -> State:
    """What is stored, by key, in versions that differ when it was written again; folders too, where there are any."""
    if storage.capabilities.directories:
        return await asyncio.to_thread(_walk, Path(storage.url))
    async with storage.scan("", None) as pages:
        return {entry.key: entry.etag async for page in pages for entry in page}


def _walk(root: Path) -> State:
    status = {path: path.stat() for path in root.rglob("*")}
    return {
        path.relative_to(root).as_posix(): None if path.is_dir() else (info.st_ino, info.st_mtime_ns, info.st_size)
        for path, info in status.items()
    }


def _remove(root: Path, names: Iterable[str]) -> None:
    for path in sorted((root / name for name in names), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


async def restore(storage: Storage, contents: Mapping[str, bytes], known: State) -> State:
    """Undo what happened since a state was the known one: to write everything each time takes longer than all else."""
    now = await state(storage)
    # On a disk an empty folder is a run, too, and a chunk of fewer axes lies where there was a folder.
    others = {name for name in now if name not in known or (now[name] is None) != (known[name] is None)}
    if storage.capabilities.directories:
        await asyncio.to_thread(_remove, Path(storage.url), others)
    else:
        await storage.delete_many(others)
    changed = {key: data for key, data in contents.items() if key not in known or now.get(key) != known[key]}
    if not (others or changed):
        return now
    await storage.options(durable=False).write_many(changed.items())
    return await state(storage)


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
        # Each one stops every verb at each of its requests; the scoreboard does so with some verbs.
        pytest.param("is cancelled", 2, marks=pytest.mark.slow),
        pytest.param("fails", 3, marks=pytest.mark.slow),
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

    looks: dict[frozenset[tuple[str, Any]], Seen] = {}

    async def look() -> Seen:
        # What was not changed looks as it did.
        version = frozenset((await state(storage)).items())
        if version not in looks:
            looks[version] = await seen(over(config, storage))
        return looks[version]

    known = await restore(storage, full, {})
    whole = await look()
    await attempt(0)
    changed = await look()
    for at in range(1, 100):
        known = await restore(storage, full, known)
        try:
            if await attempt(at) < at:
                return at - 1
        except StorageError:
            assert how != "is cancelled"
        now = await look()
        assert torn(now, whole, changed) == [], f"request {at}"
        unfinished = {name.partition(" ")[2] for name, content in now.items() if content == EMPTY}
        findings = await examine(over(config, storage)) if unfinished else []
        assert unfinished <= {item.path for item in findings if item.problem == "unfinished volume"}
    pytest.fail("it never came through")
