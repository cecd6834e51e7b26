"""zarr's codecs, refusing to decode a chunk to more than its metadata says.

A few kilobytes can be made to decode to gigabytes, so the size is determined before memory is allocated. Formats that
state their size are asked for it; the others are decoded piece by piece, each piece thrown away, until they end or have
passed the limit.

zarr's own pipeline wants an event loop and goes to a thread for each codec of each chunk. A thread that reads many chunks
decodes those of zarr 2 itself, by numcodecs alone (:class:`ChunkDecoder`); what is decoded, and refused, is the same.
"""

from __future__ import annotations

import asyncio
import bz2
import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numcodecs.abc  # type: ignore[import-untyped]
import numcodecs.compat  # type: ignore[import-untyped]
import numpy as np
from zarr.abc.codec import BytesBytesCodec
from zarr.codecs import ShardingCodec

from aiocopick.volumes.ome_arrays import ArrayMetadata

if TYPE_CHECKING:
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer


_PIECE = 256 * 1024
_ZSTD_BLOCK = 128 * 1024


def decoded_size(codec: str, data: memoryview, limit: int) -> int:
    """Bytes that a chunk decodes to, or a number above the limit.

    Parameters
    ----------
    codec : str
        Id of the codec. Codecs that are not known to expand count as large as the data.
    data : memoryview
        The encoded chunk.
    limit : int
        What the caller would accept.

    Returns
    -------
    int
        Exact where the format states it, an upper bound otherwise.

    Raises
    ------
    ValueError
        The data is not in that format.
    """
    measure = _MEASURES.get(codec)
    try:
        return len(data) if measure is None else measure(data, limit)
    except (IndexError, zlib.error, OSError, lzma.LZMAError, EOFError) as error:
        raise ValueError(f"no {codec}: {error}") from None


def _blosc(data: memoryview, _limit: int) -> int:
    # https://github.com/Blosc/c-blosc/blob/main/README_CHUNK_FORMAT.rst: bytes 4 to 8 are the decoded size, 12 to 16 the
    # encoded one. The decoder believes it, and reads past the end of a chunk that was cut off.
    if len(data) < 16:
        raise ValueError("shorter than a Blosc header")
    if int.from_bytes(data[12:16], "little") > len(data):
        raise ValueError("shorter than its Blosc header says")
    return int.from_bytes(data[4:8], "little")


def _lz4(data: memoryview, _limit: int) -> int:
    # numcodecs puts the size in front.
    if len(data) < 4:
        raise ValueError("shorter than an LZ4 header")
    return int.from_bytes(data[:4], "little")


def _zstd(data: memoryview, limit: int) -> int:
    # RFC 8878, sections 3.1.1 and 3.1.2: frames, one after the other, of at most 128 KiB a block.
    total, position = 0, 0
    while position < len(data) and total <= limit:
        magic = int.from_bytes(data[position : position + 4], "little")
        if magic & 0xFFFFFFF0 == 0x184D2A50:
            position += 8 + int.from_bytes(data[position + 4 : position + 8], "little")
            continue
        if magic != 0xFD2FB528 or position + 5 > len(data):
            raise ValueError("no Zstandard frame")
        size, position = _zstd_frame(data, position + 4)
        total += size
    return total


def _zstd_frame(data: memoryview, position: int) -> tuple[int, int]:
    """Stated size of a frame, or an upper bound, and where it ends."""
    descriptor = data[position]
    single, checksum = descriptor >> 5 & 1, descriptor >> 2 & 1
    width = (1 if single else 0, 2, 4, 8)[descriptor >> 6]
    position += 1 + (0 if single else 1) + (0, 1, 2, 4)[descriptor & 3]
    stated = int.from_bytes(data[position : position + width], "little") + (256 if width == 2 else 0)
    position += width
    blocks, last = 0, False
    while not last:
        header = int.from_bytes(data[position : position + 3], "little")
        if position + 3 > len(data):
            raise ValueError("a Zstandard frame ends too early")
        last = bool(header & 1)
        position += 3 + (1 if header >> 1 & 3 == 1 else header >> 3)
        blocks += 1
    # A frame may state a size that its blocks do not have; the decoder allocates what is stated.
    return (stated if width else blocks * _ZSTD_BLOCK), position + 4 * checksum


def _streamed(make: Callable[[], Any]) -> Callable[[memoryview, int], int]:
    def measure(data: memoryview, limit: int) -> int:
        total = 0
        rest: Any = data
        while len(rest) and total <= limit:
            stream = make()
            piece = stream.decompress(rest, _PIECE)
            # zlib hands back what it did not take; the others keep it.
            while (piece or getattr(stream, "unconsumed_tail", b"")) and total <= limit:
                total += len(piece)
                piece = stream.decompress(getattr(stream, "unconsumed_tail", b""), _PIECE) if not stream.eof else b""
            rest = stream.unused_data
        return total

    return measure


_MEASURES: dict[str, Callable[[memoryview, int], int]] = {
    "blosc": _blosc,
    "lz4": _lz4,
    "zstd": _zstd,
    "gzip": _streamed(lambda: zlib.decompressobj(wbits=31)),
    "zlib": _streamed(zlib.decompressobj),
    "bz2": _streamed(bz2.BZ2Decompressor),
    "lzma": _streamed(lzma.LZMADecompressor),
}

EXPANDING: dict[str, bool] = {name: measure in (_blosc, _lz4, _zstd) for name, measure in _MEASURES.items()}
"""Codecs that can decode to much more than they take, and whether that is found without decoding."""


# Checksums and headers add a little to what they protect.
_SLACK = 64 * 1024

_LARGE = 4 * 2**20
_STATED = frozenset({"blosc", "lz4"})
"""Codecs that state the decoded length."""


def guard_codecs(metadata: Any, chunk_bytes: int) -> None:
    """Let the codecs of an array refuse chunks that decode to too much.

    Parameters
    ----------
    metadata : zarr.core.metadata.ArrayV2Metadata or ArrayV3Metadata
        Changed in place; what it is as JSON stays the same.
    chunk_bytes : int
        Of a decoded chunk, for zarr 2.
    """
    # zarr's metadata is frozen, but no other object refers to this one yet.
    if metadata.zarr_format == 3:
        object.__setattr__(metadata, "codecs", tuple(_guarded(codec) for codec in metadata.codecs))
        return
    # Filters such as `astype` store wider numbers than they give.
    limit = (chunk_bytes + _SLACK) * (8 if metadata.filters else 1)
    if metadata.compressor is not None:
        object.__setattr__(metadata, "compressor", _guarded_numcodec(metadata.compressor, limit))
    if metadata.filters:
        object.__setattr__(metadata, "filters", tuple(_guarded_numcodec(item, limit) for item in metadata.filters))


def _guarded(codec: Any) -> Any:
    if isinstance(codec, ShardingCodec):
        return replace(codec, codecs=tuple(_guarded(inner) for inner in codec.codecs))
    if isinstance(codec, BytesBytesCodec):
        name = str(codec.to_dict()["name"]).removeprefix("numcodecs.")
        if name in EXPANDING:
            return GuardedCodec(codec, name)
    return codec


def _guarded_numcodec(codec: Any, limit: int) -> Any:
    return GuardedNumcodec(codec, limit) if codec.codec_id in EXPANDING else codec


def _check(name: str, data: memoryview, limit: int) -> int:
    size = decoded_size(name, data, limit)
    if size > limit:
        raise ValueError(f"{len(data)} bytes of {name} decode to {size} or more, where at most {limit} can be meant")
    return size


@dataclass(frozen=True)
class GuardedCodec(BytesBytesCodec):
    """A zarr 3 codec that looks before it decodes.

    Parameters
    ----------
    codec : BytesBytesCodec
        What decodes.
    name : str
        Its id.
    """

    codec: BytesBytesCodec
    name: str

    is_fixed_size = False

    def to_dict(self) -> dict[str, Any]:
        """Call the wrapped codec."""
        return dict(self.codec.to_dict())

    def evolve_from_array_spec(self, array_spec: ArraySpec) -> GuardedCodec:
        """Call the wrapped codec."""
        return GuardedCodec(self.codec.evolve_from_array_spec(array_spec), self.name)

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Call the wrapped codec."""
        return int(self.codec.compute_encoded_size(input_byte_length, chunk_spec))

    def _look(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> None:
        array: Any = chunk_data.as_numpy_array()
        limit = prod(chunk_spec.shape) * int(chunk_spec.dtype.to_native_dtype().itemsize) + _SLACK
        _check(self.name, memoryview(array).cast("B"), limit)

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> Buffer:
        if EXPANDING[self.name]:
            self._look(chunk_data, chunk_spec)
        else:
            await asyncio.to_thread(self._look, chunk_data, chunk_spec)
        return await self.codec._decode_single(chunk_data, chunk_spec)

    async def _encode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> Buffer | None:
        return await self.codec._encode_single(chunk_data, chunk_spec)

    # Newer zarr asks codecs to work without an event loop where they can.

    @property
    def _sync_capable(self) -> bool:
        return hasattr(self.codec, "_decode_sync")

    def _decode_sync(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> Buffer:
        self._look(chunk_data, chunk_spec)
        codec: Any = self.codec
        decoded: Buffer = codec._decode_sync(chunk_data, chunk_spec)
        return decoded

    def _encode_sync(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> Buffer | None:
        codec: Any = self.codec
        encoded: Buffer | None = codec._encode_sync(chunk_data, chunk_spec)
        return encoded


class GuardedNumcodec(numcodecs.abc.Codec):  # type: ignore[misc]
    """A zarr 2 codec that looks before it decodes.

    Parameters
    ----------
    codec : numcodecs.abc.Codec
        What decodes.
    limit : int
        Bytes that a chunk may decode to.
    """

    def __init__(self, codec: Any, limit: int) -> None:
        self.codec = codec
        self.codec_id = codec.codec_id
        self.limit = limit

    def encode(self, buf: Any) -> Any:
        """Call the wrapped codec."""
        return self.codec.encode(buf)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Decode with the wrapped codec, unless the result would be too large."""
        data = numcodecs.compat.ensure_contiguous_ndarray(buf).view("u1")
        size = _check(self.codec_id, memoryview(data), self.limit)
        if out is None and size >= _LARGE and self.codec_id in _STATED:
            # numpy asks for large pages, where numcodecs' bytes cost a fault for every four kilobytes of them.
            out = np.empty(size, "u1")
        return self.codec.decode(buf, out)

    def decode_into(self, buf: Any, out: np.ndarray[Any, Any]) -> Any:
        """Decode like :meth:`decode`, into existing memory, if the encoded data states exactly its length."""
        data = memoryview(buf)
        stated = self.codec_id in _STATED and decoded_size(self.codec_id, data, self.limit) == out.nbytes
        return self.decode(buf, out) if stated else self.decode(buf)

    def get_config(self) -> Any:
        """Call the wrapped codec."""
        return self.codec.get_config()


# --- decoding in the thread that has read the chunk -------------------------------------------------------------------


class ChunkDecoder:
    """Decodes chunks of one array, from several threads at once. Keeps its memory, so it is made for each reading.

    Parameters
    ----------
    metadata : ArrayMetadata
        Of a zarr 2 array, checked.
    compressor : numcodecs.abc.Codec or None
        As guarded for this array.
    filters : sequence of numcodecs.abc.Codec
        In the order of encoding.
    """

    def __init__(self, metadata: ArrayMetadata, compressor: Any, filters: Any) -> None:
        self._shape = metadata.chunks
        self._dtype = np.dtype(metadata.document["dtype"])
        self._order = metadata.document.get("order", "C")
        self._compressor = compressor
        self._filters = tuple(filters or ())
        self._nbytes = metadata.chunk_bytes
        # Free buffers of the size of a chunk.
        self._free: list[np.ndarray[Any, Any]] = []

    def decode(self, data: bytes | bytearray | memoryview, use: Callable[[np.ndarray[Any, Any]], None]) -> None:
        """Decode a chunk and give it to a function, which must not keep it: its memory is used again.

        Raises
        ------
        ValueError
            The data does not decode to a chunk of this array. Codecs raise errors of their own, too.
        """
        buffer = self._buffer()
        decoded: Any = data
        if isinstance(self._compressor, GuardedNumcodec):
            decoded = self._compressor.decode_into(data, buffer)
        elif self._compressor is not None:
            decoded = self._compressor.decode(data)
        for codec in reversed(self._filters):
            decoded = codec.decode(decoded)
        array = np.frombuffer(decoded, "u1") if isinstance(decoded, bytes) else np.asarray(decoded)
        array = array.reshape(-1, order="A").view(self._dtype)
        if array.nbytes != self._nbytes:
            raise ValueError(f"it decodes to {array.nbytes} bytes")
        use(array.reshape(self._shape, order=self._order))
        self._free.append(buffer)

    def _buffer(self) -> np.ndarray[Any, Any]:
        try:
            return self._free.pop()
        except IndexError:
            return np.empty(self._nbytes, "u1")
