"""Jobs on a Dask cluster: what they are about, split, sent, and collected as they finish."""

from __future__ import annotations

import glob
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread

from aiocopick.entities import AsyncRoot
from aiocopick.errors import CopickError
from aiocopick.extras import optional

if TYPE_CHECKING:
    from aiocopick.tables.scope import Scope


async def run_names(root: AsyncRoot, scope: Scope) -> list[str]:
    """Return the names of the runs in a scope, in order; they are listed, unless all are given by name.

    Runs given by name are included even if they do not exist: a crawl reports each of them.
    """
    given = (scope.runs,) if isinstance(scope.runs, str) else scope.runs or ()
    exact = {name for name in given if glob.escape(name) == name}
    if scope.runs is not None and len(exact) == len(given):
        return sorted(exact)
    return sorted(exact.union(run.name for run in await root.query() if scope.holds_run(run.name)))


def exactly(names: Iterable[str]) -> list[str]:
    """Return names that a crawl takes literally: a name that looks like a glob must not match others."""
    return [glob.escape(name) for name in names]


Value = TypeVar("Value")

_PARTS_PER_THREAD = 4
_MAX_RUNS_PER_PART = 250
_END: Any = object()


def batched(names: Sequence[str], threads: int) -> list[tuple[str, ...]]:
    """Split names into consecutive parts: several per thread, so that a slow part does not delay the rest."""
    parts = max(threads * _PARTS_PER_THREAD, -(-len(names) // _MAX_RUNS_PER_PART))
    size = max(1, -(-len(names) // parts))
    return [tuple(names[start : start + size]) for start in range(0, len(names), size)]


async def threads_of(client: Any) -> int:
    """Return the number of threads of all workers.

    Raises
    ------
    CopickError
        The cluster has no worker.
    """
    if client.asynchronous:
        counts = await client.nthreads()
    else:
        counts = await anyio.to_thread.run_sync(client.nthreads)
    if not counts:
        raise CopickError(
            "The Dask cluster has no worker: start some, or wait for them with client.wait_for_workers()."
        )
    return sum(counts.values())


@asynccontextmanager
async def submitted(
    client: Any, function: Callable[..., Value], jobs: Sequence[Any], *, name: str, retries: int
) -> AsyncIterator[AsyncIterator[tuple[Any, Value | BaseException]]]:
    """Run jobs on a cluster; return an iterator of (job, result or error), as they finish.

    Dask runs a job again on another worker if its worker dies; a job that raises is run `retries` more times. Leaving
    the block cancels unfinished jobs.

    Parameters
    ----------
    client : dask.distributed.Client
        Synchronous or asynchronous.
    function : callable
        Takes a job.
    jobs : sequence
        Picklable.
    name : str
        Name in the dashboard. It does not contain the jobs, because these hold configurations.
    retries : int
        Number of retries of a job that raises.
    """
    as_completed = optional("distributed", "Work on Dask").as_completed
    futures = {
        client.submit(function, job, pure=False, retries=retries, key=f"{name}-{id(jobs):x}-{index}"): job
        for index, job in enumerate(jobs)
    }
    done: Any = as_completed(list(futures), loop=client.loop)

    async def results() -> AsyncIterator[tuple[Any, Value | BaseException]]:
        while True:
            if client.asynchronous:
                future = await anext(done, _END)
            else:
                future = await anyio.to_thread.run_sync(next, done, _END, abandon_on_cancel=True)
            if future is _END:
                return
            yield futures.pop(future), await _outcome(client, future)
            # Results stay in the workers' memory as long as a future exists.
            future.release()

    try:
        yield results()
    finally:
        cancelled = client.cancel(list(futures)) if futures else None
        if cancelled is not None and client.asynchronous:
            with anyio.CancelScope(shield=True):
                await cancelled


async def _outcome(client: Any, future: Any) -> Any:
    if client.asynchronous:
        if future.status == "error":
            return await future.exception()
        return await future.result()
    ask = future.exception if future.status == "error" else future.result
    return await anyio.to_thread.run_sync(ask, abandon_on_cancel=True)


def described(error: BaseException) -> str:
    """Return type and message of an error, and of its cause: Dask hides the reason why a job could not be started."""
    text = f"{type(error).__name__}: {error}"
    return text if error.__cause__ is None else f"{text} ({described(error.__cause__)})"
