"""Plain HTTP, for reading: files by GET, directories by the index pages of web servers.

A server without index pages has no listings: a project on it is read through a catalogue.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, unquote, urljoin, urlsplit

from aiocopick._version import __version__
from aiocopick.concurrency.threads import in_thread
from aiocopick.errors import StorageError
from aiocopick.models.redaction import split_userinfo
from aiocopick.storage.backends.base import (
    CONNECT_TIMEOUT,
    READ_TIMEOUT,
    Backend,
    Content,
    Page,
    close_sockets,
)
from aiocopick.storage.backends.bodies import (
    StatusError,
    beyond,
    check_encoding,
    check_page,
    complete,
    header_map,
    range_header,
    whole_body,
)
from aiocopick.storage.backends.index_pages import MOST_BYTES, read_index
from aiocopick.storage.backends.sessions import Proxies, prepared, session_arguments
from aiocopick.storage.base import Capabilities, Entry, Range
from aiocopick.storage.faults import AnswerError, Fault, common_fault, not_a_listing, status_fault
from aiocopick.storage.keys import Root
from aiocopick.storage.settings import Settings

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
# A page that takes longer to read than a hop into a thread.
_LARGE_PAGE = 8192


class HTTPBackend(Backend):
    """Files below a URL."""

    capabilities = Capabilities(writable=False, directories=True)
    stat_lists = False

    def __init__(self, settings: Settings, root: Root) -> None:
        super().__init__(settings, root)
        # Credentials in the URL go into a header: never into a request line, nor to another host.
        self._user, address = split_userinfo(root.location)
        host, _, path = address.partition("/")
        self._base = f"{root.protocol}://{host}/{path}".rstrip("/") + "/"
        self._stranger: Any = None

    async def connect(self) -> None:
        """Make the sessions' filesystem."""
        from fsspec.implementations.http import HTTPFileSystem

        self._filesystem = HTTPFileSystem(**session_arguments("client_kwargs", self.settings.fs_args))
        self._session = prepared(await self._filesystem.set_session())
        self._proxies = Proxies()
        self._arguments = dict(self._filesystem.kwargs)
        own = self._arguments.pop("headers", {})
        self._headers = {"User-Agent": f"aiocopick/{__version__}", "Accept-Encoding": "identity", **own}
        if self._user:
            pair = base64.b64encode(unquote(self._user).encode()).decode()
            self._headers.setdefault("Authorization", f"Basic {pair}")

    async def close(self) -> None:
        """Close the sessions."""
        await self._session.close()
        if self._stranger is not None:
            await self._stranger.close()

    def abandon(self) -> None:
        """Close their sockets."""
        close_sockets(self._session)
        if self._stranger is not None:
            close_sockets(self._stranger)

    @classmethod
    def meaning(cls, error: BaseException) -> Fault:
        """Return the meaning of an exception."""
        if isinstance(error, StatusError):
            return status_fault(error.status, error.reason, error.headers)
        return common_fault(error)

    # --- requests -----------------------------------------------------------------------------------------------------

    def _url(self, key: str) -> str:
        url = self._base + quote(key, safe="/-._~!$&'()*+,;=:@")
        return f"{url}?{self.root.query}" if self.root.query else url

    @asynccontextmanager
    async def _ask(self, method: str, url: str, headers: dict[str, str]) -> AsyncIterator[Any]:
        """One request, its redirects followed; to another origin without anything the user gave for this one."""
        import yarl

        session, arguments, home = self._session, self._arguments, _origin(url)
        headers = {**self._headers, **headers}
        for _ in range(_MOST_REDIRECTS + 1):
            target = yarl.URL(url, encoded=True)
            fixed = {"proxy": self._proxies.of(url), **arguments, "headers": headers, "allow_redirects": False}
            async with session.request(method, target, **fixed) as answer:
                if answer.status not in _REDIRECTS or "Location" not in answer.headers:
                    if answer.status >= 400:
                        raise StatusError(answer.status, answer.reason or "", header_map(answer.headers))
                    yield answer
                    return
                url = urljoin(url, answer.headers["Location"])
            if urlsplit(url).scheme not in ("http", "https"):
                break
            if _origin(url) != home:
                session, arguments = await self._stranger_session(), {}
                headers = {name: value for name, value in headers.items() if name in _HARMLESS}
        raise StorageError(f"{self.root.url} redirects in a way that is not followed", path=self.root.url)

    async def _stranger_session(self) -> Any:
        import aiohttp

        if self._stranger is None:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=READ_TIMEOUT)
            self._stranger = prepared(aiohttp.ClientSession(timeout=timeout, auto_decompress=False))
        return self._stranger

    # --- operations ---------------------------------------------------------------------------------------------------

    async def list_page(
        self, prefix: str, delimiter: str | None, *, start_after: str = "", token: object | None = None
    ) -> Page:
        """The entries of an index page that are one level down."""
        url = self._url(f"{prefix}/" if prefix else "")
        try:
            async with self._ask("GET", url, {}) as answer:
                if answer.status != 200:
                    raise not_a_listing(f"the status {answer.status}")
                base = str(answer.url)
                path = urlsplit(base).path
                if not path.endswith("/"):
                    # Some servers have the pages of folders under their names without a slash.
                    if path != urlsplit(url).path.removesuffix("/"):
                        raise not_a_listing("a redirect to another page")
                    base = urljoin(base, f"{path}/")
                headers = header_map(answer.headers)
                data = complete(await whole_body(answer, MOST_BYTES), answer.status, headers, None)
        except StatusError as error:
            if error.status in (404, 410):
                return Page()
            raise
        if len(data) <= _LARGE_PAGE and "content-encoding" not in headers:
            return Page(read_index(data, headers, base, prefix))
        return Page(await in_thread(read_index, data, headers, base, prefix))

    async def stat(self, key: str) -> Entry:
        """Send one HEAD; for a directory, web servers redirect to the name with a slash, and then its page is read."""
        async with self._ask("HEAD", self._url(key), {}) as answer:
            if key and not urlsplit(str(answer.url)).path.endswith("/"):
                length = answer.headers.get("Content-Length")
                if answer.status != 200 or length is None:
                    what = "without a length" if answer.status == 200 else str(answer.status)
                    raise AnswerError(f"the server answered a question for the length (HEAD) {what}")
                return Entry(key, size=int(length), etag=_etag(answer), modified=_modified(answer))
        # A server that answers everything in the same way must not pass for one that has this folder.
        await self.list_page(key, None)
        return Entry(key, is_prefix=True)

    async def read(self, key: str, span: Range | None, most: int | None = None) -> Content:
        """One GET, checked for completeness."""
        content = await self._get(key, span, most, {})
        if content is None:
            raise AnswerError("the server answered 304 to a request without a condition")
        return content

    async def read_unless(self, key: str, etag: str, span: Range | None, most: int | None = None) -> Content | None:
        """One GET, answered without a body if the file has this etag."""
        # Weak or strong is not remembered, and not every server compares them as one.
        content = await self._get(key, span, most, {"If-None-Match": f'"{etag}", W/"{etag}"'})
        return None if content is None or content.etag == etag else content

    async def _get(self, key: str, span: Range | None, most: int | None, headers: dict[str, str]) -> Content | None:
        headers = headers if span is None else {"Range": range_header(span), **headers}
        try:
            async with self._ask("GET", self._url(key), headers) as answer:
                if answer.status == 304:
                    return None
                if urlsplit(str(answer.url)).path.endswith("/"):
                    raise IsADirectoryError(key)
                found = header_map(answer.headers)
                check_encoding(found, self.root.url, key, span)
                body = await whole_body(answer, most)
                check_page(body, found, key)
                return Content(complete(body, answer.status, found, span), _etag(answer))
        except StatusError as error:
            if error.status == 416 and span is not None:
                return Content(beyond(error.headers, span))
            raise


_HARMLESS = frozenset({"User-Agent", "Accept-Encoding", "Range", "If-None-Match"})


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.rpartition("@")[2].lower()


def _etag(answer: Any) -> str | None:
    etag = answer.headers.get("ETag")
    return None if etag is None else str(etag).removeprefix("W/").strip('"')


def _modified(answer: Any) -> float | None:
    try:
        return parsedate_to_datetime(answer.headers.get("Last-Modified", "")).timestamp()
    except ValueError:
        return None
