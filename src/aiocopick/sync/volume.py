"""What the facade's tomograms, feature maps, segmentations and object maps have in common."""

# Lists of our classes are no lists of abstract ones to a type checker; the parity test compares the signatures.
# mypy: disable-error-code="override"

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from aiocopick.sync.base import BlockingEntity

if TYPE_CHECKING:
    import numpy as np
    from zarr import Array

    from aiocopick.entities.volume import AsyncVolume
    from aiocopick.volumes.state import Level


Zarr = TypeVar("Zarr", bound="AsyncVolume")


class Volume(BlockingEntity[Zarr]):
    """A facade object that is a zarr volume."""

    ignores_shards: ClassVar[bool] = False
    """Whether shards are left out, with a warning, where new volumes are zarr 2; ``aiocopick.compat`` sets it."""

    def _shards(self, shards: Sequence[int] | None) -> Sequence[int] | None:
        if shards is None or not Volume.ignores_shards or getattr(self.root.layer.config, "zarr_format", 2) != 2:
            return shards
        warnings.warn(f"shards exist in zarr 3 only, and {self.path} is written as zarr 2: left out", stacklevel=3)
        return None

    @property
    def layer_type(self) -> str:
        """What napari shows it as: ``"image"`` or ``"labels"``."""
        return self.aio.layer_type

    def open_array(self, zarr_group: str | None = None) -> Array[Any]:
        """One level as zarr's array; the requests of the async twin the first time, then none.

        What is read from it goes over zarr's own event loop.
        """
        from zarr import Array

        return Array(self._call(self.aio.open_array, zarr_group))

    def levels(self) -> tuple[Level, ...]:
        """All levels, finest first: 2 requests, and one per level that was not asked for before, in 2 round trips.

        See :meth:`aiocopick.AsyncTomogram.levels`.
        """
        return self._call(self.aio.levels)

    def level_for(self, voxel_size: float) -> Level:
        """The level to work on at a voxel size: the coarsest one that is not coarser than asked for, else the finest.

        See :meth:`aiocopick.AsyncTomogram.level_for`.
        """
        return self._call(self.aio.level_for, voxel_size)

    def extract(
        self,
        positions: Any,
        box: int | Sequence[int],
        zarr_group: str | None = None,
        fill: float = 0,
    ) -> np.ndarray[Any, Any]:
        """Cut boxes around points, each chunk being read once.

        See :meth:`aiocopick.AsyncTomogram.extract`.
        """
        return self._call(self.aio.extract, positions, box, zarr_group, fill)

    def slabs(
        self, axis: str | int = "z", thickness: int | None = None, zarr_group: str | None = None
    ) -> Iterator[np.ndarray[Any, Any]]:
        """Go through the volume in slabs, with one slab of chunks in memory at a time, each chunk being read once.

        See :meth:`aiocopick.AsyncTomogram.slabs`.
        """
        return self._iterate(self.aio.slabs(axis, thickness, zarr_group))

    def to_dask(self, zarr_group: str | None = None) -> Any:
        """One level as a dask array, a task per chunk (or shard). The tasks pickle; each reads through the store.

        See :meth:`aiocopick.AsyncTomogram.to_dask`.
        """
        return self._call(self.aio.to_dask, zarr_group)

    def refresh(self) -> None:
        """Forget what was listed and learnt, so that the next look asks the storage.

        See :meth:`aiocopick.AsyncTomogram.refresh`.
        """
        self.aio.refresh()
