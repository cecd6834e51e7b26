"""Entities as lines, and as rows of JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiocopick.progress import visible

if TYPE_CHECKING:
    from aiocopick.entities import AsyncEntity


def as_row(entity: AsyncEntity) -> dict[str, Any]:
    """Return an entity as plain data: its ref, its URI, and its location."""
    located = entity.sources[0].located
    row = entity.ref.to_json() | {
        "uri": entity.uri,
        "layer": entity.layer.name,
        "key": entity.key,
        "path": entity.path,
        "size": located.size,
        "etag": located.etag,
        "modified": time_of(located.modified),
    }
    return {name: value for name, value in row.items() if value is not None}


def as_line(entity: Any, long: bool) -> str:
    """Return an entity as columns, separated by tabs: run, kind, URI; the long form also has size, time and path."""
    columns = [entity.ref.run] if entity.kind == "run" else [entity.ref.run, entity.kind, entity.uri]
    if long:
        located = entity.sources[0].located
        columns += ["" if located.size is None else str(located.size), time_of(located.modified) or "", entity.path]
    return "\t".join(map(visible, columns))


def time_of(modified: float | None) -> str | None:
    """Return seconds since the epoch as ISO 8601."""
    return None if modified is None else datetime.fromtimestamp(modified, UTC).isoformat(timespec="seconds")
