"""JSON that came from outside: parsed with bounded depth and memory, failures as FormatError."""

from __future__ import annotations

from typing import Any

from pydantic_core import from_json

from aiocopick.errors import FormatError

_BOM = b"\xef\xbb\xbf"

# An empty object of three bytes becomes a dict of 64. The densest thing CoPick means, a matrix of one-digit numbers,
# has a container for every eight bytes.
_BYTES_PER_CONTAINER = 7
_ALWAYS_ALLOWED = 10_000


def parse_json(data: bytes, *, path: str) -> Any:
    """The value of a JSON document.

    Parameters
    ----------
    data : bytes
        UTF-8, with or without a byte order mark. Bare ``NaN``, ``Infinity`` and ``-Infinity`` are numbers.
    path : str
        Where it came from, for messages.

    Returns
    -------
    Any
        Dicts, lists, strings, numbers, booleans and None.

    Raises
    ------
    FormatError
        It is no JSON, nested too deeply, or made of more empty containers than any file of CoPick.
    """
    if data.startswith(_BOM):
        data = data[len(_BOM) :]
    containers = data.count(b"{") + data.count(b"[")
    if containers > _ALWAYS_ALLOWED + len(data) // _BYTES_PER_CONTAINER:
        raise FormatError(
            f"{path} is refused: {containers} brackets in {len(data)} bytes would take far more memory than the file.",
            path=path,
        )
    try:
        return from_json(data, cache_strings="keys")
    except (ValueError, RecursionError) as error:
        raise FormatError(
            f"{path} is no valid JSON ({error}); restore it from a copy or delete it.", path=path
        ) from None
