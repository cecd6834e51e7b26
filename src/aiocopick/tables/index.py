"""A catalogue as listings: its rows by run, checked as a whole and decoded as far as they are asked for."""

from __future__ import annotations

from bisect import bisect_left
from struct import pack
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.lazy import numpy as np
from aiocopick.errors import FormatError
from aiocopick.layout.listing import Listing, Located
from aiocopick.tables.rows import located_of, rows_of
from aiocopick.tables.schema import arrow, as_written, catalog_columns, metadata_of, schema_of
from aiocopick.tables.scope import Scope
from aiocopick.tables.stored import StoredTable

if TYPE_CHECKING:
    import pyarrow as pa


_BLOCK = 4096
_HEADS = 65_536
"""Rows whose runs and kinds are looked at together; they are dictionaries, which are repeated for each such part."""

_LONGEST = 4096
_FACTOR, _HALF = 0x9E3779B97F4A7C15, 32


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

    __slots__ = ("_block", "_bounds", "_layer", "_objects", "_runs", "_table", "scope")

    def __init__(self, table: pa.Table | StoredTable, layer: str | None = None) -> None:
        self.scope = Scope.of_metadata(metadata_of(table))
        table = _in_our_types(table)
        heads = _Heads(table, layer)
        if not heads.together:
            # A crawl writes runs in order; other tables may not be sorted.
            table = _whole(table).sort_by("run").combine_chunks()
            heads = _Heads(table, layer)
        _refuse_twice(table.select(["key"]), heads.chosen)
        self._table, self._layer = table, layer
        self._runs, self._bounds, self._objects = heads.runs, heads.bounds, heads.objects
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
        at = bisect_left(self._runs, name)
        if at == len(self._runs) or self._runs[at] != name:
            return 0, 0
        start, stop = self._bounds[at].tolist()
        return start, stop

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


def layers_of(table: pa.Table | StoredTable) -> set[str]:
    """Return the names of the layers in a table."""
    if "layer" not in table.column_names:
        return set()
    batches = table.select(["layer"]).to_batches(max_chunksize=_HEADS)
    return {name for batch in batches for name in batch.column("layer").unique().to_pylist() if name is not None}


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


class _Heads:
    """Runs and kinds of all rows, decoded once and not kept.

    Parameters
    ----------
    table : pyarrow.Table or StoredTable
        A catalogue in our types.
    layer : str or None
        Choose the rows of this layer.

    Raises
    ------
    FormatError
        There is a row without a kind, run or layer: it would be left out silently.
    """

    def __init__(self, table: pa.Table | StoredTable, layer: str | None) -> None:
        pa = arrow()
        compute = pa.compute
        names, ends, chosen = [pa.nulls(0, pa.string())], [np.zeros(0, np.int64)], [np.zeros(0, np.bool_)]
        self.objects: list[int] = []
        """Rows of objects."""
        start = 0
        columns = ["run", "kind"] if layer is None else ["run", "kind", "layer"]
        for batch in table.select(columns).to_batches(max_chunksize=_HEADS):
            run, kind, *layers = (batch.column(name).dictionary_encode() for name in columns)
            _refuse_null(kind, "kind")
            is_object = _equal(kind, "object")
            if run.null_count and (_numbers(run.is_null().cast(pa.int8()), np.bool_) & ~is_object).any():
                raise _incomplete("run")
            if layer is not None:
                _refuse_null(layers[0], "layer")
                chosen.append(_equal(layers[0], layer))
                is_object &= chosen[-1]
            self.objects += (np.flatnonzero(is_object) + start).tolist()
            encoded = compute.run_end_encode(run.indices)
            names.append(run.dictionary.take(encoded.values))
            ends.append(_numbers(encoded.run_ends, np.int32) + start)
            start += len(batch)
        # A run may go on in the next batch.
        encoded = compute.run_end_encode(pa.concat_arrays(names))
        stops = np.concatenate(ends)[_numbers(encoded.run_ends, np.int32) - 1]
        # Objects have no run, and come last.
        order = compute.sort_indices(encoded.values)
        ordered = encoded.values.take(order)
        runs = ordered.drop_null()
        twice = compute.any(compute.equal(runs[1:], runs[:-1])).as_py()
        self.together = not twice and ordered.null_count <= 1
        """False if there are rows of one run among those of another."""
        self.runs: list[str] = runs.to_pylist()
        """Names of the runs, sorted."""
        at = _numbers(order, np.uint64)[: len(runs)]
        self.bounds = np.stack([np.append(0, stops)[at], stops[at]], axis=1)
        """First row of each of these runs, and the row after its last."""
        self.chosen = None if layer is None else np.concatenate(chosen)
        """True for each row of the layer; None for all rows."""


def _refuse_twice(keys: pa.Table | StoredTable, chosen: np.ndarray | None) -> None:
    """Refuse rows without a key, and entities in two rows: they would be listed twice.

    Raises
    ------
    FormatError
        There is one.
    """
    every = [np.zeros(0, np.uint64)]
    for batch in keys.to_batches(max_chunksize=_BLOCK):
        _refuse_null(batch.column("key"), "key")
        every.append(_hashes(batch.column("key")))
    hashes = np.concatenate(every)
    ordered = np.sort(hashes if chosen is None else hashes[chosen])
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if not repeated.size:
        return
    # Different keys may have the same hash. By sorting: the other method fails for large numbers in numpy 2.0.
    suspected = np.isin(hashes, repeated, kind="sort") & (True if chosen is None else chosen)
    seen: set[str] = set()
    start = 0
    for batch in keys.to_batches(max_chunksize=_BLOCK):
        for row in np.flatnonzero(suspected[start : start + len(batch)]).tolist():
            key = batch.column("key")[row].as_py()
            if key in seen:
                raise FormatError(f"The catalogue lists {key} twice; make it again.", path="The catalogue")
            seen.add(key)
        start += len(batch)


def _hashes(texts: pa.StringArray) -> np.ndarray:
    """Return a hash of each text: equal texts have the same, different ones hardly ever. Arrow has no such function, and
    to count distinct texts takes it several times as long.
    """
    compute = arrow().compute
    longest = compute.max(compute.binary_length(texts)).as_py()
    hashes = np.zeros(len(texts), np.uint64)
    if longest > _LONGEST:
        # No storage has such keys.
        return hashes
    words = longest // 8 + 1
    padded = compute.ascii_rpad(texts, words * 8, padding="\0")
    for word in _numbers(padded, np.uint64, words).reshape(-1, words).T:
        hashes ^= word
        hashes *= np.uint64(_FACTOR)
        hashes ^= hashes >> np.uint64(_HALF)
    return hashes


def _numbers(array: pa.Array, kind: Any, each: int = 1) -> np.ndarray:
    """Return the content of an array without nulls as `each` numbers per element. Arrow's own conversion imports pandas."""
    kind = np.dtype(kind)
    if not len(array):
        return np.zeros(0, kind)
    first = array.offset * each * kind.itemsize
    return np.frombuffer(array.buffers()[-1], kind, len(array) * each, first)


def _equal(column: pa.DictionaryArray, value: str) -> np.ndarray:
    """Return True for each row with a value; there is no null."""
    pa = arrow()
    same = _numbers(pa.compute.equal(column.dictionary, _text(value)).cast(pa.int8()), np.bool_)
    found: np.ndarray = same[_numbers(column.indices, np.int32)]
    return found


def _refuse_null(column: pa.Array, name: str) -> None:
    if column.null_count:
        raise _incomplete(name)


def _incomplete(name: str) -> FormatError:
    return FormatError(f"A row of the catalogue has no {name}; make it again.", path="The catalogue")


def _listing(located: list[Located]) -> Listing:
    return Listing(tuple(sorted(located, key=lambda item: item.ref.sort_key)))


__all__ = ["CatalogIndex", "layers_of"]
