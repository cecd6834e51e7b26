"""Where volumes are tested: a root and the arguments of its filesystem, per kind of storage."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from aiocopick.models import CopickConfigFS
from aiocopick.storage import Storage, open_storage

PLACES = ["local", "memory", "moto", pytest.param("minio", marks=pytest.mark.minio)]


@dataclass(frozen=True)
class Place:
    """A root that nothing else uses."""

    kind: str
    root: str
    fs_args: dict[str, Any] = field(default_factory=dict)

    def config(self, **changes: Any) -> CopickConfigFS:
        return CopickConfigFS(root=self.root, fs_args=self.fs_args, **changes)

    def storage(self, **changes: Any) -> Storage:
        return open_storage(self.config(**changes))


def make_place(kind: str, request: pytest.FixtureRequest) -> Place:
    """A fresh place of a kind; servers are started when first asked for."""
    name = uuid.uuid4().hex[:12]
    if kind == "local":
        return Place(kind, str(request.getfixturevalue("tmp_path") / "project"))
    if kind == "memory":
        return Place(kind, f"memory://volumes-{name}")
    server = request.getfixturevalue(f"{kind}_server")
    return Place(kind, f"s3://{server.new_bucket('volumes')}/project", server.fs_args())


Places = Callable[[], Place]
