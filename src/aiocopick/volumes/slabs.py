"""A volume slab by slab, with bounded memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from aiocopick.concurrency.lazy import numpy as np
from aiocopick.concurrency.misuse import AsyncOnly
from aiocopick.volumes.array import LevelArray, Limits
from aiocopick.volumes.ome import SPATIAL
from aiocopick.volumes.regions import on_data, read_items
from aiocopick.volumes.whole_number import whole_number

Array: TypeAlias = "np.ndarray[Any, Any]"


class Slabs(AsyncOnly):
    """An async iterator over consecutive slabs of a volume.

    Nothing is read ahead and nothing is left open: it may be left at any time.

    Parameters
    ----------
    look : callable
        Coroutine function that gives the level that is read.
    limits : callable
        Gives the limits of its layer.
    axis : str or int
        ``"z"``, ``"y"``, ``"x"``, or an axis of the array.
    thickness : int, optional
        Voxels; None is the thickness of a chunk.

    Raises
    ------
    ValueError
        A thickness below 1, or an axis that there is not.
    """

    def __init__(
        self,
        look: Callable[[], Awaitable[LevelArray]],
        limits: Callable[[], Limits],
        axis: str | int,
        thickness: int | None,
    ) -> None:
        known = axis in SPATIAL if isinstance(axis, str) else isinstance(axis, int | np.integer)
        if not known or isinstance(axis, bool):
            raise ValueError(f"axis is one of {', '.join(SPATIAL)} or a number, not {axis!r}")
        self._look = look
        self._limits = limits
        self._axis = axis
        self._thickness = None if thickness is None else whole_number(thickness, "thickness")
        self._position = 0
        # What was read beyond the last slab, not copied: chunks are thicker than slabs, or do not end with them.
        self._rest: Array | None = None

    def __aiter__(self) -> Slabs:
        return self

    async def __anext__(self) -> Array:
        level = await self._look()
        axis = self._axis_of(level)
        size, edge = level.metadata.shape[axis], level.metadata.chunks[axis]
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
            items: list[Any] = [None] * level.metadata.ndim
            items[axis] = slice(have, min(-(-end // edge) * edge, size))
            more = await read_items(level, items, self._limits())
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

    def _axis_of(self, level: LevelArray) -> int:
        if isinstance(self._axis, str):
            return level.spatial_axes[SPATIAL.index(self._axis)]
        ndim = level.metadata.ndim
        if not -ndim <= self._axis < ndim:
            raise ValueError(f"axis {self._axis} is none of the {ndim} axes")
        return self._axis % ndim
