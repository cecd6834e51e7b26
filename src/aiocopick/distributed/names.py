"""Which runs a job is about."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiocopick.entities import AsyncRoot
    from aiocopick.tables.scope import Scope


async def run_names(root: AsyncRoot, scope: Scope) -> list[str]:
    """Names of the runs in a scope, in order; the runs are listed."""
    return [run.name for run in await root.query() if scope.holds_run(run.name)]


def exactly(names: Iterable[str]) -> list[str]:
    """Names as a crawl takes them: one that looks like a glob must not stand for others."""
    return [glob.escape(name) for name in names]
