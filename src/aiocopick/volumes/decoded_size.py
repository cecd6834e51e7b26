"""Decoded size of a compressed chunk, determined before memory is allocated.

A few kilobytes can be made to decode to gigabytes. Formats that state their size are asked for it; the others are
decoded piece by piece, each piece thrown away, until they end or have passed the limit.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Any

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
