"""Keys of a storage as HTTP answers: whole objects, ranges, versions, and index pages of folders."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Mapping
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse

from aiocopick.errors import AccessDeniedError, CopickError, FormatError, InvalidNameError, NotFoundError
from aiocopick.storage.base import Entry, Storage

LARGE = 32 * 2**20
"""Objects up to this size are held in memory; larger ones are read and sent in pieces."""

_PIECE = 8 * 2**20
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_STATUS = ((NotFoundError, 404), (InvalidNameError, 400), (AccessDeniedError, 403))


def refusal(error: CopickError) -> Response:
    """Return the answer for an error of ours, whose message holds no secrets."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 502)
    return Response(f"{error}\n", status, media_type="text/plain")


async def answer(storage: Storage, key: str, request: Request) -> Response:
    """Answer a request for a key, or for the index of a folder, whose key ends in ``/``.

    A whole object is one request to the storage; with a range or a known version, its length and version are another.
    """
    if key == "" or key.endswith("/"):
        return await _index(storage, key[:-1])
    if request.method == "HEAD":
        entry = await storage.stat(key)
        if entry.is_prefix:
            return RedirectResponse(f"{quote(key.rpartition('/')[2], safe='')}/", 307)
        return Response(headers=_headers(entry.etag, entry.size or 0))
    asked = request.headers
    if "range" in asked or "if-none-match" in asked:
        return await _conditional(storage, key, asked)
    try:
        data, etag = await storage.options(max_chunk_bytes=LARGE).read_versioned(key)
    except FormatError:
        entry = await storage.stat(key)
        if entry.size is None or entry.size <= LARGE:
            raise
        return _part(storage, key, entry, 0, entry.size, 200)
    return Response(data, headers=_headers(etag))


async def _conditional(storage: Storage, key: str, asked: Mapping[str, str]) -> Response:
    entry = await storage.stat(key)
    if entry.is_prefix or entry.size is None:
        raise NotFoundError(f"There is no object {storage.path_of(key)}.", path=storage.path_of(key))
    known = asked.get("if-none-match", "")
    etag = _quoted(entry.etag)
    if (
        known
        and etag
        and (known.strip() == "*" or etag in [tag.strip().removeprefix("W/") for tag in known.split(",")])
    ):
        return Response(status_code=304, headers=_headers(entry.etag))
    span: tuple[int, int] | None = 0, entry.size
    status = 200
    if "range" in asked and asked.get("if-range", etag) == etag:
        span, status = _span(asked["range"], entry.size), 206
    if span is None:
        return Response(status_code=416, headers={"Content-Range": f"bytes */{entry.size}"})
    start, stop = span
    if stop - start > LARGE:
        return _part(storage, key, entry, start, stop, status)
    data = await storage.read(key, (start, stop)) if stop > start else b""
    headers = _headers(entry.etag)
    if status == 206:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{entry.size}"
    return Response(data, status, headers)


def _span(text: str, size: int) -> tuple[int, int] | None:
    """Return the first byte of a range and the one after its last; None if it cannot be had. Only one range can."""
    found = _RANGE.fullmatch(text.strip())
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    return (start, stop) if start < stop else None


def _part(storage: Storage, key: str, entry: Entry, start: int, stop: int, status: int) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(start, stop, _PIECE):
            yield await storage.read(key, (at, min(stop, at + _PIECE)))

    headers = _headers(entry.etag, stop - start)
    if status == 206:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{entry.size}"
    return StreamingResponse(pieces(), status, headers)


def _quoted(etag: str | None) -> str:
    """Return an etag as HTTP has it; empty if there is none that a header can hold."""
    return f'"{etag}"' if etag and etag.isascii() and etag.isprintable() and '"' not in etag else ""


def _headers(etag: str | None, length: int | None = None) -> dict[str, str]:
    # What is stored must never become a page of this server.
    headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes", "Cache-Control": "no-cache"}
    if quoted := _quoted(etag):
        headers["ETag"] = quoted
    if length is not None:
        headers["Content-Length"] = str(length)
    return headers


async def _index(storage: Storage, prefix: str) -> Response:
    entries = await storage.list(prefix)
    if prefix and not entries:
        raise NotFoundError(f"There is nothing at {storage.path_of(prefix)}.", path=storage.path_of(prefix))
    lines = []
    for entry in entries:
        name = f"{quote(entry.name, safe='', errors='surrogateescape')}{'/' * entry.is_prefix}"
        shown = html.escape(entry.name.encode(errors="replace").decode())
        lines.append(f'<li><a href="{name}">{shown}{"/" * entry.is_prefix}</a></li>')
    title = html.escape(f"Index of /{prefix}".encode(errors="replace").decode())
    return HTMLResponse(
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>'
        f"<body><h1>{title}</h1><ul>\n{chr(10).join(lines)}\n</ul></body></html>\n"
    )
