"""A catalogue as listings: the rows of each run. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocopick.layout.listing import Listing
from aiocopick.tables.rows import located_of, rows_of
from aiocopick.tables.schema import PLACE_COLUMNS, REF_COLUMNS, arrow, catalog_columns, metadata_of, require_columns
from aiocopick.tables.scope import Scope

if TYPE_CHECKING:
    import pyarrow as pa

    from aiocopick.layout.listing import Located

_BLOCK = 4096


class CatalogIndex:
    """Rows of a catalogue by run, converted to refs on demand.

    Parameters
    ----------
    table : pyarrow.Table
        A catalogue.
    layer : str, optional
        Only the rows of this layer.

    Raises
    ------
    FormatError
        The table is not a catalogue.
    """

    __slots__ = ("_block", "_objects", "_rows", "_runs", "scope")

    def __init__(self, table: pa.Table, layer: str | None = None) -> None:
        require_columns(table, catalog_columns(), "The catalogue")
        compute = arrow().compute
        self.scope = Scope.of_metadata(metadata_of(table))
        table = table.select([*REF_COLUMNS, *PLACE_COLUMNS, "error"])
        if layer is not None:
            table = table.filter(compute.equal(table["layer"], layer))
        is_object = compute.equal(table["kind"], "object")
        self._objects = table.filter(is_object)
        # A crawl writes runs in order; other tables may not be sorted.
        rows = table.filter(compute.invert(is_object)).combine_chunks()
        bounds = _bounds(rows)
        if bounds is None:
            rows = rows.sort_by("run").combine_chunks()
            bounds = _bounds(rows)
            assert bounds is not None
        self._rows = rows
        self._runs: dict[str, tuple[int, int]] = bounds
        self._block: tuple[int, list[dict[str, Any]]] = (0, [])

    def runs(self) -> Listing:
        """All runs."""
        table = self._rows.filter(arrow().compute.equal(self._rows["kind"], "run"))
        return _listing([located_of(row) for row in rows_of(table.select(["kind", "run", "key"]))])

    def objects(self) -> Listing:
        """Objects that have a map."""
        return _listing([located_of(row) for row in rows_of(self._objects)])

    def run(self, name: str) -> Listing:
        """Return the listing of a run."""
        return _listing([located_of(row) for row in self._rows_of(name) if row["kind"] != "run"])

    def error(self, name: str) -> str | None:
        """Return the error of the run when the catalogue was made; None if it was listed."""
        errors = [row["error"] for row in self._rows_of(name) if row["kind"] == "run"]
        return errors[0] if errors else None

    def _rows_of(self, name: str) -> list[dict[str, Any]]:
        start, stop = self._runs.get(name, (0, 0))
        first, rows = self._block
        if not first <= start <= stop <= first + len(rows):
            # Runs are requested in order, and a thousand rows at once cost little more than ten.
            first, rows = start, self._rows.slice(start, max(_BLOCK, stop - start)).to_pylist()
            self._block = (first, rows)
        return rows[start - first : stop - first]


def _listing(located: list[Located]) -> Listing:
    return Listing(tuple(sorted(located, key=lambda item: item.ref.sort_key)))


def _bounds(rows: pa.Table) -> dict[str, tuple[int, int]] | None:
    """Return the first row and the end of each run; None if the rows of a run are not contiguous."""
    bounds: dict[str, tuple[int, int]] = {}
    start = 0
    if rows.num_rows:
        encoded = arrow().compute.run_end_encode(rows["run"].combine_chunks())
        chunks = encoded.chunks if hasattr(encoded, "chunks") else [encoded]
        assert len(chunks) == 1
        for name, end in zip(chunks[0].values.to_pylist(), chunks[0].run_ends.to_pylist(), strict=True):
            if name in bounds:
                return None
            bounds[name] = (start, end)
            start = end
    return bounds


__all__ = ["CatalogIndex"]
