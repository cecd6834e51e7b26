"""The points of many picks as one table: a row per point."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.fan_out import stream
from aiocopick.entities.root import async_root
from aiocopick.errors import CopickError
from aiocopick.progress import Progress, by_item, shown
from aiocopick.tables.rows import row_of, version_of
from aiocopick.tables.schema import (
    POINT_COLUMNS,
    arrow,
    encode_metadata,
    metadata_of,
    require_columns,
    schema_of,
    warn_of_other_project,
)
from aiocopick.tables.select import OnError, select

if TYPE_CHECKING:
    import pyarrow as pa

    from aiocopick.entities import AsyncPicks, AsyncRoot

_READS_AT_ONCE = 64


async def points(
    root: AsyncRoot,
    uri: str | Iterable[str] = "*",
    *,
    runs: str | Iterable[str] | None = None,
    since: pa.Table | None = None,
    on_error: OnError = "raise",
    progress: Progress = None,
) -> pa.Table:
    """Return the points of picks across runs, one row each.

    Parameters
    ----------
    root : AsyncRoot
        The project.
    uri : str or iterable of str
        The picks to read, as for :func:`aiocopick.select`.
    runs : str or iterable of str, optional
        A glob, or names.
    since : pyarrow.Table, optional
        An earlier table of points: the rows of picks that did not change since (etag, else size and time) are taken
        from it, and the files are not read again. A table of another URL gives a warning.
    on_error : "raise" or "skip"
        Handling of a run or file that cannot be read; skipped ones are listed under ``errors`` in the metadata.
    progress : callable or bool
        Called with the key of each picks file; True shows a bar, which counts runs.

    Returns
    -------
    pyarrow.Table
        Columns ``run object_name user_id session_id x y z transform instance_id score``: the location in angstrom, the
        4x4 of the transformation row by row (its translation, in angstrom, is not added to the location), the instance
        id (0 is none, null where the file says so), the score (null where the file says so, and in files without
        scores). The metadata key ``aiocopick`` holds, as JSON, the version of each file, which `since` compares.

    Raises
    ------
    InvalidNameError
        It is not a URI of picks.
    FormatError
        `since` is not a table of points; or a file cannot be decoded.
    """
    root = async_root(root)
    # The stored points, not those set in memory since.
    selection = select(root._apart(), uri, runs, kinds="picks", on_error=on_error)
    earlier = _Earlier(since)
    if since is not None:
        warn_of_other_project(since, root.url, "The earlier table of points")

    async def read(picks: AsyncPicks) -> pa.Table:
        key, version = _version(picks)
        known = earlier.rows(key, version)
        return await _read(picks) if known is None else known

    tables: list[pa.Table] = []
    files: dict[str, Any] = {}
    errors: dict[str, str] = {}
    with shown(progress, "reading") as given:
        selection._progress, report = by_item(given)
        async with selection as found, stream(read, _each(found), limit=_READS_AT_ONCE, ordered=True) as results:
            async for picks, result in results:
                key, version = _version(picks)
                if isinstance(result, CopickError):
                    if on_error == "raise":
                        raise result
                    errors[key] = str(result)
                    continue
                tables.append(result)
                files[key] = [version, result.num_rows]
                if report is not None:
                    report(key)
    errors |= {run: str(error) for run, error in selection.errors.items()}
    merged = arrow().concat_tables([schema_of(POINT_COLUMNS).empty_table(), *tables]).combine_chunks()
    return merged.replace_schema_metadata(encode_metadata({"url": root.url, "files": files, "errors": errors}))


async def _each(found: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for picks in found:
        yield picks


def _version(picks: AsyncPicks) -> tuple[str, str | None]:
    """Return layer and key of a file, and its version as text."""
    source = picks.sources[0]
    version = version_of(row_of(source.located, source.layer.name))
    return f"{source.layer.name}:{source.located.key}", None if version is None else "/".join(map(str, version))


async def _read(picks: AsyncPicks) -> pa.Table:
    pa = arrow()
    positions, transforms = await picks.numpy()
    _, scores = await picks.to_numpy()
    count = len(positions)
    schema = schema_of(POINT_COLUMNS)
    names = {
        "run": picks.run.name,
        "object_name": picks.pickable_object_name,
        "user_id": picks.user_id,
        "session_id": picks.session_id,
    }
    columns = [pa.array([name] * count, type=pa.string()) for name in names.values()]
    columns += [pa.array(positions[:, axis]) for axis in range(3)]
    columns.append(pa.FixedSizeListArray.from_arrays(pa.array(transforms.reshape(-1)), 16))
    held = await picks._columns()
    columns.append(pa.array(held.ids(), mask=held.are_null("instance_id")))
    # A null score in a file with other scores is NaN in the array, and null in the table.
    columns.append(pa.nulls(count, pa.float64()) if scores is None else pa.array(scores, from_pandas=True))
    return pa.table([column.cast(field.type) for column, field in zip(columns, schema, strict=True)], schema=schema)


class _Earlier:
    """An earlier table, by file."""

    def __init__(self, table: pa.Table | None) -> None:
        self._table = table
        self._files: dict[str, tuple[str | None, int, int]] = {}
        if table is None:
            return
        require_columns(table, POINT_COLUMNS, "The earlier table of points", "aiocopick.points()")
        start = 0
        for key, (version, count) in metadata_of(table).get("files", {}).items():
            self._files[key] = (version, start, count)
            start += count
        if start != table.num_rows:
            # The table was filtered, so the rows of a file are unknown.
            self._files = {}

    def rows(self, key: str, version: str | None) -> pa.Table | None:
        """Return the rows of a file, if the table holds the given version."""
        known, start, count = self._files.get(key, (None, 0, 0))
        if self._table is None or version is None or version != known:
            return None
        return self._table.slice(start, count).select(list(POINT_COLUMNS)).replace_schema_metadata(None)


__all__ = ["points"]
