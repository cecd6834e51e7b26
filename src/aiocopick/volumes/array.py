"""One level of a volume: decoding and encoding single chunks, by zarr's codecs, over any zarr store."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from aiocopick.concurrency.fan_out import unwrap
from aiocopick.concurrency.lazy import numpy as np
from aiocopick.concurrency.threads import in_thread, processors
from aiocopick.errors import CopickError, FormatError
from aiocopick.volumes.abilities import LimitsChunks, Put, ReadsInThreads, ReadsThrough
from aiocopick.volumes.chunk_plan import Piece
from aiocopick.volumes.ome import spatial_axes
from aiocopick.volumes.ome_arrays import ArrayMetadata

if TYPE_CHECKING:
    import zarr
    from zarr.abc.store import Store
    from zarr.core.array_spec import ArraySpec

    from aiocopick.volumes.codec_guard import ChunkDecoder
    from aiocopick.volumes.shards import Shard

Item = TypeVar("Item")

INLINE_BYTES = 1024 * 1024
"""Copying as much takes about as long as reaching a thread and coming back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a volume's concurrent work.

    Parameters
    ----------
    max_concurrency : int
        Chunks under way.
    max_bytes_in_flight : int
        Bytes of chunks under way, encoded and decoded together.
    max_array_bytes : int
        No array that is read, and no chunk, may be larger.
    """

    max_concurrency: int = 64
    max_bytes_in_flight: int = 512 * 2**20
    max_array_bytes: int = 64 * 2**30

    @classmethod
    def of(cls, config: Any) -> Limits:
        """Limits from a config, or from anything that has some of their names."""
        return cls(**{name: getattr(config, name) for name in cls.__slots__ if hasattr(config, name)})

    def window(self, level: LevelArray, *, parts: bool = False) -> int:
        """Chunks of a level that may be under way; or single chunks inside of shards."""
        size = level.metadata.inner_chunk_bytes if parts else level.metadata.chunk_bytes
        # Encoded and decoded, each counted as large as the chunk, and what a client copies while it receives.
        fitting = 2 * self.max_bytes_in_flight // (5 * max(1, size))
        # Local disk gains nothing from depth, and chunks that wait for a processor leave its caches.
        most = min(self.max_concurrency, _DISK_WINDOW) if level.reads_in_threads else self.max_concurrency
        return max(1, min(most, fitting))

    def ahead(self, level: LevelArray) -> int:
        """Chunks of a level that may be under way when each is decoded, and done with, in a thread."""
        # Encoded, each counted as large as the chunk; decoded there is one for each thread.
        chunk = max(1, level.metadata.chunk_bytes)
        return max(1, min(self.max_concurrency, self.max_bytes_in_flight // chunk - max(2, processors())))


_DISK_WINDOW = 8


class LevelArray:
    """One level's array.

    Parameters
    ----------
    store : zarr.abc.store.Store
        Of the volume.
    path : str
        Of the level below the volume.
    metadata : ArrayMetadata
        Checked already.
    where : str
        Path of the volume, for messages.
    axes : tuple of str
        Names of the axes, as the group gives them; empty where it does not.

    Raises
    ------
    FormatError
        zarr cannot make an array of the metadata.
    """

    __slots__ = ("array", "axes", "fill", "metadata", "path", "spec", "store", "where")

    array: zarr.AsyncArray[Any]
    spec: ArraySpec

    def __init__(self, store: Store, path: str, metadata: ArrayMetadata, where: str, axes: tuple[str, ...]) -> None:
        from zarr.core.array_spec import ArrayConfig, ArraySpec
        from zarr.core.buffer import default_buffer_prototype

        if isinstance(store, LimitsChunks):
            store = store.with_chunk_limit(metadata.largest_stored_chunk)
        self.store = store
        self.path = path
        self.metadata = metadata
        self.where = where
        self.axes = axes
        self.array = _make_array(store, path, metadata, f"{where}/{path}" if path else where)
        fill = self.array.metadata.fill_value
        self.fill = np.zeros((), metadata.dtype)[()] if fill is None else fill
        self.spec = ArraySpec(
            shape=metadata.chunks,
            dtype=self.array.metadata.dtype,
            fill_value=self.array.metadata.fill_value,
            # Chunks of zeros are written as well, so that a missing one is a lost one. Shards leave theirs out.
            config=ArrayConfig(order=metadata.document.get("order", "C"), write_empty_chunks=not metadata.sharded),
            prototype=default_buffer_prototype(),
        )

    @property
    def spatial_axes(self) -> tuple[int, int, int]:
        """Positions of z, y and x in the array.

        Raises
        ------
        FormatError
            It has fewer axes.
        """
        return spatial_axes(self.axes, self.metadata.ndim, path=f"{self.where}/{self.path}")

    def by_axis(self, x: Any, y: Any, z: Any) -> list[Any]:
        """Slices along x, y and z in array order; None, which is everything, along other axes."""
        items: list[Any] = [None] * self.metadata.ndim
        for axis, item in zip(self.spatial_axes, (z, y, x), strict=True):
            items[axis] = item
        return items

    @property
    def reads_in_threads(self) -> bool:
        """True if the store reads in threads of this machine, where chunks can also be decoded."""
        return isinstance(self.store, ReadsInThreads) and self.store.reads_in_threads

    def fresh(self) -> LevelArray:
        """Return the same level, read as it is stored now: what is changed must not come from a cache."""
        fresh = getattr(self.store, "fresh", None)
        store = self.store if fresh is None else fresh()
        return self if store is self.store else LevelArray(store, self.path, self.metadata, self.where, self.axes)

    def decoder(self) -> ChunkDecoder | None:
        """Return a decoder of chunks off the event loop; None if only zarr's pipeline can decode them."""
        # Stores of other layers have nothing but zarr's own methods.
        if self.metadata.zarr_format != 2 or not isinstance(self.store, ReadsThrough):
            return None
        from aiocopick.volumes.codec_guard import ChunkDecoder

        described: Any = self.array.metadata
        return ChunkDecoder(self.metadata, described.compressor, described.filters)

    async def read_chunks(
        self,
        decoder: ChunkDecoder,
        items: Iterable[tuple[tuple[int, ...], Item]],
        use: Callable[[Item, np.ndarray[Any, Any]], None],
        limits: Limits,
    ) -> list[Item]:
        """Read chunks, decode them, and give them to a function, which must not keep them: off the event loop.

        Parameters
        ----------
        decoder : ChunkDecoder
            From :meth:`decoder`.
        items : iterable of (tuple of int, object)
            Coordinates of chunks, and what goes to the function with them.
        use : callable
            Called in a thread, with a whole chunk.
        limits : Limits
            Of the layer.

        Returns
        -------
        list
            The items of missing chunks, which mean the fill value.

        Raises
        ------
        FormatError
            A chunk cannot be decoded.
        """
        assert isinstance(self.store, ReadsThrough)

        def work(item: tuple[tuple[int, ...], Item], data: bytes | bytearray | memoryview) -> None:
            try:
                decoder.decode(data, partial(use, item[1]))
            except MemoryError:
                raise
            except Exception as error:
                raise self._undecodable(item[0], error) from error

        keyed = ((self.key(item[0]), item) for item in items)
        return [item for _, item in await self.store.read_through(keyed, work, limits.ahead(self))]

    def key(self, coordinates: tuple[int, ...]) -> str:
        """Key of a chunk in the store."""
        name = self.array.metadata.encode_chunk_key(coordinates)
        return f"{self.path}/{name}" if self.path else name

    @property
    def reads_parts(self) -> bool:
        """True if single chunks can be read from stored objects, which are shards."""
        return self.metadata.sharded and self.array.codec_pipeline.supports_partial_decode

    async def read_into(self, out: np.ndarray[Any, Any], piece: Piece) -> None:
        """Read the part of a chunk (or shard) that a selection needs into its place in the selected region."""
        chunk = await self.read_chunk(piece.coordinates)
        if chunk is None:
            out[piece.target] = self.fill
        elif out[piece.target].nbytes <= INLINE_BYTES:
            out[piece.target] = chunk[piece.inside]
        else:
            await in_thread(_copy, out, piece, chunk)

    async def read_part(self, out: np.ndarray[Any, Any], piece: Piece, shard: Shard) -> None:
        """Read a chunk of a shard, or a part of one, into its place in the selected region."""
        target = self.spec.prototype.nd_buffer.from_numpy_array(out)
        try:
            with unwrap():
                await self.array.codec_pipeline.read([(shard, self.spec, piece.inside, piece.target, False)], target)
        except (CopickError, MemoryError):
            raise
        except Exception as error:
            raise self._undecodable(piece.coordinates, error) from error

    async def read_chunk(self, coordinates: tuple[int, ...]) -> np.ndarray[Any, Any] | None:
        """A whole chunk (or shard), decoded; None when it is missing, which means the fill value."""
        encoded = await self.store.get(self.key(coordinates), self.spec.prototype)
        if encoded is None:
            return None
        try:
            (decoded,) = await self.array.codec_pipeline.decode([(encoded, self.spec)])
            assert decoded is not None
            array = decoded.as_numpy_array()
        except MemoryError:
            raise
        except Exception as error:
            raise self._undecodable(coordinates, error) from error
        if array.shape != self.metadata.chunks:
            raise self._undecodable(coordinates, ValueError(f"it decodes to shape {array.shape}"))
        return array

    async def write_chunk(
        self, coordinates: tuple[int, ...], chunk: np.ndarray[Any, Any], put: Put | None = None
    ) -> None:
        """Encode and write a chunk (or shard); an array smaller than it, at the end of the level, is padded.

        Parameters
        ----------
        coordinates : tuple of int
            Of the chunk in the grid.
        chunk : ndarray
            In the type of the level.
        put : callable, optional
            Writes to the store; None is its own ``set``.
        """
        if chunk.shape != self.metadata.chunks:
            chunk = await in_thread(_padded, chunk, self.metadata.chunks, self.fill)
        buffer = self.spec.prototype.nd_buffer.from_numpy_array(chunk)
        (encoded,) = await self.array.codec_pipeline.encode([(buffer, self.spec)])
        if encoded is None and not any(coordinates):
            # One is there in each level that was written: without, an unfinished level looks like one that was left out.
            config = replace(self.spec.config, write_empty_chunks=True)
            (encoded,) = await self.array.codec_pipeline.encode([(buffer, replace(self.spec, config=config))])
        key = self.key(coordinates)
        if encoded is None:
            await self.store.delete(key)
        else:
            await (put or self.store.set)(key, encoded)

    def _undecodable(self, coordinates: tuple[int, ...], error: BaseException) -> FormatError:
        path = f"{self.where}/{self.key(coordinates)}"
        return FormatError(f"{path}: the chunk cannot be decoded ({type(error).__name__}: {error})", path=path)


def _make_array(store: Store, path: str, metadata: ArrayMetadata, where: str) -> zarr.AsyncArray[Any]:
    from zarr import AsyncArray
    from zarr.core.metadata import ArrayV2Metadata, ArrayV3Metadata
    from zarr.storage import StorePath

    from aiocopick.volumes.codec_guard import guard_codecs

    document = metadata.document
    if metadata.zarr_format == 2:
        document = {
            "fill_value": None,
            "compressor": None,
            "order": "C",
            **document,
            "filters": document.get("filters") or None,
            "attributes": {},
        }
    try:
        # zarr warns of codecs beyond its specification, which CoPick writes.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            make: Any = ArrayV2Metadata if metadata.zarr_format == 2 else ArrayV3Metadata
            described = make.from_dict(document)
            guard_codecs(described, metadata.chunk_bytes)
            return AsyncArray(metadata=described, store_path=StorePath(store, path))
    except Exception as error:
        raise FormatError(
            f"{where}: zarr cannot read this array ({type(error).__name__}: {error})", path=where
        ) from error


def _copy(out: np.ndarray[Any, Any], piece: Piece, chunk: np.ndarray[Any, Any]) -> None:
    out[piece.target] = chunk[piece.inside]


def _padded(chunk: np.ndarray[Any, Any], shape: tuple[int, ...], fill: Any) -> np.ndarray[Any, Any]:
    padded = np.full(shape, fill, chunk.dtype)
    padded[tuple(slice(size) for size in chunk.shape)] = chunk
    return padded
