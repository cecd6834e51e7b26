"""Deletion of named entities only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.fan_out import gather_results
from aiocopick.entities.bulk import async_entity
from aiocopick.entities.root import async_root
from aiocopick.errors import CopickError
from aiocopick.progress import Progress, expect, shown
from aiocopick.tables.select import select

if TYPE_CHECKING:
    from aiocopick.entities import AsyncEntity, AsyncRoot

_AT_ONCE = 16


async def matching(
    root: AsyncRoot,
    uri: str | Iterable[str] | None = None,
    *,
    runs: str | Iterable[str] | None = None,
    kinds: str | Iterable[str] | None = None,
) -> list[AsyncEntity]:
    """Return the entities that :func:`remove` would delete, or whole runs if neither a URI nor kinds are given.

    Raises
    ------
    CopickError
        A run cannot be listed; or no URI, kinds or runs were given.
    """
    root = async_root(root)
    if uri is None and kinds is None:
        if runs is None:
            raise CopickError("Say what to delete: a URI, kinds, or runs.")
        scope = select(root, runs=runs).scope
        return [run for run in await root.query() if scope.holds_run(run.name)]
    async with select(root, uri, runs, kinds=kinds) as found:
        return [entity async for entity in found]


async def remove(entities: Iterable[AsyncEntity], *, progress: Progress = None) -> dict[str, CopickError]:
    """Delete entities with everything below them.

    Parameters
    ----------
    entities : iterable of AsyncEntity
        From :func:`matching`.
    progress : callable or bool
        Called with the path of each that is done; True shows a bar.

    Returns
    -------
    dict of str to CopickError
        The errors, by path.
    """
    items: list[Any] = [async_entity(item) for item in entities]

    async def delete(item: Any) -> None:
        await item.delete()
        if done is not None:
            done(item.path)

    failed: dict[str, CopickError] = {}
    with shown(progress, "deleting") as done:
        expect(done, len(items))
        # Entities inside others are deleted first: at the same time, each deletion would see the other's changes.
        for depth in range(_DEEPEST, -1, -1):
            level = [item for item in items if _depth(item) == depth]
            results = await gather_results(delete, level, limit=_AT_ONCE)
            pairs = zip(level, results, strict=True)
            failed |= {item.path: result for item, result in pairs if isinstance(result, CopickError)}
    return failed


_DEEPEST = 3
"""Depth of a feature map below its run: run, voxel spacing, tomogram."""


def _depth(item: Any) -> int:
    return {"features": 3, "tomogram": 2, "voxel_spacing": 1, "run": 0}.get(item.kind, 3)


__all__ = ["matching", "remove"]
