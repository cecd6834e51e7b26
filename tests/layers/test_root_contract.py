"""The contract of roots: one layer, stacks of two and three, and the facade."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from aiocopick import AsyncRoot, CopickConfigFSSpec, CopickConfigMultilayer, CopickRootFS, CopickRootMultilayer
from aiocopick.testing import CONTRACT_OBJECTS, Awaited, RootContract
from tests.servers.s3 import S3Server

PROJECT: dict[str, Any] = {"user_id": "someone", "pickable_objects": CONTRACT_OBJECTS}


def memory() -> str:
    return f"memory://{uuid.uuid4().hex}/project"


class TestOneLayer(RootContract):
    @pytest_asyncio.fixture
    async def root(self) -> AsyncIterator[AsyncRoot]:
        async with AsyncRoot.stack([{"root": memory(), **PROJECT}]) as root:
            yield root


class TestOverlayAndStatic(RootContract):
    @pytest_asyncio.fixture
    async def root(self, tmp_path: Path) -> AsyncIterator[AsyncRoot]:
        config = CopickConfigFSSpec(overlay_root=str(tmp_path / "overlay"), static_root=memory(), **PROJECT)
        async with AsyncRoot(config) as root:
            yield root


class TestThreeLayers(RootContract):
    """Memory, local disk and S3; what is written goes to the one in the middle."""

    @pytest_asyncio.fixture
    async def root(self, tmp_path: Path, moto_server: S3Server) -> AsyncIterator[AsyncRoot]:
        layers = [
            {"root": str(tmp_path / "disk"), "layer_name": "disk", "priority": 2, "read_only": True},
            {
                "root": f"s3://{moto_server.new_bucket()}/project",
                "fs_args": moto_server.fs_args(),
                "layer_name": "bucket",
                "priority": 1,
            },
            {"root": memory(), "layer_name": "memory"},
        ]
        config = CopickConfigMultilayer(layers=layers, default_write_layer="bucket", **PROJECT)
        async with AsyncRoot(config) as root:
            yield root


class TestFacade(RootContract):
    @pytest_asyncio.fixture
    async def root(self) -> AsyncIterator[Awaited]:
        with CopickRootFS.stack([{"root": memory(), **PROJECT}]) as root:
            yield Awaited(root)


class TestFacadeOfTwoLayers(RootContract):
    @pytest_asyncio.fixture
    async def root(self, tmp_path: Path) -> AsyncIterator[Awaited]:
        # A blocking root is a layer like any other: its async twin is asked, on the loop of whoever asks.
        below = CopickRootFS.stack([{"root": memory(), "read_only": True, **PROJECT}])
        with CopickRootMultilayer.stack([str(tmp_path), below]) as root:
            yield Awaited(root)
