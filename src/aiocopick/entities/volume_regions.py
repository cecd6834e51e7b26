"""Reading and changing regions of one level, chunk by chunk, within the limits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from math import prod
from typing import Any, TypeAlias

import numpy as np

from aiocopick.entities.volume_array import INLINE_BYTES, LevelArray, Limits
from aiocopick.entities.volume_shards import Shards, needs_parts, parts_of_shards
from aiocopick.errors import FormatError
from aiocopick.formats.chunk_plan import Piece, Selection, pieces, shape_of
from aiocopick.formats.pyramid import Downsample
from aiocopick.storage.limits import gather, in_thread

Array: TypeAlias = np.ndarray[Any, Any]


async def read_region(level: LevelArray, selection: Selection, limits: Limits) -> Array:
    """Read a region of a level: one request per chunk, as many at once as the limits allow.

    Of a shard that is needed in part, one for its index and one for each of its chunks that is needed.

    Parameters
    ----------
    level : LevelArray
        The level.
    selection : Selection
        What to read, in array order.
    limits : Limits
        Of the layer.

    Returns
    -------
    ndarray
        In the type of the level; missing chunks have its fill value.

    Raises
    ------
    FormatError
        The region is larger than ``max_array_bytes``, or a chunk cannot be decoded.
    """
    shape = shape_of(selection)
    check_size(shape, level, limits)
    out: Array = np.empty(shape, level.metadata.dtype)

    wanted = pieces(selection, level.metadata.shape, level.metadata.chunks)
    decoder = level.decoder()
    if decoder is not None:

        def place(piece: Piece, chunk: Array) -> None:
            out[piece.target] = chunk[piece.inside]

        items = ((piece.coordinates, piece) for piece in wanted)
        for piece in await level.read_chunks(decoder, items, place, limits):
            out[piece.target] = level.fill
        return out

    async def read(piece: Piece) -> None:
        await level.read_into(out, piece)

    async def read_part(piece: Piece) -> None:
        await level.read_part(out, piece, shards.at(piece.coordinates))

    if level.reads_parts:
        shards = Shards(level)
        await gather(read_part, parts_of_shards(level, wanted), limit=limits.window(level, parts=True))
        wanted = (
            piece
            for piece in pieces(selection, level.metadata.shape, level.metadata.chunks)
            if not needs_parts(level, piece)
        )
    await gather(read, wanted, limit=limits.window(level))
    return out


def check_size(shape: tuple[int, ...], level: LevelArray, limits: Limits) -> None:
    """Refuse to allocate an array that is larger than the limit.

    Raises
    ------
    FormatError
        Names the size.
    """
    size = prod(shape) * level.metadata.dtype.itemsize
    if size > limits.max_array_bytes:
        path = f"{level.where}/{level.path}"
        raise FormatError(
            f"{path}: {shape} voxels are {size} bytes, more than max_array_bytes ({limits.max_array_bytes}); "
            "read a part, or raise the limit",
            path=path,
        )


async def write_region(level: LevelArray, selection: Selection, data: Array, limits: Limits) -> None:
    """Write a region of a level; chunks that lie in it only in part are read first.

    Parameters
    ----------
    level : LevelArray
        The level.
    selection : Selection
        What to write, in array order.
    data : ndarray
        Of the shape of the selection and the type of the level.
    limits : Limits
        Of the layer.
    """

    async def write(piece: Piece) -> None:
        if piece.whole:
            await level.write_chunk(piece.coordinates, data[piece.target])
            return
        chunk = await level.read_chunk(piece.coordinates)
        chunk = await in_thread(_merged, level, chunk, piece, data)
        await level.write_chunk(piece.coordinates, chunk)

    await gather(write, pieces(selection, level.metadata.shape, level.metadata.chunks), limit=limits.window(level))


def _merged(level: LevelArray, chunk: Array | None, piece: Piece, data: Array) -> Array:
    if chunk is None:
        chunk = np.full(level.metadata.chunks, level.fill, level.metadata.dtype)
    else:
        chunk = chunk.astype(level.metadata.dtype)
    chunk[piece.inside] = data[piece.target]
    return chunk


def fit_region(data: Any, selection: Selection, dropped: tuple[int, ...]) -> Array:
    """Data as an array of the shape of a selection.

    Parameters
    ----------
    data : array-like
        Of the shape of the region without the dropped axes, or what numpy broadcasts to it.
    selection : Selection
        The region.
    dropped : tuple of int
        Axes that the caller selected by one index.

    Raises
    ------
    ValueError
        It does not fit.
    """
    shape = shape_of(selection)
    seen = tuple(size for axis, size in enumerate(shape) if axis not in dropped)
    array = np.asarray(data)
    try:
        return np.broadcast_to(array, seen).reshape(shape)
    except ValueError:
        raise ValueError(f"data of shape {array.shape} does not fit a region of shape {seen}") from None


async def update_coarser(
    arrays: list[LevelArray], selection: Selection, downsample: Downsample, limits: Limits
) -> None:
    """Compute the coarser levels anew where a region of the finest one has changed.

    Parameters
    ----------
    arrays : list of LevelArray
        All levels, finest first, each a factor 2 coarser than the one before.
    selection : Selection
        The region of the finest level.
    downsample : callable
        How a level follows from the finer one.
    limits : Limits
        Of the layer.

    Raises
    ------
    FormatError
        The levels are not a factor 2 apart.
    """
    touched = [(item.start, item[-1] + 1) if len(item) else (0, 0) for item in selection]
    for finer, coarser in pairwise(arrays):
        leading = len(touched) - 3
        fine, coarse = finer.metadata.shape, coarser.metadata.shape
        if fine[:leading] != coarse[:leading] or any(
            size not in (above // 2, -(-above // 2))
            for size, above in zip(coarse[leading:], fine[leading:], strict=True)
        ):
            path = f"{coarser.where}/{coarser.path}"
            raise FormatError(f"{path}: shape {coarse} is not half of {fine}; it cannot be updated", path=path)
        source, target = [], []
        for axis, ((start, stop), size, above) in enumerate(zip(touched, coarse, fine, strict=True)):
            if axis < leading:
                target.append(range(start, stop))
                source.append(range(start, stop))
                continue
            # Others round odd sizes down: their last voxels are in no coarser one.
            first, last = min(start // 2, size), min(-(-stop // 2), size)
            target.append(range(first, last))
            source.append(range(2 * first, min(2 * last, above)))
        if not all(len(item) for item in target):
            return
        data = await read_region(finer, tuple(source), limits)
        data = await on_data(partial(_coarsened, downsample, coarser.metadata.dtype), data)
        await write_region(coarser, tuple(target), data, limits)
        touched = [(item.start, item.stop) for item in target]


def _coarsened(downsample: Downsample, dtype: np.dtype[Any], data: Array) -> Array:
    """What a coarser level holds, in its own type, which others may have chosen otherwise than that of the finer one."""
    coarse = downsample(data)
    if coarse.dtype == dtype:
        return coarse
    return (np.rint(coarse) if dtype.kind in "iu" and coarse.dtype.kind == "f" else coarse).astype(dtype)


async def on_data(function: Callable[[Array], Array], data: Array) -> Array:
    """Apply a function to an array: here when it is small, in a thread when it is not."""
    return function(data) if data.nbytes <= INLINE_BYTES else await in_thread(function, data)
