"""JSON from outside: parsed with bounded depth and memory, failures as FormatError; and written again."""

from __future__ import annotations

import json
import re
import zlib
from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json

from aiocopick.errors import FormatError
from aiocopick.models.file_sizes import LARGEST, check_archive

_GZIP = b"\x1f\x8b\x08"
# Indented points whose values are all zero are compressed about 200 times.
_INFLATION = 256
_INFLATED_ALWAYS = 1 << 20

_BOM = b"\xef\xbb\xbf"

# The densest valid picks and filaments hold flat points of 20 bytes, matrices of one-digit numbers, and triples of them.
_BYTES_PER_OBJECT = 12
_BYTES_PER_CONTAINER = 7
_ALWAYS_ALLOWED = 10_000
# What a value may take in memory, as a multiple of its text. The others are what an object, or a list, with one number
# takes: an object of seven bytes becomes a dict of 184.
_MEMORY = 12
_MEMORY_OF_OBJECT = 216
_MEMORY_OF_LIST = 104

# A single half of a surrogate pair, which Python reads and writes: file names that are not UTF-8 contain it.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def inflated(data: bytes, *, path: str, most: int | None = None) -> bytes:
    """Return the content of a file, decompressed if it is gzip: some stores return gzip whatever their headers say.

    Parameters
    ----------
    data : bytes
        The file.
    path : str
        Path for error messages.
    most : int, optional
        Largest size after decompression; by default 1 MiB and 256 times the size of the file.

    Raises
    ------
    FormatError
        The gzip data is broken, or larger than the limit after decompression.
    """
    if not data.startswith(_GZIP):
        return data
    limit = _INFLATED_ALWAYS + _INFLATION * len(data) if most is None else most
    unpack = zlib.decompressobj(wbits=31)
    try:
        content = unpack.decompress(data, limit)
    except zlib.error as error:
        raise FormatError(f"{path} is a broken gzip file ({error}).", path=path) from None
    if unpack.unconsumed_tail:
        raise FormatError(f"{path} is refused: {len(data)} bytes of gzip hold more than {limit}.", path=path)
    if not unpack.eof:
        raise FormatError(f"{path} is a broken gzip file: it is truncated.", path=path)
    return content


def inflated_document(data: bytes, *, path: str) -> bytes:
    """Decompress like :func:`inflated`; the limit is the largest size of a document, or 16 times the size of the file.

    Raises
    ------
    FormatError
        The gzip data is broken, or larger than the limit after decompression.
    """
    return inflated(data, path=path, most=max(LARGEST["metadata"], 16 * len(data)))


def check_brackets(data: bytes, *, path: str, dense: bool = True) -> None:
    """Refuse a document that would take far more memory than it has bytes.

    Parameters
    ----------
    data : bytes
        The document.
    path : str
        Path for error messages.
    dense : bool
        Allow what picks and filaments contain, which are not kept as the objects of their document.

    Raises
    ------
    FormatError
        It is made of more and smaller objects and lists than are allowed.
    """
    objects, lists = data.count(b"{"), data.count(b"[")
    if dense:
        refused = (
            objects > _ALWAYS_ALLOWED + len(data) // _BYTES_PER_OBJECT
            or objects + lists > _ALWAYS_ALLOWED + len(data) // _BYTES_PER_CONTAINER
        )
    else:
        memory = objects * _MEMORY_OF_OBJECT + lists * _MEMORY_OF_LIST
        refused = memory > _ALWAYS_ALLOWED * _MEMORY_OF_OBJECT + _MEMORY * len(data)
    if refused:
        raise FormatError(
            f"{path} is refused: {objects + lists} brackets in {len(data)} bytes would take far more memory than the "
            "file.",
            path=path,
        )


def parse_json(data: bytes, *, path: str, dense: bool = False) -> Any:
    """Return the value of a JSON document.

    Parameters
    ----------
    data : bytes
        UTF-8, with or without a byte order mark, also as gzip. Bare ``NaN``, ``Infinity`` and ``-Infinity`` are numbers.
    path : str
        Path for error messages.

    Returns
    -------
    Any
        Dicts, lists, strings, numbers, booleans and None.

    Raises
    ------
    FormatError
        It is not JSON, nested too deeply, or made of more and smaller objects than any file of CoPick.
    """
    data = inflated(data, path=path)
    check_archive(data, path=path)
    if data.startswith(_BOM):
        data = data[len(_BOM) :]
    check_brackets(data, path=path, dense=dense)
    try:
        return from_json(data, cache_strings="all")
    except (ValueError, RecursionError) as error:
        failure = error
    if _SURROGATE.search(data):
        try:
            return json.loads(data)
        except (ValueError, RecursionError) as error:
            failure = error
    raise FormatError(f"{path} is not valid JSON ({failure}).", path=path) from None


def dump_json(value: Any) -> bytes:
    """Return a JSON document that :func:`parse_json` reads as the same value: NaN stays NaN, because null means
    something else.
    """
    try:
        return to_json(value, inf_nan_mode="constants")
    except PydanticSerializationError:
        return json.dumps(value, separators=(",", ":")).encode()
