"""A long list in a JSON document, parsed block by block, so that the objects of the whole document never exist at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic_core import from_json

from aiocopick.concurrency.lazy import numpy as np
from aiocopick.models.filaments import CheckedNumbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Small beside the files that need it: the objects of a block take about ten times its size.
_BLOCK = 1 << 15
# The keys before the list are short. If they are long, for example because of notes, the document is parsed as a whole.
_LONGEST_HEAD = 1 << 16
_CUT = re.compile(rb"\}[ \t\r\n]*,[ \t\r\n]*(?=\{)")
# Shows that the list that was cut is the one that the document has under its key.
_FIRST = "(first item of the list)"


def parse_json_text(text: bytes) -> Any:
    """Return the value of a JSON text.

    Raises
    ------
    ValueError
        It is not valid JSON.
    """
    return from_json(text, cache_strings="all")


def parse_in_blocks(
    data: bytes, name: str, take: Callable[[list[Any]], None], parse: Callable[[bytes], Any] = parse_json_text
) -> dict[str, Any] | None:
    """Parse a document whose list of objects is long.

    A text between two cuts that is a valid list by itself holds the same items as in the whole list, because JSON has
    one reading only. A cut inside an item makes an invalid text; then a longer one is tried.

    Parameters
    ----------
    data : bytes
        A JSON object with the list under a key, or the list alone.
    name : str
        That key.
    take : callable
        Called with the items of one block after the other.
    parse : callable, optional
        Parses the text of a block; raises ValueError if it is not valid JSON.

    Returns
    -------
    dict or None
        The other keys of the document. None if it must be parsed as a whole; then what `take` got does not count.
    """
    opening = _opening(data, name)
    if opening is None:
        return None
    head, start, size = data[:opening], opening, _BLOCK
    while (cut := _CUT.search(data, start + size)) is not None:
        try:
            items = parse(b"[%b]" % data[start : cut.start() + 1])
        except ValueError:
            size *= 2
            continue
        take(items)
        start, size = cut.end(), _BLOCK
    if not data[start : start + _LONGEST_HEAD].lstrip().startswith(b"{"):
        return None
    try:
        rest = parse(b'%b"%b",%b' % (head, _FIRST.encode(), data[start:]))
    except ValueError:
        return None
    header = rest if isinstance(rest, dict) else {name: rest}
    items = header.pop(name, None)
    if not isinstance(items, list) or items[:1] != [_FIRST]:
        return None
    take(items[1:])
    return header


def _opening(data: bytes, name: str) -> int | None:
    """Return the index after the bracket that opens the list."""
    start = data[:_LONGEST_HEAD].lstrip()
    if start.startswith(b"["):
        return data.index(b"[") + 1
    key = re.compile(rb'(?<!\\)"%b"[ \t\r\n]*:[ \t\r\n]*\[' % name.encode())
    for found in key.finditer(start):
        end = found.end() + min(len(data), _LONGEST_HEAD) - len(start)
        try:
            document = from_json(data[:end] + b"]}")
        except ValueError:
            continue
        return end if document.get(name) == [] else None
    return None


_END_OF_ROW = re.compile(rb"(?<=\])[ \t\r\n]*,")
_END_OF_NUMBER = re.compile(rb",")
# A number takes 24 bytes in memory, so that those of one or two digits are shared. By value, the negative ones last.
_SMALL = 1000


@cache
def _shared() -> NDArray[Any]:
    return np.array([float(i) for i in (*range(_SMALL), *range(-_SMALL, 0))], dtype=object)


def parse_numbers(text: bytes, *, triples: bool) -> CheckedNumbers | None:
    """Parse a list of numbers, or of triples of numbers, block by block.

    Returns
    -------
    CheckedNumbers or None
        Floats, or tuples of three. None if the list is empty or contains something else.
    """
    numbers = CheckedNumbers()
    ends = _END_OF_ROW if triples else _END_OF_NUMBER
    start, stop = 1, len(text) - 1
    while start < stop:
        cut = ends.search(text, min(start + _BLOCK, stop), stop)
        end = stop if cut is None else cut.start()
        try:
            block = np.array(parse_json_text(b"[%b]" % text[start:end]))
        except (ValueError, OverflowError):
            return None
        if block.dtype.kind not in "if" or block.shape[1:] != ((3,) if triples else ()) or not len(block):
            return None
        numbers.extend(_as_floats(block.astype(np.float64)))
        start = stop if cut is None else cut.end()
    return numbers or None


def _as_floats(numbers: NDArray[np.float64]) -> list[Any]:
    values = numbers.astype(object)
    whole = (np.abs(numbers) < _SMALL) & (numbers == np.rint(numbers)) & ((numbers != 0) | ~np.signbit(numbers))
    values[whole] = _shared()[numbers[whole].astype(int)]
    return values.tolist() if values.ndim == 1 else list(map(tuple, values.tolist()))


__all__ = ["parse_in_blocks", "parse_json_text", "parse_numbers"]
