"""Boxes around points: each chunk is read once, whatever the number of boxes that need it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, TypeAlias

import numpy as np

from aiocopick.entities.volume_array import LevelArray, Limits
from aiocopick.entities.volume_regions import check_size
from aiocopick.formats.chunk_plan import Piece
from aiocopick.storage.limits import gather, in_thread

Array: TypeAlias = np.ndarray[Any, Any]


async def extract_boxes(
    level: LevelArray,
    positions: Any,
    box: int | Sequence[int],
    voxel_size: tuple[float, float, float],
    fill: float,
    limits: Limits,
) -> Array:
    """Cut boxes out of a level.

    Parameters
    ----------
    level : LevelArray
        With z, y, x as its last axes.
    positions : array-like, shape (N, 3)
        x, y, z in angstrom.
    box : int or three ints
        Voxels along z, y, x.
    voxel_size : tuple of float
        Along z, y, x, angstrom.
    fill : number
        Outside the volume.
    limits : Limits
        Of the layer.

    Returns
    -------
    ndarray, shape (N, ..., z, y, x)
    """
    edges = box_edges(box)
    corners = box_corners(positions, edges, voxel_size)
    metadata = level.metadata
    leading = metadata.shape[:-3]
    shape = (len(corners), *leading, *edges)
    check_size(shape, level, limits)
    boxes: Array = np.empty(shape, metadata.dtype)
    boxes[...] = as_type(fill, metadata.dtype)
    plan = plan_chunks(corners, edges, metadata.shape[-3:], metadata.inner_chunks[-3:])

    def place(item: tuple[tuple[int, ...], list[int]], chunk: Array) -> None:
        _place(boxes, chunk, item[0], metadata.inner_chunks, metadata.shape, corners, item[1])

    async def cut(item: tuple[tuple[int, ...], list[int]]) -> None:
        await in_thread(place, item, await _inner_chunk(level, item[0]))

    # The leading axes may be cut into chunks as well.
    grid = [range(-(-size // edge)) for size, edge in zip(leading, metadata.inner_chunks[:-3], strict=True)]
    items = [((*before, *chunk), wanted) for chunk, wanted in plan.items() for before in product(*grid)]
    limit, decoder = limits.window(level), level.decoder()
    if decoder is None:
        await gather(cut, items, limit=limit)
    else:
        for item in await level.read_chunks(decoder, ((item[0], item) for item in items), place, limit):
            await in_thread(place, item, np.broadcast_to(level.fill, metadata.chunks))
    return boxes


async def _inner_chunk(level: LevelArray, coordinates: tuple[int, ...]) -> Array:
    """The part of the level that one chunk (inside a shard, where there are shards) covers."""
    metadata = level.metadata
    start = [index * edge for index, edge in zip(coordinates, metadata.inner_chunks, strict=True)]
    stop = [
        min(first + edge, size) for first, edge, size in zip(start, metadata.inner_chunks, metadata.shape, strict=True)
    ]
    if not metadata.sharded:
        chunk = await level.read_chunk(coordinates)
        if chunk is not None:
            return chunk
        return np.full([last - first for first, last in zip(start, stop, strict=True)], level.fill, metadata.dtype)
    out: Array = np.empty([last - first for first, last in zip(start, stop, strict=True)], metadata.dtype)
    shard = tuple(first // edge for first, edge in zip(start, metadata.chunks, strict=True))
    inside = tuple(
        slice(first - index * edge, last - index * edge)
        for first, last, index, edge in zip(start, stop, shard, metadata.chunks, strict=True)
    )
    await level.read_into(out, Piece(shard, inside, tuple(slice(0, size) for size in out.shape), False))
    return out


def box_edges(box: int | Sequence[int]) -> tuple[int, int, int]:
    """Voxels of a box along z, y, x.

    Raises
    ------
    ValueError
        Not one or three whole numbers from 1.
    """
    given: list[Any] = np.ravel(np.asarray(box)).tolist()
    if len(given) == 1:
        given *= 3
    if len(given) != 3 or any(isinstance(edge, bool) or int(edge) != edge or edge < 1 for edge in given):
        raise ValueError(f"box is one or three whole numbers from 1, not {box!r}")
    z, y, x = (int(edge) for edge in given)
    return z, y, x


def box_corners(positions: Any, edges: tuple[int, int, int], voxel_size: tuple[float, float, float]) -> Array:
    """First voxel of each box, shape (N, 3) in zyx: the voxel nearest to the point lies at ``edge // 2``.

    Raises
    ------
    ValueError
        Positions that are no (N, 3) array, or not finite, with the index of the first such.
    """
    points = np.asarray(positions, dtype=np.float64)
    if points.size == 0:
        points = points.reshape(0, 3)
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"positions must have shape (N, 3), not {points.shape}")
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(bad):
        raise ValueError(f"positions must be finite; number {bad[0]} is {points[bad[0]].tolist()}")
    centres = np.floor(points[:, ::-1] / np.asarray(voxel_size) + 0.5)
    # Far beyond any volume, and still exact.
    corners: Array = np.clip(centres, -(2.0**52), 2.0**52).astype(np.int64) - np.asarray(edges, np.int64) // 2
    return corners


def as_type(fill: float, dtype: np.dtype[Any]) -> Any:
    """A fill value as a type.

    Raises
    ------
    ValueError
        The type cannot hold it.
    """
    if dtype.kind in "biu":
        low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        if not low <= fill <= high or int(fill) != fill:
            raise ValueError(f"fill {fill!r} does not fit {dtype}")
        return dtype.type(int(fill))
    return dtype.type(fill)


def plan_chunks(
    corners: Array, edges: tuple[int, int, int], shape: tuple[int, ...], chunks: tuple[int, ...]
) -> dict[tuple[int, ...], list[int]]:
    """Which boxes need a part of which chunk, in grid order."""
    plan: dict[tuple[int, ...], list[int]] = {}
    for number, corner in enumerate(corners.tolist()):
        spans = []
        for first, edge, size, step in zip(corner, edges, shape, chunks, strict=True):
            start, stop = max(0, first), min(size, first + edge)
            spans.append(range(start // step, -(-stop // step)) if stop > start else range(0))
        for coordinates in product(*spans):
            plan.setdefault(coordinates, []).append(number)
    return dict(sorted(plan.items()))


def _place(
    boxes: Array,
    chunk: Array,
    coordinates: tuple[int, ...],
    chunks: tuple[int, ...],
    shape: tuple[int, ...],
    corners: Array,
    wanted: list[int],
) -> None:
    """Copy the part of a chunk that each of its boxes needs."""
    ndim = len(shape)
    start = [index * edge for index, edge in zip(coordinates, chunks, strict=True)]
    stop = [min(first + edge, size) for first, edge, size in zip(start, chunks, shape, strict=True)]
    before_box = tuple(slice(start[axis], stop[axis]) for axis in range(ndim - 3))
    before_chunk = tuple(slice(0, stop[axis] - start[axis]) for axis in range(ndim - 3))
    for number in wanted:
        inside: list[slice] = []
        target: list[slice] = []
        for axis in range(ndim - 3, ndim):
            corner = int(corners[number, axis - ndim + 3])
            low = max(start[axis], corner)
            high = min(stop[axis], corner + boxes.shape[axis + 1])
            inside.append(slice(low - start[axis], high - start[axis]))
            target.append(slice(low - corner, high - corner))
        where: tuple[Any, ...] = (number, *before_box, *target)
        boxes[where] = chunk[(*before_chunk, *inside)]
