"""Blocking projects to test on."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from aiocopick import CopickConfigFS, CopickRootFS, PickableObject
from aiocopick.entities import AsyncRoot
from aiocopick.layers import Stack
from aiocopick.layers.filesystem import FilesystemLayer
from aiocopick.storage import open_storage
from aiocopick.testing import CountingStorage
from tests.entities.projects import Counted, fill


def objects() -> list[PickableObject]:
    return [
        PickableObject(name="ribosome", is_particle=True, label=1, color=(10, 20, 30, 255)),
        PickableObject(name="membrane", is_particle=False, label=2),
        PickableObject(name="actin", is_particle=True, label=3, metadata={"copick": {"filament": {"polar": True}}}),
    ]


@pytest.fixture
def config() -> CopickConfigFS:
    """A new project in memory."""
    return CopickConfigFS(root=f"memory://{uuid.uuid4().hex}/project", user_id="me", pickable_objects=objects())


@pytest.fixture
def disk_config(tmp_path: Path) -> CopickConfigFS:
    """A new project on disk."""
    return CopickConfigFS(root=str(tmp_path / "project"), user_id="me", pickable_objects=objects())


@pytest.fixture
def root(config: CopickConfigFS) -> CopickRootFS:
    """An empty project."""
    return CopickRootFS(config)


@pytest.fixture
def counted(config: CopickConfigFS) -> Counted:
    """A project with three runs of everything, nothing known of it yet, its requests noted."""
    fill(CopickRootFS(config), ("TS_1", "TS_2", "TS_3"))
    storage = CountingStorage(open_storage(config))
    stack = Stack([FilesystemLayer(config, storage)])
    return Counted(CopickRootFS._over(AsyncRoot._over(config, stack)), storage)
