"""Coarser levels of a volume. Those that we write have half as many voxels along z, y and x, shapes rounded up.

Tomograms by local mean, labels by taking the first voxel of each block. A voxel at the end of an odd axis is the mean
of the voxels that exist; CoPick's ``downscale_local_mean`` averages them with zeros.
"""

from __future__ import annotations

from math import prod
from typing import Any, Protocol, TypeAlias

from aiocopick.concurrency.lazy import numpy as np

Array: TypeAlias = "np.ndarray[Any, Any]"
Factors: TypeAlias = tuple[int, ...]
"""Voxels that become one voxel of the coarser level, along each axis of an array."""


class Downsample(Protocol):
    """A way to make a volume coarser."""

    def __call__(self, data: Array, factors: Factors | None = None) -> Array:
        """Downsample like :func:`downsample_mean`."""
        ...


def coarser_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of the next coarser level; axes before the last three stay."""
    return (*shape[:-3], *(-(-size // 2) for size in shape[-3:]))


def level_shapes(shape: tuple[int, ...], levels: int) -> list[tuple[int, ...]]:
    """Shapes of all levels, finest first."""
    shapes = [shape]
    while len(shapes) < levels:
        shapes.append(coarser_shape(shapes[-1]))
    return shapes


def factors_between(
    fine: tuple[int, ...], coarse: tuple[int, ...], stated: tuple[float, ...] | None = None
) -> list[int | None]:
    """Return the whole numbers of voxels of a level that make one of the coarser level.

    Parameters
    ----------
    fine, coarse : tuple of int
        Voxels along the axes of space; the coarser level may have been rounded up or down.
    stated : tuple of float, optional
        Ratios of the scales of the two levels: they choose where rounding allows several factors. Without them, an axis
        that does not divide follows the longest one.

    Returns
    -------
    list of int
        None for an axis where no factor gives that shape.
    """
    wanted = stated or (0.0,) * len(fine)
    longest = fine.index(max(fine))
    common = _factor(fine[longest], coarse[longest], wanted[longest])
    return [_factor(*sizes, common) for sizes in zip(fine, coarse, wanted, strict=True)]


def _factor(fine: int, coarse: int, stated: float, common: int | None = None) -> int | None:
    if not 0 < coarse <= fine:
        return 1 if fine == coarse else None
    ratio = fine / coarse
    likely = int(ratio) if fine % coarse == 0 else common or round(ratio)
    for factor in (round(stated) if 1 <= stated <= fine + 1 else 0, likely, round(ratio), int(ratio), int(ratio) + 1):
        if factor >= 1 and coarse in (fine // factor, -(-fine // factor)):
            return factor
    return None


def downsample_mean(data: Array, factors: Factors | None = None) -> Array:
    """Make a volume coarser by local mean.

    Parameters
    ----------
    data : ndarray, shape (..., Z, Y, X)
        Any number type; cut so that no block of voxels that become one is split.
    factors : tuple of int, optional
        Voxels that become one, along each axis of the array; by default 2 along the last three.

    Returns
    -------
    ndarray
        Of the same type, shapes rounded up. Means of integers are rounded to the nearest.
    """
    factors = factors or halves(data.ndim)
    if all(factor == 1 for factor in factors):
        return data
    if data.dtype.kind in "fc":
        work = np.dtype(np.float32) if data.dtype == np.float16 else data.dtype
    else:
        # Sums of a few small integers are exact in single precision.
        work = np.dtype(np.float32) if data.dtype.itemsize <= 2 and prod(factors) <= 256 else np.dtype(np.float64)
    result = data
    for axis, factor in enumerate(factors):
        if factor > 1:
            result = _averaged(result, axis, factor, work)
    if data.dtype.kind in "iu":
        return _to_integers(result, data.dtype)
    if data.dtype.kind == "b":
        return result >= 0.5
    return result.astype(data.dtype, copy=False)


def halves(ndim: int) -> Factors:
    """Return the factors of the pyramids that we write: 2 along the last three axes."""
    return (1,) * (ndim - 3) + (2, 2, 2)


def _averaged(data: Array, axis: int, factor: int, work: np.dtype[Any]) -> Array:
    size = data.shape[axis]
    whole = size // factor
    before = (slice(None),) * axis
    shape = list(data.shape)
    shape[axis] = -(-size // factor)
    result = np.empty(shape, work)
    if whole:
        parts = [data[(*before, slice(at, whole * factor, factor))] for at in range(factor)]
        mean = result[(*before, slice(0, whole))]
        np.add(parts[0], parts[1], out=mean, dtype=work, casting="unsafe")
        for part in parts[2:]:
            np.add(mean, part, out=mean, dtype=work, casting="unsafe")
        mean /= work.type(factor)
    if size % factor:
        rest = data[(*before, slice(whole * factor, None))]
        result[(*before, slice(whole, None))] = rest.mean(axis=axis, keepdims=True, dtype=work)
    return result


def _to_integers(mean: Array, dtype: np.dtype[Any]) -> Array:
    limits = np.iinfo(dtype)
    np.rint(mean, out=mean)
    # The largest 64 bit integers have no exact float; the nearest one may be just outside.
    rounded = np.clip(mean, float(limits.min), np.nextafter(float(limits.max), 0.0)) if dtype.itemsize == 8 else mean
    return rounded.astype(dtype)


def downsample_nearest(data: Array, factors: Factors | None = None) -> Array:
    """Make a volume coarser by taking the first voxel of each block.

    Parameters
    ----------
    data : ndarray, shape (..., Z, Y, X)
        Labels; channels are taken at the same voxels, so that label and instance stay together.
    factors : tuple of int, optional
        As for :func:`downsample_mean`.
    """
    return data[tuple(slice(None, None, factor) for factor in factors or halves(data.ndim))]


def even_edges(edges: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Edges of blocks that are made of whole chunks and split no pair of voxels."""
    leading = len(shape) - 3
    return tuple(
        edge if axis < leading or edge % 2 == 0 or edge >= size else 2 * edge
        for axis, (edge, size) in enumerate(zip(edges, shape, strict=True))
    )


def coarse_block(block: tuple[slice, ...]) -> tuple[slice, ...]:
    """Return the position of a block, cut at even positions, in the next coarser level."""
    return (
        *block[:-3],
        *(slice(part.start // 2, -(-part.stop // 2)) for part in block[-3:]),
    )
