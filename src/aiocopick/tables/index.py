"""A catalogue as listings: its rows by run, checked as a whole and decoded as far as they are asked for."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import pairwise
from struct import pack
from typing import TYPE_CHECKING, Any

from aiocopick.errors import FormatError
from aiocopick.layout.listing import Listing, Located
from aiocopick.tables.rows import located_of, rows_of
from aiocopick.tables.schema import arrow, as_written, catalog_columns, metadata_of, schema_of
from aiocopick.tables.scope import Scope
from aiocopick.tables.stored import StoredTable

if TYPE_CHECKING:
    import pyarrow as pa


_BLOCK = 4096


class CatalogIndex:
    """Rows of a catalogue by run, converted to refs on demand.

    Parameters
    ----------
    table : pyarrow.Table or StoredTable
        A catalogue.
    layer : str, optional
        Only the rows of this layer.

    Raises
    ------
    FormatError
        The table is not a catalogue.
    """

    __slots__ = ("_at", "_block", "_ends", "_layer", "_objects", "_table", "scope")

    def __init__(self, table: pa.Table | StoredTable, layer: str | None = None) -> None:
        pa = arrow()
        self.scope = Scope.of_metadata(metadata_of(table))
        table = _in_our_types(table)
        run = table.column("run")
        bounds = _bounds(run)
        if bounds is None:
            # A crawl writes runs in order; other tables may not be sorted.
            table = _whole(table).sort_by("run").combine_chunks()
            run = table.column("run")
            bounds = _bounds(run)
            assert bounds is not None
        self._table, self._layer = table, layer
        self._at, self._ends = bounds
        # Of a million rows, no more is decoded at once than has to be.
        head = pa.Table.from_arrays([run, table.column("kind")], names=["run", "kind"])
        keys = table.select(["key"])
        is_object = pa.compute.equal(head["kind"], _text("object"))
        if layer is not None:
            layers = table.column("layer")
            if layers.null_count:
                raise FormatError("A row of the catalogue has no layer; make it again.", path="The catalogue")
            chosen = pa.compute.equal(layers, _text(layer))
            head, is_object = head.filter(chosen), pa.compute.and_(is_object, chosen)
            keys = _whole(keys).filter(chosen)
            bounds = _bounds(head["run"])
            assert bounds is not None
        _refuse_unnamed_and_twice(head, keys, bounds[1], pa.compute)
        # In one piece: for none, Arrow's function crashes in older releases.
        self._objects: list[int] = pa.compute.indices_nonzero(is_object.combine_chunks()).to_pylist()
        self._block: tuple[int, list[dict[str, Any]]] = (0, [])

    def runs(self) -> Listing:
        """All runs."""
        table = _whole(self._table.select(["run", "kind", "key", "layer"]))
        for name, value in (("kind", "run"), ("layer", self._layer)):
            if value is not None:
                table = table.filter(arrow().compute.equal(table[name], _text(value)))
        return _listing([located_of(row) for row in rows_of(table)])

    def objects(self) -> Listing:
        """Objects that have a map."""
        return _listing([located_of(row) for row in self._object_rows() if row["name"] is not None])

    def objects_error(self) -> str | None:
        """Return the error of the objects when the catalogue was made; None if they were listed."""
        return next((row["error"] for row in self._object_rows() if row["name"] is None), None)

    def found(self, name: str) -> Listing:
        """Return the listing of the runs with that name only."""
        rows = [row for row in self._rows_of(name) if row["kind"] == "run"]
        return _listing([Located(*located_of(row)[:2]) for row in rows])

    def run(self, name: str) -> Listing:
        """Return the listing of a run."""
        return _listing([located_of(row) for row in self._rows_of(name) if row["kind"] not in ("run", "object")])

    def error(self, name: str) -> str | None:
        """Return the error of the run when the catalogue was made; None if it was listed."""
        errors = [row["error"] for row in self._rows_of(name) if row["kind"] == "run"]
        return errors[0] if errors else None

    def at_hand(self, name: str) -> bool:
        """Return True if nothing has to be decoded for the rows of a run."""
        start, stop = self._bounds_of(name)
        first, rows = self._block
        return start == stop or first <= start < stop <= first + len(rows)

    def _bounds_of(self, name: str) -> tuple[int, int]:
        at = self._at.get(name)
        return (0, 0) if at is None else (self._ends[at - 1] if at else 0, self._ends[at])

    def _object_rows(self) -> list[dict[str, Any]]:
        return [row for at in self._objects for row in self._read(at, at + 1)]

    def _rows_of(self, name: str) -> list[dict[str, Any]]:
        rows = self._read(*self._bounds_of(name))
        return rows if self._layer is None else [row for row in rows if row["layer"] == self._layer]

    def _read(self, start: int, stop: int) -> list[dict[str, Any]]:
        first, rows = self._block
        if start < stop and not first <= start < stop <= first + len(rows):
            # What follows the last rows is the next run of a crawl; anything else is looked at alone.
            length = _BLOCK if first <= start <= first + len(rows) else 0
            part = self._table.slice(start, max(length, stop - start))
            # As Python's times they would have Arrow import pandas.
            modified = part.column("modified").cast(arrow().int64())
            part = part.set_column(part.column_names.index("modified"), "modified", modified)
            first, rows = start, part.to_pylist()
            self._block = (first, rows)
        return rows[start - first : stop - first] if start < stop else []


def _whole(table: pa.Table | StoredTable) -> pa.Table:
    return table.read() if isinstance(table, StoredTable) else table


def _in_our_types(table: pa.Table | StoredTable) -> pa.Table | StoredTable:
    columns = catalog_columns()
    if isinstance(table, StoredTable):
        types = dict(zip(table.column_names, table.schema.types, strict=True))
        if all(types.get(field.name) == field.type for field in schema_of(columns)):
            return table.select(columns)
        table = table.read()
    return as_written(table, columns, "The catalogue")


def _text(value: str) -> pa.StringScalar:
    """Return an Arrow text. Arrow's own conversion imports pandas, which takes longer than opening a catalogue."""
    pa, data = arrow(), value.encode()
    return pa.StringArray.from_buffers(1, pa.py_buffer(pack("=ii", 0, len(data))), pa.py_buffer(data))[0]


def _refuse_unnamed_and_twice(table: pa.Table, keys: pa.Table | StoredTable, ends: list[int], compute: Any) -> None:
    """Refuse rows without a kind or key, and entities in two rows: they would be left out, or listed twice, silently.

    Raises
    ------
    FormatError
        There is one.
    """
    if table["kind"].null_count:
        raise FormatError("A row of the catalogue has no kind; make it again.", path="The catalogue")
    if compute.any(
        compute.and_(compute.is_null(table["run"]), compute.not_equal(table["kind"], _text("object")))
    ).as_py():
        raise FormatError("A row of the catalogue has no run; make it again.", path="The catalogue")
    for part in _apart(keys, ends):
        if part.null_count:
            raise FormatError("A row of the catalogue has no key; make it again.", path="The catalogue")
        if compute.count_distinct(part).as_py() != len(part):
            key = next(count["values"] for count in part.value_counts().to_pylist() if count["counts"] > 1)
            raise FormatError(f"The catalogue lists {key} twice; make it again.", path="The catalogue")


def _apart(keys: pa.Table | StoredTable, ends: list[int]) -> Iterator[pa.ChunkedArray]:
    """Yield the keys in parts, and parts that may have keys in common once more together; `ends` are those of the runs.

    Equal keys are found sooner in many small parts, and no two runs have the same.
    """
    pa = arrow()
    rows = ends[-1] if ends else 0
    cuts = {ends[bisect_left(ends, at)] for at in range(_BLOCK, rows, _BLOCK)}
    parts = []
    for start, stop in pairwise(sorted({0, *cuts, rows})):
        part = keys.slice(start, stop - start).column("key")
        yield part
        smallest, largest = pa.compute.min_max(part).as_py().values()
        parts.append((smallest, largest, start, stop))
    end, groups = "", list[list[tuple[int, int]]]()
    for smallest, largest, start, stop in sorted(parts):
        if groups and smallest <= end:
            groups[-1].append((start, stop))
        else:
            groups.append([(start, stop)])
        end = max(end, largest)
    for group in groups:
        if len(group) > 1:
            found = [keys.slice(start, stop - start).column("key") for start, stop in group]
            yield pa.chunked_array([chunk for part in found for chunk in part.chunks])


def _listing(located: list[Located]) -> Listing:
    return Listing(tuple(sorted(located, key=lambda item: item.ref.sort_key)))


def _bounds(run: pa.ChunkedArray) -> tuple[dict[str | None, int], list[int]] | None:
    """Return the position of each run among the runs, and where its rows end; None if they are not contiguous."""
    pa = arrow()
    encoded = pa.compute.run_end_encode(pa.concat_arrays([pa.nulls(0, run.type), *run.chunks]))
    names = encoded.values.to_pylist()
    at = dict(zip(names, range(len(names)), strict=True))
    return (at, encoded.run_ends.to_pylist()) if len(at) == len(names) else None


__all__ = ["CatalogIndex"]
