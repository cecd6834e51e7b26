"""Admission to a storage: so many requests and so many bytes at a time, first come, first served."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio


class Gate:
    """Lets requests pass while both their number and their bytes stay within bounds. For one event loop.

    Parameters
    ----------
    requests : int
        Requests that may be inside.
    bytes_ : int
        Bytes that may be inside. A single request that weighs more passes alone.
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
        """Hold a place for one request of `weight` bytes."""
        held = await self.enter(weight)
        try:
            yield
        finally:
            self.leave(held)

    async def enter(self, weight: int) -> int:
        """Wait for a place; returns the weight to give to :meth:`leave`."""
        weight = min(weight, self.max_bytes)
        if not self._waiting and self._fits(weight):
            self._admit(weight)
            return weight
        turn = (weight, anyio.Event())
        self._waiting.append(turn)
        try:
            await turn[1].wait()
        except BaseException:
            if turn[1].is_set():
                # Admitted and cancelled in the same step: the place goes to the next in line.
                self.leave(weight)
            else:
                self._waiting.remove(turn)
                self._call_next()
            raise
        return weight

    def leave(self, weight: int) -> None:
        """Give a place back."""
        self.inside -= 1
        self.bytes_inside -= weight
        self._call_next()

    def reweigh(self, held: int, weight: int) -> int:
        """Correct the weight of a request inside, now that its size is known; returns what to give to :meth:`leave`.

        It may exceed the bound for as long as it is inside; nothing else enters meanwhile.
        """
        weight = min(weight, self.max_bytes)
        self.bytes_inside += weight - held
        if weight < held:
            self._call_next()
        return weight

    def _fits(self, weight: int) -> bool:
        return self.inside < self.max_requests and (
            self.bytes_inside + weight <= self.max_bytes or not self.bytes_inside
        )

    def _admit(self, weight: int) -> None:
        self.inside += 1
        self.bytes_inside += weight

    def _call_next(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            weight, event = self._waiting.popleft()
            self._admit(weight)
            event.set()
