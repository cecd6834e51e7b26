"""The body of an HTTP answer: received, and checked to be complete and the requested part."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Mapping
from email.utils import parsedate_to_datetime
from io import BytesIO
from typing import TYPE_CHECKING

from aiocopick.errors import StorageError
from aiocopick.layout.paths import file_kind
from aiocopick.storage.base import Range
from aiocopick.storage.faults import AnswerError, TooLargeError, TruncatedError

if TYPE_CHECKING:
    import aiohttp

_LARGE = 2**20
_CONTENT_RANGE = re.compile(r"bytes (\d{1,20})-(\d{1,20})/(\d{1,20}|\*)")
_UNSATISFIED = re.compile(r"bytes \*/(\d{1,20})")


class StatusError(Exception):
    """An HTTP answer other than success.

    Parameters
    ----------
    status : int
        HTTP status.
    reason : str
        The reason given by the server.
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


def check_encoding(headers: Mapping[str, str], root: str, key: str, span: Range | None) -> None:
    """Refuse a compressed body, except for a complete gzip body of a document: that is recognised by its first bytes,
    and decompressed within limits, when its content is parsed. Any bytes may be the first ones of a chunk.

    Raises
    ------
    StorageError
        It is compressed in another way, or it is a chunk, or a part of compressed data.
    """
    encoding = headers.get("content-encoding", "").strip().lower()
    is_gzip = encoding in ("gzip", "x-gzip")
    if encoding in ("", "identity") or (is_gzip and span is None and file_kind(key) not in ("chunks", "tables")):
        return
    what = "a part of it" if is_gzip and span is not None else "it"
    raise StorageError(
        f"{root}/{key}: the server sends {what} compressed (Content-Encoding: {encoding[:40]}), which cannot be read; "
        "store it as it is",
        path=f"{root}/{key}",
    )


async def whole_body(answer: aiohttp.ClientResponse, most: int | None = None) -> bytes:
    """Receive a body; a large body is not held twice in memory, as aiohttp would do.

    Parameters
    ----------
    answer : aiohttp.ClientResponse
        The answer, with its body unread.
    most : int, optional
        Largest number of bytes.

    Raises
    ------
    aiohttp.ClientError
        The connection broke.
    TooLargeError
        There are more bytes than `most`.
    """
    length = answer.content_length
    try:
        check_length(answer.headers, most)
        # An answer that says its length has no more than that.
        if length is not None and length < _LARGE:
            return await answer.read()
        return await joined(answer.content.iter_any(), most)
    except BaseException:
        answer.close()
        raise


def check_length(headers: Mapping[str, str], most: int | None) -> None:
    """Refuse a body whose declared length is larger than the limit.

    Raises
    ------
    TooLargeError
        The length is above the limit.
    """
    length = headers.get("content-length", "")
    if most is not None and length.isdecimal() and int(length) > most:
        raise TooLargeError(f"the answer has {length} bytes, more than {most}")


async def joined(pieces: AsyncIterable[bytes], most: int | None) -> bytes:
    """Join the pieces of a body, up to `most` bytes.

    Raises
    ------
    TooLargeError
        There are more.
    """
    body = BytesIO()
    async for piece in pieces:
        body.write(piece)
        if most is not None and body.tell() > most:
            raise TooLargeError(f"the answer has more than {most} bytes")
    # No copy is made: the buffer has been cut to size.
    return body.getvalue()


def check_page(data: bytes, headers: Mapping[str, str], key: str) -> None:
    """Refuse an HTML page (a login, a welcome) instead of a file, which some servers send for every URL.

    Raises
    ------
    AnswerError
        It is such a page, and the key is not that of an HTML file.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml") and not key.lower().endswith((".html", ".htm", ".xhtml")):
        start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
        if start.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml")):
            raise AnswerError("the server answered with a page of HTML, perhaps to log in, instead of the file")


def age_of(headers: Mapping[str, str]) -> float | None:
    """Return the seconds between the last change of an object and the answer, both by the server's clock."""
    try:
        answered, modified = (parsedate_to_datetime(headers[name]) for name in ("date", "last-modified"))
        return max(0.0, (answered - modified).total_seconds())
    except (KeyError, TypeError, ValueError):
        return None


def range_header(span: Range) -> str:
    """Return the ``Range`` header of a range (RFC 9110, 14.2)."""
    start, stop = span
    if start < 0:
        # A tail cannot be given an end as well: it is cut afterwards.
        return f"bytes={start}"
    return f"bytes={start}-{'' if stop is None else stop - 1}"


def complete(data: bytes, status: int, headers: Mapping[str, str], span: Range | None) -> bytes:
    """Return the requested bytes.

    Parameters
    ----------
    data : bytes
        The body as it arrived.
    status : int
        206 when the server honoured the range; 200 when it sent everything.
    headers : mapping
        With lower-case names.
    span : tuple, optional
        The requested range.

    Raises
    ------
    TruncatedError
        Bytes are missing, or it cannot be known whether some are.
    AnswerError
        The status is not that of content, or the server sent another part, or did not name the part it sent.
    """
    if status not in (200, 206):
        raise AnswerError(f"the server answered {status} instead of a content")
    length = headers.get("content-length")
    if length is not None:
        if int(length) != len(data):
            raise TruncatedError(f"{len(data)} of {length} bytes arrived")
    elif "chunked" not in headers.get("transfer-encoding", "").lower():
        raise TruncatedError("the server did not say how long it is")
    if span is None:
        if status == 206:
            raise AnswerError("the server sent a part of it, which was not asked for")
        return data
    start, stop = span
    if status != 206:
        # The range was ignored: this is everything.
        return data[start:stop]
    told = _CONTENT_RANGE.fullmatch(headers.get("content-range", "").strip())
    if told is None or told[3] == "*":
        raise AnswerError("the server sent a part of it without saying which part of how much (Content-Range)")
    first, last, size = int(told[1]), int(told[2]), int(told[3])
    if last - first + 1 != len(data):
        raise TruncatedError(f"{len(data)} of {last - first + 1} bytes arrived")
    begin = start if start >= 0 else max(0, size + start)
    end = size if stop is None or start < 0 else min(stop, size)
    if first != begin or last + 1 > end:
        raise AnswerError("the server sent another part of it than was asked for")
    if last + 1 < end:
        raise TruncatedError("the server sent less than the part that was asked for")
    return data if stop is None or start >= 0 else data[: max(0, stop - begin)]


def beyond(headers: Mapping[str, str], span: Range) -> bytes:
    """Return the empty content of a range that the server calls unsatisfiable (416).

    Raises
    ------
    AnswerError
        By the size that the server tells with it, the range holds something.
    """
    told = _UNSATISFIED.fullmatch(headers.get("content-range", "").strip())
    if told is not None and int(told[1]) > max(0, span[0]):
        raise AnswerError(f"the server refused a range inside of the {told[1]} bytes that it has")
    return b""
