"""A sample project with volumes, in memory and on S3."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest_asyncio

import aiocopick
from aiocopick.entities import AsyncRoot
from aiocopick.sample import sample_config, write_sample
from tests.servers.s3 import MotoServer


@pytest_asyncio.fixture
async def sample() -> AsyncIterator[AsyncRoot]:
    """Two runs with volumes, in memory."""
    async with aiocopick.open(sample_config(f"memory://{uuid.uuid4().hex}")) as root:
        await write_sample(root, runs=2)
        yield root


@pytest_asyncio.fixture
async def s3_target(moto_server: MotoServer) -> AsyncIterator[AsyncRoot]:
    """A project on S3 that is not there yet."""
    config = sample_config(f"s3://{moto_server.new_bucket()}/copy", fs_args=moto_server.fs_args())
    async with aiocopick.open(config) as root:
        yield root
