"""The catalogue of a project, made by several workers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio

from aiocopick.distributed.jobs import batched, described, exactly, run_names, submitted, threads_of
from aiocopick.entities.root import async_root
from aiocopick.layout.listing import Located
from aiocopick.layout.paths import run_key
from aiocopick.layout.refs import RunRef
from aiocopick.progress import Progress, expect, shown
from aiocopick.tables.catalog import catalog
from aiocopick.tables.rows import TableBuilder, row_of
from aiocopick.tables.schema import arrow, catalog_columns, encode_metadata, metadata_of
from aiocopick.tables.scope import Scope

if TYPE_CHECKING:
    import pyarrow as pa

    from aiocopick.entities import AsyncRoot
    from aiocopick.sync.root import CopickRootFS


@dataclass(frozen=True, slots=True)
class _Job:
    root: AsyncRoot
    names: tuple[str, ...]
    nouns: frozenset[str] | None
    stats: bool
    since: pa.Table | None


async def crawl(
    root: AsyncRoot | CopickRootFS,
    *,
    client: Any,
    kinds: Iterable[str] | None = None,
    runs: str | Iterable[str] | None = None,
    stats: bool = False,
    since: pa.Table | None = None,
    retries: int = 2,
    progress: Progress = None,
) -> pa.Table:
    """Crawl a project with the workers of a Dask cluster.

    Parameters
    ----------
    root : AsyncRoot or CopickRootFS
        The project; workers open it themselves, with the same configuration.
    client : dask.distributed.Client
        Synchronous or asynchronous.
    kinds, runs, stats, since, progress
        See :func:`aiocopick.catalog`.
    retries : int
        Number of retries of a part of the runs that raises. If its worker dies, Dask runs the part on another worker.

    Returns
    -------
    pyarrow.Table
        The same rows in the same order as from :func:`aiocopick.catalog`. Runs whose part failed in all attempts have a
        row with an ``error``.

    Raises
    ------
    CopickError
        The cluster has no worker.
    TypeError
        It is not a root.
    """
    root = async_root(root)
    scope = Scope.of(runs, kinds).whole()
    names = await run_names(root, scope)
    jobs = [
        _Job(root, part, scope.nouns, stats, _part_of(since, part)) for part in batched(names, await threads_of(client))
    ]
    tables: dict[tuple[str, ...], pa.Table] = {}
    with shown(progress, "crawling") as done:
        async with submitted(client, _crawl_part, jobs, name="aiocopick-crawl", retries=retries) as results:
            expect(done, len(names))
            async for job, result in results:
                failed = isinstance(result, BaseException)
                tables[job.names] = _failed(root, job, result) if failed else result
                for name in job.names:
                    if done is not None:
                        done(name)
    ordered = [tables[job.names] for job in jobs]
    # Objects belong to no run, and a project without runs has no parts.
    objects = await catalog(root, kinds, runs=(), stats=stats, since=since)
    merged = arrow().concat_tables([objects, *ordered])
    return merged.replace_schema_metadata(encode_metadata(metadata_of(objects) | scope.to_metadata()))


def _crawl_part(job: _Job) -> pa.Table:
    async def work() -> pa.Table:
        async with job.root as root:
            return await catalog(
                root, job.nouns, runs=exactly(job.names), stats=job.stats, since=job.since, objects=False
            )

    return anyio.run(work)


def _failed(root: AsyncRoot, job: _Job, error: BaseException) -> pa.Table:
    table = TableBuilder(catalog_columns(stats=job.stats))
    for name in job.names:
        located = Located(RunRef(run=name), run_key(name))
        table.add(row_of(located, root.layers[0].name, error=described(error)))
    return table.table({})


def _part_of(since: pa.Table | None, names: tuple[str, ...]) -> pa.Table | None:
    """Return the rows of an earlier catalogue that a part needs, without its origin: a wrong origin is warned about
    only once.
    """
    if since is None:
        return None
    pa = arrow()
    return since.filter(pa.compute.is_in(since["run"], value_set=pa.array(names))).replace_schema_metadata(None)


__all__ = ["crawl"]
