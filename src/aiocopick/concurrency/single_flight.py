"""Single flight: concurrent callers share one request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import anyio


class Held(Protocol):
    """An entity with an attribute for a lock."""

    _lock: tuple[object, anyio.Lock] | None


@asynccontextmanager
async def single_flight(entity: Held) -> AsyncIterator[None]:
    """Admit one task of this event loop at a time; the waiting tasks find the cache filled.

    Tasks of different loops do not wait for each other (a lock shared between loops deadlocks): each loop sends a request.
    If the first task is cancelled, the next one sends the request.
    """
    loop = asyncio.get_running_loop()
    held = entity._lock
    if held is None or held[0] is not loop:
        held = entity._lock = (loop, anyio.Lock())
    try:
        async with held[1]:
            yield
    finally:
        # A lock that is passed to the next waiter is still locked. An idle lock would keep its loop alive.
        if entity._lock is held and not held[1].locked():
            entity._lock = None
