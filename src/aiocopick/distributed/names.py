"""Names of the runs of a job."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiocopick.entities import AsyncRoot
    from aiocopick.tables.scope import Scope


async def run_names(root: AsyncRoot, scope: Scope) -> list[str]:
    """Return the names of the runs in a scope, in order; they are listed, unless all are given by name.

    Runs given by name are included even if they do not exist: a crawl reports each of them.
    """
    given = (scope.runs,) if isinstance(scope.runs, str) else scope.runs or ()
    exact = {name for name in given if glob.escape(name) == name}
    if scope.runs is not None and len(exact) == len(given):
        return sorted(exact)
    return sorted(exact.union(run.name for run in await root.query() if scope.holds_run(run.name)))


def exactly(names: Iterable[str]) -> list[str]:
    """Return names that a crawl takes literally: a name that looks like a glob must not match others."""
    return [glob.escape(name) for name in names]
