"""A sample project with volumes, in memory and on S3."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest_asyncio
from fsspec.implementations.memory import MemoryFileSystem

import aiocopick
from aiocopick.entities import AsyncRoot
from aiocopick.sample import sample_config, write_sample
from tests.servers.s3 import MotoServer

_sample: dict[str, bytes] = {}


@pytest_asyncio.fixture
async def sample() -> AsyncIterator[AsyncRoot]:
    """Two runs with volumes, in memory; written once, and put there as it is afterwards."""
    name = uuid.uuid4().hex
    if _sample:
        MemoryFileSystem().pipe({f"/{name}/{key}": content for key, content in _sample.items()})
    async with aiocopick.open(sample_config(f"memory://{name}")) as root:
        if not _sample:
            await write_sample(root, runs=2)
            _sample.update(
                (path.removeprefix(f"/{name}/"), file.getvalue())
                for path, file in MemoryFileSystem.store.items()
                if path.startswith(f"/{name}/")
            )
        yield root


@pytest_asyncio.fixture
async def s3_target(moto_server: MotoServer) -> AsyncIterator[AsyncRoot]:
    """A project on S3 that is not there yet."""
    config = sample_config(f"s3://{moto_server.new_bucket()}/copy", fs_args=moto_server.fs_args())
    async with aiocopick.open(config) as root:
        yield root
