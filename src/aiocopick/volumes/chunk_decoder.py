"""Decoding of zarr 2 chunks in the thread that has read them, by numcodecs alone.

zarr's own pipeline wants an event loop and goes to a thread for each codec of each chunk; who reads many chunks in one
thread decodes them there. What is decoded, and refused, is the same (:mod:`aiocopick.volumes.codec_guard`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiocopick.concurrency.lazy import numpy as np
from aiocopick.volumes.codec_guard import GuardedNumcodec
from aiocopick.volumes.ome_arrays import ArrayMetadata


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

    def decode(self, data: bytes, use: Callable[[np.ndarray[Any, Any]], None]) -> None:
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
