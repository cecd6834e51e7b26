"""Listings of object stores, which are the same for all of them: names of objects and common prefixes become entries."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from aiocopick.storage.backends.base import MOST_IDLE_PAGES, Backend, Page
from aiocopick.storage.base import Entry
from aiocopick.storage.faults import AnswerError

_entry: Callable[[tuple[Any, ...]], Entry] = partial(tuple.__new__, Entry)
"""Make an entry like ``Entry._make``, in half the time."""

Listed = tuple[str, int | None, str | None, float | None]
"""Name, size, etag, time of change of one object."""


def children_page(
    root: str,
    prefix: str,
    objects: Iterable[Listed],
    prefixes: Iterable[str],
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
    entries: list[Entry] = []
    marked = cut = False
    objects, prefixes = list(objects), list(prefixes)
    names = [*[item[0] for item in objects], *prefixes]
    strange = [name for name in names if not name.startswith(prefix)]
    if strange:
        raise AnswerError(f"the server listed {strange[0][:200]!r} when it was asked for what begins with {prefix!r}")
    for name, size, etag, modified in objects:
        if name[-1:] != "/":
            entries.append(_entry((name[skipped:], False, size, etag, modified)))
        elif name == prefix:
            marked = True
        else:
            entries.append(Entry(name[skipped:-1], is_prefix=True))
    for name in prefixes:
        if delimiter is not None and not name.endswith(delimiter):
            cut = True
        entries.append(_entry((name[skipped:].removesuffix("/"), True, None, None, None)))
    return Page(entries, token, cut, marked)


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
            for entry in page.entries:
                if entry.key == key:
                    return entry
            # Names like "key.json" sort between "key" and "key/".
            position = max((entry.key + "/" if entry.is_prefix else entry.key for entry in page.entries), default="")
            if page.token is None or position > f"{key}/":
                raise FileNotFoundError(key)
            # A server that can start after a key needs a token only after a page that got no further.
            token = None if self.resumes and position > reached else page.token
            reached = max(reached, position)
        raise AnswerError(f"the server sent {MOST_IDLE_PAGES} pages that do not get to it")
