"""A mesh of an object in a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from aiocopick.concurrency.threads import in_thread
from aiocopick.entities.files import AsyncFile
from aiocopick.errors import NotFoundError, NotLoadedError
from aiocopick.layout.refs import MeshRef
from aiocopick.models.metadata import CopickMeshMeta

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray
    from trimesh.parent import Geometry

    from aiocopick.entities.run import AsyncRun

_SET = -1
"""Value instead of the hash of a loaded mesh if it was set. No hash is -1."""


class AsyncMesh(AsyncFile):
    """The mesh of an object in a run, by one user or tool in one session.

    Parameters
    ----------
    run : AsyncRun
        The run.
    meta : CopickMeshMeta
        Its names.
    mesh : trimesh Geometry, optional
        Counts as set.
    """

    __slots__ = ("_mesh", "_print")

    noun: ClassVar[str] = "meshes"
    ref: MeshRef
    _mesh: Geometry | None
    _print: int | None
    """Hash that tells if the loaded or stored mesh has changed since it was returned; None before that."""

    def __init__(self, run: AsyncRun, meta: CopickMeshMeta, mesh: Geometry | None = None) -> None:
        self._begin_file(run, MeshRef, meta)
        if mesh is not None:
            self.mesh = mesh

    def _forget(self) -> None:
        self._mesh = None
        self._print = None

    def _accept(self, payload: Geometry) -> None:
        self._mesh = payload
        self._print = None

    def _written(self, payload: Geometry) -> None:
        self._print = hash(payload)

    async def _is_edited(self) -> bool:
        return self._mesh is not None and self._print is not None and hash(self._mesh) != self._print

    def _content(self) -> Geometry:
        return self.mesh

    @property
    def loaded(self) -> bool:
        """True if a mesh is in memory, read or set."""
        return self._mesh is not None

    async def _payload(self) -> Geometry | None:
        return self._mesh

    def _make_meta(self) -> CopickMeshMeta:
        return CopickMeshMeta(**self._identity)

    def _state(self) -> Any:
        return None if self._mesh is None else (self._mesh, self._print, self._etag)

    def _restore(self, state: Any) -> None:
        self._mesh, self._print, self._etag = state

    @property
    def mesh(self) -> Geometry:
        """The geometry, vertices xyz in angstrom. What is assigned stays as it is, also when stored.

        Raises
        ------
        NotLoadedError
            ``load()`` was not awaited yet, and nothing was set.
        """
        if self._mesh is None:
            raise NotLoadedError(f"{self.path} is not loaded: await load() first.", path=self.path)
        if self._print is None:
            self._print = hash(self._mesh)
        return self._mesh

    @mesh.setter
    def mesh(self, value: Geometry | None) -> None:
        self._pin()
        self._mesh = value
        self._print = _SET

    async def load(self) -> Geometry:
        """Read the file: one request.

        Returns
        -------
        trimesh Geometry
            A Scene, as GLB files hold, or a Trimesh.

        Raises
        ------
        NotFoundError
            The file does not exist.
        FormatError
            The file cannot be decoded, or points outside itself; the message names the path.
        """
        geometry: Geometry = await super().load()
        return geometry

    async def _load(self) -> Geometry:
        """Return the mesh, an empty Trimesh if there is no file (the specification's loader)."""
        try:
            return await self.load()
        except NotFoundError:
            return await in_thread(_empty_mesh)

    async def to_napari(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Vertices and faces as napari draws them, loaded if necessary.

        Returns
        -------
        vertices : ndarray
            (V, 3) float64: z, y, x in angstrom.
        faces : ndarray
            (F, 3) int64.
        """
        await self._look()
        return await in_thread(_to_napari, self.mesh)

    async def from_napari(self, vertices: ArrayLike, faces: ArrayLike) -> None:
        """Set the mesh from what napari draws; it is not stored.

        Parameters
        ----------
        vertices : array_like
            (V, 3): z, y, x in angstrom.
        faces : array_like
            (F, 3) indices of vertices.
        """
        self.mesh = await in_thread(_from_napari, vertices, faces)


def empty_scene() -> Geometry:
    """Return the content of a new mesh, as CoPick writes it; imports trimesh."""
    import trimesh

    return trimesh.Trimesh().scene()


def _empty_mesh() -> Geometry:
    import trimesh

    return trimesh.Trimesh()


def _to_napari(geometry: Any) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    import numpy as np
    import trimesh

    # A scene places its parts; one mesh in the frame of the scene is wanted.
    mesh = geometry.to_mesh() if isinstance(geometry, trimesh.Scene) else geometry
    vertices = np.asarray(mesh.vertices, dtype=np.float64).reshape(-1, 3)
    faces = np.asarray(getattr(mesh, "faces", ()), dtype=np.int64).reshape(-1, 3)
    return np.ascontiguousarray(vertices[:, ::-1]), faces


def _from_napari(vertices: ArrayLike, faces: ArrayLike) -> Geometry:
    import numpy as np
    import trimesh

    points = np.asarray(vertices, dtype=np.float64).reshape(-1, 3)[:, ::-1]
    # Merging vertices would change what the caller's indices mean.
    return trimesh.Trimesh(points, np.asarray(faces, dtype=np.int64).reshape(-1, 3), process=False)
