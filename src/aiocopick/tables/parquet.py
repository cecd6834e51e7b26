"""Tables in Parquet files, on any storage."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.threads import in_thread
from aiocopick.errors import FormatError
from aiocopick.models import CopickConfigFS
from aiocopick.models.place import Place, arguments_of, text_of
from aiocopick.storage import open_storage
from aiocopick.tables.schema import arrow

if TYPE_CHECKING:
    import pyarrow as pa

    from aiocopick.storage import Storage


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
        It is not a Parquet file.
    """
    await in_thread(arrow)
    storage, name = _place_of(source, fields)
    try:
        data = await storage.read(name)
    finally:
        await storage.aclose()
    return await in_thread(_decode, data, storage.path_of(name))


async def store_table(table: pa.Table, target: Place, **fields: Any) -> None:
    """Write a table to a Parquet file, replacing an existing file.

    Parameters
    ----------
    table : pyarrow.Table
        From :func:`aiocopick.catalog`, :func:`aiocopick.points` or :func:`aiocopick.changes`.
    target : str or path
        Path or URL of the file.
    **fields
        See :func:`load_table`.
    """
    storage, name = _place_of(target, fields)
    try:
        await storage.write(name, await in_thread(_encode, table))
    finally:
        await storage.aclose()


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


def _decode(data: bytes, path: str) -> pa.Table:
    pa = arrow()
    try:
        return pa.parquet.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError) as error:
        raise FormatError(f"{path} cannot be read as Parquet: {error}", path=path) from error


def _encode(table: pa.Table) -> memoryview:
    buffer = io.BytesIO()
    arrow().parquet.write_table(table, buffer, compression="zstd")
    return buffer.getbuffer()


__all__ = ["load_table", "store_table"]
