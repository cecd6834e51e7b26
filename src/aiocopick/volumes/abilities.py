"""Abilities of a zarr store beyond zarr's own methods, one protocol each. A store has any of them, or none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from zarr.abc.store import Store
    from zarr.core.buffer import Buffer

Item = TypeVar("Item")

Put: TypeAlias = "Callable[[str, Buffer], Awaitable[None]]"
"""Writes a value under a key of a store."""


@runtime_checkable
class ReadsInThreads(Protocol):
    """A store that can tell if it reads in threads of this machine, where values can also be processed."""

    @property
    def reads_in_threads(self) -> bool:
        """True if it does."""


@runtime_checkable
class IsNear(Protocol):
    """A store that can tell if it is on this machine, where a request takes next to no time."""

    @property
    def near(self) -> bool:
        """True if it is."""


@runtime_checkable
class ReadsThrough(Protocol):
    """A store that processes values off the event loop."""

    async def read_through(
        self, items: Iterable[tuple[str, Item]], use: Callable[[Item, bytes | bytearray | memoryview], None], limit: int
    ) -> list[Item]:
        """Apply a function to many values; return the items of keys that have none."""


@runtime_checkable
class LimitsChunks(Protocol):
    """A store that can refuse values that no chunk can be."""

    def with_chunk_limit(self, size: int) -> Store:
        """Return a store of the same hierarchy that refuses larger chunks."""


@runtime_checkable
class WritesTogether(Protocol):
    """A store that makes many values survive a power cut at once, which is quicker than one by one."""

    def together(self) -> AbstractAsyncContextManager[Put]:
        """Yield a function that writes values; they are safe at the end of the block."""


@runtime_checkable
class DeletesMany(Protocol):
    """A store that deletes many values in few requests."""

    async def delete_many(self, keys: Iterable[str]) -> None:
        """Delete values; a missing key is not an error."""


@runtime_checkable
class HasLinks(Protocol):
    """A store whose hierarchy may be a link, or contain links."""

    async def delete_linked(self) -> bool:
        """Delete the hierarchy if it is a link or contains links: the targets stay."""
