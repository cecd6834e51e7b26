"""The one retry layer: repeats a backend's single attempt until it succeeds, fails for good or time is up."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import TypeVar

import anyio

from aiocopick.concurrency.backoff import pause
from aiocopick.errors import CopickError, StorageTimeoutError
from aiocopick.storage.backends.base import ConditionError
from aiocopick.storage.faults import Fault

Value = TypeVar("Value")

operation_deadline: ContextVar[float] = ContextVar("aiocopick_deadline", default=math.inf)
"""Time at which the running operation ends, on the clock of its loop."""


class Failure(Exception):
    """A failed attempt, with the meaning of its error."""

    def __init__(self, fault: Fault, cause: BaseException, attempts: int) -> None:
        super().__init__(fault.reason)
        self.fault = fault
        self.cause = cause
        self.attempts = attempts


async def attempt_until(
    attempt: Callable[[], Awaitable[Value]],
    meaning: Callable[[BaseException], Fault],
    *,
    retries: int,
    timeout: float,
    retried: Callable[[], None] = lambda: None,
) -> Value:
    """Await ``attempt()`` until it succeeds.

    Parameters
    ----------
    attempt : callable
        Coroutine function.
    meaning : callable
        Returns the meaning of an exception. Our own errors, and a condition that does not hold, are final and raised.
    retries : int
        Attempts after the first.
    timeout : float
        Seconds for everything, pauses included.
    retried : callable
        Called before each further attempt.

    Raises
    ------
    Failure
        The last attempt failed, or the next pause would outlast the deadline.
    """
    failure: Failure | None = None
    deadline = anyio.current_time() + timeout
    # Each operation runs in a context of its own making: it is set again by the next one of the task.
    operation_deadline.set(deadline)
    with anyio.move_on_after(timeout):
        number = 0
        while True:
            try:
                return await attempt()
            except (CopickError, ConditionError):
                raise
            except Exception as error:
                failure = Failure(meaning(error), error, number + 1)
            if not failure.fault.retry or number >= retries:
                raise failure
            wait = max(pause(number), failure.fault.after or 0.0)
            if anyio.current_time() + wait >= deadline:
                raise failure
            await anyio.sleep(wait)
            number += 1
            retried()
    if failure is None:
        fault = Fault(StorageTimeoutError, f"no answer within {timeout:g} s")
        raise Failure(fault, TimeoutError(), 1)
    fault = Fault(StorageTimeoutError, f"no success within {timeout:g} s; at last: {failure.fault.reason}")
    raise Failure(fault, failure.cause, failure.attempts)
