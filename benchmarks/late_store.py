"""A store that answers late: what a bucket of S3 is like from far away, and a server on the same two cores is not.

It holds projects, each a folder of runs with the same keys, answers LIST (version 2), GET and HEAD as S3 does, each a
given time after it was asked and any number at a time, and collapses volumes: what a delimiter hides costs no page.
Nobody's signature is checked.
"""

from __future__ import annotations

import asyncio
import json
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "late"
COUNTS = "/counts"
"""Path under which the store says how many requests of each kind it has answered."""

_LAST = "\U0010ffff"
_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
_ETAG = '"d41d8cd98f00b204e9800998ecf8427e"'
_SHOWN_ETAG = _ETAG.replace('"', "&quot;")
_DATE = "2024-05-01T12:00:00.000Z"

Content = bytes | Path
Line = tuple[str, int | None]
"""A key and its size, or a common prefix and None."""


class Keys(Sequence[str]):
    """The keys of one project in order, made when they are looked at: runs times keys below a run are too many to hold.

    Parameters
    ----------
    folder : str
        What all keys begin with, with a trailing ``/``.
    runs : sequence of str
        Names of the runs.
    inner : mapping of str to bytes or Path
        Content by key below a run.
    """

    def __init__(self, folder: str, runs: Sequence[str], inner: Mapping[str, Content]) -> None:
        self.folder = folder
        self.runs = sorted(runs, key=lambda run: f"{run}/")
        self.inner = sorted(inner)
        self.sizes = {
            key: content.stat().st_size if isinstance(content, Path) else len(content) for key, content in inner.items()
        }
        self._content = inner
        self._collapsed: dict[str, list[Line]] = {}

    def __len__(self) -> int:
        return len(self.runs) * len(self.inner)

    def __getitem__(self, index: int) -> str:  # type: ignore[override]
        run, key = divmod(index, len(self.inner))
        return f"{self.folder}{self.runs[run]}/{self.inner[key]}"

    def read(self, key: str) -> bytes | None:
        """Return the content of a key; None when there is none."""
        if not key.startswith(self.folder):
            return None
        run, _, inner = key[len(self.folder) :].partition("/")
        at = bisect_left(self.runs, f"{run}/", key=lambda known: f"{known}/")
        if self.runs[at : at + 1] != [run] or inner not in self._content:
            return None
        content = self._content[inner]
        return content if isinstance(content, bytes) else content.read_bytes()

    def lines(self, prefix: str, delimiter: str, after: str) -> Iterator[Line]:
        """The lines of a listing behind a key, or behind all that a common prefix holds."""
        run = self._run_of(prefix)
        if run is not None:
            at = bisect_left(self.runs, f"{run}/", key=lambda known: f"{known}/")
            if self.runs[at : at + 1] == [run]:
                yield from self._lines_of(run, prefix, delimiter, after)
            return
        if not self.folder.startswith(prefix):
            # Some runs have names that begin so.
            if not prefix.startswith(self.folder):
                return
        elif delimiter and (at := self.folder.find(delimiter, len(prefix))) >= 0:
            common = self.folder[: at + len(delimiter)]
            if common > after and self.runs:
                yield common, None
            return
        begin = prefix[len(self.folder) :] if prefix.startswith(self.folder) else ""
        first = bisect_left(self.runs, begin, key=lambda run: f"{run}/")
        if after > self.folder:
            # The run that the key is in may have more.
            first = max(first, bisect_right(self.runs, after[len(self.folder) :], key=lambda run: f"{run}/") - 1)
        for run in self.runs[first:]:
            if not run.startswith(begin):
                return
            yield from self._lines_of(run, prefix, delimiter, after)

    def _run_of(self, prefix: str) -> str | None:
        run, inside, _ = prefix.removeprefix(self.folder).partition("/")
        return run if inside and prefix.startswith(self.folder) else None

    def _lines_of(self, run: str, prefix: str, delimiter: str, after: str) -> Iterator[Line]:
        base = f"{self.folder}{run}/"
        at = -1 if not delimiter else base.find(delimiter, len(prefix)) if len(prefix) < len(base) else -1
        if at >= 0:
            if base > after:
                yield base[: at + len(delimiter)], None
            return
        begin = prefix[len(base) :]
        for inner, size in self._inner(begin, delimiter):
            key = base + inner
            if key > after:
                yield key, size

    def _inner(self, begin: str, delimiter: str) -> list[Line]:
        known = self._collapsed.get(f"{begin}\n{delimiter}")
        if known is None:
            found: dict[str, int | None] = {}
            for key in self.inner[bisect_left(self.inner, begin) :]:
                if not key.startswith(begin):
                    break
                at = key.find(delimiter, len(begin)) if delimiter else -1
                if at < 0:
                    found[key] = self.sizes[key]
                else:
                    found[key[: at + len(delimiter)]] = None
            known = self._collapsed[f"{begin}\n{delimiter}"] = list(found.items())
        return known


class LateStore:
    """The server, in a thread; a context manager.

    Parameters
    ----------
    latencies : sequence of int
        Milliseconds; there is a port for each.
    """

    def __init__(self, latencies: Sequence[int]) -> None:
        self.ports: dict[int, int] = {}
        self.projects: dict[str, Keys] = {}
        self.counts: Counter[str] = Counter()
        self._latencies = latencies
        self._pages: dict[str, bytes] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> None:
        self._servers = [
            await self._loop.create_server(lambda late=late: _Connection(self, late / 1000), "127.0.0.1", 0)
            for late in self._latencies
        ]
        self._connections: set[asyncio.BaseTransport] = set()
        for late, server in zip(self._latencies, self._servers, strict=True):
            self.ports[late] = server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.close()
        await asyncio.sleep(0)

    def add(self, name: str, runs: Sequence[str], inner: Mapping[str, Content]) -> None:
        """Hold a project as ``s3://late/NAME``."""
        self.projects[name] = Keys(f"{name}/ExperimentRuns/", runs, inner)

    def remove(self, name: str) -> None:
        """Forget a project."""
        self.projects.pop(name, None)
        self._pages.clear()

    def answer(self, method: str, target: str, headers: Mapping[str, str]) -> tuple[int, bytes, str]:
        """Return status, body and further headers."""
        parts = urlsplit(target)
        path = unquote(parts.path)
        if path == COUNTS:
            return 200, json.dumps(self.counts).encode(), ""
        bucket, _, key = path.lstrip("/").partition("/")
        if bucket != BUCKET:
            return 404, b"<Error><Code>NoSuchBucket</Code></Error>", ""
        if method == "GET" and not key:
            self.counts["ListObjectsV2"] += 1
            return 200, self._page(parts.query), "Content-Type: application/xml\r\n"
        self.counts["GetObject" if method == "GET" else "HeadObject"] += 1
        project = self.projects.get(key.partition("/")[0])
        content = None if project is None else project.read(key)
        if content is None or method not in ("GET", "HEAD"):
            return 404, b"<Error><Code>NoSuchKey</Code></Error>", ""
        told = f"ETag: {_ETAG}\r\nLast-Modified: Wed, 01 May 2024 12:00:00 GMT\r\n"
        wanted = headers.get("range", "").removeprefix("bytes=")
        if not wanted:
            return 200, content, told
        first, _, last = wanted.partition("-")
        start = int(first) if first else max(0, len(content) - int(last))
        stop = min(len(content), int(last) + 1) if first and last else len(content)
        if start >= len(content):
            return 416, b"<Error><Code>InvalidRange</Code></Error>", f"Content-Range: bytes */{len(content)}\r\n"
        return 206, content[start:stop], f"{told}Content-Range: bytes {start}-{stop - 1}/{len(content)}\r\n"

    def _page(self, query: str) -> bytes:
        # A project does not change, so that a page is made once: the store is to be late, not slow.
        if query not in self._pages:
            self._pages[query] = self._made(query)
        return self._pages[query]

    def _made(self, query: str) -> bytes:
        told = {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
        prefix, delimiter = told.get("prefix", ""), told.get("delimiter", "")
        after = _shown_by(told["continuation-token"]) if told.get("continuation-token") else told.get("start-after", "")
        most = int(told.get("max-keys", 1000))
        url = told.get("encoding-type") == "url"
        shown = (lambda text: quote(text, safe="/")) if url else escape
        project = self.projects.get(prefix.partition("/")[0])
        objects, prefixes, count, last, more = [], [], 0, "", False
        for key, size in () if project is None else project.lines(prefix, delimiter, after):
            if count == most:
                more = True
                break
            count += 1
            last = key
            if size is None:
                # Whoever continues behind a common prefix continues behind all that it holds.
                last += _LAST
                prefixes.append(f"<CommonPrefixes><Prefix>{shown(key)}</Prefix></CommonPrefixes>")
            else:
                objects.append(
                    f"<Contents><Key>{shown(key)}</Key><LastModified>{_DATE}</LastModified><ETag>{_SHOWN_ETAG}</ETag>"
                    f"<Size>{size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
                )
        token = f"<NextContinuationToken>{_token_of(last)}</NextContinuationToken>" if more else ""
        return "".join(
            (
                _HEAD,
                f"<Name>{BUCKET}</Name><Prefix>{shown(prefix)}</Prefix><Delimiter>{shown(delimiter)}</Delimiter>",
                f"<KeyCount>{count}</KeyCount><MaxKeys>{most}</MaxKeys>",
                "<EncodingType>url</EncodingType>" if url else "",
                f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}",
                *objects,
                *prefixes,
                "</ListBucketResult>",
            )
        ).encode()


class _Connection(asyncio.Protocol):
    def __init__(self, store: LateStore, late: float) -> None:
        self._store = store
        self._late = late
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._store._connections.add(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._store._connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            method, target, _ = first.split(" ", 2)
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            late = 0 if target == COUNTS else self._late
            asyncio.get_running_loop().call_later(late, self._answer, method, target, headers)

    def _answer(self, method: str, target: str, headers: Mapping[str, str]) -> None:
        if self._transport.is_closing():
            return
        status, body, more = self._store.answer(method, target, headers)
        head = f"HTTP/1.1 {status} -\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode()
        self._transport.write(head if method == "HEAD" else head + body)


def _token_of(last: str) -> str:
    return urlsafe_b64encode(last.encode()).decode()


def _shown_by(token: str) -> str:
    return urlsafe_b64decode(token).decode()


def counts(port: int) -> Counter[str]:
    """Return the requests that the store at a port has answered, by operation."""
    from urllib.request import ProxyHandler, build_opener

    with build_opener(ProxyHandler({})).open(f"http://127.0.0.1:{port}{COUNTS}") as answer:
        return Counter(json.loads(answer.read()))
