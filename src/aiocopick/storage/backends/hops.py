"""Calls in threads that their caller can leave at its deadline.

A disk that does not answer (a dead mount, a sync that hangs) blocks a thread for good: no thread can be stopped. So the
caller goes on without it. The thread still counts towards the limit of threads,
and changes nothing if it continues later.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Generic, TypeVar

import anyio
import anyio.to_thread

from aiocopick.concurrency.forks import Lock
from aiocopick.storage.retries import operation_deadline

Value = TypeVar("Value")

_current: ContextVar[_Call[Any] | None] = ContextVar("aiocopick_hop", default=None)


class LeftError(Exception):
    """The caller has gone: its call ended with a timeout."""


def raise_if_left() -> None:
    """Stop a call in a thread before it changes something, if its caller has gone."""
    call = _current.get()
    if call is not None and call.left:
        raise LeftError


class Hops:
    """A limited number of threads.

    Parameters
    ----------
    threads : int
        At most so many calls are under way, those that were left included.
    """

    def __init__(self, threads: int) -> None:
        self._limiter = anyio.CapacityLimiter(threads)
        self._bounded_above = anyio.CapacityLimiter(math.inf)

    async def look(self, function: Callable[..., Value], *args: Any) -> Value:
        """Run a function that changes nothing: a cancelled caller leaves it at once."""
        call = await self._enter(function, args)
        try:
            return await self._run(call)
        finally:
            self._leave(call)

    async def change(self, function: Callable[..., Value], *args: Any) -> Value:
        """Run a function that must not continue after the call: a cancelled caller waits for its end, until the
        deadline.

        anyio's shield alone keeps out its own cancellations, but not those of `asyncio.Task.cancel`.

        Raises
        ------
        TimeoutError
            At the deadline of the operation.
        """
        deadline = operation_deadline.get()
        call = await self._enter(function, args)
        task = asyncio.ensure_future(self._run(call))
        cancelled: asyncio.CancelledError | None = None
        try:
            with anyio.CancelScope(shield=True):
                while not task.done():
                    left = deadline - anyio.current_time()
                    if left <= 0:
                        break
                    try:
                        await asyncio.wait([task], timeout=None if left == math.inf else left)
                    except asyncio.CancelledError as error:
                        cancelled = error
                late = not task.done()
                if late:
                    call.left = True
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await asyncio.wait([task])
        finally:
            self._leave(call)
        if cancelled is not None:
            # The result, or the error, is not wanted any more.
            if not task.cancelled():
                task.exception()
            raise cancelled
        if late and (task.cancelled() or isinstance(task.exception(), LeftError)):
            raise TimeoutError
        return task.result()

    async def _enter(self, function: Callable[..., Value], args: tuple[Any, ...]) -> _Call[Value]:
        call = _Call(function, args, self._limiter)
        await self._limiter.acquire_on_behalf_of(call)
        return call

    async def _run(self, call: _Call[Value]) -> Value:
        return await anyio.to_thread.run_sync(call.run, abandon_on_cancel=True, limiter=self._bounded_above)

    def _leave(self, call: _Call[Any]) -> None:
        if call.leave():
            self._limiter.release_on_behalf_of(call)


class _Call(Generic[Value]):
    __slots__ = ("__weakref__", "_args", "_function", "_gone", "_limiter", "_loop", "_running", "left")

    def __init__(self, function: Callable[..., Value], args: tuple[Any, ...], limiter: anyio.CapacityLimiter) -> None:
        self._function = function
        self._args = args
        self._limiter = limiter
        self._loop = asyncio.get_running_loop()
        self._running = False
        self._gone = False
        self.left = False

    def run(self) -> Value:
        """Call the function, in a thread."""
        with _lock:
            # It may have left before a thread was found.
            self._running = not self.left
        if not self._running:
            raise LeftError
        _current.set(self)
        try:
            return self._function(*self._args)
        finally:
            with _lock:
                self._running = False
                late = self._gone
            if late:
                # The loop may be closed by now.
                with suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._limiter.release_on_behalf_of, self)

    def leave(self) -> bool:
        """Note that the caller has gone; return if the thread has, too: whichever goes last gives the place back."""
        with _lock:
            self.left = self._gone = True
            return not self._running


_lock = Lock()
