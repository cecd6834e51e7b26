"""Reading and changing regions of one level, chunk by chunk, within the limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any, Protocol, TypeAlias

from aiocopick.concurrency.fan_out import gather
from aiocopick.concurrency.lazy import numpy as np
from aiocopick.concurrency.threads import in_thread
from aiocopick.errors import FormatError
from aiocopick.volumes.array import INLINE_BYTES, LevelArray, Limits
from aiocopick.volumes.chunk_plan import Piece, Selection, pieces, select, shape_of
from aiocopick.volumes.pyramid import Downsample, Factors
from aiocopick.volumes.shards import Shards, needs_parts, parts_of_shards

Array: TypeAlias = "np.ndarray[Any, Any]"


class Cast(Protocol):
    """A way to turn values into another type."""

    def __call__(self, data: Array, dtype: np.dtype[Any]) -> Array:
        """Raise ValueError if a value does not fit."""
        ...


async def read_items(level: LevelArray, items: Sequence[Any], limits: Limits) -> Array:
    """Read what slices and indices select, one for each axis; None is everything. As :func:`read_region`."""
    selection, dropped = select(items, level.metadata.shape)
    region = await read_region(level, selection, limits)
    return region.squeeze(axis=dropped) if dropped else region


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
    """Write a region of a level; chunks that are only partly in it are read first.

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


Change: TypeAlias = tuple[LevelArray, Selection, Array]
"""A level, a region of it, and what to write there."""


async def plan_changes(
    arrays: Sequence[LevelArray],
    factors: Sequence[Factors],
    selection: Selection,
    data: Array,
    downsample: Downsample,
    cast: Cast,
    limits: Limits,
) -> list[Change]:
    """Compute what a change of the finest level changes in each coarser level. Nothing is written.

    Parameters
    ----------
    arrays : sequence of LevelArray
        All levels, finest first.
    factors : sequence of tuple of int
        From each level to the next one.
    selection : Selection
        The region of the finest level.
    data : ndarray
        New values of the region.
    downsample : callable
        How a level follows from the finer one.
    cast : callable
        Turns values into the type of a level, which may differ from that of the finer one; refuses those that would
        change.
    limits : Limits
        Of the layer.

    Returns
    -------
    list
        Level, region and values of each level that changes, finest first.
    """
    changes: list[Change] = [(arrays[0], selection, data)]
    for finer, coarser, ratio in zip(arrays, arrays[1:], factors, strict=False):
        source, target = [], []
        sizes = zip(selection, finer.metadata.shape, coarser.metadata.shape, ratio, strict=True)
        for item, above, size, factor in sizes:
            start, stop = (item.start, item[-1] + 1) if len(item) else (0, 0)
            # Others round odd sizes down: their last voxels are in no coarser one.
            first, last = min(start // factor, size), min(-(-stop // factor), size)
            target.append(range(first, last))
            source.append(range(factor * first, min(factor * last, above)))
        if not all(len(item) for item in target):
            break
        block = data if tuple(source) == selection else await _changed(finer, tuple(source), selection, data, limits)
        coarse = await on_data(partial(downsample, factors=ratio), block)
        data = await on_data(partial(cast, dtype=coarser.metadata.dtype), coarse)
        selection = tuple(target)
        changes.append((coarser, selection, data))
    return changes


async def _changed(level: LevelArray, source: Selection, selection: Selection, data: Array, limits: Limits) -> Array:
    """A contiguous region of a level as it will be once a selection in it holds other data."""
    block = await read_region(level, source, limits)
    # What the coarser level leaves out may be selected as well.
    kept = tuple(
        slice(0, len(range(item.start, min(item.stop, part.stop), item.step)))
        for item, part in zip(selection, source, strict=True)
    )
    inside = tuple(
        slice(item.start - part.start, min(item.stop, part.stop) - part.start, item.step)
        for item, part in zip(selection, source, strict=True)
    )

    def put(block: Array) -> Array:
        block[inside] = data[kept]
        return block

    return await on_data(put, block)


async def on_data(function: Callable[[Array], Array], data: Array) -> Array:
    """Apply a function to an array: here when it is small, in a thread when it is not."""
    return function(data) if data.nbytes <= INLINE_BYTES else await in_thread(function, data)
