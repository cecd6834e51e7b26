"""Tables in Parquet files, on any storage; and written as CSV for other programs."""

from __future__ import annotations

import csv
import io
import os
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.threads import in_thread
from aiocopick.errors import FormatError
from aiocopick.models import CopickConfigFS
from aiocopick.models.file_sizes import largest
from aiocopick.models.place import Place, arguments_of, text_of
from aiocopick.storage import open_storage
from aiocopick.storage.keys import display_url, parse_root
from aiocopick.storage.single_files import replace_file
from aiocopick.tables.rows import rows_of
from aiocopick.tables.schema import arrow
from aiocopick.tables.stored import StoredTable

if TYPE_CHECKING:
    import pyarrow as pa

    from aiocopick.storage import Storage
    from aiocopick.storage.base import Buffer


async def load_table(source: Place, **fields: Any) -> pa.Table:
    """Read a table from a Parquet file.

    Parameters
    ----------
    source : str or path
        Path or URL of the file.
    **fields
        Fields of :class:`~aiocopick.models.CopickConfigFS` for its storage, such as ``fs_args``.

    Raises
    ------
    NotFoundError
        The file does not exist.
    FormatError
        It is not a Parquet file, or holds more than the limit for tables (``max_file_bytes``).
    """
    table = await stored_table(source, **fields)
    return await in_thread(table.read)


async def stored_table(source: Place, **fields: Any) -> StoredTable:
    """Read a Parquet file, to decode parts of it: see :func:`load_table`."""
    if check_suffix(source) == ".csv":
        path = display_url(text_of(source))
        raise FormatError(f"{path} is CSV, which has lost the types; name the Parquet file of the table.", path=path)
    await in_thread(arrow)
    storage, name = _place_of(source, fields)
    try:
        data = await storage.read(name)
    finally:
        await storage.aclose()
    return await in_thread(StoredTable, data, storage.path_of(name), largest("tables", fields.get("max_file_bytes")))


async def store_table(table: pa.Table, target: Place, **fields: Any) -> None:
    """Write a table to a Parquet file, replacing an existing file; or as CSV, if the name ends in ``.csv``.

    CSV has neither types nor metadata: it is for other programs, and cannot be loaded again.

    Parameters
    ----------
    table : pyarrow.Table
        From :func:`aiocopick.catalog`, :func:`aiocopick.points` or :func:`aiocopick.changes`.
    target : str or path
        Path or URL of the file.
    **fields
        See :func:`load_table`.

    Raises
    ------
    FormatError
        The name ends like a file of another format.
    """
    encode = _encode_csv if check_suffix(target) == ".csv" else encode_table
    data: Buffer = await in_thread(encode, table)
    place = parse_root(text_of(target))
    if place.protocol == "file" and await in_thread(_is_special, place.location):
        await in_thread(replace_file, place.location, data)
        return
    storage, name = _place_of(target, fields)
    try:
        await storage.write(name, data)
    finally:
        await storage.aclose()


def check_suffix(file: Place) -> str:
    """Return the suffix of a file that holds a table: one of Parquet's, ``.csv``, or none.

    Raises
    ------
    FormatError
        It is that of another format.
    """
    path = display_url(text_of(file))
    suffix = PurePosixPath(path).suffix.lower()
    if suffix in _OTHERS:
        raise FormatError(
            f"{path}: tables are written as Parquet (.parquet) or CSV (.csv), not as {suffix}; choose another name.",
            path=path,
        )
    return suffix


def write_csv(table: pa.Table, file: Any) -> None:
    """Write a table as CSV: null is empty, the numbers of a list are separated by spaces."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(table.column_names)
    for row in rows_of(table):
        writer.writerow([" ".join(map(str, value)) if isinstance(value, list) else value for value in row.values()])


def _place_of(file: Place, fields: dict[str, Any]) -> tuple[Storage, str]:
    text = text_of(file)
    if arguments := arguments_of(file):
        fields = {"fs_args": arguments} | fields
    folder, _, name = text.rpartition("/")
    if not name:
        raise FormatError(f"{text!r} names a folder; name the Parquet file in it.", path=text)
    if not folder:
        folder = "/" if text.startswith("/") else "."
    elif folder.endswith(":/"):
        # A file directly below the root of `memory://`.
        folder += "/"
    return open_storage(CopickConfigFS(root=folder, **fields)), name


def _is_special(path: str) -> bool:
    """Return True for a link, a pipe or a device: it stays, and what it leads to is written."""
    return os.path.islink(path) or (os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path))


def _encode_csv(table: pa.Table) -> bytes:
    text = io.StringIO(newline="")
    write_csv(table, text)
    return text.getvalue().encode()


def encode_table(table: pa.Table) -> memoryview:
    """Return a table as the content of a Parquet file."""
    buffer = io.BytesIO()
    arrow().parquet.write_table(table, buffer, compression="zstd", row_group_size=_GROUP)
    return buffer.getbuffer()


_GROUP = 65_536
"""Rows that are decoded together: the fewer, the sooner is one of them read; the more, the smaller is the file."""

_OTHERS = frozenset(
    {".arrow", ".feather", ".h5", ".hdf5", ".htm", ".html", ".json", ".jsonl", ".npy", ".npz", ".pickle", ".pkl", ".star",
     ".tsv", ".txt", ".xls", ".xlsx", ".xml", ".yaml", ".yml", ".zarr", ".zip"}
)  # fmt: skip
"""Suffixes of formats that tables are not written in."""


__all__ = ["check_suffix", "encode_table", "load_table", "store_table", "stored_table", "write_csv"]
