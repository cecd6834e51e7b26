"""A zarr 3 store over the store of a foreign volume."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import default_buffer_prototype

from aiocopick.concurrency.fan_out import gather
from aiocopick.concurrency.forks import Lock
from aiocopick.errors import NotFoundError, ReadOnlyError

if TYPE_CHECKING:
    from zarr.core.buffer import Buffer, BufferPrototype

    from aiocopick.layers.foreign.calls import Calls

Value = TypeVar("Value")

_TOGETHER = 8


class _Opened:
    """The foreign store: opened on first use, in a thread, once for all its views."""

    __slots__ = ("_lock", "_open", "_store")

    def __init__(self, open_: Callable[[], Any]) -> None:
        self._open = open_
        self._lock = Lock()
        self._store: Store | None = None

    def get(self) -> Store:
        with self._lock:
            if self._store is None:
                store = self._open()
                if store is None:
                    raise NotFoundError("The volume does not exist.")
                self._store = store
            return self._store


class ForeignStore(Store):
    """One zarr hierarchy behind the ``zarr()`` of a foreign entity.

    The foreign store runs on zarr's event loop, as it does for its own users, and is called from a thread. It may be
    bound to that loop and may block it; it never blocks the caller's event loop.

    Parameters
    ----------
    open_ : callable
        Returns the foreign store; called on first use, in a thread.
    path : str
        Path for error messages.
    calls : Calls
        Runs the calls in threads.
    read_only : bool
        Refuse changes.
    """

    supports_writes: bool = True
    supports_deletes: bool = True
    supports_listing: bool = True

    def __init__(self, open_: Callable[[], Any] | _Opened, path: str, calls: Calls, *, read_only: bool) -> None:
        super().__init__(read_only=read_only)
        self._opened = open_ if isinstance(open_, _Opened) else _Opened(open_)
        self._calls = calls
        self.url = path

    def __str__(self) -> str:
        return self.url

    def __repr__(self) -> str:
        return f"ForeignStore({self.url!r}{', read_only=True' if self.read_only else ''})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ForeignStore) and self._opened is other._opened and self.read_only == other.read_only

    def __hash__(self) -> int:
        return hash((self.url, self.read_only))

    def with_read_only(self, read_only: bool = False) -> ForeignStore:
        """Return a view of the same hierarchy, read-only or not; a view of a read-only store stays read-only."""
        if self.read_only and not read_only:
            raise ReadOnlyError(f"{self.url} is read-only; its store cannot be writable.", path=self.url)
        return ForeignStore(self._opened, self.url, self._calls, read_only=read_only)

    async def _ask(self, verb: str, question: Callable[[Store], Awaitable[Value]], *, change: bool = False) -> Value:
        if change and self.read_only:
            raise ReadOnlyError(f"{self.url}: the store is read-only and cannot be written to.", path=self.url)

        def ask() -> Value:
            from zarr.core.sync import sync

            store = self._opened.get()
            return sync(_awaited(question, store))

        return await (self._calls.change if change else self._calls.read)(verb, self.url, ask)

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return the value of a key, or a part of it; None if the key does not exist."""
        chosen = prototype or default_buffer_prototype()
        return await self._ask("read", lambda store: store.get(key, chosen, byte_range))

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return several values or parts, in the order of the request."""

        async def get(item: tuple[str, ByteRequest | None]) -> Buffer | None:
            return await self.get(item[0], prototype, item[1])

        return await gather(get, list(key_ranges), limit=_TOGETHER)

    async def exists(self, key: str) -> bool:
        """Return True if the key exists."""
        return await self._ask("stat", lambda store: store.exists(key))

    async def set(self, key: str, value: Buffer) -> None:
        """Replace a value."""
        await self._ask("write", lambda store: store.set(key, value), change=True)

    async def delete(self, key: str) -> None:
        """Delete a value; a missing key is not an error."""
        await self._ask("delete", lambda store: store.delete(key), change=True)

    async def delete_many(self, keys: Iterable[str]) -> None:
        """Delete values."""
        await gather(self.delete, list(keys), limit=_TOGETHER)

    async def delete_dir(self, prefix: str) -> None:
        """Delete everything below a directory."""
        await self._ask("delete", lambda store: store.delete_dir(prefix), change=True)

    async def clear(self) -> None:
        """Delete everything."""
        await self._ask("delete", lambda store: store.clear(), change=True)

    async def keys(self, prefix: str = "") -> tuple[str, ...]:
        """Return all keys that begin with a string, in one call."""

        async def collect(store: Store) -> tuple[str, ...]:
            return tuple([key async for key in store.list_prefix(prefix)])

        return await self._ask("list", collect)

    async def list(self) -> AsyncIterator[str]:
        """List all keys."""
        for key in await self.keys():
            yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """List all keys that begin with a string."""
        for key in await self.keys(prefix):
            yield key

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """List the names of the immediate children of a directory."""

        async def collect(store: Store) -> tuple[str, ...]:
            return tuple([name async for name in store.list_dir(prefix)])

        for name in await self._ask("list", collect):
            yield name


async def _awaited(question: Callable[[Store], Awaitable[Value]], store: Store) -> Value:
    return await question(store)


__all__ = ["ForeignStore"]
