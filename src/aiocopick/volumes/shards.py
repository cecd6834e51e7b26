"""Parts of shards: the chunks that are needed, side by side, and a shard's index once for all of them.

zarr's sharding codec fetches a shard's index for each part that it is asked for, and the chunks of a part one after
another.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod
from typing import TYPE_CHECKING

import anyio

from aiocopick.volumes.chunk_plan import Piece, count_pieces, pieces

if TYPE_CHECKING:
    from zarr.abc.store import ByteRequest, Store
    from zarr.core.buffer import Buffer, BufferPrototype

    from aiocopick.volumes.array import LevelArray


class Shard:
    """A shard, of which the codec reads parts; the index is what it asks for first, in the same range each time.

    The object that zarr's codecs accept instead of a path in a store.
    """

    def __init__(self, store: Store, key: str) -> None:
        self._store = store
        self._key = key
        self._lock = anyio.Lock()
        self._range: ByteRequest | None = None
        self._index: Buffer | None = None

    async def get(self, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Read bytes of the shard; its index from memory after the first time."""
        if byte_range is None or self._range not in (None, byte_range):
            return await self._store.get(self._key, prototype, byte_range)
        async with self._lock:
            if self._range is None:
                self._index = await self._store.get(self._key, prototype, byte_range)
                self._range = byte_range
        return self._index


class Shards:
    """The shards that one operation reads parts of."""

    def __init__(self, level: LevelArray) -> None:
        self._level = level
        self._known: dict[tuple[int, ...], Shard] = {}

    def at(self, coordinates: tuple[int, ...]) -> Shard:
        """The shard at these coordinates of the grid."""
        shard = self._known.get(coordinates)
        if shard is None:
            shard = self._known[coordinates] = Shard(self._level.store, self._level.key(coordinates))
        return shard


def parts_of_shards(level: LevelArray, wanted: Iterable[Piece]) -> Iterator[Piece]:
    """Yield pieces of single chunks instead of pieces that need only some of a shard's chunks."""
    metadata = level.metadata
    for piece in wanted:
        if not needs_parts(level, piece):
            continue
        inside = tuple(range(item.start, item.stop, item.step or 1) for item in piece.inside)
        for part in pieces(inside, metadata.chunks, metadata.inner_chunks):
            yield Piece(
                piece.coordinates,
                tuple(
                    slice(at * edge + item.start, at * edge + item.stop, item.step)
                    for at, edge, item in zip(part.coordinates, metadata.inner_chunks, part.inside, strict=True)
                ),
                tuple(
                    slice(whole.start + item.start, whole.start + item.stop)
                    for whole, item in zip(piece.target, part.target, strict=True)
                ),
                False,
            )


def needs_parts(level: LevelArray, piece: Piece) -> bool:
    """Return True if some of a shard's chunks are not needed and can be skipped."""
    if not level.reads_parts or piece.whole:
        return False
    inside = tuple(range(item.start, item.stop, item.step or 1) for item in piece.inside)
    return count_pieces(inside, level.metadata.inner_chunks) < chunks_held(level, piece.coordinates)


def chunks_held(level: LevelArray, coordinates: tuple[int, ...]) -> int:
    """Return the number of chunks of a shard that are inside of the array."""
    metadata = level.metadata
    return prod(
        -(-min(size - at * whole, whole) // edge)
        for at, size, whole, edge in zip(
            coordinates, metadata.shape, metadata.chunks, metadata.inner_chunks, strict=True
        )
    )
