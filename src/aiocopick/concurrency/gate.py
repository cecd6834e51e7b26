"""Admission to a storage: a limited number of requests and bytes at a time, first come, first served."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio


class Gate:
    """A limit on the number of concurrent requests and on their bytes. For one event loop.

    Parameters
    ----------
    requests : int
        Largest number of admitted requests.
    bytes_ : int
        Largest number of admitted bytes. A larger request is admitted alone.
    """

    __slots__ = ("_waiting", "bytes_inside", "inside", "max_bytes", "max_requests")

    def __init__(self, requests: int, bytes_: int) -> None:
        self.max_requests = max(1, requests)
        self.max_bytes = max(1, bytes_)
        self.inside = 0
        self.bytes_inside = 0
        self._waiting: deque[tuple[int, anyio.Event]] = deque()

    @asynccontextmanager
    async def passing(self, weight: int) -> AsyncIterator[None]:
        """Admit one request of `weight` bytes for the duration of the block."""
        if not self.admit(weight):
            await self.wait(weight)
        try:
            yield
        finally:
            self.leave(weight)

    def admit(self, weight: int) -> bool:
        """Admit a request if there is room and nobody waits; otherwise return False: it has to :meth:`wait`."""
        if self._waiting or not self._fits(weight):
            return False
        self._enter(weight)
        return True

    async def wait(self, weight: int) -> None:
        """Wait for the admission of a request that was not admitted at once."""
        turn = (weight, anyio.Event())
        self._waiting.append(turn)
        try:
            await turn[1].wait()
        except BaseException:
            if turn[1].is_set():
                # Admitted and cancelled in the same step: the next waiting request is admitted instead.
                self.leave(weight)
            else:
                self._waiting.remove(turn)
                self._call_next()
            raise

    def leave(self, weight: int) -> None:
        """End the admission of a request of this weight."""
        self.inside -= 1
        self.bytes_inside -= min(weight, self.max_bytes)
        self._call_next()

    def reweigh(self, weight: int, size: int) -> None:
        """Correct the weight of an admitted request when its size is known; it leaves with this size.

        The request may exceed the limit until it leaves; no other request is admitted in that time.
        """
        self.bytes_inside += min(size, self.max_bytes) - min(weight, self.max_bytes)
        self._call_next()

    def _fits(self, weight: int) -> bool:
        return self.inside < self.max_requests and (
            self.bytes_inside + weight <= self.max_bytes or not self.bytes_inside
        )

    def _enter(self, weight: int) -> None:
        self.inside += 1
        self.bytes_inside += min(weight, self.max_bytes)

    def _call_next(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            weight, event = self._waiting.popleft()
            self._enter(weight)
            event.set()
