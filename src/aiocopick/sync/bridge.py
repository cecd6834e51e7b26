"""The way from blocking code to coroutines: one event loop on one daemon thread, for the whole process.

The thread starts at the first call. anyio's blocking portal is not used because, left open, it hangs at exit and after
a fork, and because its calls go on after Ctrl-C.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar

from aiocopick.concurrency.caller import CALLING_THREAD
from aiocopick.concurrency.forks import Lock

P = ParamSpec("P")
T = TypeVar("T")

CANCEL_SECONDS = 5.0
"""Seconds that an interrupted call waits for its coroutine to clean up."""


def call(function: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a coroutine function on the facade's loop and wait for its result, from any thread.

    The caller's context variables are visible inside. Whatever interrupts the wait (Ctrl-C, a signal handler that
    raises) cancels the coroutine and waits up to five seconds for it to end.

    Raises
    ------
    RuntimeError
        When called on the facade's own loop, which would wait for itself for ever.
    BaseException
        Whatever the coroutine raised, a cancellation included.
    """
    thread = _running_thread()
    if threading.get_ident() == thread.ident:
        raise RuntimeError(
            "a blocking aiocopick call was made on the loop that serves blocking calls; "
            "await the async twin instead (every facade object has it as .aio)"
        )
    pending = _Call(function, args, kwargs)
    try:
        thread.loop.call_soon_threadsafe(pending.start, thread.loop)
        pending.done.wait()
    except BaseException:
        pending.abandoned = True
        thread.loop.call_soon_threadsafe(pending.cancel, thread.loop)
        pending.done.wait(CANCEL_SECONDS)
        raise
    error, pending.error = pending.error, None
    if error is not None:
        try:
            raise error
        finally:
            del error  # its traceback refers to this frame: break the cycle
    return pending.result  # type: ignore[no-any-return]


class _Call:
    """One call under way: filled in on the loop, waited for by the caller."""

    __slots__ = ("abandoned", "arguments", "context", "done", "error", "function", "result", "task")

    def __init__(self, function: Callable[..., Coroutine[Any, Any, Any]], args: Any, kwargs: Any) -> None:
        self.function = function
        self.arguments = (args, kwargs)
        self.context = copy_context()
        self.context.run(CALLING_THREAD.set, threading.get_ident())
        self.done = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None
        self.task: asyncio.Task[None] | None = None
        self.abandoned = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.abandoned:
            self.done.set()
        else:
            self.task = loop.create_task(self._run(), context=self.context)

    def cancel(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.task is not None:
            # One turn later: a task cancelled before its first step would never enter `_run`.
            loop.call_soon(self.task.cancel)

    async def _run(self) -> None:
        args, kwargs = self.arguments
        try:
            self.result = await self.function(*args, **kwargs)
        except BaseException as error:
            # All of them: a KeyboardInterrupt that escaped would end the loop for everybody.
            self.error = error
        finally:
            self.done.set()


class _LoopThread(threading.Thread):
    """The thread and its loop. A daemon, so that leaving it running never keeps the process alive."""

    def __init__(self) -> None:
        super().__init__(name="aiocopick", daemon=True)
        self.loop: asyncio.AbstractEventLoop
        self._ready = threading.Event()
        self._finished: asyncio.Event

    def run(self) -> None:
        # Not asyncio.run: it ends the loop's executor by a thread, and while the interpreter ends there is no new one.
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(self._serve())
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            loop.close()

    async def _serve(self) -> None:
        # A main task, rather than run_forever: helper threads of anyio live as long as it does, not one call.
        self.loop = asyncio.get_running_loop()
        self._finished = asyncio.Event()
        self._ready.set()
        await self._finished.wait()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)

    def begin(self) -> None:
        self.start()
        self._ready.wait()

    def end(self) -> None:
        """Cancel what is under way, close the loop's connections, and wait for that."""
        if self.is_alive():
            self.loop.call_soon_threadsafe(self._finished.set)
            self.join(CANCEL_SECONDS)


_lock = Lock()
_thread: _LoopThread | None = None
_of_parents: list[_LoopThread] = []


def _running_thread() -> _LoopThread:
    global _thread
    thread = _thread
    if thread is not None and thread.is_alive():
        return thread
    with _lock:
        if _thread is None or not _thread.is_alive():
            thread = _LoopThread()
            thread.begin()
            _thread = thread
        return _thread


def _forget_after_fork() -> None:
    # Only the forking thread lives on in the child. What the parent's loop held is kept, unclosed: closing it here
    # would say goodbye on connections that the parent still uses.
    global _thread
    if _thread is not None:
        _of_parents.append(_thread)
        _thread = None


@atexit.register
def _end_at_exit() -> None:
    if _thread is not None:
        _thread.end()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
