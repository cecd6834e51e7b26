"""Conversion between rows of a catalogue and refs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from aiocopick.errors import FormatError
from aiocopick.layout.listing import Located
from aiocopick.layout.refs import REF_TYPES, Ref
from aiocopick.tables.schema import arrow, catalog_columns, encode_metadata, schema_of

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH = 16_384
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@cache
def _field_names(kind: str) -> tuple[str, ...]:
    return tuple(field.name for field in fields(REF_TYPES[kind]))


class TableBuilder:
    """Rows that become a table; they are packed in batches, so that few of them exist as Python objects.

    Parameters
    ----------
    columns : mapping
        Names and types (see :mod:`aiocopick.tables.schema`).
    """

    __slots__ = ("_batches", "_rows", "_schema")

    def __init__(self, columns: Mapping[str, str]) -> None:
        self._schema = schema_of(columns)
        self._rows: list[dict[str, Any]] = []
        self._batches: list[pa.RecordBatch] = []

    def add(self, row: dict[str, Any]) -> None:
        """Append a row; missing columns are null."""
        self._rows.append(row)
        if len(self._rows) >= _BATCH:
            self._pack()

    def _pack(self) -> None:
        if self._rows:
            self._batches.append(arrow().RecordBatch.from_pylist(self._rows, schema=self._schema))
            self._rows = []

    def table(self, metadata: Mapping[str, Any]) -> pa.Table:
        """Return all rows as a table, with metadata of ours."""
        self._pack()
        table = arrow().Table.from_batches(self._batches, schema=self._schema)
        return table.replace_schema_metadata(encode_metadata(metadata))


def row_of(located: Located, layer: str, *, error: str | None = None) -> dict[str, Any]:
    """Return the row of an entity, without its nulls."""
    ref = located.ref
    row: dict[str, Any] = {name: getattr(ref, name) for name in _field_names(ref.kind)}
    row["kind"] = ref.kind
    row["layer"] = layer
    row["key"] = located.key
    row["size"] = located.size
    row["etag"] = located.etag
    if located.modified is not None:
        row["modified"] = _EPOCH + timedelta(seconds=located.modified)
    if error is not None:
        row["error"] = error
    return row


def located_of(row: Mapping[str, Any]) -> Located:
    """Return the entity of a row; its time is one of Python, or in microseconds.

    Raises
    ------
    FormatError
        The row does not name an entity.
    """
    kind = row.get("kind")
    reference = REF_TYPES.get(kind) if isinstance(kind, str) else None
    key = row.get("key")
    if reference is None or not isinstance(key, str):
        raise FormatError(f"A row of the catalogue does not name an entity: kind {kind!r}, key {key!r}.", path=str(key))
    values = {name: row[name] for name in _field_names(reference.kind) if row.get(name) is not None}
    try:
        ref: Ref = reference(**values)
    except TypeError as error:
        raise FormatError(f"The row of {key} in the catalogue is incomplete: {error}.", path=key) from None
    return Located(ref, key, row.get("size"), row.get("etag"), _seconds(row.get("modified")))


def _seconds(modified: datetime | int | None) -> float | None:
    if modified is None:
        return None
    return modified / 1_000_000 if isinstance(modified, int) else (modified - _EPOCH).total_seconds()


def version_of(row: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """Return the version of a file: its etag, else size and time; None if neither is known."""
    if row.get("etag") is not None:
        return ("etag", row["etag"])
    if row.get("size") is None or row.get("modified") is None:
        return None
    return ("size", row["size"], row["modified"])


def rows_of(table: pa.Table, *, batch: int = 4096) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table as dicts, some thousand at a time."""
    for part in table.to_batches(max_chunksize=batch):
        yield from part.to_pylist()


def empty_catalog(*, stats: bool, metadata: Mapping[str, Any]) -> pa.Table:
    """Return a catalogue without rows."""
    return TableBuilder(catalog_columns(stats=stats)).table(metadata)


__all__ = ["TableBuilder", "empty_catalog", "located_of", "row_of", "rows_of", "version_of"]
