"""A project over a read-only one, its storage chosen by the test."""

from __future__ import annotations

import uuid
from typing import Any

from aiocopick import AsyncRoot, CopickConfigFS
from aiocopick.layers import Stack
from aiocopick.layers.filesystem import FilesystemLayer
from aiocopick.testing import CONTRACT_OBJECTS


def configs(**above: Any) -> tuple[CopickConfigFS, CopickConfigFS]:
    """Two empty projects in memory; further fields are those of the upper one."""
    upper, lower = (
        CopickConfigFS(
            root=f"memory://{uuid.uuid4().hex}/{name}",
            layer_name=name,
            user_id="someone",
            pickable_objects=CONTRACT_OBJECTS,
            **fields,
        )
        for name, fields in (("above", above), ("below", {}))
    )
    return upper, lower


def stacked(above: FilesystemLayer, below: CopickConfigFS) -> AsyncRoot:
    """The upper project over the lower one, which is read-only."""
    lower = FilesystemLayer(below.model_copy(update={"read_only": True}))
    return AsyncRoot._over(above.config, Stack([above, lower]))
