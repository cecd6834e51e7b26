"""Picks, blocking."""

# Lists of our classes are no lists of abstract ones to a type checker; the parity test compares the signatures.
# mypy: disable-error-code="override"

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from aiocopick.entities.picks import AsyncPicks
from aiocopick.models.entities import CopickPicks
from aiocopick.sync.annotations import Annotation
from aiocopick.sync.base import keeps_names

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from aiocopick.formats.picks_table import PicksTable
    from aiocopick.models.points import CopickPicksFile, CopickPoint
    from aiocopick.sync.run import CopickRunFS


class CopickPicksFS(Annotation[AsyncPicks], CopickPicks):
    """The picks of an object in a run, by one user or tool in one session.

    Parameters
    ----------
    run : CopickRunFS
        The run.
    file : CopickPicksFile
        Its names; points in it count as set.
    """

    run: CopickRunFS
    noun: ClassVar[str] = "picks"

    @keeps_names
    def __init__(self, run: CopickRunFS, file: CopickPicksFile) -> None:
        self._begin(run, file)

    def _make_twin(self) -> AsyncPicks:
        return AsyncPicks(self.run.aio, self._given)

    @property
    def color(self) -> tuple[int, int, int, int] | None:
        """RGBA, 0 to 255, of its object."""
        return self.aio.color

    @property
    def trust_orientation(self) -> bool:
        """Whether the orientations mean anything; True before the file was loaded. It is set on :attr:`meta`."""
        return self.aio.trust_orientation

    @property
    def points(self) -> list[CopickPoint]:
        """The points as objects; the file is read the first time. From then on they are what is stored."""
        if not self.aio.loaded or self.aio._outdated:
            self._call(self.aio._look)
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

    def load(self) -> CopickPicksFile:
        """Read the file: one request.

        See :meth:`aiocopick.AsyncPicks.load`.
        """
        return self._call(self.aio.load)

    def _load(self) -> list[CopickPoint]:
        """The specification's loader: the points, [] when there is no file.

        See :meth:`aiocopick.AsyncPicks._load`.
        """
        return self._call(self.aio._load)

    def update(self, function: Callable[[list[CopickPoint]], Any]) -> None:
        """Change the stored points, whatever others do at the same time.

        See :meth:`aiocopick.AsyncPicks.update`.
        """
        self._refuse_static()
        self._call(self.aio.update, function)

    def numpy(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions and orientations, loaded when they are not yet.

        See :meth:`aiocopick.AsyncPicks.numpy`.
        """
        return self._columns().poses()

    def _columns(self) -> PicksTable:
        # What is in memory needs no turn of the loop, which would take longer than the rest for a few points.
        self._root._check_open()
        held = self.aio._columns_at_hand()
        return self._call(self.aio._columns) if held is None else held

    def to_numpy(self) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Positions and scores, loaded when they are not yet (the specification's form of :meth:`numpy`).

        See :meth:`aiocopick.AsyncPicks.to_numpy`.
        """
        return self._call(self.aio.to_numpy)

    def scores(self) -> NDArray[np.float64]:
        """Scores, (N,) float64: 1 where the file says nothing, NaN where it says null.

        See :meth:`aiocopick.AsyncPicks.scores`.
        """
        return self._columns().filled_scores().copy()

    def instance_ids(self) -> NDArray[np.int64]:
        """Instance ids, (N,) int64; 0 where a point has none.

        See :meth:`aiocopick.AsyncPicks.instance_ids`.
        """
        return self._columns().ids().copy()

    def full_positions(self) -> NDArray[np.float64]:
        """Centres of the particles, (N, 3) in angstrom: positions plus the translations of the transforms.

        See :meth:`aiocopick.AsyncPicks.full_positions`.
        """
        return self._columns().full_positions()

    def from_numpy(
        self,
        positions: ArrayLike,
        transforms: ArrayLike | None = None,
        instance_ids: ArrayLike | None = None,
        scores: ArrayLike | None = None,
        *,
        store: bool = True,
    ) -> None:
        """Replace the points.

        See :meth:`aiocopick.AsyncPicks.from_numpy`.
        """
        if store:
            self._refuse_static()
        self._call(self.aio.from_numpy, positions, transforms, instance_ids, scores, store=store)

    def df(self, format: str = "relion", **kwargs: Any) -> pd.DataFrame:
        """The points as a data frame, loaded when they are not yet. Needs pandas and scipy.

        See :meth:`aiocopick.AsyncPicks.df`.
        """
        return self._call(self.aio.df, format, **kwargs)

    def from_df(self, df: pd.DataFrame, format: str = "relion", **kwargs: Any) -> None:
        """Replace the points by those of a data frame, and store them. Needs pandas and scipy.

        See :meth:`aiocopick.AsyncPicks.from_df`.
        """
        self._refuse_static()
        self._call(self.aio.from_df, df, format, **kwargs)
