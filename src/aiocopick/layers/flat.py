"""Listings of many runs from few requests: a range of keys at once, then sorted by run."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import anyio

from aiocopick.concurrency.fan_out import Flattened, gather_results, stream
from aiocopick.concurrency.pace import Pace, Turn
from aiocopick.errors import CopickError, StorageTimeoutError
from aiocopick.layers.listing import MANY, is_ours
from aiocopick.layout.listing import Listing, Located, Row
from aiocopick.layout.paths import META, RUNS
from aiocopick.storage.base import Entries
from aiocopick.storage.scan import LAST

if TYPE_CHECKING:
    from aiocopick.storage.base import Entry, FirstPage, Storage


Answer: TypeAlias = Listing | CopickError


def batched(runs: Sequence[Located], size: int) -> list[Sequence[Located]]:
    """Split the runs into blocks of neighbours."""
    return [runs[start : start + size] for start in range(0, len(runs), size)]


@asynccontextmanager
async def in_blocks(
    blocks: Sequence[Sequence[Located]],
    answer: Callable[[Sequence[Located]], Awaitable[Iterable[Answer]]],
    *,
    ahead: int,
) -> AsyncIterator[AsyncIterator[tuple[Located, Answer]]]:
    """Return the runs with their listings, in the order given.

    Parameters
    ----------
    blocks : sequence of sequence of Located
        The runs to list.
    answer : callable
        Lists the runs of a block. Its result is read run by run, when the consumer comes to it.
    ahead : int
        Blocks that are being requested or wait for the consumer.
    """
    async with stream(answer, blocks, limit=ahead, ordered=True) as answered:
        yield Flattened(partial(_one_by_one, deque()), answered)


def _one_by_one(
    late: deque[tuple[Located, Answer]], answered: tuple[Sequence[Located], Iterable[Answer] | CopickError]
) -> Iterable[tuple[Located, Answer]]:
    """Yield the runs of a block, and those of `late` that come before them."""
    block, answers = answered
    if isinstance(answers, CopickError):
        raise answers
    for run, answer in zip(block, answers, strict=True):
        while late and late[0][0].key < run.key:
            yield late.popleft()
        yield run, answer


@asynccontextmanager
async def _while_arriving(
    begun: Sequence[Sequence[Located]],
    rest: Sequence[Located],
    more: AsyncIterator[Sequence[Located]],
    answer: Callable[[Sequence[Located]], Awaitable[Iterable[Answer]]],
    one: Callable[[Located], Awaitable[Listing]],
    *,
    most: int,
    ahead: int,
) -> AsyncIterator[AsyncIterator[tuple[Located, Answer]]]:
    """Return runs with their listings, sorted by key; blocks are listed while further runs arrive.

    All runs have arrived when it is entered. The names of a store come in the order of ``name/``: "a-b" before "a". If
    they are on different pages, the block in which "a" belongs is being listed already, and it is listed on its own.
    """
    sender, receiver = anyio.create_memory_object_stream[Sequence[Located]](math.inf)
    late: list[Located] = []
    last = begun[-1][-1].key if begun else ""
    with sender, receiver:
        async with stream(answer, receiver, limit=ahead, ordered=True) as answered:
            for block in begun:
                sender.send_nowait(block)
            while True:
                while len(rest) > most:
                    sender.send_nowait(rest[:most])
                    last, rest = rest[most - 1].key, rest[most:]
                page = await anext(more, None)
                if page is None:
                    break
                late += [run for run in page if run.key < last]
                rest = sorted([*rest, *(run for run in page if run.key > last)], key=lambda run: run.key)
            for block in _evenly(rest, most):
                sender.send_nowait(block)
            sender.close()
            late.sort(key=lambda run: run.key)
            alone = zip(late, await gather_results(one, late, limit=ahead), strict=True)
            yield Flattened(partial(_one_by_one, deque(alone)), answered)


def _evenly(runs: Sequence[Located], most: int) -> list[Sequence[Located]]:
    """Split the runs into blocks of one length, so that none is a few runs that were left."""
    return batched(runs, max(1, -(-len(runs) // max(1, -(-len(runs) // most)))))


BLOCK = 256
"""Runs of one range, at most; several ranges are read concurrently."""

_SHORTEST = 24
"""Runs of one range, at least: so few runs usually fit in a page. Small projects are split so that pages are
concurrent.
"""

_SIDE_BY_SIDE = 4

_WORTH = 2

FEW = 8
"""Up to this number, runs are listed one by one: a range may hold any number of other runs."""


def scan_ranges(
    storage: Storage,
    runs: Sequence[Located],
    one: Callable[[Located], Awaitable[Listing]],
    understood: Callable[[Located, Sequence[Row]], Listing],
    *,
    limit: int,
    first_page: FirstPage | None = None,
    more: AsyncIterator[Sequence[Located]] | None = None,
) -> AbstractAsyncContextManager[AsyncIterator[tuple[Located, Answer]]]:
    """List runs in the order given, some ranges ahead of the consumer.

    Parameters
    ----------
    storage : Storage
        A storage that collapses zarr trees.
    runs : sequence of Located
        Neighbouring runs; everything between them is read as well.
    one : callable
        Lists a single run if its range cannot be listed.
    understood : callable
        Turns the entries of a run into its listing.
    limit : int
        Single runs listed at once; and ranges, if the storage answers so many side by side.
    first_page : FirstPage, optional
        A page that was already received.
    more : async iterator, optional
        Further runs, page by page; then all runs are listed in the order of their keys.
    """
    known = _Sorted(() if first_page is None else _wholly_within(runs, first_page.reached))
    if first_page is not None:
        known.take(first_page.entries)
    # A first page is that of all runs: their ranges hold nothing else.
    few = FEW if first_page is None else 2
    pace = Pace(_SIDE_BY_SIDE, limit)

    async def ask(block: Sequence[Located]) -> Iterable[Answer]:
        flat = [run.key for run in block if shows_what_it_holds(run)]
        try:
            async with pace.turn() as turn:
                entries = await _entries(storage, sorted(flat, key=_position), turn) if len(flat) >= few else None
        except StorageTimeoutError as error:
            # A consumer that has waited long for one result must not wait for hundreds.
            return [error] * len(block)
        if entries is None:
            return await gather_results(one, block, limit=limit)
        alone = [run for run in block if run.key not in entries]
        answers = dict(zip(alone, await gather_results(one, alone, limit=limit), strict=True))
        # Entries are understood when their run is wanted: until then they are the smaller, and die young.
        return (answers[run] if run in answers else understood(run, entries[run.key]) for run in block)

    async def answer(block: Sequence[Located]) -> Iterable[Answer]:
        asked = [run for run in block if run.key not in known.entries]
        answers = iter(await ask(asked) if asked else ())
        return (understood(run, known.entries[run.key]) if run.key in known.entries else next(answers) for run in block)

    begun = next((index for index, run in enumerate(runs) if run.key not in known.entries), len(runs))
    rest = runs[begun:]
    if first_page is None or first_page.sparse:
        # Ranges of unknown length may be long: only a few of them wait for the consumer.
        share = BLOCK if more is not None else -(-len(rest) // _SIDE_BY_SIDE)
        most, ahead = max(_SHORTEST, share), _SIDE_BY_SIDE
    else:
        # As many runs as that page held.
        most, ahead = max(FEW, len(known.entries)), max(_SIDE_BY_SIDE, limit)
    most, first = min(BLOCK, most), batched(runs[:begun], BLOCK)
    if more is not None:
        return _while_arriving(first, rest, more, answer, one, most=most, ahead=ahead)
    return in_blocks([*first, *_evenly(rest, most)], answer, ahead=ahead)


def _position(key: str) -> str:
    return f"{key}/"


def shows_what_it_holds(run: Located) -> bool:
    """Return True if a flat listing goes into a run; a run that is named like a volume is collapsed itself."""
    return not run.key.endswith(".zarr")


def _wholly_within(runs: Sequence[Located], reached: str) -> list[str]:
    return [run.key for run in runs if shows_what_it_holds(run) and f"{run.key}/{LAST}" <= reached]


class _Sorted:
    """Entries of pages, sorted out by run.

    Attributes
    ----------
    entries : dict of str to list of tuple
        The entries of each requested run, by its key.
    """

    def __init__(self, keys: Iterable[str]) -> None:
        self.entries: dict[str, list[Row]] = {key: [] for key in keys}
        self._start = ""
        self._run: list[Row] | None = None

    def take(self, page: Sequence[Entry]) -> tuple[int, int]:
        """Sort a page by run; return the number of entries of other runs, and of requested runs that it reached."""
        start, run, others, reached = self._start, self._run, 0, 0
        inside, length, ours = "", 0, False
        for entry in page.rows if isinstance(page, Entries) else page:
            key = entry[0]
            # Neighbouring entries are mostly in one run, and in one folder of it.
            if not length or key[:length] != inside:
                if not start or not key.startswith(start):
                    runs, _, rest = key.partition("/")
                    start = f"{runs}/{rest.partition('/')[0]}/"
                    run = self.entries.get(start[:-1])
                    reached += run is not None
                folder, deeper, _ = key[len(start) :].partition("/")
                inside, ours = f"{start}{folder}/" if deeper else "", is_ours(folder)
                length = len(inside)
            if run is not None and ours:
                # An entry, not a row, would be copied.
                run.append(entry[:])
            elif run is None or key[len(start) :] != META:
                others += 1
        self._start, self._run = start, run
        return others, reached


async def _entries(storage: Storage, keys: Sequence[str], turn: Turn) -> dict[str, list[Row]] | None:
    """Return the entries of each run, or None if a range is inefficient because it holds too many other entries."""
    found = _Sorted(keys)
    try:
        async with storage.scan(RUNS, start_after=f"{keys[0]}/", stop_before=f"{keys[-1]}/{LAST}") as pages:
            async for page in pages:
                turn.requests += 1
                others, reached = found.take(page)
                # Regardless of other entries, a page that reaches several runs is cheaper than one request per run.
                if others > MANY and 2 * others > len(page) and reached < _WORTH:
                    return None
    except StorageTimeoutError:
        raise
    except CopickError:
        # Listing the runs one by one shows which run fails.
        return None
    return found.entries
