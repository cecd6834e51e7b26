"""No verb changes anything in a project that is read-only, wherever it is: all of them are tried."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiocopick.entities import AsyncRoot
from aiocopick.errors import ReadOnlyError
from aiocopick.models import CopickConfigFS
from aiocopick.storage import Storage, open_storage
from tests.entities.mutators import MUTATORS, OBJECTS, Parts, write_everything
from tests.servers.web import WebServer

# Nothing is to be done: what they make sure of is there.
NOTHING_TO_DO = {"AsyncRoot.ensure", "AsyncRun.ensure", "AsyncVoxelSpacing.ensure"}


async def everything(storage: Storage) -> dict[str, bytes]:
    async with storage.scan("", None) as pages:
        keys = [entry.key async for page in pages for entry in page]
    return {key: await storage.read(key) for key in keys}


async def refuses_every_verb(root: AsyncRoot) -> None:
    root.config.pickable_objects = list(OBJECTS)
    parts = await Parts.of(root)
    for verb, call in MUTATORS.items():
        if verb in NOTHING_TO_DO:
            assert await call(root, parts)
            continue
        with pytest.raises(ReadOnlyError):
            await call(root, parts)
    assert not {"write", "delete", "copy"} & {verb for verb, count in root.stats.requests.items() if count}


@pytest.mark.asyncio
async def test_no_verb_changes_a_read_only_project(root: AsyncRoot, place: CopickConfigFS) -> None:
    await write_everything(root)
    before = await everything(root.layer.storage)  # type: ignore[attr-defined]
    async with AsyncRoot(place.model_copy(update={"read_only": True})) as refusing:
        refusing.config.user_id, refusing.config.session_id = "someone", "1"
        await refuses_every_verb(refusing)
    assert await everything(root.layer.storage) == before  # type: ignore[attr-defined]
    await root.aclose()


@pytest.mark.asyncio
async def test_no_verb_changes_a_project_on_a_web_server(tmp_path: Path) -> None:
    async with AsyncRoot(CopickConfigFS(root=str(tmp_path))) as root:
        await write_everything(root)
    storage = open_storage(CopickConfigFS(root=str(tmp_path)))
    before = await everything(storage)
    with WebServer(tmp_path) as server:
        async with AsyncRoot(CopickConfigFS(root=server.url, user_id="someone", session_id="1")) as refusing:
            await refuses_every_verb(refusing)
        assert set(server.request_counts()) <= {"GET", "HEAD"}
    assert await everything(storage) == before
