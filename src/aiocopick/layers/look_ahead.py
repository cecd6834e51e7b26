"""Look-ahead: the page that shows that a run exists also shows what it holds, and is kept for its first listing."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from aiocopick.concurrency.forks import Lock
from aiocopick.errors import AccessDeniedError, NotFoundError
from aiocopick.layout.paths import meta_key
from aiocopick.storage.scan import LAST
from aiocopick.storage.written import changes_of

if TYPE_CHECKING:
    from aiocopick.storage.base import FirstPage, Storage

_MOST_ENTRIES = 20_000
"""Entries of all pages that are kept, a few MiB; the oldest pages are dropped."""


class Moment(NamedTuple):
    """The time at which a page was requested, and the changes of its storage up to then."""

    time: float
    changes: int


class LookAhead:
    """First pages of runs, each used once: within some seconds, and if the storage was not changed by this process.

    Parameters
    ----------
    url : str
        URL of the storage.
    seconds : float
        Age up to which a page may be used.
    """

    __slots__ = ("_entries", "_lock", "_pages", "_seconds", "_url")

    def __init__(self, url: str, seconds: float) -> None:
        self._url = url
        self._seconds = seconds
        self._lock = Lock()
        # The oldest first. A plain dict would be slow to drop them.
        self._pages: OrderedDict[str, tuple[FirstPage, Moment]] = OrderedDict()
        self._entries = 0

    async def holds(self, storage: Storage, run: str, *, require_meta: bool) -> bool:
        """Return True if a run is stored; where a page of its listing shows that, the page is kept."""
        if self._seconds > 0 and not storage.capabilities.near:
            since = self.now()
            # If it is denied, a listing with another delimiter may be allowed.
            with suppress(AccessDeniedError, NotFoundError):
                page = await storage.first_page(run)
                if page is not None:
                    self.keep(run, page, since)
                    held = shows(page, run, require_meta=require_meta)
                    if held is not None:
                        return held
        return await storage.exists(meta_key(run) if require_meta else run)

    def now(self) -> Moment:
        """Return the moment at which a page is going to be requested."""
        return Moment(monotonic(), changes_of(self._url))

    def keep(self, key: str, page: FirstPage, since: Moment) -> None:
        """Keep the first page of a run that was requested at some moment."""
        with self._lock:
            self._drop(key)
            self._pages[key] = page, since
            self._entries += _weight(page)
            oldest = since.time - self._seconds
            while self._pages:
                first, (_, seen) = next(iter(self._pages.items()))
                if seen.time >= oldest and self._entries <= _MOST_ENTRIES:
                    break
                self._drop(first)

    def take(self, key: str) -> FirstPage | None:
        """Return the first page of a run, the first time; None if there is none that may be used."""
        with self._lock:
            page, since = self._drop(key)
        if page is None or since is None:
            return None
        now = self.now()
        return page if now.time - since.time <= self._seconds and now.changes == since.changes else None

    def _drop(self, key: str) -> tuple[FirstPage | None, Moment | None]:
        page, since = self._pages.pop(key, (None, None))
        self._entries -= 0 if page is None else _weight(page)
        return page, since


def _weight(page: FirstPage) -> int:
    # The page of a missing run takes room, too.
    return len(page.entries) + 1


def shows(page: FirstPage, run: str, *, require_meta: bool) -> bool | None:
    """Return True if the first page of a run shows that it exists, False if it does not; None if that comes later."""
    if not require_meta:
        if page.entries or page.marked:
            return True
        return False if page.reached == LAST else None
    meta = meta_key(run)
    if any(entry.key == meta or entry.key.startswith(f"{meta}/") for entry in page.entries):
        return True
    return False if page.reached > f"{meta}/{LAST}" else None
