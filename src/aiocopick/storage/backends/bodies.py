"""The body of an HTTP answer: received, and whether it is what was asked for, complete, and the right part."""

from __future__ import annotations

import re
from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING

from aiocopick.errors import StorageError
from aiocopick.storage.base import Range
from aiocopick.storage.faults import TruncatedError

if TYPE_CHECKING:
    import aiohttp

_LARGE = 2**20
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class StatusError(Exception):
    """An HTTP answer that is no success.

    Parameters
    ----------
    status : int
        HTTP status.
    reason : str
        What the server says about it.
    headers : mapping
        With lower-case names.
    """

    def __init__(self, status: int, reason: str, headers: Mapping[str, str]) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.headers = headers


def header_map(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers with lower-case names."""
    return {name.lower(): value for name, value in headers.items()}


def check_encoding(headers: Mapping[str, str], path: str) -> None:
    """Refuse a body that was compressed on the way: its length says nothing, and it may be a bomb.

    Raises
    ------
    StorageError
        It was.
    """
    if headers.get("content-encoding", "identity") not in ("identity", ""):
        raise StorageError(f"{path}: the server compresses what should come as it is stored", path=path)


async def whole_body(answer: aiohttp.ClientResponse) -> bytes:
    """Receive a body; a large one without holding its pieces beside the whole, as aiohttp would.

    Raises
    ------
    aiohttp.ClientError
        The connection broke.
    """
    if (answer.content_length or 0) < _LARGE:
        return await answer.read()
    body = BytesIO()
    try:
        async for piece in answer.content.iter_any():
            body.write(piece)
    except BaseException:
        answer.close()
        raise
    # No copy is made: the buffer has been cut to size.
    return body.getvalue()


def range_header(span: Range) -> str:
    """The ``Range`` header of a range (RFC 9110, 14.2)."""
    start, stop = span
    if start < 0:
        # A tail cannot be given an end as well: it is cut afterwards.
        return f"bytes={start}"
    return f"bytes={start}-{'' if stop is None else stop - 1}"


def complete(data: bytes, status: int, headers: Mapping[str, str], span: Range | None) -> bytes:
    """The bytes that were asked for.

    Parameters
    ----------
    data : bytes
        The body as it arrived.
    status : int
        206 when the server honoured the range; 200 when it sent everything.
    headers : mapping
        With lower-case names.
    span : tuple, optional
        What was asked for.

    Raises
    ------
    TruncatedError
        Bytes are missing, or it cannot be known whether some are.
    """
    length = headers.get("content-length")
    if length is not None:
        if int(length) != len(data):
            raise TruncatedError(f"{len(data)} of {length} bytes arrived")
    elif "chunked" not in headers.get("transfer-encoding", "").lower():
        raise TruncatedError("the server did not say how long it is")
    if span is None:
        if status == 206:
            raise TruncatedError("the server sent a part of it")
        return data
    start, stop = span
    if status != 206:
        # The range was ignored: this is everything.
        return data[start:stop]
    told = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip())
    if told is None:
        return _as_asked(data, start, stop)
    first, last = int(told[1]), int(told[2])
    if last - first + 1 != len(data):
        raise TruncatedError(f"{len(data)} of {last - first + 1} bytes arrived")
    size = None if told[3] == "*" else int(told[3])
    if start >= 0:
        wanted = last + 1 if stop is None else stop
        if first != start or last >= wanted:
            raise TruncatedError("the server sent another part of it")
        if last + 1 < wanted and last + 1 != size:
            raise TruncatedError("the server sent less than the part that was asked for")
        return data
    if size is None:
        return _as_asked(data, start, stop)
    begin = max(0, size + start)
    if first != begin or last != size - 1:
        raise TruncatedError("the server sent another part of it")
    return data if stop is None else data[: max(0, min(stop, size) - begin)]


def _as_asked(data: bytes, start: int, stop: int | None) -> bytes:
    # The server did not say which part it is; at least it must not be more than the part asked for.
    wanted = -start if start < 0 else None if stop is None else stop - start
    if wanted is not None and len(data) > wanted:
        raise TruncatedError("the server sent more than was asked for")
    return data
