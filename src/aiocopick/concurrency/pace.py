"""Number of concurrent requests, found from how fast they are answered."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

_SLOWER = 2.0
"""Factor by which answers may take longer than the fastest one before more requests bring nothing."""

_MUCH_SLOWER = 4.0


class Pace:
    """Admits more work while answers stay as fast as they were, and less when they queue.

    A store that answers any number of requests side by side gets `most`. A store that is one process answers more
    requests more slowly: it gets about as many as it answers at a time.

    Parameters
    ----------
    first, most : int
        Number of concurrent tasks at the beginning, and at most. It does not fall below `first`.

    Attributes
    ----------
    limit : int
        Present number.
    """

    def __init__(self, first: int, most: int) -> None:
        self.limit = self._least = max(1, min(first, most))
        self._most = most
        self._running = 0
        self._fastest = float("inf")
        self._waiting: deque[anyio.Event] = deque()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Wait for a place; the block reports how many requests it sent."""
        if self._running >= self.limit or self._waiting:
            event = anyio.Event()
            self._waiting.append(event)
            try:
                await event.wait()
            except BaseException:
                if event.is_set():
                    self._leave()
                else:
                    self._waiting.remove(event)
                raise
        else:
            self._running += 1
        turn = Turn()
        begun = anyio.current_time()
        try:
            yield turn
        finally:
            if turn.requests:
                self._learn((anyio.current_time() - begun) / turn.requests)
            self._leave()

    def _learn(self, seconds: float) -> None:
        self._fastest = min(self._fastest, seconds)
        if seconds <= _SLOWER * self._fastest:
            self.limit = min(self._most, self.limit + 1)
        elif seconds > _MUCH_SLOWER * self._fastest:
            self.limit = max(self._least, self.limit - 1)

    def _leave(self) -> None:
        self._running -= 1
        while self._waiting and self._running < self.limit:
            self._running += 1
            self._waiting.popleft().set()


class Turn:
    """One admitted piece of work.

    Attributes
    ----------
    requests : int
        Requests that it sent one after the other; its time says nothing if that is 0.
    """

    __slots__ = ("requests",)

    def __init__(self) -> None:
        self.requests = 0
