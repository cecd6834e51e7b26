"""Picks, meshes and filaments, blocking: one file of a run each."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from aiocopick.entities.filaments import AsyncFilaments
from aiocopick.entities.files import AsyncFile
from aiocopick.entities.mesh import AsyncMesh
from aiocopick.entities.picks import AsyncPicks
from aiocopick.errors import ReadOnlyError
from aiocopick.models.entities import CopickFilaments, CopickMesh, CopickPicks
from aiocopick.sync.base import BlockingEntity, trivial_init
from aiocopick.sync.places import stripped
from aiocopick.sync.verbs import Attribute, attribute, calls, changes, deletes, like

if TYPE_CHECKING:
    from trimesh.parent import Geometry

    from aiocopick.formats.picks_table import PicksTable
    from aiocopick.models.filaments import CopickFilament, CopickFilamentsFile
    from aiocopick.models.metadata import CopickMeshMeta
    from aiocopick.models.points import CopickPicksFile, CopickPoint
    from aiocopick.sync.run import CopickRunFS

File = TypeVar("File", bound=AsyncFile)


class Annotation(BlockingEntity[File]):
    """A facade object that is one file of a run."""

    parent_name: ClassVar[str] = "run"
    run: Any

    pickable_object_name: Attribute[str] = attribute(AsyncFile)
    user_id: Attribute[str] = attribute(AsyncFile)
    session_id: Attribute[str] = attribute(AsyncFile)
    from_tool: Attribute[bool] = attribute(AsyncFile)
    from_user: Attribute[bool] = attribute(AsyncFile)
    color: Attribute[tuple[int, int, int, int] | None] = attribute(AsyncFile)

    @changes(AsyncFile.store)
    def store(self) -> Any: ...
    @calls(AsyncFile._store)
    def _store(self) -> Any: ...
    @calls(AsyncFile.load)
    def load(self) -> Any: ...
    @deletes(AsyncFile.delete)
    def delete(self) -> Any: ...

    @property
    def directory(self) -> str:
        """Its folder, as a path of :attr:`fs`, with a slash at its end."""
        return f"{stripped(self.layer, self.path).rpartition('/')[0]}/"

    def refresh(self) -> None:
        """Read the file again, at once."""
        self.load()

    def _refuse_static(self) -> None:
        # The async twin writes to the overlay; code written for copick counts on the refusal.
        if self.read_only:
            raise ReadOnlyError(
                f"{self.path} is in the read-only layer {self.layer.name!r}; write to what "
                f"new_{self.kind}(..., exist_ok=True) gives.",
                path=self.path,
            )

    def _read_once(self) -> None:
        """Read the file, unless what is in memory is what is stored."""
        if not self.aio.loaded:
            self._call(self._root._reader.look, self.aio, threading.get_ident())
        elif self.aio._outdated:
            self._call(self.aio._look)


class CopickPicksFS(Annotation[AsyncPicks], CopickPicks, twin=AsyncPicks):
    """The picks of an object in a run, by one user or tool in one session."""

    noun: ClassVar[str] = "picks"
    run: CopickRunFS

    @trivial_init
    def __init__(self, run: CopickRunFS, file: CopickPicksFile) -> None:
        self._begin(run, file)

    trust_orientation: Attribute[bool] = attribute(AsyncPicks)

    @calls(AsyncPicks.load)
    def load(self) -> Any: ...
    @calls(AsyncPicks._load)
    def _load(self) -> Any: ...
    @changes(AsyncPicks.update)
    def update(self) -> Any: ...
    @calls(AsyncPicks.to_numpy)
    def to_numpy(self) -> Any: ...
    @changes(AsyncPicks.from_numpy)
    def from_numpy(self) -> Any: ...
    @calls(AsyncPicks.df)
    def df(self) -> Any: ...
    @changes(AsyncPicks.from_df)
    def from_df(self) -> Any: ...

    @property
    def points(self) -> list[CopickPoint]:
        """The points as objects; the file is read the first time. From then on they are what is stored."""
        self._read_once()
        with self._root._guard:
            return self.aio.points

    @points.setter
    def points(self, value: list[CopickPoint] | None) -> None:
        self.aio.points = value

    @property
    def data(self) -> list[CopickPoint]:
        """The specification's name of :attr:`points`."""
        return self.points

    @data.setter
    def data(self, value: list[CopickPoint] | None) -> None:
        self.points = value

    @property
    def _data(self) -> list[CopickPoint] | None:
        return self.points if self.aio.loaded else None

    @_data.setter
    def _data(self, value: list[CopickPoint] | None) -> None:
        self.points = value

    def _columns(self) -> PicksTable:
        # What is in memory needs no turn of the loop, which would take longer than the rest for a few points.
        self._root._check_open()
        held = self.aio._cached_columns()
        return self._call(self.aio._columns) if held is None else held

    @like(AsyncPicks.numpy)
    def numpy(self) -> Any:
        return self._columns().poses()

    @like(AsyncPicks.scores)
    def scores(self) -> Any:
        return self._columns().filled_scores().copy()

    @like(AsyncPicks.instance_ids)
    def instance_ids(self) -> Any:
        return self._columns().ids().copy()

    @like(AsyncPicks.full_positions)
    def full_positions(self) -> Any:
        return self._columns().full_positions()


class CopickMeshFS(Annotation[AsyncMesh], CopickMesh, twin=AsyncMesh):
    """The mesh of an object in a run, by one user or tool in one session."""

    noun: ClassVar[str] = "meshes"
    run: CopickRunFS

    @trivial_init
    def __init__(self, run: CopickRunFS, meta: CopickMeshMeta, mesh: Geometry | None = None) -> None:
        self._begin(run, meta)
        if mesh is not None:
            self.aio.mesh = mesh

    @calls(AsyncMesh.load)
    def load(self) -> Any: ...
    @calls(AsyncMesh._load)
    def _load(self) -> Any: ...
    @calls(AsyncMesh.to_napari)
    def to_napari(self) -> Any: ...
    @calls(AsyncMesh.from_napari)
    def from_napari(self) -> Any: ...

    @property
    def mesh(self) -> Geometry:
        """The geometry, vertices xyz in angstrom; the file is read the first time. What is assigned stays as it is."""
        self._read_once()
        return self.aio.mesh

    @mesh.setter
    def mesh(self, value: Geometry | None) -> None:
        self.aio.mesh = value

    @property
    def _mesh(self) -> Geometry | None:
        return self.aio.mesh if self.aio.loaded else None

    @_mesh.setter
    def _mesh(self, value: Geometry | None) -> None:
        self.aio.mesh = value


class CopickFilamentsFS(Annotation[AsyncFilaments], CopickFilaments, twin=AsyncFilaments):
    """The filaments of an object in a run, by one user or tool in one session."""

    noun: ClassVar[str] = "filaments"
    run: CopickRunFS

    @trivial_init
    def __init__(self, run: CopickRunFS, file: CopickFilamentsFile) -> None:
        self._begin(run, file)

    voxel_spacing: Attribute[float | None] = attribute(AsyncFilaments)

    @calls(AsyncFilaments.load)
    def load(self) -> Any: ...
    @calls(AsyncFilaments._load)
    def _load(self) -> Any: ...
    @calls(AsyncFilaments.get)
    def get(self) -> Any: ...
    @calls(AsyncFilaments.instance_ids)
    def instance_ids(self) -> Any: ...
    @calls(AsyncFilaments.numpy)
    def numpy(self) -> Any: ...
    @changes(AsyncFilaments.from_numpy)
    def from_numpy(self) -> Any: ...
    @changes(AsyncFilaments.update)
    def update(self) -> Any: ...

    @property
    def filaments(self) -> list[CopickFilament]:
        """The filaments, in the order of the file; the file is read the first time."""
        self._read_once()
        return self.aio.filaments

    @filaments.setter
    def filaments(self, value: Sequence[CopickFilament] | None) -> None:
        self.aio.filaments = value
