"""Bodies of HTTP answers: each check, on its own, refuses what it is there for."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from aiocopick.errors import StorageError
from aiocopick.storage.backends import bodies
from aiocopick.storage.base import Range
from aiocopick.storage.faults import AnswerError, TooLargeError, TruncatedError
from aiocopick.testing import Answer, FaultServer

FIVE = {"content-length": "5"}
CHUNKED = {"transfer-encoding": "chunked"}


def part(told: str) -> dict[str, str]:
    return {**FIVE, "content-range": told}


@pytest.mark.parametrize(
    ("encoding", "span"), [("br", None), ("deflate", None), ("zstd", (0, 5)), ("gzip", (0, 5)), ("X-GZIP", (-5, None))]
)
def test_a_compressed_body_that_cannot_be_read_is_refused(encoding: str, span: Range | None) -> None:
    with pytest.raises(StorageError, match="compressed"):
        bodies.check_encoding({"content-encoding": encoding}, "s3://a", "b.json", span)


@pytest.mark.parametrize(
    "key", ["ExperimentRuns/TS_1/VoxelSpacing10/wbp.zarr/0/0/0/0", "wbp.zarr/0/c/0", "catalog.parquet"]
)
def test_a_compressed_body_of_any_bytes_is_refused(key: str) -> None:
    with pytest.raises(StorageError, match=rf"s3://a/{key}.*\(Content-Encoding: gzip\)"):
        bodies.check_encoding({"content-encoding": "gzip"}, "s3://a", key, None)


@pytest.mark.parametrize(
    ("headers", "span"),
    [
        ({}, (0, 5)),
        ({"content-encoding": "Identity"}, (0, 5)),
        ({"content-encoding": ""}, None),
        ({"content-encoding": "gzip"}, None),
        ({"content-encoding": "x-gzip"}, None),
    ],
)
def test_a_body_that_can_be_read_is_taken(headers: dict[str, str], span: Range | None) -> None:
    bodies.check_encoding(headers, "s3://a", "b.json", span)


def test_a_body_says_that_it_is_too_large() -> None:
    bodies.check_length(FIVE, 5)
    bodies.check_length(FIVE, None)
    bodies.check_length(CHUNKED, 4)
    with pytest.raises(TooLargeError, match="5 bytes, more than 4"):
        bodies.check_length(FIVE, 4)


@pytest.mark.asyncio
async def test_a_body_without_a_length_ends_where_it_is_too_large() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"01", b"23", b"4"):
            yield piece

    assert await bodies.joined(pieces(), 5) == b"01234"
    assert await bodies.joined(pieces(), None) == b"01234"
    with pytest.raises(TooLargeError, match="more than 4"):
        await bodies.joined(pieces(), 4)


@pytest.mark.asyncio
async def test_a_body_that_is_refused_gives_its_connection_up() -> None:
    async with FaultServer() as server, aiohttp.ClientSession() as session:
        # The rest of it never arrives.
        server.always(Answer(headers={"content-length": "9"}, body=b"01234"))
        answer = await session.get(server.url)
        with pytest.raises(TooLargeError, match="9 bytes, more than 8"):
            await bodies.whole_body(answer, 8)
        assert answer.closed


@pytest.mark.parametrize("start", [b"<!DOCTYPE html>", b"\xef\xbb\xbf <html>", b"\r\n<head>", b"<?xml version='1.0'?>"])
@pytest.mark.parametrize("kind", ["text/html", "Text/HTML; charset=utf-8", "application/xhtml+xml"])
def test_a_page_is_no_file(start: bytes, kind: str) -> None:
    with pytest.raises(AnswerError, match="HTML"):
        bodies.check_page(start, {"content-type": kind}, "a/b.json")
    bodies.check_page(start, {"content-type": kind}, "a/b.HTML")
    bodies.check_page(start, {"content-type": "application/octet-stream"}, "a/b.json")
    bodies.check_page(b"{}", {"content-type": kind}, "a/b.json")


@pytest.mark.parametrize(
    ("status", "headers", "span", "error"),
    [
        (204, FIVE, None, AnswerError),
        (304, FIVE, None, AnswerError),
        (201, FIVE, (0, 5), AnswerError),
        (200, {"content-length": "6"}, None, TruncatedError),
        (200, {"content-length": "4"}, None, TruncatedError),
        (200, {}, None, TruncatedError),
        (206, part("bytes 0-4/5"), None, AnswerError),
        (206, FIVE, (0, 5), AnswerError),
        (206, part("bytes 0-4/*"), (0, 5), AnswerError),
        (206, part("items 0-4/9"), (0, 5), AnswerError),
        (206, part("bytes 0-3/9"), (0, 5), TruncatedError),
        (206, part("bytes 0-5/9"), (0, 6), TruncatedError),
        (206, part("bytes 1-5/9"), (0, 5), AnswerError),
        (206, part("bytes 1-5/9"), (2, 7), AnswerError),
        (206, part("bytes 0-4/9"), (0, 4), AnswerError),
        (206, part("bytes 0-4/9"), (0, 6), TruncatedError),
        (206, part("bytes 0-4/9"), (0, None), TruncatedError),
        (206, part("bytes 3-7/9"), (-5, None), AnswerError),
        (206, part("bytes 5-9/10"), (-6, None), AnswerError),
    ],
)
def test_what_was_not_asked_for_is_refused(
    status: int, headers: dict[str, str], span: Range | None, error: type[Exception]
) -> None:
    with pytest.raises(error):
        bodies.complete(b"01234", status, headers, span)


@pytest.mark.parametrize(
    ("status", "headers", "span", "expected"),
    [
        (200, FIVE, None, b"01234"),
        (200, CHUNKED, None, b"01234"),
        (200, FIVE, (1, 3), b"12"),
        (200, FIVE, (-2, None), b"34"),
        (206, part("bytes 0-4/9"), (0, 5), b"01234"),
        (206, part("bytes 4-8/9"), (4, None), b"01234"),
        (206, part("bytes 4-8/9"), (4, 20), b"01234"),
        (206, part("bytes 4-8/9"), (-5, None), b"01234"),
        (206, part("bytes 0-4/5"), (-20, None), b"01234"),
        (206, part("bytes 4-8/9"), (-5, 6), b"01"),
        (206, part("bytes 4-8/9"), (-5, 2), b""),
    ],
)
def test_what_was_asked_for_is_taken(status: int, headers: dict[str, str], span: Range | None, expected: bytes) -> None:
    assert bodies.complete(b"01234", status, headers, span) == expected


MINUTE = {"date": "Tue, 01 Jan 2030 00:01:00 GMT", "last-modified": "Tue, 01 Jan 2030 00:00:00 GMT"}


@pytest.mark.parametrize(
    ("headers", "age"),
    [
        (MINUTE, 60.0),
        ({"date": MINUTE["last-modified"], "last-modified": MINUTE["date"]}, 0.0),
        ({"date": MINUTE["date"]}, None),
        ({**MINUTE, "last-modified": "yesterday"}, None),
        # Without a zone it is nobody's time.
        ({**MINUTE, "last-modified": "Tue, 01 Jan 2030 00:00:00 -0000"}, None),
    ],
)
def test_the_age_of_an_object(headers: dict[str, str], age: float | None) -> None:
    assert bodies.age_of(headers) == age


def test_names_of_headers_are_read_in_any_case() -> None:
    assert bodies.header_map({"Content-LENGTH": "Five"}) == {"content-length": "Five"}


@pytest.mark.parametrize(("span", "header"), [((0, 5), "bytes=0-4"), ((7, None), "bytes=7-"), ((-3, None), "bytes=-3")])
def test_the_header_of_a_range(span: Range, header: str) -> None:
    assert bodies.range_header(span) == header


def test_a_refused_range_holds_nothing_by_the_size_that_is_told() -> None:
    assert bodies.beyond({"content-range": "bytes */5"}, (5, 9)) == b""
    assert bodies.beyond({"content-range": "bytes */0"}, (-5, None)) == b""
    assert bodies.beyond({}, (5, 9)) == b""
    for span in ((4, 9), (-1, None), (0, None)):
        with pytest.raises(AnswerError, match="refused a range"):
            bodies.beyond({"content-range": "bytes */5"}, span)
