"""Filaments, blocking."""

# Lists of our classes are no lists of abstract ones to a type checker; the parity test compares the signatures.
# mypy: disable-error-code="override"

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from aiocopick.entities.filaments import AsyncFilaments
from aiocopick.models.entities import CopickFilaments
from aiocopick.sync.annotations import Annotation
from aiocopick.sync.base import keeps_names

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from aiocopick.models.filaments import CopickFilament, CopickFilamentsFile
    from aiocopick.sync.run import CopickRunFS


class CopickFilamentsFS(Annotation[AsyncFilaments], CopickFilaments):
    """The filaments of an object in a run, by one user or tool in one session.

    Parameters
    ----------
    run : CopickRunFS
        The run.
    file : CopickFilamentsFile
        Its names; filaments in it count as set.
    """

    run: CopickRunFS
    noun: ClassVar[str] = "filaments"

    @keeps_names
    def __init__(self, run: CopickRunFS, file: CopickFilamentsFile) -> None:
        self._begin(run, file)

    def _make_twin(self) -> AsyncFilaments:
        return AsyncFilaments(self.run.aio, self._given)

    @property
    def color(self) -> tuple[int, int, int, int] | None:
        """RGBA, 0 to 255, of its object."""
        return self.aio.color

    @property
    def filaments(self) -> list[CopickFilament]:
        """The filaments, in the order of the file; the file is read the first time."""
        if not self.aio.loaded or self.aio._outdated:
            self._call(self.aio._look)
        return self.aio.filaments

    @filaments.setter
    def filaments(self, value: Sequence[CopickFilament] | None) -> None:
        self.aio.filaments = value

    @property
    def voxel_spacing(self) -> float | None:
        """Voxel size of what they were traced in, in angstrom; None when not loaded or not known."""
        return self.aio.voxel_spacing

    def load(self) -> CopickFilamentsFile:
        """Read the file: one request.

        See :meth:`aiocopick.AsyncFilaments.load`.
        """
        return self._call(self.aio.load)

    def _load(self) -> list[CopickFilament]:
        """The filaments, [] when there is no file.

        See :meth:`aiocopick.AsyncFilaments._load`.
        """
        return self._call(self.aio._load)

    def get(self, instance_id: int) -> CopickFilament | None:
        """The filament of an id, or None; loaded when they are not yet.

        See :meth:`aiocopick.AsyncFilaments.get`.
        """
        return self._call(self.aio.get, instance_id)

    def instance_ids(self) -> NDArray[np.int64]:
        """Ids of the filaments, (K,) int64, in the order of the file.

        See :meth:`aiocopick.AsyncFilaments.instance_ids`.
        """
        return self._call(self.aio.instance_ids)

    def numpy(self) -> list[NDArray[np.float64]]:
        """Lines as (M, 3) float64 arrays of x, y, z in angstrom, in the order of the file.

        See :meth:`aiocopick.AsyncFilaments.numpy`.
        """
        return self._call(self.aio.numpy)

    def from_numpy(
        self,
        polylines: Sequence[ArrayLike],
        instance_ids: Sequence[int] | None = None,
        polarity_known: Sequence[bool] | None = None,
        scores: Sequence[float] | None = None,
        radii: Sequence[float | None] | None = None,
        voxel_spacing: float | None = None,
        metadata: Sequence[dict[str, Any] | None] | None = None,
        *,
        store: bool = True,
    ) -> None:
        """Replace the filaments; they have no curves then.

        See :meth:`aiocopick.AsyncFilaments.from_numpy`.
        """
        if store:
            self._refuse_static()
        self._call(
            self.aio.from_numpy,
            polylines,
            instance_ids,
            polarity_known,
            scores,
            radii,
            voxel_spacing,
            metadata,
            store=store,
        )

    def update(self, function: Callable[[list[CopickFilament]], Any]) -> None:
        """Change the stored filaments, whatever others do at the same time; as :meth:`AsyncPicks.update`.

        See :meth:`aiocopick.AsyncFilaments.update`.
        """
        self._refuse_static()
        self._call(self.aio.update, function)
