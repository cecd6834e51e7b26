"""Storages around another one, for tests: they count, wait or fail."""

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
from aiocopick.errors import CopickError, StorageError
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
    ) -> tuple[bytes, str | None] | None:
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


class CountingStorage(WrappedStorage):
    """A storage that records every request.

    Attributes
    ----------
    calls : list of tuple
        ``(verb, key)`` in the order they were made. Exact numbers of requests to a server are in :attr:`stats`.
    """

    def __init__(self, inner: Storage) -> None:
        super().__init__(inner)
        self.calls: list[tuple[str, str]] = []

    async def around(self, verb: str, key: str, call: Callable[[], Awaitable[Value]]) -> Value:
        """Record the request, then send it."""
        self.calls.append((verb, key))
        return await call()

    def count(self, verb: str | None = None) -> int:
        """Return the number of requests, of one verb or of all."""
        return sum(verb is None or called == verb for called, _ in self.calls)


class LatencyStorage(WrappedStorage):
    """A storage that waits before every request, like a distant server.

    Parameters
    ----------
    inner : Storage
        The wrapped storage.
    seconds : float
        Seconds to wait.
    """

    def __init__(self, inner: Storage, seconds: float) -> None:
        super().__init__(inner)
        self.seconds = seconds

    async def around(self, verb: str, key: str, call: Callable[[], Awaitable[Value]]) -> Value:
        """Wait, then send the request."""
        await anyio.sleep(self.seconds)
        return await call()


class FaultStorage(WrappedStorage):
    """A storage that fails, or is cancelled, at its k-th request.

    Parameters
    ----------
    inner : Storage
        The wrapped storage.
    at : int
        Number of the request, from 1; 0 for none.
    after : bool, default False
        Send that request first: then only its reply is lost.
    cancel : callable, optional
        Called instead of raising an error; give it ``scope.cancel``. The request then waits to be cancelled.

    Attributes
    ----------
    made : int
        Requests so far. If an operation ends with ``made < at``, it has no k-th request.
    """

    def __init__(
        self, inner: Storage, at: int, *, after: bool = False, cancel: Callable[[], object] | None = None
    ) -> None:
        super().__init__(inner)
        # In lists, which views share.
        self._at = [at]
        self.after = after
        self.cancel = cancel
        self._made = [0]

    @property
    def at(self) -> int:
        """Number of the request that fails, from 1."""
        return self._at[0]

    @at.setter
    def at(self, value: int) -> None:
        self._at[0] = value

    @property
    def made(self) -> int:
        """Requests so far, over all views."""
        return self._made[0]

    async def around(self, verb: str, key: str, call: Callable[[], Awaitable[Value]]) -> Value:
        """Send the request, unless it is the failing one."""
        self._made[0] += 1
        if self.made != self.at:
            return await call()
        if self.after:
            await call()
        if self.cancel is not None:
            self.cancel()
            await anyio.sleep_forever()
        path = self.path_of(key)
        raise StorageError(f"Cannot {verb} {path}: request {self.at} fails, as the test asked for", path=path)
