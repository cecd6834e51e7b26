"""The entities of a run in one list, from the caches that a crawl filled."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from aiocopick.layout.refs import BELOW_SPACINGS, NOUNS

if TYPE_CHECKING:
    from aiocopick.entities import AsyncObject, AsyncRoot, AsyncRun
    from aiocopick.entities.base import AsyncEntity


async def held(run: AsyncRun, nouns: Collection[str] | None = None) -> list[AsyncEntity]:
    """Return the entities of a run of some kinds, sorted by ref.

    Parameters
    ----------
    run : AsyncRun
        A run from a crawl costs no request; another run is listed.
    nouns : collection of str, optional
        Plural nouns; None means all of them.
    """
    # A crawl has already reported denied folders as the error of the run.
    denied = frozenset() if run.error is None else frozenset(run._denied)
    wanted = frozenset(NOUNS if nouns is None else nouns) - denied
    found: list[AsyncEntity] = []
    if wanted & BELOW_SPACINGS:
        for spacing in await run.voxel_spacings():
            if "voxel_spacings" in wanted:
                found.append(spacing)
            if not wanted & {"tomograms", "features"} or spacing.voxel_size in denied:
                continue
            for tomogram in await spacing.tomograms():
                if "tomograms" in wanted:
                    found.append(tomogram)
                if "features" in wanted:
                    found += await tomogram.features()
    for noun in wanted - BELOW_SPACINGS:
        found += await getattr(run, noun)()
    return sorted(found, key=lambda entity: entity.ref.sort_key)


def is_listed(run: AsyncRun) -> bool:
    """Return True if a crawl listed the run; a run with an error may lack only some of the files to load."""
    return any(children.complete for children in run._children.values())


async def stored_objects(root: AsyncRoot) -> list[AsyncObject]:
    """Return the objects that have a density map, including those that the configuration does not name."""
    from aiocopick.entities.object import AsyncObject

    return [AsyncObject._found(root, item) for item in await root._stack.list_objects()]


__all__ = ["held", "is_listed", "stored_objects"]
