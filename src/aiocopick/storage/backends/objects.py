"""Common parts of the listings of object stores: names of objects and common prefixes become entries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

from aiocopick.storage.backends.base import MOST_IDLE_PAGES, Page
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


def root_entry(page: Page, has_prefix: bool) -> Entry:
    """Return the entry of the root, from a listing of it: a bucket exists if it answers, a part of a bucket if it is
    not empty.

    Raises
    ------
    FileNotFoundError
        The root does not exist.
    """
    if has_prefix and not (page.entries or page.marked or page.token is not None):
        raise FileNotFoundError
    return Entry("", is_prefix=True)


async def find_entry(
    key: str, fetch: Callable[[str, object | None], Awaitable[Page]], *, resumes: bool = True
) -> Entry:
    """Return the entry of a key, as an object or a directory, from a listing of everything that begins with the key.

    Parameters
    ----------
    key : str
        Relative to the root.
    fetch : callable
        Gets a page of what begins with the key, by where to start after or by the token of the page before.
    resumes : bool
        True if the server can start after a key, so that a token is needed only after a page that got no further.

    Raises
    ------
    FileNotFoundError
        There is neither an object nor a directory.
    AnswerError
        The server continues without reaching the key.
    """
    reached = ""
    token: object | None = None
    for _ in range(MOST_IDLE_PAGES):
        page = await fetch(reached, token)
        for entry in page.entries:
            if entry.key == key:
                return entry
        # Names like "key.json" sort between "key" and "key/".
        position = max((entry.key + "/" if entry.is_prefix else entry.key for entry in page.entries), default="")
        if page.token is None or position > f"{key}/":
            raise FileNotFoundError(key)
        token = None if resumes and position > reached else page.token
        reached = max(reached, position)
    raise AnswerError(f"the server sent {MOST_IDLE_PAGES} pages that do not get to it")
