"""Storages around another one, for tests: they count, wait or fail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from aiocopick.errors import StorageError
from aiocopick.storage.base import Storage
from aiocopick.storage.wrapped import WrappedStorage

Value = TypeVar("Value")


class CountingStorage(WrappedStorage):
    """A storage that records every request.

    Attributes
    ----------
    calls : list of tuple
        ``(verb, key)`` in the order they were made. Exact numbers of requests to a server are in :attr:`stats`.
    """

    def __init__(self, inner: Storage) -> None:
        super().__init__(inner)
        self.calls: list[tuple[str, str]] = []

    async def around(self, verb: str, key: str, call: Callable[[], Awaitable[Value]]) -> Value:
        """Record the request, then send it."""
        self.calls.append((verb, key))
        return await call()

    def count(self, verb: str | None = None) -> int:
        """Return the number of requests, of one verb or of all."""
        return sum(verb is None or called == verb for called, _ in self.calls)


class LatencyStorage(WrappedStorage):
    """A storage that waits before every request, like a distant server.

    Parameters
    ----------
    inner : Storage
        The wrapped storage.
    seconds : float
        Seconds to wait.
    """

    def __init__(self, inner: Storage, seconds: float) -> None:
        super().__init__(inner)
        self.seconds = seconds

    async def around(self, verb: str, key: str, call: Callable[[], Awaitable[Value]]) -> Value:
        """Wait, then send the request."""
        await anyio.sleep(self.seconds)
        return await call()


class FaultStorage(WrappedStorage):
    """A storage that fails, or is cancelled, at its k-th request.

    Parameters
    ----------
    inner : Storage
        The wrapped storage.
    at : int
        Number of the request, from 1; 0 for none.
    after : bool, default False
        Send that request first: then only its reply is lost.
    cancel : callable, optional
        Called instead of raising an error; give it ``scope.cancel``. The request then waits to be cancelled.

    Attributes
    ----------
    made : int
        Requests so far. If an operation ends with ``made < at``, it has no k-th request.
    """

    def __init__(
        self, inner: Storage, at: int, *, after: bool = False, cancel: Callable[[], object] | None = None
    ) -> None:
        super().__init__(inner)
        # In lists, which views share.
        self._at = [at]
        self.after = after
        self.cancel = cancel
        self._made = [0]

    @property
    def at(self) -> int:
        """Number of the request that fails, from 1."""
        return self._at[0]

    @at.setter
    def at(self, value: int) -> None:
        self._at[0] = value

    @property
    def made(self) -> int:
        """Requests so far, over all views."""
        return self._made[0]

    async def around(self, verb: str, key: str, call: Callable[[], Awaitable[Value]]) -> Value:
        """Send the request, unless it is the failing one."""
        self._made[0] += 1
        if self.made != self.at:
            return await call()
        if self.after:
            await call()
        if self.cancel is not None:
            self.cancel()
            await anyio.sleep_forever()
        path = self.path_of(key)
        raise StorageError(f"Cannot {verb} {path}: request {self.at} fails, as the test asked for", path=path)
