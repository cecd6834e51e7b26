"""Runs of a storage as the pages of their names arrive: their content is requested before all of them are known."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.fan_out import gather
from aiocopick.errors import CopickError
from aiocopick.layout.listing import Listing, Located, parse_runs
from aiocopick.layout.paths import RUNS
from aiocopick.storage.scan import LAST

if TYPE_CHECKING:
    from aiocopick.layers.flat import Answer
    from aiocopick.storage.base import FirstPage, Storage


class ArrivingRuns(AsyncIterator[Sequence[Located]]):
    """The runs whose names begin with `beginning`; a step is one request.

    Parameters
    ----------
    storage : Storage
        The storage that holds them.
    beginning : str
        Common beginning of the names.
    list_runs : callable
        Lists all of them, for a storage whose pages cannot be requested one by one.
    look : callable
        Looks at the listing of each page.
    """

    def __init__(
        self,
        storage: Storage,
        beginning: str,
        list_runs: Callable[[str], Awaitable[Listing]],
        look: Callable[[Listing], Listing],
    ) -> None:
        self._storage = storage
        self._beginning = beginning
        self._list_runs = list_runs
        self._look = look
        self._start = self._reached = f"{RUNS}/{beginning}" if beginning else ""
        self._found: dict[str, Located] = {}
        self._skipped: set[str] = set()

    @property
    def complete(self) -> bool:
        """True if all runs have arrived."""
        return self._reached == LAST

    @property
    def listing(self) -> Listing:
        """The runs that have arrived."""
        return Listing(tuple(self._found[key] for key in sorted(self._found)), tuple(sorted(self._skipped)))

    async def __anext__(self) -> Sequence[Located]:
        if self.complete:
            raise StopAsyncIteration
        page = await self._storage.first_children(RUNS, start_after=self._reached)
        if page is None or page.reached <= self._reached:
            listing, self._reached = await self._list_runs(self._beginning), LAST
        else:
            listing = self._look(parse_runs([entry for entry in page.entries if entry.key.startswith(self._start)]))
            self._reached = page.reached if page.reached < f"{self._start}{LAST}" else LAST
        fresh = [run for run in listing.located if run.key not in self._found]
        self._found.update((run.key, run) for run in fresh)
        self._skipped.update(listing.skipped)
        return fresh


@asynccontextmanager
async def scan_arriving(
    runs: ArrivingRuns,
    first_page: Callable[[], Awaitable[FirstPage | None]],
    scan: Callable[..., AbstractAsyncContextManager[AsyncIterator[tuple[Located, Answer]]]],
) -> AsyncIterator[tuple[Listing, AsyncIterator[tuple[Located, Answer]]]]:
    """Return the runs, and their content from a scan that begins with the first page of names."""

    async def content() -> FirstPage | None:
        # The scan does without it.
        with suppress(CopickError):
            return await first_page()
        return None

    questions: list[Callable[[], Awaitable[Any]]] = [partial(anext, runs), content]
    begun, page = await gather(lambda ask: ask(), questions, limit=len(questions))
    async with scan(begun, first_page=page, more=None if runs.complete else runs) as answers:
        yield runs.listing, answers
