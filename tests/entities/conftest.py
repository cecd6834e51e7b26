"""Projects to test on: on every backend that can be written to, and ones whose requests are counted."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

from aiocopick.entities import AsyncRoot
from aiocopick.layers import Stack
from aiocopick.layers.filesystem import FilesystemLayer
from aiocopick.models import CopickConfigFS
from aiocopick.storage import open_storage
from aiocopick.testing import CountingStorage
from tests.entities.projects import Counted


@pytest.fixture(autouse=True)
def no_blocking_calls() -> Iterator[None]:
    """A blocking call of ours on an event loop fails the test."""
    with blockbuster_ctx("aiocopick") as guard:
        # Making a root absolute asks where the process is; nothing waits for a disk.
        for name in ("os.path.abspath", "os.getcwd"):
            guard.functions[name].deactivate()
        for function in guard.functions.values():
            # botocore looks for its configuration and models when a loop makes its first client.
            function.can_block_in("aiobotocore/session.py", {"_create_client"})
        yield


@pytest.fixture(params=["memory", "local", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> CopickConfigFS:
    """Where a new project is: memory, local disk, S3."""
    if request.param == "memory":
        return CopickConfigFS(root=f"memory://{uuid.uuid4().hex}/project", user_id="someone")
    if request.param == "local":
        return CopickConfigFS(root=str(tmp_path / "project"), user_id="someone")
    server = request.getfixturevalue("moto_server")
    return CopickConfigFS(
        root=f"s3://{server.new_bucket()}/project", fs_args=server.fs_args(), user_id="someone", timeout=30
    )


@pytest.fixture
def root(place: CopickConfigFS) -> AsyncRoot:
    """An empty project on each backend."""
    return AsyncRoot(place)


@pytest.fixture
def config() -> CopickConfigFS:
    """A new project in memory."""
    return CopickConfigFS(root=f"memory://{uuid.uuid4().hex}/project", user_id="someone")


@pytest.fixture
def counted(config: CopickConfigFS) -> Counted:
    """An empty project in memory, its requests noted."""
    storage = CountingStorage(open_storage(config))
    return Counted(AsyncRoot._over(config, Stack([FilesystemLayer(config, storage)])), storage)
