"""Warnings that point to the caller's line, also from tasks of a task group and from the loop of blocking calls."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from types import FrameType
from typing import Any

import anyio

CALLING_THREAD: ContextVar[int | None] = ContextVar("calling thread", default=None)
"""Identifier of the thread that waits for the result of a blocking call."""

_OWN = "aiocopick"
_RUNTIME = frozenset({"asyncio", "anyio", "concurrent", "contextlib", "functools", "threading", "uvloop"})


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning at the innermost line that is not of the library.

    A stack level would count frames of the library, whose number differs; the stack of a task ends where it was started.

    Parameters
    ----------
    message : str
        Text of the warning.
    category : type
        Class of the warning.
    """
    frame = next(_frames_of_callers(), None)
    if frame is None:
        warnings.warn(message, category, stacklevel=2)
        return
    module = frame.f_globals
    warnings.warn_explicit(
        message,
        category,
        frame.f_code.co_filename,
        frame.f_lineno,
        module.get("__name__") or "<unknown>",
        module.setdefault("__warningregistry__", {}),
    )


def _frames_of_callers() -> Iterator[FrameType]:
    """Yield the frames outside of the library that led here, the most likely one first."""
    here: FrameType | None = sys._getframe(2)
    yield from _outside(_until_loop(here))
    yield from _outside(_of_parents())
    waiting = CALLING_THREAD.get()
    if waiting is not None:
        yield from _outside(_outward(sys._current_frames().get(waiting)))
    yield from _outside(_outward(here))


def _outside(frames: Iterator[FrameType]) -> Iterator[FrameType]:
    for frame in frames:
        room = str(frame.f_globals.get("__name__")).partition(".")[0]
        if room != _OWN and room not in _RUNTIME:
            yield frame


def _outward(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _until_loop(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield the frames of the running task: what is beyond started the loop, not the task."""
    for outer in _outward(frame):
        if outer.f_globals.get("__name__") == "asyncio.events":
            return
        yield outer


def _of_parents() -> Iterator[FrameType]:
    """Yield the frames of the tasks that wait for the running one."""
    try:
        running = anyio.get_current_task()
        tasks = {task.id: task for task in anyio.get_running_tasks()}
    except RuntimeError:
        # Not on an event loop.
        return
    seen = {running.id}
    parent = running.parent_id
    while parent is not None and parent in tasks and parent not in seen:
        seen.add(parent)
        yield from reversed(list(_suspended(tasks[parent].coro)))
        parent = tasks[parent].parent_id


def _suspended(awaited: Any) -> Iterator[FrameType]:
    """Yield the frames of a suspended coroutine, and of those that it waits for."""
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None)
        if frame is not None:
            yield frame
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None)


__all__ = ["CALLING_THREAD", "warn"]
