"""A volume slab by slab, with bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from aiocopick.volumes.ome import SPATIAL
from aiocopick.volumes.regions import on_data
from aiocopick.volumes.whole_number import whole_number

if TYPE_CHECKING:
    from aiocopick.entities.volume import AsyncVolume

Array: TypeAlias = np.ndarray[Any, Any]


class Slabs:
    """An async iterator over consecutive slabs of a volume.

    Nothing is read ahead and nothing is left open: it may be left at any time.

    Parameters
    ----------
    volume : AsyncVolume
        What is read.
    axis : str or int
        ``"z"``, ``"y"``, ``"x"``, or an axis of the array.
    thickness : int, optional
        Voxels; None is the thickness of a chunk.
    zarr_group : str, optional
        Path of the level; None is the finest one.

    Raises
    ------
    ValueError
        A thickness below 1, or an axis that there is not.
    """

    def __init__(self, volume: AsyncVolume, axis: str | int, thickness: int | None, zarr_group: str | None) -> None:
        known = axis in SPATIAL if isinstance(axis, str) else isinstance(axis, int | np.integer)
        if not known or isinstance(axis, bool):
            raise ValueError(f"axis is one of {', '.join(SPATIAL)} or a number, not {axis!r}")
        self._volume = volume
        self._axis = axis
        self._thickness = None if thickness is None else whole_number(thickness, "thickness")
        self._level = zarr_group
        self._position = 0
        # What was read beyond the last slab, not copied: chunks are thicker than slabs, or do not end with them.
        self._rest: Array | None = None

    def __aiter__(self) -> Slabs:
        return self

    async def __anext__(self) -> Array:
        axis, size, edge = await self._geometry()
        thickness = self._thickness or edge
        if self._position >= size:
            raise StopAsyncIteration
        end = min(self._position + thickness, size)
        rest = self._rest
        have = self._position + (0 if rest is None else rest.shape[axis])
        if have < end:
            if rest is not None:
                # All but the end of that layer has been given: a copy lets go of it while the next one is read.
                rest = self._rest = await on_data(np.copy, rest)
            more = await self._read(axis, have, min(-(-end // edge) * edge, size))
            parts = [] if rest is None else [rest]
        else:
            assert rest is not None
            have, more, parts = self._position, rest, []
        before = (slice(None),) * axis
        first, after = more[(*before, slice(None, end - have))], more[(*before, slice(end - have, None))]
        parts.append(first)
        if len(parts) == 1 and first.shape == more.shape and more is not rest:
            slab = more
        else:
            # A copy, so that a slab that is kept does not keep what was read with it.
            slab = await on_data(lambda _: np.concatenate(parts, axis=axis), max(parts, key=lambda part: part.nbytes))
        self._rest = after if after.shape[axis] else None
        self._position = end
        return slab

    async def _geometry(self) -> tuple[int, int, int]:
        """Axis, voxels along it, and voxels of a chunk along it."""
        volume = self._volume
        await volume._resolve()
        state = volume._state_of_volume()
        metadata = (await state.array(self._level)).metadata
        if isinstance(self._axis, str):
            axis = (await state.spatial_axes(self._level))[SPATIAL.index(self._axis)]
        else:
            if not -metadata.ndim <= self._axis < metadata.ndim:
                raise ValueError(f"axis {self._axis} is none of the {metadata.ndim} axes")
            axis = self._axis % metadata.ndim
        return axis, metadata.shape[axis], metadata.chunks[axis]

    async def _read(self, axis: int, start: int, stop: int) -> Array:
        level = await self._volume._state_of_volume().array(self._level)
        items: list[Any] = [None] * level.metadata.ndim
        items[axis] = slice(start, stop)
        return await self._volume._read(self._level, items)
