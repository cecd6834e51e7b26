"""Local disk: batches of files in one thread call each, atomic writes, conditional writes by lock and link.

Conditions: ``create`` is decided by the file system. ``if_match`` is decided under a lock on the
directory that all conditional writers on this machine take; a writer without a condition (or another machine on a
network file system without locks) can still write in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
from typing import Any, TypeVar

import anyio

from aiocopick.storage.backends.base import Backend, Condition, Content, Most, Page, Some, Use, connections
from aiocopick.storage.backends.disk import BusyError, Disk
from aiocopick.storage.backends.hops import Hops
from aiocopick.storage.base import Aged, Buffer, Capabilities, Entry, Range
from aiocopick.storage.keys import Root
from aiocopick.storage.settings import Settings

Value = TypeVar("Value")

_THREADS = 16
_PAGE = 1000
_BUSY = 0.1
_SLOW = 0.001
"""Seconds for a directory and its children above which the time of a listing is mostly waiting for the disk."""


class LocalBackend(Backend):
    """Files below a directory."""

    capabilities = Capabilities(
        delimiter=True, conditional_writes=True, etags=True, directories=True, nested=True, near=True
    )
    ordered = True
    native_tree = True
    leaves_files = True
    read_batch = 64
    reads_in_threads = True
    delete_batch = 64

    def __init__(self, settings: Settings, root: Root) -> None:
        super().__init__(settings, root)
        self.disk = Disk(root.location, settings.follow_symlinks)

    @property
    def parallel(self) -> int:
        """Return the number of threads: more would only wait for the same disk."""
        return min(_THREADS, connections())

    async def connect(self) -> None:
        """Create the limiter of the threads."""
        self._hops = Hops(self.parallel)
        self._turn = anyio.Lock()
        self._slow = False

    async def _look(self, function: Callable[..., Value], *args: Any) -> Value:
        return await self._hops.look(function, *args)

    async def _change(self, function: Callable[..., Value], *args: Any) -> Value:
        while True:
            try:
                return await self._hops.change(function, *args)
            except BusyError:
                # The lock of another writer is waited for here, where it holds no thread up, until the deadline.
                await anyio.sleep(_BUSY)

    async def list_page(
        self, prefix: str, delimiter: str | None, *, start_after: str = "", token: object | None = None
    ) -> Page:
        """The children of a directory at once, or the next part of a whole tree in key order."""
        if delimiter == "/":
            return Page(await self._look(self.disk.children, prefix))
        tree = token.items if isinstance(token, _Walk) else self.disk.tree(prefix, delimiter, start_after)
        entries: list[Entry] = await self._look(list, islice(tree, _PAGE))
        return Page(entries, _Walk(tree) if len(entries) == _PAGE else None)

    async def list_nested(
        self, prefixes: Sequence[str], enter: Callable[[str], bool], details: bool
    ) -> list[list[Entry] | BaseException]:
        """List several directories and those inside of them in one thread call.

        System calls from parallel threads contend for the GIL, so one thread walks a fast disk. On a slow disk (network
        or rotating), where threads mostly wait, several walk concurrently.
        """
        async with nullcontext() if self._slow else self._turn:
            started = time.perf_counter()
            found: list[list[Entry] | BaseException]
            try:
                found = await self._look(self.disk.nested, prefixes, enter, details)
            except BaseException:
                # A walk that hangs must not keep the next ones waiting.
                self._slow = True
                raise
            self._slow = time.perf_counter() - started > _SLOW * len(prefixes)
        return found

    async def leftovers(self, prefix: str, token: object | None = None) -> Page:
        """Return the temporary files in the next directories."""
        walk = token.items if isinstance(token, _Walk) else self.disk.leftovers(prefix)
        folders: list[list[Entry]] = await self._look(list, islice(walk, _PAGE))
        found = [entry for folder in folders for entry in folder]
        return Page(found, _Walk(walk) if len(folders) == _PAGE else None)

    async def stat(self, key: str) -> Entry:
        """The entry of a file or directory."""
        return await self._look(self.disk.entry, key)

    async def read(self, key: str, span: Range | None, most: int | None = None) -> Content:
        """The content of a file, or a part of it."""
        return await self._look(self.disk.read, key, span, most)

    async def read_aged(self, key: str, most: int) -> Aged:
        """The content of a file, and its age by the clock of this machine."""
        content = await self._look(self.disk.read, key, None, most)
        # Looked at afterwards: one that was replaced in between is taken for younger.
        modified = (await self._look(self.disk.entry, key)).modified
        return Aged(content.data, content.etag, None if modified is None else max(0.0, time.time() - modified))

    async def read_some(
        self, items: Sequence[tuple[str, Range | None]], budget: int, use: Use[Value], most: Most
    ) -> Some[Value | BaseException]:
        """Several files in one hop."""
        return await self._look(self.disk.read_some, list(items), budget, use, most)

    async def write(self, key: str, data: Buffer, condition: Condition | None) -> str | None:
        """Write a temporary file next to the target and rename it to the target."""
        return await self._change(self.disk.write, key, data, condition)

    async def write_unsynced(self, key: str, data: Buffer, condition: Condition | None) -> str | None:
        """Write like :meth:`write`, without waiting for the disk."""
        return await self._change(self.disk.write, key, data, condition, False)

    async def sync(self, keys: Sequence[str]) -> None:
        """Wait for the disk, for several files in one hop."""
        await self._change(self.disk.sync, list(keys))

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete several files in one hop."""
        await self._change(self.disk.delete, list(keys))

    async def delete_tree(self, prefix: str) -> int:
        """Delete a directory."""
        return await self._change(self.disk.delete_tree, prefix)

    async def delete_linked(self, prefix: str) -> bool:
        """Delete a directory that is a link or has links in it."""
        return await self._change(self.disk.delete_linked, prefix)

    async def copy(self, source: str, target: str) -> None:
        """Copy a file."""
        await self._change(self.disk.copy, source, target)


class _Walk:
    """A running walk, used as the token of a listing; each page has a new one, because tokens must differ."""

    def __init__(self, items: Iterator[Any]) -> None:
        self.items = items
