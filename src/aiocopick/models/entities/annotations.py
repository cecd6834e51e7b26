"""Picks, meshes and filaments: one file each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from trimesh.parent import Geometry

    from aiocopick.models.entities.run import CopickRun
    from aiocopick.models.filaments import CopickFilament, CopickFilamentsFile
    from aiocopick.models.metadata import CopickMeshMeta
    from aiocopick.models.points import CopickPicksFile, CopickPoint


class _Annotation:
    """What picks, meshes and filaments have in common."""

    run: CopickRun

    @property
    def pickable_object_name(self) -> str:
        """Object it is of."""
        raise NotImplementedError

    @property
    def user_id(self) -> str:
        """User or tool that made it."""
        raise NotImplementedError

    @property
    def session_id(self) -> str:
        """Session it was made in; ``"0"`` for tools."""
        raise NotImplementedError

    @property
    def from_tool(self) -> bool:
        """Whether a tool made it."""
        raise NotImplementedError

    @property
    def from_user(self) -> bool:
        """Whether a user made it."""
        raise NotImplementedError

    def store(self) -> None:
        """Write what was loaded or set."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Read the file anew."""
        raise NotImplementedError

    def delete(self) -> None:
        """Delete the file."""
        raise NotImplementedError

    def _store(self) -> None:
        """Write the file."""
        raise NotImplementedError

    def _delete_data(self) -> None:
        """Delete the file."""
        raise NotImplementedError


class CopickPicks(_Annotation):
    """Picks: the points of one object, from one user or tool in one session.

    Parameters
    ----------
    run : CopickRun
        The run.
    file : CopickPicksFile
        Names and ids, and points where they are known.
    """

    meta: CopickPicksFile

    def __init__(self, run: CopickRun, file: CopickPicksFile) -> None:
        self.run = run
        self.meta = file

    @property
    def points(self) -> list[CopickPoint]:
        """The points, read when they are first asked for; settable."""
        raise NotImplementedError

    @points.setter
    def points(self, value: list[CopickPoint]) -> None:
        raise NotImplementedError

    @property
    def trust_orientation(self) -> bool:
        """Whether the orientations mean anything; True before the file is read."""
        raise NotImplementedError

    @property
    def color(self) -> tuple[int, int, int, int] | None:
        """RGBA of the object."""
        raise NotImplementedError

    def load(self) -> CopickPicksFile:
        """Read the file.

        Raises
        ------
        NotFoundError
            There is none.
        FormatError
            It cannot be understood.
        """
        raise NotImplementedError

    def numpy(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions, (N, 3) x, y, z in angstrom, and transforms, (N, 4, 4) with translations in angstrom."""
        raise NotImplementedError

    def instance_ids(self) -> NDArray[np.int64]:
        """The instance ids, (N,); 0 where a point has none."""
        raise NotImplementedError

    def scores(self) -> NDArray[np.float64]:
        """Scores, (N,) float64: 1 where the file says nothing, NaN where it says null."""
        raise NotImplementedError

    def full_positions(self) -> NDArray[np.float64]:
        """Centres of the particles, (N, 3) in angstrom: positions plus the translations of the transforms."""
        raise NotImplementedError

    def from_numpy(
        self,
        positions: NDArray[Any],
        transforms: NDArray[Any] | None = None,
        instance_ids: NDArray[Any] | None = None,
        scores: NDArray[Any] | None = None,
        *,
        store: bool = True,
    ) -> None:
        """Replace the points, and store them.

        Parameters
        ----------
        positions : ndarray
            (N, 3): x, y, z in angstrom.
        transforms : ndarray, optional
            (N, 4, 4), translations in angstrom; None is the identity.
        instance_ids : ndarray, optional
            (N,), integers of 0 or more; None is 0.
        scores : ndarray, optional
            (N,), finite; None is 1.
        store : bool
            Whether the file is written at once.

        Raises
        ------
        ValueError
            A shape is wrong or a value is not allowed.
        """
        raise NotImplementedError

    def df(self, format: str = "relion", **kwargs: Any) -> pd.DataFrame:
        """The points as a table in the format of another program (``"relion"``)."""
        raise NotImplementedError

    def from_df(self, df: pd.DataFrame, format: str = "relion", **kwargs: Any) -> None:
        """Replace the points by those of such a table, and store them."""
        raise NotImplementedError

    def _load(self) -> CopickPicksFile:
        """Read the file."""
        raise NotImplementedError


class CopickMesh(_Annotation):
    """A mesh of one object, from one user or tool in one session.

    Parameters
    ----------
    run : CopickRun
        The run.
    meta : CopickMeshMeta
        Names and ids.
    mesh : trimesh.parent.Geometry, optional
        The geometry, where it is known.
    """

    meta: CopickMeshMeta

    def __init__(self, run: CopickRun, meta: CopickMeshMeta, mesh: Geometry | None = None) -> None:
        self.run = run
        self.meta = meta
        self._mesh = mesh

    @property
    def mesh(self) -> Geometry:
        """The geometry, coordinates in angstrom; read when it is first asked for; settable."""
        raise NotImplementedError

    @mesh.setter
    def mesh(self, value: Geometry) -> None:
        raise NotImplementedError

    @property
    def color(self) -> tuple[int, int, int, int] | None:
        """RGBA of the object."""
        raise NotImplementedError

    def load(self) -> Geometry:
        """Read the file.

        Raises
        ------
        NotFoundError
            There is none.
        FormatError
            It cannot be understood, or refers to something outside itself.
        """
        raise NotImplementedError

    def _load(self) -> Geometry:
        """Read the file."""
        raise NotImplementedError


class CopickFilaments(_Annotation):
    """Filaments: traced lines of one object, from one user or tool in one session.

    Parameters
    ----------
    run : CopickRun
        The run.
    file : CopickFilamentsFile
        Names and ids, and filaments where they are known.
    """

    meta: CopickFilamentsFile

    def __init__(self, run: CopickRun, file: CopickFilamentsFile) -> None:
        self.run = run
        self.meta = file

    @property
    def voxel_spacing(self) -> float | None:
        """Voxel size of what they were traced in, in angstrom."""
        raise NotImplementedError

    @property
    def filaments(self) -> list[CopickFilament]:
        """The filaments, read when they are first asked for; settable."""
        raise NotImplementedError

    @filaments.setter
    def filaments(self, value: list[CopickFilament]) -> None:
        raise NotImplementedError

    def load(self) -> CopickFilamentsFile:
        """Read the file; errors as for :meth:`CopickPicks.load`."""
        raise NotImplementedError

    def get(self, instance_id: int) -> CopickFilament | None:
        """The filament of that id, or None."""
        raise NotImplementedError

    def instance_ids(self) -> NDArray[np.int64]:
        """The ids, (K,), in the order of the file."""
        raise NotImplementedError

    def numpy(self) -> list[NDArray[np.float64]]:
        """The lines: an (M, 3) array of x, y, z in angstrom for each."""
        raise NotImplementedError

    def from_numpy(
        self,
        polylines: list[NDArray[Any]],
        instance_ids: list[int] | None = None,
        polarity_known: list[bool] | None = None,
        scores: list[float] | None = None,
        radii: list[float | None] | None = None,
        voxel_spacing: float | None = None,
        metadata: list[dict[str, Any] | None] | None = None,
        *,
        store: bool = True,
    ) -> None:
        """Replace the filaments, and store them; they have no curves then.

        Parameters
        ----------
        polylines : list of ndarray
            (M, 3) each, M at least 2, angstrom, in order along the filament.
        instance_ids : list of int, optional
            1 or more, unique; None counts from 1.
        polarity_known : list of bool, optional
            Whether the order follows the polarity.
        scores : list of float, optional
            Confidence; None is 1.
        radii : list of float, optional
            Angstrom.
        voxel_spacing : float, optional
            Voxel size of what they were traced in; None keeps what the file says.
        metadata : list of dict, optional
            Anything else, for each.
        store : bool
            Whether the file is written at once.

        Raises
        ------
        ValueError
            Lengths differ, or a filament is not allowed.
        """
        raise NotImplementedError

    def _load(self) -> CopickFilamentsFile:
        """Read the file."""
        raise NotImplementedError
