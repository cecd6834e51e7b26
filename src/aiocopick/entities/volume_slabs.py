"""A volume slab by slab, with bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from aiocopick.formats.ome import SPATIAL, spatial_axes

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
        if isinstance(axis, str) and axis not in SPATIAL:
            raise ValueError(f"axis is one of {', '.join(SPATIAL)} or a number, not {axis!r}")
        if thickness is not None and (isinstance(thickness, bool) or int(thickness) != thickness or thickness < 1):
            raise ValueError(f"thickness is a whole number of voxels from 1, not {thickness!r}")
        self._volume = volume
        self._axis = axis
        self._thickness = thickness
        self._level = zarr_group
        self._position = 0
        # What was read beyond the last slab: chunks are thicker than slabs, or do not end with them.
        self._rest: Array | None = None

    def __aiter__(self) -> Slabs:
        return self

    async def __anext__(self) -> Array:
        axis, size, edge = await self._geometry()
        thickness = self._thickness or edge
        if self._position >= size:
            self._rest = None
            raise StopAsyncIteration
        end = min(self._position + thickness, size)
        parts, have = [], self._position
        if self._rest is not None:
            parts.append(self._rest)
            have += self._rest.shape[axis]
        if have < end:
            upto = min(-(-end // edge) * edge, size)
            parts.append(await self._read(axis, have, upto))
            have = upto
        slab = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=axis)
        taken = end - self._position
        before = (slice(None),) * axis
        self._rest = slab[(*before, slice(taken, None))].copy() if have > end else None
        self._position = end
        # A copy, so that a slab that is kept does not keep what was read with it.
        return slab[(*before, slice(0, taken))].copy() if have > end else slab

    async def _geometry(self) -> tuple[int, int, int]:
        """Axis, voxels along it, and voxels of a chunk along it."""
        volume = self._volume
        await volume._resolve()
        state = volume._state_of_volume()
        level, group = await state.array(self._level), await state.group()
        metadata = level.metadata
        if isinstance(self._axis, str):
            where = spatial_axes(group.axes, metadata.ndim, path=f"{volume.path}/{level.path}")
            axis = where[SPATIAL.index(self._axis)]
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
