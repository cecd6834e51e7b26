"""Work in threads: what computes runs in a few of them, never on the event loop."""

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
    """Threads that really run side by side."""
    return os.cpu_count() or 1


_LARGE = 32 * 1024


async def in_thread(function: Callable[..., Value], *args: Any) -> Value:
    """Run CPU work in one of a few threads.

    At most as many run at once, per event loop, as there are processors: more would only take turns. Work that has
    begun is not stopped by a cancellation.
    """
    try:
        limiter = _threads.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(max(2, processors()))
        _threads.set(limiter)
    return await anyio.to_thread.run_sync(function, *args, limiter=limiter)


async def in_thread_if_large(size: int, function: Callable[..., Value], *args: Any) -> Value:
    """Run work on so many bytes at once if they are few, in a thread if a hop there is quicker than the work."""
    return await in_thread(function, *args) if size > _LARGE else function(*args)


async def in_thread_to_the_end(
    function: Callable[..., Value], *args: Any, limiter: anyio.CapacityLimiter | None = None
) -> Value:
    """Run something in a thread that must not go on after the call: a cancelled caller still waits for its end.

    anyio's shield alone keeps out its own cancellations, but not those of `asyncio.Task.cancel` and `asyncio.timeout`.
    """
    return await to_the_end(anyio.to_thread.run_sync(function, *args, limiter=limiter))


async def to_the_end(work: Awaitable[Value]) -> Value:
    """Await something that a cancelled caller still waits for, so that it is done when the call is over."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        # Whether it succeeded or failed, nobody is left to be told.
        task.exception()
        raise cancelled
    return task.result()
