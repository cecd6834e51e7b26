"""What many runs hold, from few listings: everything in a range of keys at once, then sorted out by run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from aiocopick.errors import CopickError, StorageTimeoutError
from aiocopick.layers.blocks import Answer, in_blocks
from aiocopick.layers.listing import MANY, is_ours
from aiocopick.layout.listing import Listing, Located
from aiocopick.layout.paths import META, RUNS
from aiocopick.storage.limits import gather_results
from aiocopick.storage.scan import LAST

if TYPE_CHECKING:
    from aiocopick.storage.base import Entry, Storage

BLOCK = 256
"""Runs of one range, at most; several ranges are read side by side."""

_SHORTEST = 24
"""Runs of one range, at least: so few are mostly a page. Projects of few runs are cut so that pages come side by side."""

_SIDE_BY_SIDE = 4

FEW = 8
"""So few runs are asked for one by one: a range may hold any number of others."""


def scan_ranges(
    storage: Storage,
    runs: Sequence[Located],
    one: Callable[[Located], Awaitable[Listing]],
    understood: Callable[[Located, Sequence[Entry]], Listing],
    *,
    limit: int,
) -> AbstractAsyncContextManager[AsyncIterator[tuple[Located, Answer]]]:
    """Runs with their listings, in the order given, some ranges ahead of the consumer.

    Parameters
    ----------
    storage : Storage
        One that collapses zarr trees.
    runs : sequence of Located
        Neighbours: what lies between them is read as well.
    one : callable
        Lists a single run, where a range does not answer.
    understood : callable
        The listing of a run that its entries make.
    limit : int
        Single runs listed at once.
    """

    async def answer(block: Sequence[Located]) -> list[Answer]:
        flat = {run.key: run for run in block if not run.key.endswith(".zarr")}
        try:
            entries = await _entries(storage, sorted(flat, key=lambda key: f"{key}/")) if len(flat) >= FEW else None
        except StorageTimeoutError as error:
            # Whoever waited so long for one answer is not made to wait for hundreds.
            return [error] * len(block)
        if entries is None:
            return list(await gather_results(one, block, limit=limit))
        alone = [run for run in block if run.key not in flat]
        answers = dict(zip(alone, await gather_results(one, alone, limit=limit), strict=True))
        return [answers[run] if run in answers else understood(run, entries[run.key]) for run in block]

    size = min(BLOCK, max(_SHORTEST, -(-len(runs) // _SIDE_BY_SIDE)))
    return in_blocks(runs, answer, size=size, ahead=_SIDE_BY_SIDE)


async def _entries(storage: Storage, keys: Sequence[str]) -> dict[str, list[Entry]] | None:
    """Entries of each run, or None when a range is no good way to them: too much lies there that nobody asked for."""
    found: dict[str, list[Entry]] = {key: [] for key in keys}
    others = 0
    start, entries = "", None
    try:
        async with storage.scan(RUNS, start_after=f"{keys[0]}/", stop_before=f"{keys[-1]}/{LAST}") as pages:
            async for page in pages:
                before = others
                for entry in page:
                    key = entry.key
                    # Neighbours mostly lie in one run.
                    if not start or not key.startswith(start):
                        runs, _, rest = key.partition("/")
                        start = f"{runs}/{rest.partition('/')[0]}/"
                        entries = found.get(start[:-1])
                    if entries is not None and is_ours(key[len(start) :].partition("/")[0]):
                        entries.append(entry)
                    elif entries is None or key[len(start) :] != META:
                        others += 1
                if others - before > MANY and 2 * (others - before) > len(page):
                    return None
    except StorageTimeoutError:
        raise
    except CopickError:
        # Whose fault it is shows when the runs are asked for one by one.
        return None
    return found
