"""Work in threads: CPU work runs in a few threads, never on the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar

Value = TypeVar("Value")

_threads: RunVar[anyio.CapacityLimiter] = RunVar("aiocopick_threads")


def processors() -> int:
    """Return the number of threads that can run in parallel."""
    return os.cpu_count() or 1


_LARGE = 32 * 1024


async def in_thread(function: Callable[..., Value], *args: Any) -> Value:
    """Run CPU work in one of a few threads.

    At most one thread per processor runs for each event loop: more threads would only take turns. Work that has
    begun is not stopped by a cancellation.
    """
    try:
        limiter = _threads.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(max(2, processors()))
        _threads.set(limiter)
    return await anyio.to_thread.run_sync(function, *args, limiter=limiter)


async def in_thread_if_large(size: int, function: Callable[..., Value], *args: Any) -> Value:
    """Run work directly if it concerns few bytes, else in a thread if the switch is quicker than the work."""
    return await in_thread(function, *args) if size > _LARGE else function(*args)


async def in_thread_shielded(
    function: Callable[..., Value], *args: Any, limiter: anyio.CapacityLimiter | None = None
) -> Value:
    """Run a function in a thread and wait for its end, also if the caller is cancelled.

    anyio's shield stops only anyio's own cancellations, but not those of `asyncio.Task.cancel` and `asyncio.timeout`.
    """
    return await shielded(anyio.to_thread.run_sync(function, *args, limiter=limiter))


async def shielded(work: Awaitable[Value]) -> Value:
    """Await work to its end, also if the caller is cancelled."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        # Success or failure does not matter: the caller is cancelled and gets no result.
        task.exception()
        raise cancelled
    return task.result()
