"""Coarser levels of a volume: half as many voxels along z, y and x, shapes rounded up.

Tomograms by local mean, labels by taking the voxel at even positions. A voxel at the end of an odd axis is the mean of
the voxels that exist; CoPick's ``downscale_local_mean`` averages them with zeros.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]
Downsample: TypeAlias = Callable[[Array], Array]


def coarser_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of the next coarser level; axes before the last three stay."""
    return (*shape[:-3], *(-(-size // 2) for size in shape[-3:]))


def level_shapes(shape: tuple[int, ...], levels: int) -> list[tuple[int, ...]]:
    """Shapes of all levels, finest first."""
    shapes = [shape]
    while len(shapes) < levels:
        shapes.append(coarser_shape(shapes[-1]))
    return shapes


def downsample_mean(data: Array) -> Array:
    """Halve the last three axes by local mean.

    Parameters
    ----------
    data : ndarray, shape (..., Z, Y, X)
        Any number type; cut at even positions of the volume, so that no pair of voxels is split.

    Returns
    -------
    ndarray
        Of the same type, shapes rounded up. Means of integers are rounded to the nearest.
    """
    if data.dtype.kind in "fc":
        work = np.dtype(np.float32) if data.dtype == np.float16 else data.dtype
    else:
        # Sums of eight small integers are exact in single precision.
        work = np.dtype(np.float32) if data.dtype.itemsize <= 2 else np.dtype(np.float64)
    result = data
    for axis in (-3, -2, -1):
        result = _halve(result, axis, work)
    if data.dtype.kind in "iu":
        return _to_integers(result, data.dtype)
    if data.dtype.kind == "b":
        return result >= 0.5
    return result.astype(data.dtype, copy=False)


def _halve(data: Array, axis: int, work: np.dtype[Any]) -> Array:
    size = data.shape[axis]
    pairs = size // 2
    before = (slice(None),) * (data.ndim + axis)
    shape = list(data.shape)
    shape[axis] = size - pairs
    result = np.empty(shape, work)
    if pairs:
        low = data[(*before, slice(0, 2 * pairs, 2))]
        high = data[(*before, slice(1, 2 * pairs, 2))]
        mean = result[(*before, slice(0, pairs))]
        np.add(low, high, out=mean, dtype=work, casting="unsafe")
        mean *= work.type(0.5)
    if size % 2:
        result[(*before, slice(pairs, None))] = data[(*before, slice(size - 1, None))]
    return result


def _to_integers(mean: Array, dtype: np.dtype[Any]) -> Array:
    limits = np.iinfo(dtype)
    np.rint(mean, out=mean)
    # The largest 64 bit integers have no exact float; the nearest one may lie just outside.
    rounded = np.clip(mean, float(limits.min), np.nextafter(float(limits.max), 0.0)) if dtype.itemsize == 8 else mean
    return rounded.astype(dtype)


def downsample_nearest(data: Array) -> Array:
    """Halve the last three axes by taking the voxels at even positions.

    Parameters
    ----------
    data : ndarray, shape (..., Z, Y, X)
        Labels; channels are taken at the same voxels, so that label and instance stay together.
    """
    return data[..., ::2, ::2, ::2]


def even_edges(edges: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Edges of blocks that are made of whole chunks and split no pair of voxels."""
    leading = len(shape) - 3
    return tuple(
        edge if axis < leading or edge % 2 == 0 or edge >= size else 2 * edge
        for axis, (edge, size) in enumerate(zip(edges, shape, strict=True))
    )


def coarse_block(block: tuple[slice, ...]) -> tuple[slice, ...]:
    """Where a block, cut at even positions, lies in the next coarser level."""
    return (
        *block[:-3],
        *(slice(part.start // 2, -(-part.stop // 2)) for part in block[-3:]),
    )
