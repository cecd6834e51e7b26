"""One request for all who ask at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import anyio


class Held(Protocol):
    """An entity with room for a lock."""

    _lock: tuple[object, anyio.Lock] | None


@asynccontextmanager
async def alone(entity: Held) -> AsyncIterator[None]:
    """Let one task of this event loop in at a time; those who wait find the cache filled.

    Tasks of different loops do not wait for each other (a lock shared between loops deadlocks): they ask twice. When
    the first is cancelled, the next one asks.
    """
    loop = asyncio.get_running_loop()
    held = entity._lock
    if held is None or held[0] is not loop:
        held = entity._lock = (loop, anyio.Lock())
    try:
        async with held[1]:
            yield
    finally:
        # A lock handed to the next waiter is still locked. An idle one would keep its loop alive.
        if entity._lock is held and not held[1].locked():
            entity._lock = None
