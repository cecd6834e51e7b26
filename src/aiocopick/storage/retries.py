"""The one retry layer: a backend's single attempt is repeated until it succeeds, fails for good or time is up."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextvars import ContextVar
from typing import NamedTuple

import anyio

from aiocopick.concurrency.backoff import pause
from aiocopick.errors import StorageTimeoutError
from aiocopick.storage.faults import Fault

operation_deadline: ContextVar[float] = ContextVar("aiocopick_deadline", default=math.inf)
"""Time at which the running operation ends, on the clock of its loop."""


class Failure(NamedTuple):
    """A failed operation.

    Parameters
    ----------
    fault : Fault
        The meaning of its last error.
    cause : BaseException
        That error.
    attempts : int
        Number of attempts.
    """

    fault: Fault
    cause: BaseException
    attempts: int = 1


class Attempts:
    """The attempts of one operation: after each failure, the time to wait before the next attempt.

    Parameters
    ----------
    meaning : callable
        Returns the meaning of an exception.
    retries : int
        Attempts after the first.
    timeout : float
        Seconds for everything, pauses included; the caller ends the running attempt.
    """

    __slots__ = ("_deadline", "_last", "_meaning", "_retries", "_stopped", "_timeout")

    def __init__(self, meaning: Callable[[BaseException], Fault], *, retries: int, timeout: float) -> None:
        self._meaning = meaning
        self._retries = retries
        self._timeout = timeout
        self._deadline = anyio.current_time() + timeout
        self._last: Failure | None = None
        self._stopped = False
        # Each operation runs in a context of its own making: it is set again by the next one of the task.
        operation_deadline.set(self._deadline)

    def failed(self, error: Exception) -> float | None:
        """Note a failed attempt; return the seconds to wait before the next one, or None if there is none.

        There is none if a retry does not help, or if the pause would outlast the deadline.
        """
        number = 0 if self._last is None else self._last.attempts
        self._last = Failure(self._meaning(error), error, number + 1)
        fault = self._last.fault
        if fault.retry and number < self._retries:
            wait = max(pause(number), fault.after or 0.0)
            if anyio.current_time() + wait < self._deadline:
                return wait
        self._stopped = True
        return None

    def outcome(self) -> Failure:
        """The failure of the operation: the last one, or that its time is up."""
        if self._last is None:
            fault = Fault(StorageTimeoutError, f"no answer within {self._timeout:g} s")
            return Failure(fault, TimeoutError())
        if self._stopped:
            return self._last
        reason = f"no success within {self._timeout:g} s; at last: {self._last.fault.reason}"
        return self._last._replace(fault=Fault(StorageTimeoutError, reason))
