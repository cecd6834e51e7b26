"""Listing of a tree: by one chain of flat pages if the store collapses zarr trees, else directory by directory.

A server's answer is checked while it arrives. If it does not advance, the request is repeated from the last entry. If
it cuts prefixes elsewhere than after the delimiter, or fills its pages with collapsed keys, the tree is walked instead.
The result is the same.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from operator import itemgetter
from typing import Protocol

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from aiocopick.concurrency.fan_out import Backlog, first_error, gather, gather_results, stream, unwrap
from aiocopick.errors import CopickError
from aiocopick.storage.backends.base import MOST_IDLE_PAGES, Page
from aiocopick.storage.base import Entries, Entry, FirstPage, Row
from aiocopick.storage.keys import is_key

# Greater than any character of a key: what follows a prefix and this is behind everything below the prefix.
LAST = "\U0010ffff"

_SPARSE_PAGES = 4
_SPARSE_ENTRIES = 20


class Fetch(Protocol):
    """A function that gets one page, with retries, limits and counters."""

    def __call__(
        self, prefix: str, delimiter: str | None, start_after: str = "", token: object | None = None
    ) -> Awaitable[Page]:
        """Get a page of what is below a directory."""


class UnfitError(Exception):
    """Flat listing is unsupported or inefficient here. `reached` is the last key listed."""

    def __init__(self, reached: str, *, always: bool) -> None:
        super().__init__(reached)
        self.reached = reached
        self.always = always


def position(row: Row) -> str:
    """Return the position of an entry in key order: a prefix sorts as its key with ``/``."""
    return row[0] + "/" if row[1] else row[0]


def behind(row: Row) -> str:
    """Return the position after an entry and everything below it."""
    return row[0] + "/" + LAST if row[1] else row[0]


def children(rows: Sequence[Row]) -> list[Entry]:
    """Return entries sorted by key."""
    return list(Entries(sorted(rows, key=itemgetter(0, 1))))


async def follow(
    fetch: Fetch,
    prefix: str,
    delimiter: str | None,
    *,
    resumes: bool,
    ordered: bool = False,
    start_after: str = "",
    stop_before: str | None = None,
    sparse: bool = False,
) -> AsyncGenerator[Sequence[Row], None]:
    """Yield the pages of one chain, every entry once.

    Parameters
    ----------
    fetch : callable
        Gets one page.
    prefix, delimiter
        The listed prefix and its delimiter.
    resumes : bool
        True if the server can start after a key. Then pages come in key order, and the next one starts after the last
        entry of this one, which skips what is left of a collapsed tree; otherwise by the server's token.
    ordered : bool
        True if a chain that is continued by token starts after the requested key and is in key order, every entry once
        and collapsed, so that it can end early and need not be repeated.
    start_after, stop_before : str
        Bounds of the positions, both exclusive.
    sparse : bool
        True if the server may count the keys inside of collapsed trees when it fills a page.

    Raises
    ------
    UnfitError
        Common prefixes are cut, or the server goes on without anything new; or the first page of several holds next to
        nothing.
    """
    reached = start_after
    token: object | None = None
    seen: set[str] = set()
    # Without an order, a page that came before is known by its ends.
    pages: set[tuple[int, str, str]] = set()
    idle = 0
    while True:
        page = await fetch(prefix, delimiter, reached if resumes or ordered else "", token)
        if page.cut:
            raise UnfitError(reached, always=True)
        entries = list(page.entries) if ordered else _collapsed(page.entries, prefix, delimiter)
        if ordered:
            fresh = entries[bisect_right(entries, start_after, key=position) :]
        elif resumes:
            fresh = _behind(entries, reached)
        else:
            fresh = [entry for entry in _once(entries) if position(entry) not in seen and position(entry) > start_after]
            # Without an order, only prefixes can come twice: pages that cut a collapsed tree in two.
            seen.update(position(entry) for entry in fresh if entry[1])
        if not ordered and not resumes and entries:
            page_seen = (len(entries), position(entries[0]), position(entries[-1]))
            progress = page_seen not in pages
            pages.add(page_seen)
        else:
            progress = bool(fresh)
        idle = 0 if progress else idle + 1
        if idle >= MOST_IDLE_PAGES:
            raise UnfitError(reached, always=True)
        wanted = fresh
        if stop_before is not None:
            wanted = (
                fresh[: bisect_left(fresh, stop_before, key=position)]
                if ordered or resumes
                else [entry for entry in fresh if position(entry) < stop_before]
            )
        if wanted:
            yield wanted
        if page.token is None or ((resumes or ordered) and len(wanted) < len(fresh)):
            return
        if resumes and fresh:
            reached = behind(fresh[-1])
        if sparse and len(fresh) < _SPARSE_ENTRIES:
            raise UnfitError(reached, always=False)
        sparse = False
        if resumes and fresh and token is None:
            continue
        # By token: if there is no other way, or if the server ignored the start key.
        if page.token == token:
            raise UnfitError(reached, always=True)
        token = page.token


def beginning(page: Page, prefix: str, delimiter: str, *, start_after: str, counts_keys: bool) -> FirstPage:
    """Return the first page of a chain of a server that can start after a key.

    Raises
    ------
    UnfitError
        Common prefixes are cut.
    """
    if page.cut:
        raise UnfitError(start_after, always=True)
    entries = _behind(_collapsed(page.entries, prefix, delimiter), start_after)
    if page.token is None:
        return FirstPage(Entries(entries), LAST, marked=page.marked)
    reached = behind(entries[-1]) if entries else start_after
    return FirstPage(Entries(entries), reached, counts_keys and len(entries) < _SPARSE_ENTRIES, page.marked)


def _behind(entries: Sequence[Row], reached: str) -> list[Row]:
    positions = [entry[0] + "/" if entry[1] else entry[0] for entry in entries]
    # The first one of a position is kept.
    found = dict(zip(reversed(positions), reversed(entries), strict=True))
    positions = sorted(found)
    return [*map(found.__getitem__, positions[bisect_right(positions, reached) :])]


def _once(entries: Sequence[Row]) -> list[Row]:
    found: dict[str, Row] = {}
    for entry in entries:
        found.setdefault(position(entry), entry)
    return list(found.values())


def _collapsed(entries: Sequence[Row], prefix: str, delimiter: str | None) -> Sequence[Row]:
    # A server that ignores the delimiter lists what is inside: collapse it here.
    if delimiter is None:
        return entries
    start = len(prefix) + 1 if prefix else 0
    # Almost always: the server has collapsed them.
    if delimiter not in prefix and delimiter not in "\n".join([entry[0] for entry in entries]):
        return entries
    result: list[Row] = []
    for entry in entries:
        at = position(entry).find(delimiter, start)
        end = at + len(delimiter)
        if at < 0 or end >= len(position(entry)):
            result.append(entry)
        else:
            result.append(Entry(entry[0][: end - 1], is_prefix=True))
    return result


async def dense(pages: AsyncGenerator[Sequence[Row], None]) -> AsyncGenerator[Sequence[Row], None]:
    """Yield pages as long as they are efficient.

    Raises
    ------
    UnfitError
        The first pages held so few entries that the server must be counting the keys inside of collapsed trees.
    """
    entries = count = 0
    async with aclosing(pages):
        async for page in pages:
            yield page
            count += 1
            entries += len(page)
            if count == _SPARSE_PAGES and entries < _SPARSE_PAGES * _SPARSE_ENTRIES:
                raise UnfitError(behind(page[-1]), always=False)


async def nested(
    listing: Callable[[str], Awaitable[Sequence[Entry]]],
    prefixes: Sequence[str],
    enter: Callable[[str], bool],
    *,
    limit: int,
) -> list[Sequence[Entry] | CopickError]:
    """List the children of several directories; children that `enter` accepts by name are replaced by their own
    children.
    """

    async def look(prefix: str) -> Sequence[Entry]:
        children = await listing(prefix)
        inner = [child.key for child in children if child.is_prefix and enter(child.name) and is_key(child.key)]
        pages = dict(zip(inner, await gather(listing, inner, limit=limit), strict=True))
        # A directory with nothing in it stands for itself.
        kept = [child for child in children if not (child.is_prefix and pages.get(child.key))]
        return [*kept, *(entry for key in inner for entry in pages[key])]

    return await gather_results(look, prefixes, limit=limit)


async def walk(
    listing: Callable[[str], Awaitable[Sequence[Entry]]],
    emit: Callable[[Sequence[Entry]], Awaitable[None]],
    prefix: str,
    collapse: str | None,
    *,
    limit: int,
    start_after: str = "",
    stop_before: str | None = None,
) -> None:
    """List directory by directory, several at a time; a page a directory, in no particular order.

    An empty directory is an entry itself, and so is a directory that cannot be requested; others are implied by their
    content.
    """
    suffix = None if collapse is None else collapse.rstrip("/")
    backlog = Backlog([prefix])

    def within(entry: Entry) -> bool:
        return position(entry) > start_after and (stop_before is None or position(entry) < stop_before)

    def reaches(entry: Entry) -> bool:
        return behind(entry) > start_after and (stop_before is None or position(entry) < stop_before)

    async def visit(directory: str) -> list[Entry]:
        try:
            found: list[Entry] = []
            entries = await listing(directory)
            for entry in entries:
                # The marker of an empty directory is listed as one of its own, and has been descended into.
                collapsed = suffix is not None and entry.key.endswith(suffix)
                if not entry.is_prefix or collapsed or not is_key(entry.key):
                    if within(entry):
                        found.append(entry)
                elif reaches(entry):
                    backlog.add(entry.key)
            if not entries and directory != prefix and within(Entry(directory, is_prefix=True)):
                found.append(Entry(directory, is_prefix=True))
            return found
        finally:
            backlog.done()

    async with stream(visit, backlog, limit=limit) as results:
        async for _, result in results:
            if isinstance(result, CopickError):
                raise result from result.__cause__
            if result:
                await emit(result)


@asynccontextmanager
async def prefetching(
    produce: Callable[[Callable[[Sequence[Entry]], Awaitable[None]]], Awaitable[None]],
) -> AsyncIterator[AsyncIterator[Sequence[Entry]]]:
    """Run a producer of pages concurrently with their consumer, one page ahead; leaving the block cancels it."""
    sender, receiver = anyio.create_memory_object_stream[Sequence[Entry]](1)
    pages = _Pages(receiver)

    async def run() -> None:
        async with sender:
            try:
                await produce(sender.send)
            except anyio.BrokenResourceError:
                pass
            except Exception as error:
                pages.failure = error

    with unwrap():
        async with anyio.create_task_group() as group, receiver:
            group.start_soon(run)
            try:
                yield pages
            finally:
                group.cancel_scope.cancel()


class _Pages(AsyncIterator[Sequence[Entry]]):
    def __init__(self, receiver: MemoryObjectReceiveStream[Sequence[Entry]]) -> None:
        self.failure: Exception | None = None
        self._receiver = receiver

    async def __anext__(self) -> Sequence[Entry]:
        try:
            return await self._receiver.receive()
        except anyio.EndOfStream:
            pass
        if self.failure is not None:
            error = first_error([self.failure])
            raise error from error.__cause__
        raise StopAsyncIteration
