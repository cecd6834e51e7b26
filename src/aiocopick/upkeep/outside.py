"""Points measured against the tomograms of their run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from aiocopick.entities import AsyncPicks, AsyncTomogram
from aiocopick.errors import CopickError
from aiocopick.storage.limits import gather_results
from aiocopick.upkeep.finding import Finding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aiocopick.entities import AsyncFilaments

_VOLUMES_AT_ONCE = 16


async def extent_of(tomograms: Sequence[AsyncTomogram]) -> NDArray[np.float64] | None:
    """The far corner (x, y, z in angstrom) of all tomograms together; None when none can be measured."""
    corners = []
    for result in await gather_results(AsyncTomogram.levels, tomograms, limit=_VOLUMES_AT_ONCE):
        if not isinstance(result, CopickError):
            finest = result[0]
            corners.append(np.array(finest.shape[-3:]) * np.array(finest.voxel_size))
    return np.max(corners, axis=0)[::-1] if corners else None


async def outside(item: AsyncPicks | AsyncFilaments, extent: NDArray[np.float64]) -> list[Finding]:
    """The points of a file that lie beyond the far corner of all tomograms, or before the near one."""
    if isinstance(item, AsyncPicks):
        positions = await item.full_positions()
    else:
        positions = np.concatenate([np.empty((0, 3)), *await item.numpy()])
    # A point that is no number is nowhere.
    inside = ((positions >= 0) & (positions <= extent)).all(axis=1)
    if inside.all():
        return []
    first = int(np.argmin(inside))
    where = ", ".join(f"{value:.1f}" for value in positions[first])
    detail = (
        f"{int((~inside).sum())} of {len(positions)} points lie outside; the first is number {first} at ({where}), and "
        f"the tomograms end at ({', '.join(f'{value:.1f}' for value in extent)}) angstrom"
    )
    return [Finding(problem="outside tomogram", run=item.run.name, path=item.path, detail=detail)]


__all__ = ["extent_of", "outside"]
