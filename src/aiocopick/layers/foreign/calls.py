"""Calls of blocking foreign code: in a few threads, counted, with our errors."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar

import anyio
from anyio.lowlevel import RunVar

from aiocopick.concurrency.threads import in_thread_shielded
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
"""Concurrent calls per event loop: they mostly wait for a server, so there may be more of them than processors."""

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
        """Call a function that changes nothing.

        A caller that is cancelled or out of time does not wait for the call to end.

        Raises
        ------
        StorageTimeoutError
            It took too long. Its thread is busy until it ends.
        CopickError
            The function failed; its exception is translated into ours.
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
        """Call a function that changes the project. The call is always awaited to its end, even after cancellation."""
        self.stats.started(verb)
        try:
            return await in_thread_shielded(function, limiter=_limiter())
        except Exception as error:
            raise translated(error, path, change=True) from error
        finally:
            self.stats.finished()


def translated(error: Exception, path: str, *, change: bool = False) -> CopickError:
    """Return our error for an exception of foreign code.

    Parameters
    ----------
    error : Exception
        The exception; errors of ours are returned unchanged.
    path : str
        Path that the call concerned.
    change : bool
        True if the call was a change: a refusal then means read-only, and a bad value means that the name is taken.
    """
    if isinstance(error, CopickError):
        return error
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, TimeoutError):
        return StorageTimeoutError(
            f"{path}: no answer in time; raise `timeout`, or check the storage of the project.", path=path
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
        return StorageError(f"{path}: {said}. Check the storage of the project.", path=path)
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError) or _is_validation(error):
        return FormatError(f"{path} cannot be read: {said}", path=path)
    return LayerError(f"{path}: the project of this layer failed: {said}. See the cause of this error.", path=path)


def _is_validation(error: Exception) -> bool:
    from pydantic import ValidationError

    return isinstance(error, ValidationError)


__all__ = ["Calls", "translated"]
