"""Places without picks: random ones inside a tomogram or a mask, for negative examples or for training without labels."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from aiocopick.concurrency.threads import in_thread
from aiocopick.layout.uris import parse_uri
from aiocopick.training.volumes import only_segmentation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aiocopick.entities import AsyncRun, AsyncSegmentation, AsyncTomogram


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The tomogram that a sampler chooses positions in. Positions are x, y, z in angstrom.

    Parameters
    ----------
    run : AsyncRun
        The run.
    tomogram : AsyncTomogram
        The tomogram that boxes are cut from.
    positions : ndarray, shape (N, 3)
        The selected picks of the run.
    low, high : ndarray, shape (3,)
        Boxes around positions from `low` to `high` are wholly inside of the tomogram. Both are its middle along an
        axis that is shorter than a box.
    """

    run: AsyncRun
    tomogram: AsyncTomogram
    positions: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


Sampler: TypeAlias = "Callable[[Place, np.random.Generator], Any | Awaitable[Any]]"
"""Plain or coroutine function: positions, shape (N, 3), in a place. All randomness must come from the generator."""

_ROUNDS = 20
"""Number of times that places are drawn to replace those too close to a pick."""

_CANDIDATES = 8
"""Places drawn in a mask, for each one that is wanted, if some may be too close to a pick."""

_PLANES = 16


def random_places(
    count: int = 0, *, per_pick: float = 0.0, inside: str | None = None, away: float | None = None
) -> Sampler:
    """Return a sampler of random places, for ``negatives=`` of :func:`aiocopick.boxes`.

    Parameters
    ----------
    count : int
        Places in each tomogram.
    per_pick : float
        Places for each selected pick of the run, in addition to `count`.
    inside : str, optional
        URI of a segmentation (``"membrane:membrain/0"``): only places where it is not 0, each voxel with the same
        probability; a box may reach beyond the tomogram. The segmentation is read once in each epoch, slab by slab.
        None is all places whose box is wholly inside of the tomogram.
    away : float, optional
        Smallest distance from the selected picks, in angstrom. There are fewer places where not enough are found.

    Raises
    ------
    ValueError
        A number that cannot be.
    InvalidNameError
        `inside` is not the URI of a segmentation.
    """
    for name, value in (("count", count), ("per_pick", per_pick), ("away", away or 0.0)):
        if not (isfinite(value) and value >= 0):
            raise ValueError(f"{name} must be a number from 0, not {value!r}")
    if not count and not per_pick:
        raise ValueError("random_places() needs count= or per_pick=, or it draws no place")
    mask = None if inside is None else parse_uri(inside, "segmentation")

    async def sample(place: Place, random: np.random.Generator) -> NDArray[np.float64]:
        wanted = round(count + per_pick * len(place.positions))
        if mask is None:
            return await in_thread(_anywhere, place, random, wanted, away)
        segmentation = await only_segmentation(place.run, mask)
        drawn = wanted if away is None else wanted * _CANDIDATES
        candidates = await _in_mask(segmentation, random, drawn)
        if away is None:
            return candidates
        return (await in_thread(_distant, candidates, place.positions, away))[:wanted]

    return sample


def _anywhere(place: Place, random: np.random.Generator, wanted: int, away: float | None) -> NDArray[np.float64]:
    found = np.empty((0, 3))
    for _ in range(_ROUNDS):
        missing = wanted - len(found)
        if not missing:
            break
        drawn = random.uniform(place.low, place.high, (missing, 3))
        found = np.concatenate([found, drawn if away is None else _distant(drawn, place.positions, away)])
    return found


def _distant(points: NDArray[np.float64], picks: NDArray[np.float64], away: float) -> NDArray[np.float64]:
    """Return the points that are at least so far from every pick."""
    far = np.ones(len(points), bool)
    for pick in picks:
        far &= ((points - pick) ** 2).sum(axis=1) >= away**2
    return points[far]


async def _in_mask(segmentation: AsyncSegmentation, random: np.random.Generator, wanted: int) -> NDArray[np.float64]:
    """Draw voxels that are not 0, independently of each other, in one pass with a few planes in memory."""
    array, level = await segmentation._level(None)
    chosen = np.zeros((wanted, 3), np.int64)
    start = total = 0
    async for slab in segmentation.slabs("z", _PLANES):
        planes = np.moveaxis(slab, array.spatial_axes, (-3, -2, -1))
        # Where there are channels, a voxel counts if one of them is not 0.
        planes = planes.reshape(-1, *planes.shape[-3:])
        total = await in_thread(partial(_replace, chosen, planes, start, total, random))
        start += planes.shape[1]
    return chosen[:, ::-1] * np.asarray(level.voxel_size[::-1]) if total else np.empty((0, 3))


def _replace(chosen: NDArray[np.int64], planes: Any, start: int, total: int, random: np.random.Generator) -> int:
    """Let voxels of these planes replace chosen ones, so that each voxel so far is as probable as any other."""
    for at in range(planes.shape[1]):
        rows, columns = np.nonzero(planes[:, at].any(axis=0))
        if not len(rows):
            continue
        total += len(rows)
        replaced = np.flatnonzero(random.random(len(chosen)) < len(rows) / total)
        new = random.integers(len(rows), size=len(replaced))
        chosen[replaced] = np.stack([np.full(len(new), start + at), rows[new], columns[new]], axis=1)
    return total


__all__ = ["Place", "Sampler", "random_places"]
