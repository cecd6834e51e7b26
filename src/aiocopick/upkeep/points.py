"""Points without a finite position, or outside of the tomograms of their run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiocopick.concurrency.fan_out import gather_results
from aiocopick.concurrency.lazy import numpy as np
from aiocopick.entities import AsyncPicks, AsyncTomogram
from aiocopick.errors import CopickError
from aiocopick.upkeep.finding import Finding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aiocopick.entities import AsyncFilaments

_VOLUMES_AT_ONCE = 16


async def extent_of(tomograms: Sequence[AsyncTomogram]) -> NDArray[np.float64] | None:
    """Return the far corner (x, y, z in angstrom) of all tomograms together; None if none can be measured."""
    corners = []
    for result in await gather_results(_far_corner, tomograms, limit=_VOLUMES_AT_ONCE):
        if not isinstance(result, CopickError):
            corners.append(result)
    return np.max(corners, axis=0)[::-1] if corners else None


async def _far_corner(tomogram: AsyncTomogram) -> NDArray[np.float64]:
    finest = (await tomogram.levels())[0]
    return (
        np.array([finest.shape[axis] for axis in (await tomogram._array(finest.path)).spatial_axes]) * finest.voxel_size
    )


async def misplaced(item: AsyncPicks | AsyncFilaments, extent: NDArray[np.float64] | None) -> list[Finding]:
    """Return the points of a file without a finite position, and those before the near corner of all tomograms or
    beyond the far corner, which may be unknown.
    """
    if isinstance(item, AsyncPicks):
        positions = await item.full_positions()
    else:
        positions = np.concatenate([np.empty((0, 3)), *await item.numpy()])
    finite = np.asarray(np.isfinite(positions).all(axis=1))
    findings = []
    if not finite.all():
        detail = _described(positions, ~finite, "have coordinates that are not finite numbers")
        findings.append(Finding(problem="not finite", run=item.run.name, path=item.path, detail=detail))
    if extent is not None:
        outside = finite & ~np.asarray(((positions >= 0) & (positions <= extent)).all(axis=1))
        if outside.any():
            detail = (
                f"{_described(positions, outside, 'are outside')}, and the tomograms end at {_shown(extent)} angstrom"
            )
            findings.append(Finding(problem="outside tomogram", run=item.run.name, path=item.path, detail=detail))
    return findings


def _described(positions: NDArray[np.float64], concerned: NDArray[np.bool_], what: str) -> str:
    first = int(np.argmax(concerned))
    count = f"{int(concerned.sum())} of {len(positions)}"
    return f"{count} points {what}; the first is number {first} at {_shown(positions[first])}"


def _shown(position: NDArray[np.float64]) -> str:
    return f"({', '.join(f'{value:.1f}' for value in position)})"


__all__ = ["extent_of", "misplaced"]
