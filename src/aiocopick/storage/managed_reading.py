"""Contents of a storage: one object, many as they arrive, or what a function makes of them off the event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, TypeVar

from aiocopick.concurrency.threads import in_thread, processors
from aiocopick.errors import CopickError
from aiocopick.storage.backends.base import Backend, Content, Some, Use
from aiocopick.storage.base import Aged, Range, ReadItem
from aiocopick.storage.keys import check_key
from aiocopick.storage.managed_base import ManagedBase
from aiocopick.storage.reading import Raised, guarded, read_batches, read_singly

Value = TypeVar("Value")

_WORKED_ON = 4
"""Contents that one hop into a thread reads and works on."""


class ManagedReading(ManagedBase):
    """What is stored under keys."""

    __slots__ = ()

    async def read(self, key: str, range: Range | None = None) -> bytes:
        """The content of one object, or a part of it."""
        check_key(key)
        if range is not None and range[1] is not None and 0 <= range[1] <= range[0]:
            return b""
        return (await self._read(key, range)).data

    async def read_versioned(self, key: str) -> tuple[bytes, str | None]:
        """The content of one object and the etag of exactly that content."""
        return await self._read(check_key(key), None)

    async def read_aged(self, key: str) -> Aged:
        """The content of one object, its etag, and its age by the clock of the server."""
        check_key(key)
        return await self._run("read", key, lambda backend: backend.read_aged(key))

    async def _read(self, key: str, span: Range | None) -> Content:
        connection = self._connection()
        expected = connection.expected(self._settings.max_bytes_in_flight)
        weight = expected if span is None or span[1] is None or span[0] < 0 else span[1] - span[0]
        most = self._most(key)
        content = await self._run("read", key, lambda backend: backend.read(key, span, most), weight=weight)
        if span is None:
            connection.learn(len(content.data), self._settings.max_bytes_in_flight)
        self.stats.moved(read=len(content.data))
        return content

    def read_many(
        self, items: Iterable[ReadItem]
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[ReadItem, bytes | CopickError]]]:
        """Contents of many objects, as they arrive, an error in place of what could not be read."""
        return self._read_each(items, _data)

    def read_many_versioned(
        self, keys: Iterable[str]
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[str, tuple[bytes, str | None] | CopickError]]]:
        """Contents of many objects with their etags, as they arrive, an error in place of what could not be read."""
        return self._read_each(keys, _as_pair)

    def read_through(
        self, keys: Iterable[str], use: Callable[[str, bytes], Value], *, limit: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[str, Value | CopickError]]]:
        """What a function makes of many contents, off the event loop, as they arrive; errors in their places."""
        most = self._settings.max_concurrency if limit is None else min(limit, self._settings.max_concurrency)
        if self._core.backend.reads_in_threads:
            # Few to a hop, so that there is work for each thread; one thread more, as one of them waits for the disk.
            return self._in_batches(keys, guarded(use), size=_WORKED_ON, limit=min(most, processors() + 1))

        async def finish(key: str, content: Content) -> Value:
            return await in_thread(use, key, content.data)

        return self._singly(keys, finish, most)

    def _read_each(
        self, items: Iterable[ReadItem], form: Callable[[Content], Value]
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[Any, Value | CopickError]]]:
        limit = self._settings.max_concurrency
        if self._core.backend.read_batch > 1:
            size = self._core.backend.read_batch
            return self._in_batches(items, lambda _, content: form(content), size=size, limit=limit)

        async def finish(_: ReadItem, content: Content) -> Value:
            return form(content)

        return self._singly(items, finish, limit)

    def _singly(
        self, items: Iterable[ReadItem], finish: Callable[[Any, Content], Awaitable[Value]], limit: int
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[Any, Value | CopickError]]]:
        budget = self._settings.max_bytes_in_flight
        return read_singly(self._read_item, items, finish, limit=limit, budget=budget, expected=self._expected)

    def _in_batches(
        self, items: Iterable[ReadItem], use: Use[Value | Raised], *, size: int, limit: int
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[Any, Value | CopickError]]]:
        return read_batches(
            partial(self._read_some, use),
            items,
            size=size,
            limit=limit,
            budget=self._settings.max_bytes_in_flight,
            failed=partial(self._failed, "read"),
        )

    def _expected(self) -> int:
        return self._connection().expected(self._settings.max_bytes_in_flight)

    async def _read_item(self, item: ReadItem) -> Content:
        key, span = (item, None) if isinstance(item, str) else item
        return Content(await self.read(key, span)) if span is not None else await self._read(check_key(key), None)

    async def _read_some(
        self, use: Use[Value], items: Sequence[tuple[str, Range | None]], budget: int
    ) -> Sequence[Value | BaseException]:
        async def attempt(backend: Backend) -> Some[Value | BaseException]:
            return await backend.read_some(items, budget, use, self._most)

        results, size = await self._run("read", items[0][0], attempt, weight=budget, count=0)
        self.stats.counted("read", len(results))
        self.stats.moved(read=size)
        return results


def _data(content: Content) -> bytes:
    return content.data


def _as_pair(content: Content) -> tuple[bytes, str | None]:
    return content
