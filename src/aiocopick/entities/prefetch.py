"""Listing, and loading, what many runs hold before anybody asks for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from aiocopick.entities.crawl import Crawl, _load_all
from aiocopick.entities.lists import moment
from aiocopick.entities.run_base import CHILDREN
from aiocopick.errors import CopickError
from aiocopick.layers import Merged

if TYPE_CHECKING:
    from aiocopick.entities.run import AsyncRun
    from aiocopick.layers import Nouns


async def prefetch(runs: Sequence[AsyncRun], kinds: Iterable[str] | None = None, load: Iterable[str] = ()) -> None:
    """Fill the lists of runs of one project, those that are not known yet; and read files of theirs.

    A run that cannot be listed is left as it was, to fail where it is asked for.

    Parameters
    ----------
    runs : sequence of AsyncRun
        Of one root.
    kinds, load
        As for :meth:`AsyncRoot.crawl`.
    """
    if not runs:
        return
    plan = Crawl(runs[0].root, (), kinds, load)
    unknown = {run.ref: run for run in runs if not _knows(run, plan._nouns)}
    listed = [run for run in runs if run.ref not in unknown]
    if unknown:
        since = moment()
        places = [Merged(run.ref, run._places()) for run in unknown.values()]
        async with runs[0]._stack.scan(places, plan._nouns, details=False) as answers:
            async for item, found in answers:
                if not isinstance(found, CopickError):
                    run = unknown[item.ref]  # type: ignore[index]
                    run._take(found, plan._nouns, since)
                    listed.append(run)
    if plan._load:
        await _load_all(listed, plan._load)


def _knows(run: AsyncRun, nouns: Nouns) -> bool:
    """Whether a listing of these nouns would tell a run nothing."""
    wanted = CHILDREN.keys() | {"tomograms"} if nouns is None else nouns
    lists_known = all(run._children[noun].complete for noun in CHILDREN if noun in wanted)
    return lists_known and (run._deep or "tomograms" not in wanted)
