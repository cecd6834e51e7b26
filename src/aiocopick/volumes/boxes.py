"""Boxes around points: each chunk is read once, whatever the number of boxes that need it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from math import isfinite
from typing import Any, TypeAlias

from aiocopick.concurrency.caller import warn
from aiocopick.concurrency.fan_out import gather
from aiocopick.concurrency.lazy import numpy as np
from aiocopick.concurrency.threads import in_thread
from aiocopick.errors import FormatError, PointsOutsideWarning
from aiocopick.volumes.array import LevelArray, Limits
from aiocopick.volumes.chunk_plan import Piece
from aiocopick.volumes.regions import check_size
from aiocopick.volumes.shards import Shards, chunks_held
from aiocopick.volumes.whole_number import whole_number

Array: TypeAlias = "np.ndarray[Any, Any]"


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
        With z, y, x, in any order, as its last axes.
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

    Raises
    ------
    FormatError
        The result is larger than allowed, or other axes come after z, y and x.
    ValueError
        Positions, box or fill value that cannot be.
    """
    metadata = level.metadata
    leading = metadata.shape[:-3]
    order = [axis - len(leading) for axis in level.spatial_axes]
    if sorted(order) != [0, 1, 2]:
        path = f"{level.where}/{level.path}"
        raise FormatError(
            f"{path}: boxes are cut where z, y and x are the last axes, not {level.spatial_axes}", path=path
        )
    edges = box_edges(box)
    corners = box_corners(positions, edges, voxel_size)
    _warn_of_outside(level, positions, voxel_size)
    # From here on in the order of the array.
    edges = _arranged(edges, order)
    corners = corners[:, _arranged((0, 1, 2), order)]
    shape = (len(corners), *leading, *edges)
    check_size(shape, level, limits)
    boxes: Array = np.empty(shape, metadata.dtype)
    boxes[...] = as_type(fill, metadata.dtype)
    plan = plan_chunks(corners, edges, metadata.shape[-3:], metadata.inner_chunks[-3:])

    def place(item: _Cut, chunk: Array) -> None:
        _place(boxes, chunk, item[0], item[1], metadata.shape, corners, item[2])

    shards = Shards(level)

    async def cut(item: _Cut) -> None:
        await in_thread(place, item, await _chunk(level, item[0]))

    async def cut_part(item: _Cut) -> None:
        await in_thread(place, item, await _inner_chunk(level, item[0], shards))

    # The leading axes may be cut into chunks as well.
    steps = [range(-(-size // edge)) for size, edge in zip(leading, metadata.inner_chunks[:-3], strict=True)]
    chunks = (((*before, *chunk), wanted) for chunk, wanted in plan.items() for before in product(*steps))
    cuts, decoder = _cuts(level, chunks), level.decoder()
    if decoder is None:
        parts = [item for item in cuts if item[1] != metadata.chunks]
        await gather(cut_part, parts, limit=limits.window(level, parts=True))
        await gather(cut, [item for item in cuts if item[1] == metadata.chunks], limit=limits.window(level))
    else:
        for item in await level.read_chunks(decoder, ((item[0], item) for item in cuts), place, limits):
            await in_thread(place, item, np.broadcast_to(level.fill, metadata.chunks))
    return np.moveaxis(boxes, [1 + len(leading) + at for at in order], [-3, -2, -1])


_Cut: TypeAlias = tuple[tuple[int, ...], tuple[int, ...], list[int]]
"""Coordinates of what is read, edges of the grid they count in, and the boxes that need a part of it."""


def _arranged(zyx: tuple[int, int, int], order: list[int]) -> tuple[int, int, int]:
    """Return values of z, y, x in the order of the array."""
    first, second, third = (zyx[order.index(at)] for at in range(3))
    return first, second, third


def _cuts(level: LevelArray, chunks: Iterable[tuple[tuple[int, ...], list[int]]]) -> list[_Cut]:
    """Return the parts to read: chunks, or a whole shard, in one request, if each of its chunks is needed."""
    metadata = level.metadata
    inner, outer = metadata.inner_chunks, metadata.chunks
    if not metadata.sharded:
        return [(coordinates, outer, wanted) for coordinates, wanted in chunks]
    shards: dict[tuple[int, ...], list[_Cut]] = {}
    for coordinates, wanted in chunks:
        shard = tuple(at * edge // whole for at, edge, whole in zip(coordinates, inner, outer, strict=True))
        shards.setdefault(shard, []).append((coordinates, inner, wanted))
    cuts: list[_Cut] = []
    for shard, parts in shards.items():
        if len(parts) == chunks_held(level, shard) or not level.reads_parts:
            cuts.append((shard, outer, sorted({number for _, _, wanted in parts for number in wanted})))
        else:
            cuts += parts
    return cuts


async def _chunk(level: LevelArray, coordinates: tuple[int, ...]) -> Array:
    """A stored chunk, or shard, as a whole; the fill value where it is missing."""
    chunk = await level.read_chunk(coordinates)
    return np.broadcast_to(np.asarray(level.fill), level.metadata.chunks) if chunk is None else chunk


async def _inner_chunk(level: LevelArray, coordinates: tuple[int, ...], shards: Shards) -> Array:
    """The part of the level that one chunk inside a shard covers."""
    metadata = level.metadata
    start = [index * edge for index, edge in zip(coordinates, metadata.inner_chunks, strict=True)]
    stop = [
        min(first + edge, size) for first, edge, size in zip(start, metadata.inner_chunks, metadata.shape, strict=True)
    ]
    out: Array = np.empty([last - first for first, last in zip(start, stop, strict=True)], metadata.dtype)
    shard = tuple(first // edge for first, edge in zip(start, metadata.chunks, strict=True))
    inside = tuple(
        slice(first - index * edge, last - index * edge)
        for first, last, index, edge in zip(start, stop, shard, metadata.chunks, strict=True)
    )
    piece = Piece(shard, inside, tuple(slice(0, size) for size in out.shape), False)
    await level.read_part(out, piece, shards.at(shard))
    return out


def box_edges(box: int | Sequence[int]) -> tuple[int, int, int]:
    """Voxels of a box along z, y, x.

    Raises
    ------
    ValueError
        Not one or three whole numbers from 1.
    """
    given = np.ravel(np.asarray(box)).tolist()
    if len(given) == 1:
        given *= 3
    if len(given) != 3:
        raise ValueError(f"box is one or three whole numbers from 1, not {box!r}")
    z, y, x = (whole_number(edge, "each edge of the box") for edge in given)
    return z, y, x


def box_corners(positions: Any, edges: tuple[int, int, int], voxel_size: tuple[float, float, float]) -> Array:
    """Return the first voxel of each box, (N, 3) in zyx; the voxel nearest to the point is at ``edge // 2``.

    Raises
    ------
    ValueError
        Positions are not an (N, 3) array, or not finite; the message gives the first index.
    """
    points = np.asarray(positions, dtype=np.float64)
    if points.shape == (0,):
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


def _warn_of_outside(level: LevelArray, positions: Any, voxel_size: tuple[float, float, float]) -> None:
    """Warn if all points are outside of the volume, or if some are and all would be inside as z, y, x."""
    points = np.asarray(positions, dtype=np.float64).reshape(-1, 3)
    extent = np.multiply([level.metadata.shape[axis] for axis in level.spatial_axes], voxel_size)[::-1]

    def outside(points: Array) -> int:
        # With a margin: points on the border are meant to be inside.
        return int(np.any((points < -voxel_size[0]) | (points > extent), axis=1).sum())

    count = outside(points)
    swapped = count > 0 and outside(points[:, ::-1]) == 0
    if not swapped and (count < len(points) or not len(points)):
        return
    spans = " x ".join(f"{length:g}" for length in extent)
    what = f"{count} of {len(points)} points are" if count < len(points) else f"All {count} points are"
    hint = "they fit if their columns are z, y, x: pass positions[:, ::-1]" if swapped else "check their unit and order"
    warn(
        f"{level.where}/{level.path}: {what} outside of the volume, which spans {spans} angstrom along x, y, z; positions "
        f"are x, y, z in angstrom: {hint}.",
        PointsOutsideWarning,
    )


def as_type(fill: float, dtype: np.dtype[Any]) -> Any:
    """A fill value as a type.

    Raises
    ------
    ValueError
        The type cannot hold it.
    """
    given = np.asarray(fill)
    if given.ndim or given.dtype.kind not in ("biufc" if dtype.kind == "c" else "biuf"):
        raise ValueError(f"fill must be a number that fits {dtype}, not {fill!r}")
    fill = given.item()
    if dtype.kind in "biu":
        low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        if not low <= fill <= high or int(fill) != fill:
            raise ValueError(f"fill {fill!r} does not fit {dtype}")
        return dtype.type(int(fill))
    if dtype.kind == "f" and isfinite(fill) and abs(fill) > float(np.finfo(dtype).max):
        raise ValueError(f"fill {fill!r} does not fit {dtype}")
    return dtype.type(fill)


def plan_chunks(
    corners: Array, edges: tuple[int, int, int], shape: tuple[int, ...], chunks: tuple[int, ...]
) -> dict[tuple[int, ...], list[int]]:
    """Return the boxes that need a part of each chunk, in grid order."""
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
