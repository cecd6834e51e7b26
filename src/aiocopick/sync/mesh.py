"""Meshes, blocking."""

# Lists of our classes are no lists of abstract ones to a type checker; the parity test compares the signatures.
# mypy: disable-error-code="override"

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from aiocopick.entities.mesh import AsyncMesh
from aiocopick.models.entities import CopickMesh
from aiocopick.sync.annotations import Annotation
from aiocopick.sync.base import keeps_names

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray
    from trimesh.parent import Geometry

    from aiocopick.models.metadata import CopickMeshMeta
    from aiocopick.sync.run import CopickRunFS


class CopickMeshFS(Annotation[AsyncMesh], CopickMesh):
    """The mesh of an object in a run, by one user or tool in one session.

    Parameters
    ----------
    run : CopickRunFS
        The run.
    meta : CopickMeshMeta
        Its names.
    mesh : trimesh Geometry, optional
        Counts as set.
    """

    run: CopickRunFS
    noun: ClassVar[str] = "meshes"

    @keeps_names
    def __init__(self, run: CopickRunFS, meta: CopickMeshMeta, mesh: Geometry | None = None) -> None:
        self._begin(run, meta)
        if mesh is not None:
            self.aio.mesh = mesh

    def _make_twin(self) -> AsyncMesh:
        return AsyncMesh(self.run.aio, self._given)

    @property
    def color(self) -> tuple[int, int, int, int] | None:
        """RGBA, 0 to 255, of its object."""
        return self.aio.color

    @property
    def mesh(self) -> Geometry:
        """The geometry, vertices xyz in angstrom; the file is read the first time. What is assigned stays as it is."""
        if not self.aio.loaded or self.aio._outdated:
            self._call(self.aio._look)
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

    def load(self) -> Geometry:
        """Read the file: one request.

        See :meth:`aiocopick.AsyncMesh.load`.
        """
        return self._call(self.aio.load)

    def _load(self) -> Geometry:
        """The specification's loader: an empty Trimesh when there is no file.

        See :meth:`aiocopick.AsyncMesh._load`.
        """
        return self._call(self.aio._load)

    def to_napari(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Vertices and faces as napari draws them, loaded when they are not yet.

        See :meth:`aiocopick.AsyncMesh.to_napari`.
        """
        return self._call(self.aio.to_napari)

    def from_napari(self, vertices: ArrayLike, faces: ArrayLike) -> None:
        """Set the mesh from what napari draws; it is not stored.

        See :meth:`aiocopick.AsyncMesh.from_napari`.
        """
        self._call(self.aio.from_napari, vertices, faces)
