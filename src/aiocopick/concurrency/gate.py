"""Admission to a storage: a limited number of requests and bytes at a time, first come, first served.

Views of one storage have limits of their own, and a gate each. All together, they do not admit more than the largest
limit of those in use.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import anyio

_TURNS = count()


class Gate:
    """A limit on the number of concurrent requests and on their bytes. For one event loop.

    Parameters
    ----------
    requests : int
        Largest number of admitted requests.
    bytes_ : int
        Largest number of admitted bytes. A larger request is admitted alone.
    beside : list of Gate, optional
        Gates in front of the same storage; this one is added.
    """

    __slots__ = ("_all", "_waiting", "bytes_inside", "inside", "max_bytes", "max_requests")

    def __init__(self, requests: int, bytes_: int, beside: list[Gate] | None = None) -> None:
        self.max_requests = max(1, requests)
        self.max_bytes = max(1, bytes_)
        self.inside = 0
        self.bytes_inside = 0
        # In the order of arrival, which the first number says.
        self._waiting: deque[tuple[int, int, anyio.Event]] = deque()
        self._all = [] if beside is None else beside
        self._all.append(self)

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
        if len(self._all) > 1 and (self._first() is not None or not self._fits_beside(weight)):
            return False
        self._enter(weight)
        return True

    async def wait(self, weight: int) -> None:
        """Wait for the admission of a request that was not admitted at once."""
        turn = (next(_TURNS), weight, anyio.Event())
        self._waiting.append(turn)
        try:
            await turn[2].wait()
        except BaseException:
            if turn[2].is_set():
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

    def _fits_beside(self, weight: int) -> bool:
        """Return True if a request fits together with those of the other gates."""
        used = [gate for gate in self._all if gate.inside or gate is self]
        held = sum(gate.bytes_inside for gate in used)
        return sum(gate.inside for gate in used) < max(gate.max_requests for gate in used) and (
            not held or held + min(weight, self.max_bytes) <= max(gate.max_bytes for gate in used)
        )

    def _first(self) -> Gate | None:
        """Return the gate whose turn is next, of those whose own limits are not reached."""
        ready = [gate for gate in self._all if gate._waiting and gate._fits(gate._waiting[0][1])]
        return min(ready, key=lambda gate: gate._waiting[0][0], default=None)

    def _enter(self, weight: int) -> None:
        self.inside += 1
        self.bytes_inside += min(weight, self.max_bytes)

    def _call_next(self) -> None:
        while (gate := self._first()) is not None:
            _, weight, event = gate._waiting[0]
            if not gate._fits_beside(weight):
                return
            gate._waiting.popleft()
            gate._enter(weight)
            event.set()
