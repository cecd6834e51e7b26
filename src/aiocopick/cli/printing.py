"""Output of tables, entities, JSON and progress to a terminal or a pipe."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from aiocopick.progress import Bar, visible

if TYPE_CHECKING:
    from rich.console import Console

    from aiocopick.entities import AsyncEntity


_HALVES = re.compile("[\ud800-\udfff]")


def print_json(value: Any) -> None:
    """Print one JSON document on one line, so that several make JSON Lines. NaN and infinity, not in JSON, become null.

    Single surrogates, which cannot be encoded, are escaped.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, default=str, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(value), ensure_ascii=False, default=str)
    typer.echo(_HALVES.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print a table; numbers are aligned to the right."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(visible(title)), title_justify="left", header_style="bold")
    cells = [[_cell(value) for value in row] for row in rows]
    for index, column in enumerate(columns):
        is_number = bool(cells) and all(row[index][1] for row in cells)
        table.add_column(Text(column), justify="right" if is_number else "left", overflow="fold")
    for row in cells:
        # Names come from storage: they are text, not rich's markup.
        table.add_row(*(Text(text) for text, _ in row))
    console().print(table)


def console() -> Console:
    """Return a console that does not handle a closed pipe; the caller does."""
    from rich.console import Console

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Plain()


def _cell(value: Any) -> tuple[str, bool]:
    if value is None:
        return "", True
    if isinstance(value, bool):
        return ("yes" if value else "no"), False
    if isinstance(value, int):
        return f"{value:,}", True
    if isinstance(value, float):
        return f"{value:.2f}", True
    # Values of several lines come from the library itself, not from storage.
    return "\n".join(map(visible, str(value).split("\n"))), False


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Bar]:
    """Show a progress bar on standard error while the block runs; none if that is not a terminal."""
    bar = Bar(what, total).start()
    try:
        yield bar
    finally:
        bar.stop()


# --- entities ---------------------------------------------------------------------------------------------------------


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
