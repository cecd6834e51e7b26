"""Interface of a backend: one raw attempt per operation. Limits, retries, errors and counters are added around it."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, TypeAlias, TypeVar

from aiocopick.storage.base import Aged, Buffer, Capabilities, Entry, Range, Row
from aiocopick.storage.faults import Fault, common_fault
from aiocopick.storage.keys import Root
from aiocopick.storage.settings import Settings

MOST_IDLE_PAGES = 100
"""Pages that a listing may have one after the other without anything new. Servers send a few, after many deletions."""


@dataclass(slots=True)
class Page:
    """A part of a listing.

    Parameters
    ----------
    entries : list of tuple
        Entries, or the fields of entries; keys are relative to the root.
    token : object, optional
        Position at which the server continues; None on the last page.
    cut : bool
        True if the server cut a common prefix elsewhere than after the delimiter, as some do after its first character.
    marked : bool
        True if there was an object that marks the listed directory itself; it is not an entry.
    """

    entries: Sequence[Row] = field(default_factory=list)
    token: object | None = None
    cut: bool = False
    marked: bool = False


class Content(NamedTuple):
    """The content of an object and its version, if the answer contains the version."""

    data: bytes
    etag: str | None = None


Value = TypeVar("Value")

Use: TypeAlias = Callable[[str, Content], Value]
"""A function that processes the content of a key; it does not raise."""

Most: TypeAlias = Callable[[str], int]
"""A function that returns the largest number of bytes to read of a key."""

Some: TypeAlias = tuple[list[Value], int]
"""Results in the order of the request, and the number of bytes read for them."""


@dataclass(frozen=True, slots=True)
class Condition:
    """The condition of a write: the object still has this etag, or (None) does not exist.

    Parameters
    ----------
    if_match : str, optional
        The etag.
    write_id : str
        Id of this write in all its attempts, stored with the object. If a reply was lost and the write is repeated, it
        tells the result of this write from that of another writer.
    """

    if_match: str | None
    write_id: str


class ConditionError(Exception):
    """The condition of a write did not hold."""


class LaterError(Exception):
    """The connected backend has to answer."""


class Backend(ABC):
    """One storage as seen from one event loop.

    Keys passed to the methods have been checked. Their exceptions are translated by :meth:`fault`; our own errors are
    final.
    """

    capabilities: ClassVar[Capabilities]

    resumes: ClassVar[bool] = False
    """True if :meth:`list_page` honours `start_after`, so that pages are continued by key rather than by token."""

    ordered: ClassVar[bool] = False
    """True if a chain of pages starts after `start_after` and is in key order, but is continued by token only."""

    counts_keys: ClassVar[bool] = False
    """True if a server of this kind may fill its pages with the keys inside of collapsed trees."""

    native_tree: ClassVar[bool] = False
    """True if :meth:`delete_tree` exists."""

    leaves_files: ClassVar[bool] = False
    """True if a write that is killed leaves a temporary file, and :meth:`leftovers` exists."""

    read_batch: ClassVar[int] = 1
    """Objects that :meth:`read_some` takes at a time; 1 if each object is a request of its own."""

    reads_in_threads: ClassVar[bool] = False
    """True if :meth:`read_some` passes contents to `use` in a thread, so that it may take long."""

    stat_lists: ClassVar[bool] = True
    """True if :meth:`stat` is a listing, so that a denied listing says nothing about an object."""

    delete_batch: ClassVar[int] = 1
    """Objects that :meth:`delete` takes at a time."""

    def __init__(self, settings: Settings, root: Root) -> None:
        self.settings = settings
        self.root = root

    @property
    def parallel(self) -> int:
        """Return the number of concurrent requests that this backend supports, whatever the configuration allows."""
        return connections()

    @property
    def engine(self) -> str | None:
        """Library that transfers the contents of objects, once connected; None if there is only one."""
        return None

    async def early(self) -> Backend | None:
        """Return what may answer the first listing sooner than this can connect; it raises LaterError if it cannot."""
        return None

    async def connect(self) -> None:  # noqa: B027 - most have nothing to do
        """Create the objects that need the running event loop. No request is sent."""

    async def close(self) -> None:  # noqa: B027
        """Close the connections, on the loop that made them."""

    def abandon(self) -> None:  # noqa: B027
        """Close the sockets of a loop that is already closed, so that nothing can be awaited."""

    @abstractmethod
    async def list_page(
        self, prefix: str, delimiter: str | None, *, start_after: str = "", token: object | None = None
    ) -> Page:
        """Return one page of the entries below a directory (empty: the root); with a delimiter, its trees are
        collapsed.
        """

    @abstractmethod
    async def stat(self, key: str) -> Entry:
        """Return the entry of an object or directory."""

    @abstractmethod
    async def read(self, key: str, span: Range | None, most: int | None = None) -> Content:
        """Return the content, or a part of it, always complete.

        Raises
        ------
        TooLargeError
            The object has more than `most` bytes; if the backend can see that early, it is not read into memory.
        """

    def read_view(self, key: str, span: Range | None, most: int | None = None) -> Awaitable[tuple[Buffer, str | None]]:
        """Read like :meth:`read`; the data may be memory of a client, which is not copied."""
        return self.read(key, span, most)

    async def read_unless(self, key: str, etag: str, span: Range | None, most: int | None = None) -> Content | None:
        """Read like :meth:`read`; None if the object still has this etag, without its body where the server can do so."""
        content = await self.read(key, span, most)
        return None if content.etag == etag else content

    async def read_aged(self, key: str, most: int) -> Aged:
        """Return the content of an object, of at most `most` bytes, and its age; only for backends with conditional
        writes.
        """
        raise NotImplementedError

    async def read_some(
        self, items: Sequence[tuple[str, Range | None]], budget: int, use: Use[Value], most: Most
    ) -> Some[Value | BaseException]:
        """Apply `use` to the contents of the first items, at least one; return the results and the bytes read.

        It may stop after `budget` bytes. `most` returns the largest number of bytes of a key.
        """
        raise NotImplementedError

    async def list_nested(
        self, prefixes: Sequence[str], enter: Callable[[str], bool], details: bool
    ) -> list[list[Entry] | BaseException]:
        """Return the children of several directories, and of their children that `enter` accepts, in one step."""
        raise NotImplementedError

    async def leftovers(self, prefix: str, token: object | None = None) -> Page:
        """Return some of the temporary files below a directory, of running or killed writes, and a token to
        continue.
        """
        raise NotImplementedError

    async def write(self, key: str, data: Buffer, condition: Condition | None) -> str | None:
        """Replace an object atomically, if the condition holds; returns the new etag.

        Raises
        ------
        ConditionError
            It does not hold.
        """
        raise NotImplementedError

    async def write_unsynced(self, key: str, data: Buffer, condition: Condition | None) -> str | None:
        """Write like :meth:`write`, but without waiting for the disk; :meth:`sync` makes the write survive a power
        cut.
        """
        return await self.write(key, data, condition)

    async def sync(self, keys: Sequence[str]) -> None:  # noqa: B027 - object stores have nothing to do
        """Make files of :meth:`write_unsynced` survive a power cut; only for backends with directories."""

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; a missing object is not an error."""
        raise NotImplementedError

    async def delete_tree(self, prefix: str) -> int:
        """Delete a directory with everything below."""
        raise NotImplementedError

    async def delete_linked(self, prefix: str) -> bool:
        """Delete a directory that is a link or contains links, removing only the links; False, and no change, if it
        has none.
        """
        return False

    async def copy(self, source: str, target: str) -> None:
        """Copy an object."""
        raise NotImplementedError

    @classmethod
    def capabilities_of(cls, settings: Settings) -> Capabilities:
        """Return the capabilities of such a storage, as far as they are known without a request."""
        return cls.capabilities

    @classmethod
    def meaning(cls, error: BaseException) -> Fault:
        """Return the meaning of an exception of such a backend."""
        return common_fault(error)

    def fault(self, error: BaseException) -> Fault:
        """Return the meaning of an exception of this backend, including knowledge about its root."""
        return self.meaning(error)

    def absolute(self, key: str) -> str:
        """Return the key below the root's own prefix, as used by the server."""
        prefix = self.root.prefix
        return f"{prefix}/{key}" if prefix and key else prefix or key


# Seconds until a server must have accepted a connection. How long an answer may take is not the connection's business,
# which roots with different timeouts share: the deadline of the operation ends it (`storage/retries.py`).
CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 86_400.0


def connections() -> int:
    """Return the number of sockets that may be open at a time: a quarter of the file descriptors, at most 256."""
    if sys.platform == "win32":
        return 256
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 256 if soft == resource.RLIM_INFINITY else max(4, min(256, soft // 4))


def close_sockets(session: Any) -> None:
    """Close an aiohttp session whose event loop is closed, without the loop: socket by socket."""
    connector = getattr(session, "_connector", None)
    if connector is None or connector.closed:
        return
    for connection in [*connector._conns.values(), *([(item, 0)] for item in connector._acquired)]:
        for protocol, *_ in connection:
            transport = getattr(protocol, "transport", None)
            plain = getattr(transport, "_ssl_protocol", None)
            transport = getattr(plain, "_transport", None) or transport
            opened = getattr(transport, "_sock", None)
            if opened is not None:
                opened.close()
                transport._sock = None  # type: ignore[union-attr]
    connector._conns.clear()
    connector._acquired.clear()
    connector._closed = True
    # A detached session counts as closed, and its finaliser stays quiet.
    session._connector = None
