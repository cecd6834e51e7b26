"""A project as one table: a row per entity."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.fan_out import stream
from aiocopick.entities.crawl import Crawl
from aiocopick.entities.root import async_root
from aiocopick.errors import CopickError
from aiocopick.layout.paths import OBJECTS
from aiocopick.progress import Progress
from aiocopick.tables.held import held, is_listed, stored_objects
from aiocopick.tables.rows import TableBuilder, row_of, rows_of, version_of
from aiocopick.tables.schema import REF_COLUMNS, STATS_COLUMNS, catalog_columns, require_columns, warn_of_other_project
from aiocopick.tables.scope import Scope
from aiocopick.tables.stats import stats_of

if TYPE_CHECKING:
    import pyarrow as pa

    from aiocopick.entities import AsyncRoot, AsyncRun
    from aiocopick.entities.base import AsyncEntity

_READS_AT_ONCE = 64


async def catalog(
    root: AsyncRoot,
    kinds: Iterable[str] | None = None,
    *,
    runs: str | Iterable[str] | None = None,
    stats: bool = False,
    since: pa.Table | None = None,
    objects: bool | None = None,
    progress: Progress = None,
) -> pa.Table:
    """Crawl a project into a table with a row per entity.

    Parameters
    ----------
    root : AsyncRoot
        The project.
    kinds : iterable of str, optional
        Plural nouns, as for ``root.crawl()``. Runs always have their rows, and with tomograms or feature maps voxel
        spacings and both of them do. None means everything, the objects of the project that have a density map
        included.
    runs : str or iterable of str, optional
        A glob, or names.
    stats : bool
        Also read every file, and the metadata of every volume, for the columns ``points``, ``score_min``,
        ``score_max``, ``faces``, ``shape``, ``dtype`` and ``levels``.
    since : pyarrow.Table, optional
        An earlier catalogue with statistics: files that did not change since (etag, else size and time) are not read
        again. Volumes have no version in a listing, so they are read again. A catalogue of another URL gives a warning.
    objects : bool, optional
        List the objects of the project; by default only if `kinds` is None.
    progress : callable or bool
        Called with the name of each run, as for ``root.crawl()``; True shows a bar.

    Returns
    -------
    pyarrow.Table
        Columns ``run kind voxel_size tomo_type feature_type object_name name user_id session_id is_multilabel
        is_instance is_panoptic layer key size etag modified``, with `stats` those above, and ``error``: the reason why a run
        could not be listed, or a file not be read. If the objects cannot be listed, each layer has a row of kind
        ``object`` without a name that says so. Null if a column does not apply. Voxel sizes in angstrom, sizes in bytes.

    Raises
    ------
    InvalidNameError
        A kind does not exist.
    """
    root = async_root(root)
    scope = Scope.of(runs, kinds).whole()
    known: dict[tuple[Any, ...], tuple[Any, dict[str, Any]]] = {}
    if since is not None:
        warn_of_other_project(since, root.url, "The earlier catalogue")
        known = _known_stats(since)
    table = TableBuilder(catalog_columns(stats=stats))
    with_objects = scope.nouns is None if objects is None else objects

    async def fill(item: tuple[dict[str, Any], AsyncEntity | None]) -> dict[str, Any]:
        row, entity = item
        if entity is None:
            return row
        return row | await _read(entity, row, known)

    # The crawl is entered here and not in `_rows`: the readers below take turns on that generator, and a task group has
    # to be
    # left by the task that entered it.
    async with Crawl(root._apart(), scope.runs, scope.nouns, progress=progress, details=True) as found:
        rows = _rows(root if with_objects else None, found, scope)
        if stats:
            async with stream(fill, rows, limit=_READS_AT_ONCE, ordered=True) as filled:
                async for _, row in filled:
                    if isinstance(row, CopickError):
                        raise row
                    table.add(row)
        else:
            async for row, _ in rows:
                table.add(row)
    return table.table({"url": root.url, "stats": stats} | scope.to_metadata())


async def _rows(
    root: AsyncRoot | None, found: AsyncIterator[AsyncRun], scope: Scope
) -> AsyncIterator[tuple[dict[str, Any], AsyncEntity | None]]:
    """Yield rows without statistics, and their entities."""
    if root is not None:
        try:
            objects = await stored_objects(root)
        except CopickError as error:
            # As for a run, the rest of the catalogue is worth having.
            for layer in root.layers:
                yield {"kind": "object", "layer": layer.name, "key": OBJECTS, "error": str(error)}, None
        else:
            for item in objects:
                yield _row(item), item
    async for run in found:
        row = _row(run)
        yield row if run.error is None else row | {"error": str(run.error)}, None
        if run.error is None or is_listed(run):
            for entity in await held(run, scope.nouns):
                yield _row(entity), entity


def _row(entity: AsyncEntity) -> dict[str, Any]:
    source = entity.sources[0]
    return row_of(source.located, source.layer.name)


async def _read(
    entity: AsyncEntity, row: dict[str, Any], known: dict[tuple[Any, ...], tuple[Any, dict[str, Any]]]
) -> dict[str, Any]:
    version, stats = known.get(_identity(row), (None, {}))
    if version is not None and version == version_of(row):
        return stats
    try:
        return await stats_of(entity)
    except CopickError as error:
        return {"error": str(error)}


def _known_stats(since: pa.Table) -> dict[tuple[Any, ...], tuple[Any, dict[str, Any]]]:
    """Return version and statistics of the files of an earlier catalogue, as far as they were read."""
    require_columns(since, catalog_columns(), "The earlier catalogue")
    if any(name not in since.column_names for name in STATS_COLUMNS):
        return {}
    return {
        _identity(row): (version_of(row), {name: row[name] for name in STATS_COLUMNS if row[name] is not None})
        for row in rows_of(since)
        if version_of(row) is not None and any(row[name] is not None for name in STATS_COLUMNS)
    }


def _identity(row: dict[str, Any]) -> tuple[Any, ...]:
    return (row["layer"], *(row.get(name) for name in REF_COLUMNS))


__all__ = ["catalog"]
