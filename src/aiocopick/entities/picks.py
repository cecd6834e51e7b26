"""Picks: points of an object in a run, as arrays and data frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from aiocopick.entities.picks_data import PicksData
from aiocopick.entities.picks_frames import check_format, from_frame, to_frame
from aiocopick.formats.picks_table import PicksTable
from aiocopick.layout.refs import PicksRef
from aiocopick.models.points import CopickPicksFile

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from aiocopick.entities.run import AsyncRun


class AsyncPicks(PicksData):
    """The picks of an object in a run, by one user or tool in one session.

    Parameters
    ----------
    run : AsyncRun
        The run.
    file : CopickPicksFile
        Its names; points in it count as set.
    """

    __slots__ = ()

    def __init__(self, run: AsyncRun, file: CopickPicksFile) -> None:
        self.run = run
        self.ref = PicksRef(
            run=run.name,
            user_id=file.user_id,
            session_id=str(file.session_id),
            object_name=file.pickable_object_name,
        )
        self._sources = ()
        self._meta = None
        self._reset()
        self._meta = file
        if file.points:
            self._points = file.points

    async def numpy(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions and orientations, loaded when they are not yet.

        Returns
        -------
        positions : ndarray
            (N, 3) float64: x, y, z in angstrom.
        transforms : ndarray
            (N, 4, 4) float64, from object space to tomogram space; translations in angstrom.
        """
        return (await self._columns()).poses()

    async def to_numpy(self) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Positions and scores, loaded when they are not yet (the specification's form of :meth:`numpy`).

        Returns
        -------
        positions : ndarray
            (N, 3) float64: x, y, z in angstrom.
        scores : ndarray or None
            (N,) float64, NaN where the file says null; None when no point has one.
        """
        table = await self._columns()
        scores = table.scores if table.has_scores() else None
        return table.positions.copy(), None if scores is None else scores.copy()

    async def scores(self) -> NDArray[np.float64]:
        """Scores, (N,) float64: 1 where the file says nothing, NaN where it says null."""
        return (await self._columns()).filled_scores().copy()

    async def instance_ids(self) -> NDArray[np.int64]:
        """Instance ids, (N,) int64; 0 where a point has none."""
        return (await self._columns()).ids().copy()

    async def full_positions(self) -> NDArray[np.float64]:
        """Centres of the particles, (N, 3) in angstrom: positions plus the translations of the transforms."""
        return (await self._columns()).full_positions()

    async def from_numpy(
        self,
        positions: ArrayLike,
        transforms: ArrayLike | None = None,
        instance_ids: ArrayLike | None = None,
        scores: ArrayLike | None = None,
        *,
        store: bool = True,
    ) -> None:
        """Replace the points.

        ``run_name``, ``voxel_spacing``, ``trust_orientation`` and keys that CoPick does not know stay as they are in an
        existing file.

        Parameters
        ----------
        positions : array_like
            (N, 3): x, y, z in angstrom; finite.
        transforms : array_like, optional
            (N, 4, 4); the identity without.
        instance_ids : array_like, optional
            (N,) integers, 0 or more; 0 without.
        scores : array_like, optional
            (N,), finite, or NaN for null; 1 without.
        store : bool
            Whether to write the file as well.

        Raises
        ------
        ValueError
            A shape is wrong, or a value cannot be stored; the message says which.
        ConflictError
            Somebody else changed the file since it was loaded.
        """
        if store:
            self._stack.writer()
        table = PicksTable.from_arrays(positions, transforms, instance_ids, scores)
        finite = np.isfinite(table.positions).all(axis=1)
        if not finite.all():
            raise ValueError(f"positions must be finite; the one at index {int(np.argmin(finite))} is not.")
        self._pin()
        self._table = table
        self._points = None
        self._meta = self._model((self._header or {}) | self._told())
        if store:
            await self.store()

    async def df(self, /, format: str = "relion", **kwargs: Any) -> pd.DataFrame:
        """The points as a data frame, loaded when they are not yet. Needs pandas and scipy.

        Parameters
        ----------
        format : {"relion"}
            RELION's particle table.
        voxel_spacing : float, optional
            In angstrom: prefer the tomogram of this size for the centre.
        tilt_series_pixel_size : float, optional
            In angstrom; adds the columns ``rlnCoordinate{X,Y,Z}``, in tilt-series pixels.
        tomogram_center : sequence of float, optional
            x, y, z in angstrom; without, half the extent of a tomogram of the run.
        tomo_type : str, optional
            Type of the tomogram whose centre is meant.
        filament : bool or "auto"
            Whether to write RELION's filament columns; by default for objects declared filaments.
        polarity_known : bool or (N,) bools
            For filament columns: whether the order of the points follows the polarity.

        Raises
        ------
        ValueError
            The format is not known, or the table cannot be made.
        """
        check_format(format)
        return await to_frame(self, **kwargs)

    async def from_df(self, /, df: pd.DataFrame, format: str = "relion", **kwargs: Any) -> None:
        """Replace the points by those of a data frame, and store them. Needs pandas and scipy.

        Parameters
        ----------
        df : DataFrame
            RELION's particle table; all its rows belong to this run.
        format : {"relion"}
            What the columns are.
        optics : DataFrame, optional
            The optics table of the same STAR file.
        tilt_series_pixel_size : float, optional
            In angstrom; overrides `optics`.
        tomogram_center : sequence of float, optional
            x, y, z in angstrom; without, half the extent of a tomogram of the run.
        relion_version : {"relion4", "relion5"}, optional
            Insist on pixel coordinates, or on centred ones.

        Raises
        ------
        ValueError
            The format is not known, or the table cannot be understood.
        """
        check_format(format)
        await from_frame(self, df, **kwargs)
