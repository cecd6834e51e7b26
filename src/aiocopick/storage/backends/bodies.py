"""The body of an HTTP answer: received, and whether it is what was asked for, complete, and the right part."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Mapping
from email.utils import parsedate_to_datetime
from io import BytesIO
from typing import TYPE_CHECKING

from aiocopick.errors import StorageError
from aiocopick.storage.base import Range
from aiocopick.storage.faults import AnswerError, TooLargeError, TruncatedError

if TYPE_CHECKING:
    import aiohttp

_LARGE = 2**20
_CONTENT_RANGE = re.compile(r"bytes (\d{1,20})-(\d{1,20})/(\d{1,20}|\*)")
_UNSATISFIED = re.compile(r"bytes \*/(\d{1,20})")


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


def check_encoding(headers: Mapping[str, str], path: str, span: Range | None) -> None:
    """Refuse a body that is compressed, except for a whole one as gzip: that is known by its first bytes, and unpacked
    within bounds, where its content is understood.

    Raises
    ------
    StorageError
        It is compressed in another way, or it is a part of something compressed.
    """
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity") or (encoding in ("gzip", "x-gzip") and span is None):
        return
    what = "a part of it" if encoding in ("gzip", "x-gzip") else "it"
    raise StorageError(
        f"{path}: the server sends {what} compressed (Content-Encoding: {encoding[:40]}), which cannot be read",
        path=path,
    )


async def whole_body(answer: aiohttp.ClientResponse, most: int | None = None) -> bytes:
    """Receive a body; a large one without holding its pieces beside the whole, as aiohttp would.

    Parameters
    ----------
    answer : aiohttp.ClientResponse
        The answer, its body not read.
    most : int, optional
        Bytes that it may have.

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
    """Refuse a body that says by its length that it is larger than it may be.

    Raises
    ------
    TooLargeError
        It is.
    """
    length = headers.get("content-length", "")
    if most is not None and length.isdecimal() and int(length) > most:
        raise TooLargeError(f"the answer has {length} bytes, more than {most}")


async def joined(pieces: AsyncIterable[bytes], most: int | None) -> bytes:
    """Put the pieces of a body together, as long as there are no more bytes than `most`.

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
    """Refuse a page for readers (a login, a welcome) in the place of a file, as some servers answer everything.

    Raises
    ------
    AnswerError
        It is such a page, and the key is not that of one.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml") and not key.lower().endswith((".html", ".htm", ".xhtml")):
        start = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
        if start.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml")):
            raise AnswerError("the server answered with a page of HTML, perhaps to log in, instead of the file")


def age_of(headers: Mapping[str, str]) -> float | None:
    """Seconds between the last change of an object and the answer of the server, both in its own time."""
    try:
        answered, modified = (parsedate_to_datetime(headers[name]) for name in ("date", "last-modified"))
        return max(0.0, (answered - modified).total_seconds())
    except (KeyError, TypeError, ValueError):
        return None


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
    AnswerError
        The status is not that of a content, or the server sent another part, or does not say which part it sent.
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
    """Return what a range holds that the server calls unsatisfiable (416): nothing.

    Raises
    ------
    AnswerError
        By the size that the server tells with it, the range holds something.
    """
    told = _UNSATISFIED.fullmatch(headers.get("content-range", "").strip())
    if told is not None and int(told[1]) > max(0, span[0]):
        raise AnswerError(f"the server refused a range inside of the {told[1]} bytes that it has")
    return b""
