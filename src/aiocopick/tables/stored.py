"""A Parquet file that is decoded as far as it is asked for."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from aiocopick.errors import FormatError
from aiocopick.tables.schema import arrow

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_AT_ONCE = 4096


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
        return self._decode(self.schema)

    def column(self, name: str) -> pa.ChunkedArray:
        """Return one column."""
        return self._decode(arrow().schema([self.schema.field(name)])).column(0)

    def slice(self, offset: int, length: int) -> pa.Table:
        """Return some rows, at least one. The group of rows that was decoded last is kept."""
        parts = []
        stop = min(offset + length, self._ends[-1])
        for group in range(bisect_right(self._ends, offset), bisect_left(self._ends, stop) + 1):
            start = self._ends[group - 1] if group else 0
            at, table = self._group
            if at != group:
                table = self._decode(self.schema, [group])
                self._group = (group, table)
            first = max(offset - start, 0)
            parts.append(table.slice(first, stop - start - first))
        return arrow().concat_tables(parts)

    def _file(self) -> Any:
        pa = arrow()
        return pa.parquet.ParquetFile(pa.BufferReader(self._data))

    def _decode(self, schema: pa.Schema, groups: Sequence[int] | None = None) -> pa.Table:
        pa = arrow()
        batches, held = [], 0
        try:
            # Equal values take no room in the file: it is decoded piece by piece, and no further than the limit.
            for batch in self._file().iter_batches(_ROWS_AT_ONCE, row_groups=groups, columns=schema.names):
                held += batch.nbytes
                if held > self._most:
                    raise FormatError(
                        f"{self._path} holds more than the {self._most} bytes that max_file_bytes allows for tables; if "
                        "that is what it should be, raise max_file_bytes={'tables': ...}.",
                        path=self._path,
                    )
                batches.append(batch)
            return pa.Table.from_batches(batches, schema=schema)
        except (pa.ArrowException, OSError) as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> FormatError:
        return FormatError(f"{self._path} cannot be read as Parquet: {error}", path=self._path)


__all__ = ["StoredTable"]
