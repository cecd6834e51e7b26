"""A Parquet file that is decoded as far as it is asked for."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from aiocopick.errors import FormatError
from aiocopick.tables.schema import arrow

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_AT_ONCE = 4096
_AT_LEAST = 65_536
"""Rows at the beginning of a group that are decoded together."""


class StoredTable:
    """A Parquet file in memory, with the part of a table's methods that a catalogue needs.

    Parameters
    ----------
    data : bytes
        Content of the file.
    path : str
        Its path, for messages.
    most : int
        Largest number of decoded bytes.
    columns : collection of str, optional
        Only these columns.

    Raises
    ------
    FormatError
        It is not a Parquet file. What is decoded later may also be broken, or larger than the limit.
    """

    __slots__ = ("_data", "_ends", "_group", "_most", "_path", "schema")

    def __init__(self, data: bytes, path: str, most: int, columns: Collection[str] | None = None) -> None:
        pa = arrow()
        self._data, self._path, self._most = data, path, most
        try:
            file = self._file()
            kept = [field for field in file.schema_arrow if columns is None or field.name in columns]
            self.schema = pa.schema(kept, file.schema_arrow.metadata)
        except (pa.ArrowException, OSError) as error:
            raise self._broken(error) from error
        groups = range(file.metadata.num_row_groups)
        self._ends = list(accumulate(file.metadata.row_group(group).num_rows for group in groups))
        self._group: tuple[int, Any] = (-1, None)

    @property
    def column_names(self) -> list[str]:
        """Names of the columns, in the order of the file."""
        names: list[str] = self.schema.names
        return names

    def select(self, columns: Collection[str]) -> StoredTable:
        """Return the table with only these columns."""
        return StoredTable(self._data, self._path, self._most, columns)

    def read(self) -> pa.Table:
        """Return the whole table."""
        return arrow().Table.from_batches(self._decode(_ROWS_AT_ONCE), schema=self.schema)

    def to_batches(self, max_chunksize: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows in parts; texts are dictionaries, apart from keys, which differ from row to row."""
        is_text = arrow().types.is_string
        encoded = [field.name for field in self.schema if is_text(field.type) and field.name != "key"]
        return self._decode(max_chunksize, encoded=encoded)

    def slice(self, offset: int, length: int) -> pa.Table:
        """Return some rows, at least one. What was decoded last of a group of rows is kept."""
        parts = []
        stop = min(offset + length, self._ends[-1])
        for group in range(bisect_right(self._ends, offset), bisect_left(self._ends, stop) + 1):
            start = self._ends[group - 1] if group else 0
            first = max(offset - start, 0)
            table = self._beginning(group, min(stop, self._ends[group]) - start)
            parts.append(table.slice(first, stop - start - first))
        return arrow().concat_tables(parts)

    def _beginning(self, group: int, length: int) -> pa.Table:
        """Return at least the first rows of a group, which may have a million."""
        at, table = self._group
        if at == group and length <= len(table):
            return table
        # Several times as many as before, so that rows in order are not decoded many times.
        wanted = max(length, _AT_LEAST, 4 * len(table) if at == group else 0)
        table, self._group = None, (-1, None)
        batches, rows = [], 0
        for batch in self._decode(_ROWS_AT_ONCE, [group]):
            batches.append(batch)
            rows += len(batch)
            if rows >= wanted:
                break
        table = arrow().Table.from_batches(batches, schema=self.schema)
        self._group = (group, table)
        return table

    def _file(self, encoded: Sequence[str] = ()) -> Any:
        pa = arrow()
        return pa.parquet.ParquetFile(pa.BufferReader(self._data), read_dictionary=list(encoded))

    def _decode(
        self, rows: int, groups: Sequence[int] | None = None, encoded: Sequence[str] = ()
    ) -> Iterator[pa.RecordBatch]:
        pa = arrow()
        held = 0
        try:
            # Equal values take no room in the file: it is decoded piece by piece, and no further than the limit. For small
            # pieces, to begin threads takes longer than it saves.
            for batch in self._file(encoded).iter_batches(
                rows, row_groups=groups, columns=self.schema.names, use_threads=False
            ):
                held += batch.nbytes
                if held > self._most:
                    raise FormatError(
                        f"{self._path} holds more than the {self._most} bytes that max_file_bytes allows for tables; if "
                        "that is what it should be, raise max_file_bytes={'tables': ...}.",
                        path=self._path,
                    )
                yield batch
        except (pa.ArrowException, OSError) as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> FormatError:
        return FormatError(f"{self._path} cannot be read as Parquet: {error}", path=self._path)


__all__ = ["StoredTable"]
