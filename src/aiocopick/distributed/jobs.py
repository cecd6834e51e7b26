"""Jobs on a Dask cluster: cut, sent, and collected as they finish."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from aiocopick.errors import CopickError

Value = TypeVar("Value")

_PARTS_PER_THREAD = 4
_MAX_RUNS_PER_PART = 250
_END: Any = object()


def cut(names: Sequence[str], threads: int) -> list[tuple[str, ...]]:
    """Names in consecutive parts: some for each thread, so that a slow one does not hold up the rest."""
    parts = max(threads * _PARTS_PER_THREAD, -(-len(names) // _MAX_RUNS_PER_PART))
    size = max(1, -(-len(names) // parts))
    return [tuple(names[start : start + size]) for start in range(0, len(names), size)]


async def threads_of(client: Any) -> int:
    """Threads of all workers.

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
    """Run jobs on a cluster; an iterator of (job, result or what it failed with), as they finish.

    A job whose worker dies is run again elsewhere, by Dask; one that raises is run `retries` times more. Leaving the
    block cancels what is not done.

    Parameters
    ----------
    client : dask.distributed.Client
        Synchronous or asynchronous.
    function : callable
        Takes a job.
    jobs : sequence
        Picklable.
    name : str
        What the dashboard shows. Jobs themselves are not part of it, as configurations are in them.
    retries : int
        For jobs that raise.
    """
    from distributed import as_completed

    futures = {
        client.submit(function, job, pure=False, retries=retries, key=f"{name}-{id(jobs):x}-{index}"): job
        for index, job in enumerate(jobs)
    }
    done: Any = as_completed(list(futures), loop=client.loop)  # type: ignore[no-untyped-call]

    async def results() -> AsyncIterator[tuple[Any, Value | BaseException]]:
        while True:
            if client.asynchronous:
                future = await anext(done, _END)
            else:
                future = await anyio.to_thread.run_sync(next, done, _END, abandon_on_cancel=True)
            if future is _END:
                return
            yield futures.pop(future), await _outcome(client, future)
            # Results stay in the workers' memory for as long as somebody holds the future.
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
    """Type and message of an error, and of what caused it: Dask hides why a job could not be started."""
    text = f"{type(error).__name__}: {error}"
    return text if error.__cause__ is None else f"{text} ({described(error.__cause__)})"
