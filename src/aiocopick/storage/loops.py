"""Connections by event loop: made on first use, shared by equal storages, closed on their own loop.

An aiohttp session belongs to the loop that first awaited it; used from another one it fails or hangs. So there is a
table from running loops to what was made on them. A loop's connections are closed by an async generator that is started on
it: ``loop.shutdown_asyncgens()``, which `asyncio.run`, `anyio.run` and pytest-asyncio all call, finishes that
generator while the loop can still run. Loops that were closed without it are swept when the next one appears. In a
forked child nothing is closed at all: the sockets are the parent's.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import weakref
from collections.abc import AsyncGenerator, Callable
from typing import Any

import anyio

from aiocopick.concurrency.forks import Lock
from aiocopick.concurrency.gate import Gate
from aiocopick.storage.backends.base import Backend

_LEARNING = 0.1


class Connection:
    """One storage on one event loop: its backend, and the gates in front of it."""

    __slots__ = ("_all_gates", "_connecting", "_used", "backend", "connected", "estimate", "gates", "users")

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.gates: dict[tuple[int, int], Gate] = {}
        self._all_gates: list[Gate] = []
        self.users: weakref.WeakSet[Any] = weakref.WeakSet()
        self.estimate: float | None = None
        self._connecting = anyio.Lock()
        self.connected = False
        self._used = False

    async def early(self, verb: str) -> Backend | None:
        """Return what may answer the first request before the backend is connected."""
        first, self._used = not self._used, True
        return await self.backend.early() if first and verb in ("list", "stat") else None

    async def connect(self) -> None:
        """Connect, unless another task does or did."""
        async with self._connecting:
            if not self.connected:
                await self.backend.connect()
                self.connected = True

    def gate(self, requests: int, bytes_: int) -> Gate:
        """The gate for these limits: views with equal limits share one, others the largest limit in use."""
        key = (requests, bytes_)
        gate = self.gates.get(key)
        if gate is None:
            most = min(requests, self.backend.parallel)
            gate = self.gates[key] = Gate(most, bytes_, self._all_gates)
        return gate

    def expected(self, max_bytes: int) -> int:
        """Bytes to reckon with for an object of unknown size: cautious at first, then as those seen before."""
        return int(self.estimate) if self.estimate is not None else max(1, max_bytes // 16)

    def learn(self, size: int, max_bytes: int) -> None:
        """Note the size of an object: a larger one counts at once, smaller ones little by little."""
        known = self.expected(max_bytes)
        self.estimate = max(size, known + (size - known) * _LEARNING)

    async def close(self) -> None:
        """Close the backend; a later use makes another connection."""
        if self.connected:
            self.connected = False
            with anyio.CancelScope(shield=True):
                await self.backend.close()

    def abandon(self) -> None:
        """Close the sockets without the loop."""
        if self.connected:
            self.connected = False
            self.backend.abandon()


class _Loop:
    __slots__ = ("connections", "guard", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.connections: dict[object, Connection] = {}
        self.guard: AsyncGenerator[None, None] = _guard(self)

    async def close(self) -> None:
        connections = list(self.connections.values())
        self.connections.clear()
        _forget(self)
        for connection in connections:
            # One that cannot be closed must not keep the others open.
            with contextlib.suppress(Exception):
                await connection.close()


async def _guard(state: _Loop) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await state.close()


_lock = Lock()
_loops: dict[int, _Loop] = {}
_of_parents: list[object] = []


def _forget(state: _Loop) -> None:
    with _lock:
        if _loops.get(id(state.loop)) is state:
            del _loops[id(state.loop)]


def _state() -> _Loop:
    loop = asyncio.get_running_loop()
    state = _loops.get(id(loop))
    if state is not None and state.loop is loop:
        return state
    state = _Loop(loop)
    with _lock:
        closed = {key: known for key, known in _loops.items() if known.loop.is_closed()}
        for key in closed:
            del _loops[key]
        _loops[id(loop)] = state
    for known in closed.values():
        for connection in known.connections.values():
            with contextlib.suppress(Exception):
                connection.abandon()
    # The first step registers the generator with the loop; it waits there until the loop shuts its generators down.
    with contextlib.suppress(StopIteration):
        state.guard.__anext__().send(None)
    return state


def connection(key: object, user: object, make: Callable[[], Backend]) -> Connection:
    """The running loop's connection for a storage, made if need be.

    Parameters
    ----------
    key : hashable
        Equal for storages that share connections.
    user : object
        Who uses it; see :func:`release`. Held weakly.
    make : callable
        Makes the backend.
    """
    connections = _state().connections
    found = connections.get(key)
    if found is None:
        found = connections[key] = Connection(make())
    found.users.add(user)
    return found


async def release(key: object, user: object) -> None:
    """End the use of the running loop's connection; the last user's end closes it."""
    state = _loops.get(id(asyncio.get_running_loop()))
    found = state.connections.get(key) if state is not None and state.loop is asyncio.get_running_loop() else None
    if state is None or found is None:
        return
    found.users.discard(user)
    if not found.users:
        del state.connections[key]
        await found.close()


def _after_fork() -> None:
    global _loops
    # Kept alive: a finaliser would say goodbye on the parent's sockets.
    _of_parents.append(_loops)
    _loops = {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
