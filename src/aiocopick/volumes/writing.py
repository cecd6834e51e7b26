"""Writing a whole volume: old metadata away, chunks of all levels, then the metadata that makes them visible.

Chunks and shards have CoPick's sizes, bounded.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

from aiocopick.concurrency.fan_out import gather
from aiocopick.concurrency.lazy import numpy as np
from aiocopick.concurrency.threads import in_thread
from aiocopick.errors import ConflictError
from aiocopick.volumes.abilities import DeletesMany, HasLinks, Put, WritesTogether
from aiocopick.volumes.array import LevelArray, Limits
from aiocopick.volumes.chunk_plan import Slices, blocks, count_pieces, pieces
from aiocopick.volumes.ome import OmeGroup, parse_group
from aiocopick.volumes.ome_arrays import array_documents, describe_array
from aiocopick.volumes.ome_writing import FINEST, SHOWN_BY, empty_group_documents, group_documents, hiding_document
from aiocopick.volumes.pyramid import Downsample, coarse_block, even_edges, level_shapes
from aiocopick.volumes.whole_number import whole_number

if TYPE_CHECKING:
    from zarr.abc.store import Store


CHUNK_EDGE = {2: 256, 3: 128}
"""Voxels along each axis of a chunk: CoPick 1's in zarr 2, CoPick 2's in zarr 3."""

SHARD_EDGE = 256
"""Voxels along each axis of a shard. CoPick 2 makes one shard of a whole level, which a region write must rewrite."""


def chunking(
    zarr_format: int,
    shape: tuple[int, ...],
    *,
    chunks: Sequence[int] | None = None,
    shards: Sequence[int] | None = None,
) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """Chunks and shards of one level.

    Parameters
    ----------
    zarr_format : int
        2 or 3; only 3 has shards.
    shape : tuple of int
        Of the level; the axes before the last three are cut into single entries.
    chunks, shards : sequence of int, optional
        As the caller wants them: one number per axis, or per spatial axis.

    Returns
    -------
    tuple
        Chunks, and shards or None. Neither is larger than the level takes: a smaller array is not padded to them.

    Raises
    ------
    ValueError
        Not positive whole numbers, another number of axes, shards in zarr 2, shards that chunks do not fill evenly.
    """
    leading = len(shape) - 3
    if chunks is None:
        wanted = (1,) * leading + (CHUNK_EDGE[zarr_format],) * 3
    else:
        wanted = _per_axis(chunks, leading, "chunks")
    cut = tuple(max(1, min(size, edge)) for size, edge in zip(shape, wanted, strict=True))
    if zarr_format == 2:
        if shards is not None:
            raise ValueError("shards exist in zarr 3 only; leave them out or set zarr_format=3")
        return cut, None
    if shards is not None:
        given = _per_axis(shards, leading, "shards")
        if any(shard % chunk for shard, chunk in zip(given, wanted, strict=True)):
            raise ValueError(f"shards {given} must be multiples of chunks {wanted} along every axis")
        # So many chunks as asked for, but none beyond the level.
        return cut, tuple(
            edge * min(shard // chunk, _chunks_along(size, edge))
            for size, edge, shard, chunk in zip(shape, cut, given, wanted, strict=True)
        )
    if chunks is not None:
        return cut, None
    bounded = tuple(
        edge * max(1, min(_chunks_along(size, edge), SHARD_EDGE // edge if axis >= leading else 1))
        for axis, (size, edge) in enumerate(zip(shape, cut, strict=True))
    )
    return cut, None if bounded == cut else bounded


def _chunks_along(size: int, edge: int) -> int:
    return -(-size // edge)


def _per_axis(value: Sequence[int], leading: int, what: str) -> tuple[int, ...]:
    items: tuple[Any, ...] = tuple(value) if isinstance(value, Iterable) else (value,)
    if len(items) == 3:
        items = (1,) * leading + items
    if len(items) != leading + 3:
        wanted = f"3 or {leading + 3}" if leading else "3"
        raise ValueError(f"{what} must be {wanted} numbers, one per axis, not {value!r}")
    return tuple(whole_number(item, f"each of the {what}") for item in items)


Array: TypeAlias = "np.ndarray[Any, Any]"
Progress: TypeAlias = Callable[[int, int], object]
"""Called with the number of chunks written, and of all that will be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A volume to be written.

    Parameters
    ----------
    source : array-like
        Anything with shape and dtype that slices to arrays; sliced block by block.
    dtype : numpy.dtype
        What is stored.
    cast : callable
        Turns a block of the source into that type.
    zarr_format : int
        2 or 3.
    voxel_size : float
        Of the finest level, angstrom.
    levels : int
        How many.
    downsample : callable
        How a level follows from the finer one.
    axes : tuple of str
        Names of the axes.
    chunks, shards : sequence of int, optional
        As the caller wants them.
    metadata : dict, optional
        For the multiscale metadata.
    """

    source: Any
    dtype: np.dtype[Any]
    cast: Callable[[Array], Array]
    zarr_format: int
    voxel_size: float
    levels: int
    downsample: Downsample
    axes: tuple[str, ...]
    chunks: Sequence[int] | None = None
    shards: Sequence[int] | None = None
    metadata: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """The metadata of a volume that is to be written.

    Parameters
    ----------
    group : OmeGroup
        Its group.
    arrays : list of LevelArray
        Its levels, finest first.
    documents : dict
        Name below the group -> content.
    """

    group: OmeGroup
    arrays: list[LevelArray]
    documents: dict[str, bytes]


def describe_volume(store: Store, plan: Plan, *, where: str) -> Described:
    """Make the metadata of a volume. Whatever can be refused is refused here, before anything is changed.

    Parameters
    ----------
    store : zarr.abc.store.Store
        Of the volume.
    plan : Plan
        What to write.
    where : str
        Path of the volume, for messages.

    Raises
    ------
    ValueError
        Chunks or shards that cannot be, or metadata that JSON cannot hold.
    """
    arrays = []
    for index, shape in enumerate(level_shapes(tuple(plan.source.shape), plan.levels)):
        chunks, shards = chunking(plan.zarr_format, shape, chunks=plan.chunks, shards=plan.shards)
        metadata = describe_array(plan.zarr_format, shape, plan.dtype, chunks=chunks, shards=shards, axes=plan.axes)
        arrays.append(LevelArray(store, str(index), metadata, where, plan.axes))
    documents = group_documents(
        plan.zarr_format,
        [array.path for array in arrays],
        plan.voxel_size,
        axes=plan.axes,
        metadata=plan.metadata,
    )
    group = parse_group(documents, path=where)
    assert group is not None
    return Described(group=group, arrays=arrays, documents=documents)


async def write_volume(
    store: Store,
    plan: Plan,
    described: Described,
    *,
    empty: str | None,
    limits: Limits,
    confirm: Callable[[], Awaitable[None]],
    progress: Progress | None = None,
) -> None:
    """Write a volume, replacing an existing one.

    Until the last request has succeeded, a reader finds an empty volume.

    Parameters
    ----------
    store : zarr.abc.store.Store
        Of the volume, writable.
    plan : Plan
        What to write.
    described : Described
        Its metadata.
    empty : str, optional
        Version of the document that shows its levels, when that is known to be a bare group's in the format of the
        plan: as long as nobody has written it since, there is nothing to remove.
    limits : Limits
        Of the layer.
    confirm : callable
        Called before the volume is shown; raises when another writer took it over.
    progress : callable, optional
        Told of each chunk.
    """
    arrays, documents = described.arrays, described.documents
    shown = list(documents)[-1]
    begun = empty is not None and await _begin(store, shown, documents[shown], empty)
    if not begun:
        await make_empty(store, plan.zarr_format)
    async with store.together() if isinstance(store, WritesTogether) else nullcontext(store.set) as put:
        await _write_levels(arrays, plan, limits, progress, put)
    await confirm()
    # The finest level's metadata comes last of all: without it a volume is empty, also if a reader opens that level by
    # # its name. A zarr 2 group was made before.
    others = [item for array in arrays[1:] for item in _documents_of(array)]
    others += [] if begun else [(shown, documents[shown])]
    await _set_all(store, others, limits)
    await _set_all(store, _documents_of(arrays[0]), limits)


async def _begin(store: Store, key: str, document: bytes, etag: str) -> bool:
    """Replace an empty group's metadata; return True if no other writer has changed it since."""
    from aiocopick.storage.zarr_store import StorageStore

    assert isinstance(store, StorageStore)
    try:
        await store.storage.write(f"{store.prefix}/{key}", document, if_match=etag)
    except ConflictError:
        return False
    return True


def _documents_of(array: LevelArray) -> list[tuple[str, bytes]]:
    return [(f"{array.path}/{name}", content) for name, content in array_documents(array.metadata).items()]


async def make_empty(store: Store, zarr_format: int) -> None:
    """Replace the content by a group without levels, in an order in which the old volume is always complete or
    invisible.

    Parameters
    ----------
    store : zarr.abc.store.Store
        Of the volume, writable.
    zarr_format : int
        Of the group.
    """
    # Nothing is removed through a link: the listing would follow it, and so would the removal of what it found.
    if isinstance(store, HasLinks):
        await store.delete_linked()
    keys = [key async for key in store.list_prefix("")]
    # One request hides all levels, whatever they are called. Where both formats are, zarr.json wins.
    hiding = ".zattrs" if zarr_format == 2 and "zarr.json" not in keys else "zarr.json"
    await store.set(hiding, _buffer(hiding_document(2 if hiding == ".zattrs" else 3)))
    # Who opens the finest level by its name reads no group.
    finest = set(FINEST) & set(keys)
    await _delete_all(store, sorted(finest))
    kept = finest | {hiding} | ({".zgroup"} if zarr_format == 2 else set())
    await _delete_all(store, [key for key in keys if key.rpartition("/")[2] in _METADATA and key not in kept])
    if zarr_format == 2:
        await store.set(".zgroup", _buffer(empty_group_documents(2)[".zgroup"]))
        if hiding != ".zattrs":
            await _delete_all(store, [hiding])
    await _delete_all(store, [key for key in keys if key.rpartition("/")[2] not in _METADATA])


async def hide(store: Store) -> None:
    """Remove the metadata that shows a volume, so that it reads as empty while the rest of it is removed."""
    for names in SHOWN_BY:
        await _delete_all(store, list(names))


_METADATA = frozenset({"zarr.json", ".zattrs", ".zgroup", ".zarray", ".zmetadata"})


async def _delete_all(store: Store, keys: list[str]) -> None:
    if not keys:
        return
    if isinstance(store, DeletesMany):
        await store.delete_many(keys)
    else:
        await gather(store.delete, keys, limit=64)


async def _set_all(store: Store, documents: Iterable[tuple[str, bytes]], limits: Limits) -> None:
    async def put(item: tuple[str, bytes]) -> None:
        await store.set(item[0], _buffer(item[1]))

    await gather(put, list(documents), limit=limits.max_concurrency)


def _buffer(content: bytes) -> Any:
    from zarr.core.buffer import default_buffer_prototype

    return default_buffer_prototype().buffer.from_bytes(content)


async def _write_levels(
    arrays: list[LevelArray], plan: Plan, limits: Limits, progress: Progress | None, put: Put
) -> None:
    total = sum(count_pieces(_everything(array.metadata.shape), array.metadata.chunks) for array in arrays)
    done = 0
    source, cast = plan.source, plan.cast
    for index, level in enumerate(arrays):
        shape, edges = level.metadata.shape, level.metadata.chunks
        coarser = arrays[index + 1].metadata.shape if index + 1 < len(arrays) else None
        coarse: Array | None = None if coarser is None else np.empty(coarser, plan.dtype)

        async def write(
            block: Slices,
            source: Any = source,
            cast: Callable[[Array], Array] = cast,
            level: LevelArray = level,
            coarse: Array | None = coarse,
        ) -> None:
            nonlocal done
            data = await in_thread(_take, source, block, cast, plan.downsample, coarse)
            corner = [part.start // edge for part, edge in zip(block, level.metadata.chunks, strict=True)]
            for piece in pieces(_everything(data.shape), data.shape, level.metadata.chunks):
                coordinates = tuple(a + b for a, b in zip(corner, piece.coordinates, strict=True))
                await level.write_chunk(coordinates, data[piece.target], put)
                done += 1
                if progress is not None:
                    progress(done, total)

        cut = even_edges(edges, shape) if coarse is not None else edges
        together = prod(cut) // prod(edges)
        await gather(write, blocks(shape, cut), limit=max(1, limits.window(level) // together))
        if coarse is not None:
            source, cast = coarse, _as_is


def _everything(shape: tuple[int, ...]) -> tuple[range, ...]:
    return tuple(range(size) for size in shape)


def _as_is(block: Array) -> Array:
    return block


def _take(
    source: Any, block: Slices, cast: Callable[[Array], Array], downsample: Downsample, coarse: Array | None
) -> Array:
    data = cast(np.asarray(source[block]))
    if data.shape != (wanted := tuple(part.stop - part.start for part in block)):
        raise ValueError(f"The data gave a block of shape {data.shape} where one of {wanted} was asked for")
    if coarse is not None:
        coarse[coarse_block(block)] = downsample(data)
    return data
