"""Calls of code that is not ours and blocks: in a few threads, counted, with our errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar

import anyio
from anyio.lowlevel import RunVar

from aiocopick.concurrency.threads import in_thread_to_the_end
from aiocopick.errors import (
    AccessDeniedError,
    AlreadyExistsError,
    CopickError,
    FormatError,
    LayerError,
    NotFoundError,
    ReadOnlyError,
    StorageError,
    StorageTimeoutError,
)
from aiocopick.storage.stats import StorageStats

Value = TypeVar("Value")

THREADS = 8
"""Calls at once, per event loop: most of the time they wait for a server, so they may be more than processors."""

_threads: RunVar[anyio.CapacityLimiter] = RunVar("aiocopick_foreign_threads")


def _limiter() -> anyio.CapacityLimiter:
    try:
        return _threads.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(THREADS)
        _threads.set(limiter)
        return limiter


class Calls:
    """Calls of one foreign project.

    Parameters
    ----------
    timeout : float
        Seconds that a call which changes nothing may take.
    stats : StorageStats
        Counts each call as one request of its verb; what the project sends for it is not known.
    """

    __slots__ = ("stats", "timeout")

    def __init__(self, timeout: float, stats: StorageStats) -> None:
        self.timeout = timeout
        self.stats = stats

    async def read(self, verb: str, path: str, function: Callable[[], Value]) -> Value:
        """Call something that changes nothing. A caller that is cancelled or out of time does not wait for its end.

        Raises
        ------
        StorageTimeoutError
            It took too long. Its thread is busy until it ends.
        CopickError
            Whatever the function raised, as our error of the same meaning.
        """
        self.stats.started(verb)
        try:
            with anyio.fail_after(self.timeout):
                return await anyio.to_thread.run_sync(function, abandon_on_cancel=True, limiter=_limiter())
        except Exception as error:
            raise translated(error, path) from error
        finally:
            self.stats.finished()

    async def change(self, verb: str, path: str, function: Callable[[], Value]) -> Value:
        """Call something that changes the project: it is waited for to its end, whatever happens."""
        self.stats.started(verb)
        try:
            return await in_thread_to_the_end(function, limiter=_limiter())
        except Exception as error:
            raise translated(error, path, change=True) from error
        finally:
            self.stats.finished()


def translated(error: Exception, path: str, *, change: bool = False) -> CopickError:
    """Our error for one that foreign code raised.

    Parameters
    ----------
    error : Exception
        What was raised; ours are returned as they are.
    path : str
        What the call was about.
    change : bool
        Whether it was to change something: then a refusal says that it is read-only, and a bad value that it is taken.
    """
    if isinstance(error, CopickError):
        return error
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, TimeoutError):
        return StorageTimeoutError(
            f"{path}: no answer in time; raise `timeout`, or look at what the project lies on.", path=path
        )
    if isinstance(error, PermissionError):
        if change:
            return ReadOnlyError(f"{path} cannot be changed: {said}. Write to another layer.", path=path)
        return AccessDeniedError(f"{path} cannot be read: {said}. Check the credentials of that project.", path=path)
    if isinstance(error, FileExistsError):
        return AlreadyExistsError(f"{path} exists already: {said}. Pass exist_ok=True to get it.", path=path)
    if isinstance(error, FileNotFoundError | KeyError):
        return NotFoundError(f"There is nothing at {path}: {said}. Check the name, or create it.", path=path)
    if isinstance(error, OSError):
        return StorageError(f"{path}: {said}. Look at what the project lies on.", path=path)
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError) or _is_validation(error):
        return FormatError(f"{path} cannot be understood: {said}", path=path)
    return LayerError(f"{path}: the project of this layer failed: {said}. See the cause of this error.", path=path)


def _is_validation(error: Exception) -> bool:
    from pydantic import ValidationError

    return isinstance(error, ValidationError)


__all__ = ["Calls", "translated"]
