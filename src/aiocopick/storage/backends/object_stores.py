"""Listings of object stores, which are the same for all of them: names of objects and common prefixes become entries."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import NamedTuple, Self

from aiocopick.storage.backends.base import MOST_IDLE_PAGES, Backend, Page
from aiocopick.storage.base import Entries, Entry, Row
from aiocopick.storage.faults import AnswerError

Listed = tuple[str, int | None, str | None, float | None]
"""Name, size, etag, time of change of one object."""


class Objects(NamedTuple):
    """The objects of a page, as columns: what is done to a thousand values at once takes a third of the time.

    Parameters
    ----------
    names : sequence of str
        Names in the bucket.
    sizes : sequence of int
        Bytes, where they are known.
    etags : sequence of str
        Versions, where they are known.
    times : sequence of float
        When they changed, in seconds, where that is known.
    """

    names: Sequence[str] = ()
    sizes: Sequence[int | None] = ()
    etags: Sequence[str | None] = ()
    times: Sequence[float | None] = ()

    @classmethod
    def of(cls, listed: Iterable[Listed]) -> Self:
        """Return the columns of objects that were read one by one."""
        return cls(*zip(*listed, strict=True))


class Listing(NamedTuple):
    """The content of a page, as a server names it.

    Parameters
    ----------
    objects : Objects
        The objects.
    prefixes : list of str
        The common prefixes.
    token : str, optional
        Where the server goes on; None on the last page.
    """

    objects: Objects
    prefixes: list[str]
    token: str | None


def children_page(
    root: str,
    prefix: str,
    objects: Objects,
    prefixes: Sequence[str],
    delimiter: str | None,
    token: object | None,
) -> Page:
    """Return a page with keys relative to the root.

    Parameters
    ----------
    root : str
        The root's own prefix in the bucket, without a trailing slash.
    prefix : str
        The listed prefix, as known to the server. An object of exactly that name marks the directory itself, and is
        left out.
    objects, prefixes
        As returned by the server. An object whose name ends in ``/`` marks a directory, and becomes a prefix.
    delimiter, token
        As in the request, and as in the answer.

    Raises
    ------
    AnswerError
        The server returned names outside of the requested prefix.
    """
    skipped = len(root) + 1 if root else 0
    names, sizes, etags, times = objects
    # In the order of names, all that is between two of one prefix has it as well.
    edges = [edge([*names, *prefixes], default=prefix) for edge in (min, max)]
    if not all(name.startswith(prefix) for name in edges):
        strange = next(name for name in (*names, *prefixes) if not name.startswith(prefix))
        raise AnswerError(f"the server listed {strange[:200]!r} when it was asked for what begins with {prefix!r}")
    keys = [name[skipped:] for name in names]
    entries: list[Row] = [*zip(keys, repeat(False), sizes, etags, times)]
    marked = False
    if "/" in {name[-1:] for name in names}:
        marked = prefix.endswith("/") and prefix in names
        entries = [
            Entry(entry[0][:-1], is_prefix=True) if name.endswith("/") else entry
            for entry, name in zip(entries, names, strict=True)
            if not (marked and name == prefix)
        ]
    folders = [name[skipped:-1] if name[-1:] == "/" else name[skipped:] for name in prefixes]
    entries += zip(folders, repeat(True), repeat(None), repeat(None), repeat(None))
    ends = set() if delimiter is None else {name[-len(delimiter) :] for name in prefixes} - {delimiter}
    return Page(entries, token, bool(ends), marked)


class ObjectStore(Backend):
    """A backend that lists names by prefix, with a delimiter."""

    @abstractmethod
    async def _list(
        self, prefix: str, delimiter: str | None, start_after: str = "", token: object | None = None, limit: int = 1000
    ) -> Page:
        """Request one page of what begins with a prefix of the whole bucket."""

    async def list_page(
        self, prefix: str, delimiter: str | None, *, start_after: str = "", token: object | None = None
    ) -> Page:
        """One listing."""
        return await self._list(self._folder(prefix), delimiter, start_after, token)

    async def stat(self, key: str) -> Entry:
        """One listing: it tells objects from directories, which HEAD cannot."""
        if key:
            return await self._find(key)
        folder = self._folder("")
        page = await self._list(folder, "/", limit=2)
        # A bucket exists if it answers, a part of a bucket if it is not empty.
        if folder and not (page.entries or page.marked or page.token is not None):
            raise FileNotFoundError
        return Entry("", is_prefix=True)

    def _folder(self, key: str) -> str:
        name = self.absolute(key)
        return f"{name}/" if name else ""

    async def _find(self, key: str) -> Entry:
        """Return the entry of a key, as an object or a directory, from a listing of everything that begins with it.

        Raises
        ------
        FileNotFoundError
            There is neither an object nor a directory.
        AnswerError
            The server continues without reaching the key.
        """
        name, reached = self.absolute(key), ""
        token: object | None = None
        for _ in range(MOST_IDLE_PAGES):
            page = await self._list(name, "/", reached, token, limit=10)
            for entry in Entries(page.entries):
                if entry.key == key:
                    return entry
            # Names like "key.json" sort between "key" and "key/".
            position = max((name + "/" if is_prefix else name for name, is_prefix, *_ in page.entries), default="")
            if page.token is None or position > f"{key}/":
                raise FileNotFoundError(key)
            # A server that can start after a key needs a token only after a page that got no further.
            token = None if self.resumes and position > reached else page.token
            reached = max(reached, position)
        raise AnswerError(f"the server sent {MOST_IDLE_PAGES} pages that do not get to it")
