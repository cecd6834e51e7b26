"""Picks files that were written by a program, read without parsing JSON point by point.

CoPick writes every point with the same keys in the same order, so a file is one pattern with numbers in it. A block of
it is recognised by removing the numbers and comparing what is left with the pattern; then the numbers alone are parsed,
as one flat list. Any difference, such as an unknown key, a null, NaN or another order, is left to the general
parser. The result is always the same as that of the general parser.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic_core import from_json

from aiocopick.concurrency.lazy import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NUMBER = b"0123456789.-+eE"
_SPACE = b" \n\r\t"
_STRUCTURE = b'"{}[]:'
_LETTERS = b"abcdfghijklmnopqrstuvwxyz_"  # without e, which occurs in numbers

# 1 where a byte belongs to a number or to a key and its quotes.
_TOKEN = bytes(chr(c).isascii() and (chr(c).isalnum() or chr(c) in '"_.+-') for c in range(256))

_KEYS = (b'{"location":{"x":', b',"y":', b',"z":', b'},"transformation_":[[', b']],"instance_id":', b',"score":')
_ROW = b",,,"
_PATTERN = b"".join(_KEYS[:4]) + b"],[".join([_ROW] * 4) + b"".join(_KEYS[4:]) + b"}"
_BARE_PATTERN = _PATTERN.translate(None, _NUMBER)
_VALUES = 3 + 16 + 2
_TOKENS = _VALUES + 7

# Small enough to stay in a core's cache through all passes.
_BLOCK = 1 << 18
_BEGIN = b'"location"'
# Integers above are not exact as float64.
_EXACT = 2.0**53


@dataclass(slots=True)
class Columns:
    """Columns of all points: (N, 3), (N, 4, 4), (N,) and (N,)."""

    positions: NDArray[np.float64]
    transforms: NDArray[np.float64]
    instance_ids: NDArray[np.int64]
    scores: NDArray[np.float64]


def read_regular(data: bytes, start: int, stop: int) -> Columns | None:
    """Return the columns of the points in ``data[start:stop]``, the text between the brackets of the list.

    Returns
    -------
    Columns or None
        None if the text is not in the regular form; use the general parser.
    """
    blocks = []
    while start < stop:
        end = _block_end(data, start, stop)
        if end <= start:
            return None
        block = _read_block(data[start:end], last=end == stop)
        if block is None:
            return None
        blocks.append(block)
        start = end
    if not blocks:
        return None
    table = np.concatenate(blocks)
    ids = table[:, 19]
    if (np.abs(ids) >= _EXACT).any() or (ids != np.floor(ids)).any():
        return None
    return Columns(
        positions=table[:, :3].copy(),
        transforms=table[:, 3:19].reshape(-1, 4, 4).copy(),
        instance_ids=ids.astype(np.int64),
        scores=table[:, 20].copy(),
    )


def _block_end(data: bytes, start: int, stop: int) -> int:
    """Return the end of a block that begins at `start`: before the brace that opens a point, or at `stop`."""
    following = data.find(_BEGIN, start + _BLOCK, stop)
    end = data.rfind(b"{", start, following) if following != -1 else stop
    if following != -1 and data.find(b"{", start, end + 1) == end:
        # That brace opens the first point of the block.
        following = data.find(_BEGIN, following + 1, stop)
        end = data.rfind(b"{", start, following) if following != -1 else stop
    return end


def _read_block(block: bytes, *, last: bool) -> NDArray[np.float64] | None:
    compact = block.translate(None, _SPACE)
    if not last:
        if not compact.endswith(b","):
            return None
        compact = compact[:-1]
    count = compact.count(_KEYS[0])
    bare = compact.translate(None, _NUMBER)
    if not count or bare != b",".join([_BARE_PATTERN] * count):
        return None
    # Letters of keys may have been removed with the numbers, or digits may be inside keys: check that all keys are
    # complete.
    if any(compact.count(key) != count for key in _KEYS[1:]):
        return None
    numbers = _bare_numbers(compact, count)
    if numbers is None or _count_tokens(block) != count * _TOKENS:
        return None
    try:
        values = np.array(from_json(b"[" + numbers + b"]"), dtype=np.float64)
    except (ValueError, OverflowError):
        return None
    return values.reshape(count, _VALUES) if values.shape == (count * _VALUES,) else None


def _bare_numbers(compact: bytes, count: int) -> bytes | None:
    """Return the numbers between commas, of a text whose keys have been checked."""
    # No number has an exponent: each e belongs to one of the two keys that have one.
    if compact.count(b"e") == 2 * count:
        return compact.translate(None, _STRUCTURE + _LETTERS + b"e")
    numbers = compact.translate(None, _STRUCTURE + _LETTERS)
    # The remains of those keys are an e after a comma; a number has no e there.
    return numbers.replace(b",e", b",") if numbers.count(b",e") == 2 * count else None


def _count_tokens(block: bytes) -> int:
    """Return the count of numbers and keys in a block.

    The count is too high if a token contains white space, because all white space is removed, or if a number is
    next to a removed bracket, as in ``1.0]0]``.
    """
    tokens = np.frombuffer(block.translate(_TOKEN), dtype=np.uint8)
    return int(np.count_nonzero(tokens[1:] > tokens[:-1])) + int(tokens[0])
