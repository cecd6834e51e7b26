"""The density map of an object as a volume: one level, and it may not be there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from aiocopick.entities.volume_density import AsyncDensity
from aiocopick.errors import AlreadyExistsError, NotFoundError
from aiocopick.layers.base import Source
from aiocopick.volumes.writing import Progress

if TYPE_CHECKING:
    from zarr.abc.store import Store


class AsyncMapVolume(AsyncDensity):
    """What an object is as a volume."""

    __slots__ = ()

    @property
    def is_particle(self) -> bool:
        """Whether it may have a density map."""
        raise NotImplementedError

    @property
    def voxel_size(self) -> float:
        """Not known before the map is opened: :meth:`levels` tells. 1 where the map does not say."""
        return 1.0

    def _finest_voxel_size(self) -> None:
        return None

    def zarr(self) -> Store | None:  # type: ignore[override]
        """The density map as a zarr 3 store. Sends no request.

        Returns
        -------
        zarr.abc.store.Store or None
            None for what is no particle, and for a read-only object that was listed without a map.
        """
        if not self.is_particle or (self.read_only and not self._sources):
            return None
        return super().zarr()

    def _store(self) -> Store:
        if not self.is_particle:
            raise NotFoundError(
                f"{self.path}: only particles have density maps; set is_particle in the config", path=self.path
            )
        return super()._store()

    async def _write_target(self) -> Source:
        try:
            return await super()._write_target()
        except NotFoundError:
            # An object may have no map yet, unlike volumes that were created or listed.
            return self._stack.target(self.ref, ())

    async def _make_place(self, target: Source) -> None:
        if not self._sources:
            with suppress(AlreadyExistsError):
                await target.layer.create(self.ref)
            self._stored_in(target)

    async def has_density_map(self) -> bool:
        """Whether there is a density map: nothing is sent when it was opened before, else as for its first read."""
        if not self.is_particle:
            return False
        try:
            await self._resolve()
            await self._state_of_volume().array()
        except NotFoundError:
            return False
        return True

    async def numpy(
        self,
        zarr_group: str | None = None,
        x: slice = slice(None),
        y: slice = slice(None),
        z: slice = slice(None),
    ) -> Any:
        """Read the density map, or a region of it; as for tomograms.

        Returns
        -------
        ndarray or None
            None when there is no map.
        """
        if not await self.has_density_map():
            return None
        return await super().numpy(zarr_group, x, y, z)

    async def from_numpy(
        self,
        data: Any,
        voxel_size: float,
        dtype: Any = np.float32,
        *,
        chunks: Sequence[int] | None = None,
        shards: Sequence[int] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Write the density map, one level, in the place of whatever is there.

        Parameters
        ----------
        data : array-like, shape (Z, Y, X)
            As for tomograms.
        voxel_size : float
            Angstrom.
        dtype : dtype, optional
            What is stored; None is the type of the data.
        chunks, shards, progress
            As for tomograms.

        Raises
        ------
        ReadOnlyError
            No layer can be written to.
        ValueError
            The object is no particle, a voxel size that is not positive, data that is not 3D.
        """
        if not self.is_particle:
            raise ValueError(f"{self.path}: only particles have density maps; set is_particle in the config")
        if not (np.isfinite(voxel_size) and voxel_size > 0):
            raise ValueError(f"voxel_size must be positive, not {voxel_size!r}")
        await self._write_density(data, 1, dtype, float(voxel_size), chunks, shards, progress)
