"""Projects on every backend, their server behind one that fails as it is told."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import aiocopick
from aiocopick.models import CopickConfigFS
from aiocopick.testing import FaultServer
from tests.memory import Memory, resident, traced
from tests.servers.web import WebServer

MEMORY, DISK, HTTP = "memory", "disk", "http"
MOTO = ["s3", "obstore"]
OTHERS = [
    pytest.param("minio", marks=pytest.mark.minio),
    pytest.param("gs", marks=pytest.mark.gcs),
    pytest.param("az", marks=pytest.mark.azure),
]
STORES = [*MOTO, *OTHERS]
NETWORK = [*STORES, HTTP]
WRITABLE = [MEMORY, DISK, *STORES]
ALL = [*WRITABLE, HTTP]


def some(*kinds: str, of: Sequence[Any] = ALL) -> list[Any]:
    """All of some kinds; those that are not named take part in the full profile only."""
    return [
        kind
        if (kind if isinstance(kind, str) else kind.values[0]) in kinds
        else pytest.param(kind, marks=[*getattr(kind, "marks", ()), pytest.mark.reliability_full])
        if isinstance(kind, str)
        else pytest.param(*kind.values, marks=[*kind.marks, pytest.mark.reliability_full])
        for kind in of
    ]


_SERVERS = {
    "s3": "moto_server",
    "obstore": "moto_server",
    "minio": "minio_server",
    "gs": "gcs_server",
    "az": "azure_server",
}


@dataclass(frozen=True)
class Place:
    """Where one project is.

    Attributes
    ----------
    root, fields
        Of its config; requests to a server pass through `server`.
    server : FaultServer or None
        None for memory and disk.
    writing : CopickConfigFS
        The same project, without the faults; for HTTP the folder that is served.
    """

    kind: str
    root: str
    fields: dict[str, Any]
    server: FaultServer | None
    writing: CopickConfigFS = field(repr=False)

    def config(self, **changes: Any) -> CopickConfigFS:
        names = {"user_id": "someone", "session_id": "1"}
        return CopickConfigFS(root=self.root, **{**names, **self.fields, **changes})

    def memory(self) -> AbstractContextManager[Memory]:
        """Measure the memory of the work inside."""
        native = self.root.startswith("s3://") and self.fields.get("engine") != "s3fs"
        return resident() if native else traced()

    def open(self, **changes: Any) -> aiocopick.AsyncRoot:
        return aiocopick.AsyncRoot(self.config(**changes))

    def open_sync(self, **changes: Any) -> aiocopick.CopickRootFS:
        return aiocopick.CopickRootFS(self.config(**changes))


def _moved(arguments: Any, old: str, new: str) -> Any:
    """The same arguments with another address."""
    if isinstance(arguments, dict):
        return {name: _moved(value, old, new) for name, value in arguments.items()}
    return arguments.replace(old, new) if isinstance(arguments, str) else arguments


@contextmanager
def make_place(kind: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Place]:
    """A place that nothing else uses; servers are started when first asked for."""
    names = {"user_id": "someone", "session_id": "1"}
    with ExitStack() as stack:
        if kind in (MEMORY, DISK):
            root = f"memory://reliability-{uuid.uuid4().hex}" if kind == MEMORY else str(folder / "project")
            yield Place(kind, root, {}, None, CopickConfigFS(root=root, **names))
        elif kind == HTTP:
            project = folder / "served" / "project"
            project.mkdir(parents=True)
            behind = stack.enter_context(WebServer(project))
            server = stack.enter_context(FaultServer(upstream=behind.url))
            yield Place(kind, server.url, {}, server, CopickConfigFS(root=str(project), **names))
        else:
            store: Any = request.getfixturevalue(_SERVERS[kind])
            server = stack.enter_context(FaultServer(upstream=store.url))
            protocol = kind if kind in ("gs", "az") else "s3"
            root = f"{protocol}://{store.new_bucket()}/project"
            # The default is obstore, where it is installed.
            engine = {"engine": "s3fs"} if kind == "s3" else {}
            fields = {"fs_args": _moved(store.fs_args(), store.url, server.url), **engine}
            yield Place(
                kind, root, fields, server, CopickConfigFS(root=root, fs_args=store.fs_args(), **engine, **names)
            )
