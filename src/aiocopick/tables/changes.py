"""The difference between two catalogues. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocopick.tables.rows import TableBuilder, rows_of, version_of
from aiocopick.tables.schema import ERROR_COLUMN, PLACE_COLUMNS, REF_COLUMNS, metadata_of, require_columns
from aiocopick.tables.scope import Scope

if TYPE_CHECKING:
    import pyarrow as pa

CHANGE_COLUMNS = {"change": "string"} | REF_COLUMNS | PLACE_COLUMNS
"""``change`` is ``"added"``, ``"removed"`` or ``"changed"``; the rest is the row of `new`, or of `old` if removed."""


def changes(old: pa.Table, new: pa.Table) -> pa.Table:
    """Return the added, removed and changed entities between two catalogues.

    A file changed when its etag did, else when its size or time of modification did; directories (runs, voxel spacings,
    volumes) have no version in a listing, so they are only added or removed. Runs (and the objects) that one of the catalogues
    could not list are left out, and so are runs and kinds that only one catalogue covers, because their changes are
    unknown.

    Parameters
    ----------
    old, new : pyarrow.Table
        From :func:`aiocopick.catalog`.

    Returns
    -------
    pyarrow.Table
        Columns ``change`` and those of a catalogue, without statistics; in the order of `new`, removed entities last.

    Raises
    ------
    FormatError
        One of the tables is not a catalogue.
    """
    for name, table in (("old", old), ("new", new)):
        require_columns(table, REF_COLUMNS | PLACE_COLUMNS | ERROR_COLUMN, name)
    failed = _failed_runs(old) | _failed_runs(new)
    scopes = [Scope.of_metadata(metadata_of(table)) for table in (old, new)]

    def is_seen(row: dict[str, Any]) -> bool:
        """Return True if both catalogues cover the entity of a row."""
        run = row["run"]
        if any(row["kind"] not in scope.kinds for scope in scopes):
            return False
        if run is None:
            return None not in failed
        return all(scope.holds_run(run) for scope in scopes) and (row["kind"] == "run" or run not in failed)

    columns = [*REF_COLUMNS, *PLACE_COLUMNS]
    before = {_identity(row): (version_of(row), row) for row in rows_of(old.select(columns)) if is_seen(row)}
    found = TableBuilder(CHANGE_COLUMNS)
    for row in rows_of(new.select(columns)):
        if not is_seen(row):
            continue
        known = before.pop(_identity(row), None)
        if known is None:
            found.add({"change": "added"} | row)
        elif known[0] != version_of(row):
            found.add({"change": "changed"} | row)
    for _, row in before.values():
        found.add({"change": "removed"} | row)
    return found.table({})


def _identity(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in REF_COLUMNS)


def _failed_runs(table: pa.Table) -> set[str | None]:
    """Return the runs that could not be listed; None is among them if the objects of the project could not."""
    rows = rows_of(table.select(["kind", "run", "name", "error"]))
    unlisted = (row for row in rows if row["kind"] == "run" or (row["kind"] == "object" and row["name"] is None))
    return {row["run"] for row in unlisted if row["error"] is not None}


__all__ = ["CHANGE_COLUMNS", "changes"]
