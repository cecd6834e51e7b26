"""Files that interrupted writes left behind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from aiocopick.concurrency.fan_out import gather
from aiocopick.layout.paths import parse_key
from aiocopick.layout.refs import RunRef
from aiocopick.upkeep.finding import Finding

if TYPE_CHECKING:
    from aiocopick.layers import Layer
    from aiocopick.storage import Entry
    from aiocopick.tables.scope import Scope

_AT_ONCE = 4


async def leftovers(layer: Layer, scope: Scope) -> list[Finding]:
    """Return the temporary files of a layer, including those of running writes; none for a layer without storage."""
    storage = layer.storage
    if storage is None:
        return []
    if scope.runs is None:
        found: Sequence[Entry] = await storage.leftovers()
    else:
        listed = (await layer.list_runs()).located
        keys = [run.key for run in listed if isinstance(run.ref, RunRef) and scope.holds_run(run.ref.run)]
        pages = await gather(storage.leftovers, keys, limit=_AT_ONCE)
        found = [entry for page in pages for entry in page]
    return [_finding(layer, entry) for entry in found]


def _finding(layer: Layer, entry: Entry) -> Finding:
    ref = parse_key("/".join(entry.key.split("/")[:2]))
    when = "" if entry.modified is None else f" of {datetime.fromtimestamp(entry.modified, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return Finding(
        problem="leftover temporary file",
        run=ref.run if isinstance(ref, RunRef) else None,
        path=layer.path_of(entry.key),
        detail=f"{entry.size or 0:,} bytes{when}, left by a write that was killed; nothing reads it, and it can be "
        "deleted unless that write is still under way",
    )


__all__ = ["leftovers"]
