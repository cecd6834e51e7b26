"""A bucket or container that does not exist is what an error speaks of, rather than of what would lie in it."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

import aiocopick
from aiocopick.errors import NotFoundError
from aiocopick.storage import Storage, open_storage
from aiocopick.storage.settings import Settings
from tests.servers.s3 import MotoServer

PROTOCOLS = {"moto": "s3", "minio": "s3", "gcs": "gs", "azure": "azure"}

SERVERS = pytest.mark.parametrize("server", ["moto", pytest.param("minio", marks=pytest.mark.minio), "gcs", "azure"])


def place(server: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    """A project where there is no bucket."""
    root = f"{PROTOCOLS[server]}://missing-{uuid.uuid4().hex[:8]}/project"
    return {"root": root, "fs_args": request.getfixturevalue(f"{server}_server").fs_args()}


def refused() -> Any:
    return pytest.raises(NotFoundError, match=r"the (bucket|container) .*does not exist; check its name")


@pytest.mark.asyncio
@SERVERS
async def test_opening_says_that_the_bucket_is_missing(server: str, request: pytest.FixtureRequest) -> None:
    config = place(server, request)
    with refused():
        await aiocopick.open(config, must_exist=True)
    async with aiocopick.open(config) as root:
        # Nothing is an answer to whether there is a project.
        assert await root.ensure() is False
        with refused():
            await root.query()
        with refused():
            await root.ensure(create=True)


@pytest.mark.asyncio
@SERVERS
async def test_writing_says_that_the_bucket_is_missing(server: str, request: pytest.FixtureRequest) -> None:
    storage: Storage = open_storage(Settings(**place(server, request)))
    for conditions in ({}, {"create": True}):
        with refused():
            await storage.write("a/b", b"1", **conditions)  # type: ignore[arg-type]
    await storage.aclose()


@pytest.mark.asyncio
@pytest.mark.parametrize("engine", ["s3fs", "obstore"])
async def test_a_part_of_a_bucket_exists_as_soon_as_something_is_in_it(moto_server: MotoServer, engine: str) -> None:
    bucket = moto_server.new_bucket()
    whole, part = (
        open_storage(Settings(root=root, fs_args=moto_server.fs_args(), engine=engine))
        for root in (f"s3://{bucket}", f"s3://{bucket}/project")
    )
    assert await whole.exists("")
    assert not await part.exists("")
    await part.write("a/b", b"1")
    assert await part.exists("")
    await whole.delete_many(["project/a/b"])
    assert not await part.exists("")
    await whole.aclose()
    await part.aclose()
