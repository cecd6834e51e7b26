"""zarr's codecs, refusing to decode a chunk to more than its metadata says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numcodecs.abc  # type: ignore[import-untyped]
import numcodecs.compat  # type: ignore[import-untyped]
import numpy as np
from zarr.abc.codec import BytesBytesCodec
from zarr.codecs import ShardingCodec

from aiocopick.volumes.decoded_size import EXPANDING, decoded_size

if TYPE_CHECKING:
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer

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
