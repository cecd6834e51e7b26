"""Columns of the tables, and the project that a table was made from. pyarrow is imported when a table is made, not before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.caller import warn
from aiocopick.errors import FormatError, InvalidNameError
from aiocopick.extras import optional
from aiocopick.storage.keys import parse_root

if TYPE_CHECKING:
    import pyarrow as pa


METADATA_KEY = b"aiocopick"
VERSION = 1

REF_COLUMNS = {
    "run": "string",
    "kind": "string",
    "voxel_size": "float64",
    "tomo_type": "string",
    "feature_type": "string",
    "object_name": "string",
    "name": "string",
    "user_id": "string",
    "session_id": "string",
    "is_multilabel": "bool",
    "is_instance": "bool",
    "is_panoptic": "bool",
}
"""Columns that identify an entity; null if not applicable, such as `run` for objects. Voxel sizes are in angstrom."""

PLACE_COLUMNS = {
    "layer": "string",
    "key": "string",
    "size": "int64",
    "etag": "string",
    "modified": "timestamp",
}
"""Location and version of an entity; size (bytes), etag and modified (UTC) are null for directories."""

STATS_COLUMNS = {
    "points": "int64",
    "score_min": "float64",
    "score_max": "float64",
    "faces": "int64",
    "shape": "int64s",
    "dtype": "string",
    "levels": "int64",
}
"""Statistics of the files: points and scores of picks and filaments, faces of meshes, shape and levels of volumes."""

ERROR_COLUMN = {"error": "string"}
"""Reason why a run could not be listed (in the row of the run) or a file not be read (in its own row); else null."""

POINT_COLUMNS = {
    "run": "string",
    "object_name": "string",
    "user_id": "string",
    "session_id": "string",
    "x": "float64",
    "y": "float64",
    "z": "float64",
    "transform": "float64s16",
    "instance_id": "int64",
    "score": "float64",
}
"""Columns of a point: its location in angstrom, the 4x4 of its transformation in rows, and a null score if it has
none.
"""


def arrow() -> Any:
    """Return the pyarrow module, including its compute functions and Parquet support.

    Raises
    ------
    MissingPackageError
        pyarrow is not installed.
    """
    for part in ("compute", "parquet"):
        optional(f"pyarrow.{part}", "A table")
    return optional("pyarrow", "A table")


def schema_of(columns: Mapping[str, str], metadata: Mapping[str, Any] | None = None) -> pa.Schema:
    """Return an Arrow schema of the columns above; `metadata` is stored as JSON."""
    pa = arrow()
    types = {
        "timestamp": pa.timestamp("us", tz="UTC"),
        "int64s": pa.list_(pa.int64()),
        "float64s16": pa.list_(pa.float64(), 16),
        "string": pa.string(),
        "float64": pa.float64(),
        "int64": pa.int64(),
        "bool": pa.bool_(),
    }
    schema = pa.schema([(name, types[kind]) for name, kind in columns.items()])
    return schema if metadata is None else schema.with_metadata(encode_metadata(metadata))


def catalog_columns(*, stats: bool = False) -> dict[str, str]:
    """Return the columns of a catalogue."""
    return REF_COLUMNS | PLACE_COLUMNS | (STATS_COLUMNS if stats else {}) | ERROR_COLUMN


def encode_metadata(metadata: Mapping[str, Any]) -> dict[bytes, bytes]:
    """Return metadata of ours in the form of Arrow and Parquet."""
    return {METADATA_KEY: json.dumps({"version": VERSION, **metadata}).encode()}


def metadata_of(table: pa.Table) -> dict[str, Any]:
    """Return the metadata that :func:`encode_metadata` wrote; empty if there is none.

    Raises
    ------
    FormatError
        It is not a JSON object.
    """
    raw = (table.schema.metadata or {}).get(METADATA_KEY)
    if raw is None:
        return {}
    try:
        content = json.loads(raw)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise FormatError("The metadata of the table is not a JSON object; make the table again.")
    return content


def require_columns(table: pa.Table, columns: Iterable[str], what: str, maker: str = "aiocopick.catalog()") -> None:
    """Refuse a table without the expected columns.

    Raises
    ------
    FormatError
        A column is missing.
    """
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise FormatError(f"{what} has no column {missing[0]!r}; make it with {maker}.", path=what)


# --- the project that a table was made from ---------------------------------------------------------------------------


def warn_of_other_project(earlier: pa.Table, url: str, what: str) -> None:
    """Warn if an earlier table was made from a project at another URL.

    This is not an error: a project may have moved or have several names, and only files of the same name and version
    are taken from the table. A table without a known origin is accepted without a warning.

    Parameters
    ----------
    earlier : pyarrow.Table
        The table given as `since`.
    url : str
        URL of the project that is crawled.
    what : str
        The beginning of the message.
    """
    origin = metadata_of(earlier).get("url")
    if isinstance(origin, str) and origin != url and _place(origin) != _place(url):
        warn(
            f"{what} was made of {origin}, and this is {url}: files of the same name and version count as unchanged; "
            "leave it out unless both are the same project.",
        )


def _place(url: str) -> object:
    """Return the location that a URL names, independent of the spelling of its protocol and its end."""
    try:
        root = parse_root(url)
    except InvalidNameError:
        return url
    return (root.protocol, root.location)


def as_written(table: pa.Table, columns: Mapping[str, str], what: str, maker: str = "aiocopick.catalog()") -> pa.Table:
    """Return the columns of a table in our types: other programs write texts as categories, or in large strings.

    Raises
    ------
    FormatError
        A column is missing, or has values of another kind.
    """
    require_columns(table, columns, what, maker)
    pa = arrow()
    wanted = schema_of(columns)
    table = table.select(list(columns))
    for at, field in enumerate(wanted):
        column = table.column(at)
        if column.type.equals(field.type):
            continue
        # A number is no text: as one, it would name another entity.
        values = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        is_text = pa.types.is_string(values) or pa.types.is_large_string(values) or pa.types.is_string_view(values)
        try:
            if pa.types.is_string(field.type) and not (is_text or pa.types.is_null(values)):
                raise pa.ArrowInvalid(f"it has {column.type}")
            table = table.set_column(at, field, column.cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise FormatError(
                f"{what} has other values than {columns[field.name]} in its column {field.name!r} ({error}); make it with "
                f"{maker}.",
                path=what,
            ) from None
    return table


__all__ = [
    "ERROR_COLUMN",
    "PLACE_COLUMNS",
    "POINT_COLUMNS",
    "REF_COLUMNS",
    "STATS_COLUMNS",
    "arrow",
    "as_written",
    "catalog_columns",
    "encode_metadata",
    "metadata_of",
    "require_columns",
    "schema_of",
    "warn_of_other_project",
]
