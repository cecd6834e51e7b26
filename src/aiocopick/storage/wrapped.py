"""A storage over another one, which passes everything on: what keeps, counts or fails requests begins here."""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.lowlevel

from aiocopick.concurrency.fan_out import gather_results, stream
from aiocopick.concurrency.threads import in_thread
from aiocopick.errors import CopickError
from aiocopick.storage.base import Aged, Buffer, Capabilities, Entry, FirstPage, Range, ReadItem, Storage
from aiocopick.storage.keys import is_key
from aiocopick.storage.scan import nested, prefetching
from aiocopick.storage.stats import StorageStats

Value = TypeVar("Value")


class WrappedStorage:
    """A storage that wraps another one and intercepts each of its requests.

    Subclasses override :meth:`around`. Pages of a scan and items of a bulk operation pass through it one by one, so
    that a wrapper can count them and stop between them.

    Parameters
    ----------
    inner : Storage
        The wrapped storage.
    """

    def __init__(self, inner: Storage) -> None:
        self.inner = inner

    async def around(self, verb: str, key: str, call: Callable[[], Awaitable[Value]]) -> Value:
        """Make one request of the storage below."""
        return await call()

    @property
    def url(self) -> str:
        """Same as of the wrapped storage."""
        return self.inner.url

    @property
    def read_only(self) -> bool:
        """Same as of the wrapped storage."""
        return self.inner.read_only

    @property
    def capabilities(self) -> Capabilities:
        """Same as of the wrapped storage."""
        return self.inner.capabilities

    @property
    def stats(self) -> StorageStats:
        """Same as of the wrapped storage."""
        return self.inner.stats

    def path_of(self, key: str) -> str:
        """Same as of the wrapped storage."""
        return self.inner.path_of(key)

    def options(self, **changes: Any) -> Storage:
        """The same wrapper, its state shared, around a view of the storage below."""
        return self._around(self.inner.options(**changes))

    def _around(self, inner: Storage) -> Storage:
        view = object.__new__(type(self))
        view.__dict__ = {**self.__dict__, "inner": inner}
        return view

    def opened(self, prefix: str) -> Storage:
        """The same wrapper around the opened volume of a storage that keeps contents."""
        inner = self.inner.opened(prefix)
        return self if inner is self.inner else self._around(inner)

    def fresh(self) -> Storage:
        """The same wrapper around a view that reads what the server has now."""
        inner = self.inner.fresh()
        return self if inner is self.inner else self._around(inner)

    def renew(self) -> None:
        """Same as of the wrapped storage."""
        self.inner.renew()

    async def list(self, prefix: str) -> Sequence[Entry]:
        """One request for a directory."""
        return await self.around("list", prefix, lambda: self.inner.list(prefix))

    def scan(
        self, prefix: str, collapse: str | None = ".zarr/", *, start_after: str = "", stop_before: str | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Entry]]]:
        """One request for each page."""

        async def produce(emit: Callable[[Sequence[Entry]], Awaitable[None]]) -> None:
            inner = self.inner.scan(prefix, collapse, start_after=start_after, stop_before=stop_before)
            async with inner as pages:
                while True:
                    try:
                        page = await self.around("list", prefix, lambda: anext(pages))
                    except StopAsyncIteration:
                        return
                    await emit(page)

        return prefetching(produce)

    async def first_page(self, prefix: str, *, start_after: str = "") -> FirstPage | None:
        """One request, where the storage below has pages in key order."""
        if not self.capabilities.delimiter:
            return None
        return await self.around("list", prefix, lambda: self.inner.first_page(prefix, start_after=start_after))

    async def first_children(self, prefix: str, *, start_after: str = "") -> FirstPage | None:
        """One request, where the storage below has pages in key order."""
        if not self.capabilities.delimiter:
            return None
        return await self.around("list", prefix, lambda: self.inner.first_children(prefix, start_after=start_after))

    async def list_nested(
        self, prefixes: Sequence[str], enter: Callable[[str], bool], *, details: bool = True
    ) -> builtins.list[Sequence[Entry] | CopickError]:
        """One request for each directory; where it is one for all of them below, what goes through is asked for at once."""
        if not self.capabilities.nested:
            return await nested(self.list, prefixes, enter, limit=16)
        let_through = await gather_results(
            lambda key: self.around("list", key, anyio.lowlevel.checkpoint), prefixes, limit=1
        )
        wanted = [key for key, error in zip(prefixes, let_through, strict=True) if error is None]
        found = dict(zip(wanted, await self.inner.list_nested(wanted, enter, details=details), strict=True))
        return [found[key] if error is None else error for key, error in zip(prefixes, let_through, strict=True)]

    async def leftovers(self, prefix: str = "") -> Sequence[Entry]:
        """One request."""
        return await self.around("list", prefix, lambda: self.inner.leftovers(prefix))

    async def exists(self, key: str) -> bool:
        """One request."""
        return await self.around("stat", key, lambda: self.inner.exists(key))

    async def stat(self, key: str) -> Entry:
        """One request."""
        return await self.around("stat", key, lambda: self.inner.stat(key))

    async def read(self, key: str, range: Range | None = None) -> bytes:
        """One request."""
        return await self.around("read", key, lambda: self.inner.read(key, range))

    async def read_versioned(self, key: str, *, listed: bool = False) -> tuple[bytes, str | None]:
        """One request."""
        return await self.around("read", key, lambda: self.inner.read_versioned(key, listed=listed))

    async def read_unless(
        self, key: str, etag: str | None, range: Range | None = None
    ) -> tuple[Buffer, str | None] | None:
        """One request."""
        return await self.around("read", key, lambda: self.inner.read_unless(key, etag, range))

    async def read_aged(self, key: str) -> Aged:
        """One request."""
        return await self.around("read", key, lambda: self.inner.read_aged(key))

    def read_many(
        self, items: Iterable[ReadItem]
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[ReadItem, bytes | CopickError]]]:
        """One request for each item."""

        async def read(item: ReadItem) -> bytes:
            return await (self.read(item) if isinstance(item, str) else self.read(*item))

        return stream(read, items, limit=16)

    def read_many_versioned(
        self, keys: Iterable[str], *, listed: bool = False
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[str, tuple[bytes, str | None] | CopickError]]]:
        """One request for each item."""
        return stream(partial(self.read_versioned, listed=listed), keys, limit=16)

    def read_through(
        self, keys: Iterable[str], use: Callable[[str, Buffer], Value], *, limit: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[str, Value | CopickError]]]:
        """One request for each item."""

        async def read(key: str) -> Value:
            return await in_thread(use, key, await self.read(key))

        return stream(read, keys, limit=16 if limit is None else limit)

    async def write(self, key: str, data: Buffer, *, if_match: str | None = None, create: bool = False) -> str | None:
        """One request."""
        return await self.around("write", key, lambda: self.inner.write(key, data, if_match=if_match, create=create))

    async def write_many(self, items: Iterable[tuple[str, Buffer]]) -> None:
        """One request for each item, in order."""
        for key, data in items:
            await self.write(key, data)

    async def sync(self, keys: Iterable[str]) -> None:
        """One request, where there is something to wait for."""
        keys = list(keys)
        if keys and self.capabilities.directories:
            await self.around("sync", keys[0], lambda: self.inner.sync(keys))

    async def delete_many(self, keys: Iterable[str]) -> None:
        """One request for each key, in order: what stops in between leaves the rest, as a broken batch may."""
        for key in keys:
            await self.around("delete", key, lambda key=key: self.inner.delete_many([key]))  # type: ignore[misc]

    async def delete_tree(self, prefix: str) -> int:
        """One request for each object and the tree itself."""
        if self.read_only or not is_key(prefix.removesuffix("/")):
            # It refuses that before it does anything.
            return await self.inner.delete_tree(prefix)
        count = 0
        async with self.inner.scan(prefix, None) as pages:
            found = [entry.key async for page in pages for entry in page if not entry.is_prefix]
        for key in found:
            await self.around("delete", key, lambda key=key: self.inner.delete_many([key]))  # type: ignore[misc]
            count += 1
        await self.around("delete", prefix, lambda: self.inner.delete_tree(prefix))
        return count

    async def delete_linked(self, prefix: str) -> bool:
        """One request, where there can be links."""
        if not self.capabilities.directories:
            return False
        return await self.around("delete", prefix, lambda: self.inner.delete_linked(prefix))

    async def copy(self, source: str, target: str) -> None:
        """One request."""
        await self.around("copy", source, lambda: self.inner.copy(source, target))

    async def aclose(self) -> None:
        """Close the wrapped storage."""
        await self.inner.aclose()
