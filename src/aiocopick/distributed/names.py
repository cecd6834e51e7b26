"""Which runs a job is about."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiocopick.entities import AsyncRoot
    from aiocopick.tables.scope import Scope


async def run_names(root: AsyncRoot, scope: Scope) -> list[str]:
    """Names of the runs in a scope, in order; they are listed, unless all are given by name.

    Runs given by name are among them whether they exist or not: a crawl says of each what became of it.
    """
    given = (scope.runs,) if isinstance(scope.runs, str) else scope.runs or ()
    exact = {name for name in given if glob.escape(name) == name}
    if scope.runs is not None and len(exact) == len(given):
        return sorted(exact)
    return sorted(exact.union(run.name for run in await root.query() if scope.holds_run(run.name)))


def exactly(names: Iterable[str]) -> list[str]:
    """Names as a crawl takes them: one that looks like a glob must not stand for others."""
    return [glob.escape(name) for name in names]
