"""A function of a run, applied to every run by several workers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio

from aiocopick.concurrency.fan_out import stream
from aiocopick.distributed.jobs import batched, described, exactly, run_names, submitted, threads_of
from aiocopick.entities.root import async_root
from aiocopick.progress import Progress, expect, shown
from aiocopick.tables.schema import arrow
from aiocopick.tables.scope import Scope

if TYPE_CHECKING:
    import pyarrow as pa

    from aiocopick.entities import AsyncRoot, AsyncRun
    from aiocopick.sync.root import CopickRootFS

_RUNS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class MappedRuns:
    """The result of :func:`map_runs`.

    Parameters
    ----------
    table : pyarrow.Table
        All rows, in the order of the runs, the name of the run in the first column ``run``.
    errors : dict of str to str
        Runs without rows because of an error, and the type and message of the error.
    """

    table: pa.Table
    errors: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Job:
    root: AsyncRoot
    names: tuple[str, ...]
    function: Callable[[AsyncRun], Awaitable[Any]]
    nouns: frozenset[str] | None
    load: frozenset[str]


async def map_runs(
    root: AsyncRoot | CopickRootFS,
    function: Callable[[AsyncRun], Awaitable[Any]],
    *,
    client: Any,
    runs: str | Iterable[str] | None = None,
    kinds: Iterable[str] | None = None,
    load: Iterable[str] = (),
    retries: int = 2,
    progress: Progress = None,
) -> MappedRuns:
    """Await a function of each run on the workers of a Dask cluster.

    Parameters
    ----------
    root : AsyncRoot or CopickRootFS
        The project; workers open it themselves, with the same configuration.
    function : coroutine function
        Takes an AsyncRun as a crawl yields it and returns its rows: a pyarrow Table or RecordBatch, a list of dicts, a
        dict, or None. It is sent to the workers, so it must be picklable (Dask takes lambdas and closures as well).
    client : dask.distributed.Client
        Synchronous or asynchronous.
    runs, kinds, load
        Runs to visit, kinds to list, and files to read before the function is called, as for ``root.crawl()``.
    retries : int
        Number of retries of a part of the runs that fails on a worker. An error of the function is not retried: it is
        reported for its run.
    progress : callable, optional
        Called with the name of each run that is done.

    Returns
    -------
    MappedRuns

    Raises
    ------
    CopickError
        The cluster has no worker.
    InvalidNameError
        A kind does not exist.
    ValueError
        Something cannot be loaded by a crawl.
    TypeError
        It is not a root.
    """
    root = async_root(root)
    scope = Scope.of(runs, kinds)
    # An argument that a crawl refuses would be refused by every worker for every run.
    root.crawl(runs=(), kinds=scope.nouns, load=load)
    names = await run_names(root, scope)
    loaded = frozenset((load,) if isinstance(load, str) else load)
    parts = batched(names, await threads_of(client))
    jobs = [_Job(root, part, function, scope.nouns, loaded) for part in parts]
    tables: dict[tuple[str, ...], pa.Table] = {}
    errors: dict[str, str] = {}
    with shown(progress, "working") as done:
        async with submitted(client, _map_part, jobs, name="aiocopick-map", retries=retries) as results:
            expect(done, len(names))
            async for job, result in results:
                if isinstance(result, BaseException):
                    errors.update(dict.fromkeys(job.names, described(result)))
                else:
                    tables[job.names], failed = result
                    errors.update(failed)
                for name in job.names:
                    if done is not None:
                        done(name)
    ordered = [tables[job.names] for job in jobs if job.names in tables]
    return MappedRuns(_merged(ordered), dict(sorted(errors.items())))


def _map_part(job: _Job) -> tuple[pa.Table, dict[str, str]]:
    return anyio.run(_map_runs, job)


async def _map_runs(job: _Job) -> tuple[pa.Table, dict[str, str]]:
    async def apply(run: AsyncRun) -> pa.Table | str:
        if run.error is not None:
            return described(run.error)
        try:
            return _as_table(run.name, await job.function(run))
        except Exception as error:
            # An error of the function in one run must not affect the others.
            return described(error)

    tables: list[pa.Table] = []
    errors: dict[str, str] = {}
    async with (
        job.root as root,
        root.crawl(runs=exactly(job.names), kinds=job.nouns, load=job.load) as found,
        stream(apply, found, limit=_RUNS_AT_ONCE, ordered=True) as results,
    ):
        async for run, result in results:
            if isinstance(result, str):
                errors[run.name] = result
            else:
                tables.append(result)
    return _merged(tables), errors


def _as_table(run: str, rows: Any) -> pa.Table:
    """Return the rows of a run as a table whose first column is `run`."""
    pa = arrow()
    if rows is None:
        rows = []
    if isinstance(rows, dict):
        rows = [rows]
    if isinstance(rows, list):
        rows = pa.Table.from_pylist(rows)
    elif isinstance(rows, pa.RecordBatch):
        rows = pa.Table.from_batches([rows])
    if not isinstance(rows, pa.Table):
        raise TypeError(f"the function returned {type(rows).__name__}; rows are a Table, a RecordBatch, dicts or None")
    if "run" in rows.column_names:
        rows = rows.drop_columns(["run"])
    return rows.add_column(0, "run", pa.array([run] * rows.num_rows, type=pa.string()))


def _merged(tables: list[pa.Table]) -> pa.Table:
    pa = arrow()
    with_rows = [table for table in tables if table.num_rows]
    if not with_rows:
        return pa.table({"run": pa.array([], type=pa.string())})
    # A column may hold integers in one run, and floats or nothing in another.
    return pa.concat_tables(with_rows, promote_options="permissive")


__all__ = ["MappedRuns", "map_runs"]
