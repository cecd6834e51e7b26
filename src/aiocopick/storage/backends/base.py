"""What a backend is: one raw attempt per operation. Limits, retries, errors and counters are around it."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, TypeAlias, TypeVar

from aiocopick.storage.base import Aged, Buffer, Capabilities, Entry, Range
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
    entries : list of Entry
        Keys relative to the root.
    token : object, optional
        Where the server wants to go on; None on the last page.
    cut : bool
        Whether the server cut a common prefix elsewhere than after the delimiter, as some do after its first character.
    marked : bool
        Whether an object that marks the listed directory itself was there; it is no entry.
    """

    entries: list[Entry] = field(default_factory=list)
    token: object | None = None
    cut: bool = False
    marked: bool = False


class Content(NamedTuple):
    """What was read, and the version of the object that it was read from, where the answer says so."""

    data: bytes
    etag: str | None = None


Value = TypeVar("Value")

Use: TypeAlias = Callable[[str, Content], Value]
"""What becomes of a content under a key; it raises nothing."""

Most: TypeAlias = Callable[[str], int | None]
"""Bytes that may be read of a key; None if any number."""

Some: TypeAlias = tuple[list[Value], int]
"""Results in the order of what was asked for, and how many bytes were read for them."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What must hold for a write: an etag that is still there, or (None) that nothing is.

    Parameters
    ----------
    if_match : str, optional
        The etag.
    write_id : str
        Names this write in all its attempts. Kept with the object, it tells a write whose reply was lost, and that now
        meets its own result, from one that somebody else got ahead of.
    """

    if_match: str | None
    write_id: str


class ConditionError(Exception):
    """The condition of a write did not hold."""


class Backend(ABC):
    """One storage as seen from one event loop.

    Keys given to the methods are checked already. What they raise is looked up in :meth:`fault`; our own errors are
    final.
    """

    capabilities: ClassVar[Capabilities]

    resumes: ClassVar[bool] = False
    """Whether :meth:`list_page` honours `start_after`, so that pages follow each other by key rather than by token."""

    ordered: ClassVar[bool] = False
    """Whether a chain of pages starts after `start_after` and comes in key order, but goes on by token alone."""

    counts_keys: ClassVar[bool] = False
    """Whether a server of this kind may fill its pages with the keys inside of collapsed trees."""

    native_tree: ClassVar[bool] = False
    """Whether :meth:`delete_tree` exists."""

    leaves_files: ClassVar[bool] = False
    """Whether a write that is killed leaves a temporary file, and :meth:`leftovers` exists."""

    read_batch: ClassVar[int] = 1
    """Objects that :meth:`read_some` takes at a time; 1 where every object is a request of its own."""

    reads_in_threads: ClassVar[bool] = False
    """Whether :meth:`read_some` gives contents to `use` in a thread, where it may take its time."""

    stat_lists: ClassVar[bool] = True
    """Whether :meth:`stat` is a listing, so that what it is denied says nothing of an object."""

    delete_batch: ClassVar[int] = 1
    """Objects that :meth:`delete` takes at a time."""

    def __init__(self, settings: Settings, root: Root) -> None:
        self.settings = settings
        self.root = root

    @property
    def parallel(self) -> int:
        """Requests that this backend can have under way, whatever the configuration allows."""
        return connections()

    async def connect(self) -> None:  # noqa: B027 - most have nothing to do
        """Make what needs the running event loop. Sends no request."""

    async def close(self) -> None:  # noqa: B027
        """Close the connections, on the loop that made them."""

    def abandon(self) -> None:  # noqa: B027
        """Close the sockets of a loop that is closed already: nothing can be awaited any more."""

    @abstractmethod
    async def list_page(
        self, prefix: str, delimiter: str | None, *, start_after: str = "", token: object | None = None
    ) -> Page:
        """One page of what is below a directory (empty: the root); with a delimiter, trees with it collapsed."""

    @abstractmethod
    async def stat(self, key: str) -> Entry:
        """The entry of an object or directory."""

    @abstractmethod
    async def read(self, key: str, span: Range | None, most: int | None = None) -> Content:
        """The content, or a part of it, complete or not at all.

        Raises
        ------
        TooLargeError
            It has more than `most` bytes; where the backend can see that, it is not in memory by then.
        """

    async def read_aged(self, key: str) -> Aged:
        """The content of an object, and its age; where writes have conditions."""
        raise NotImplementedError

    async def read_some(
        self, items: Sequence[tuple[str, Range | None]], budget: int, use: Use[Value], most: Most
    ) -> Some[Value | BaseException]:
        """What `use` makes of the contents of the first items, at least of one, where they are read; and their bytes.

        It may stop once they were `budget` bytes. `most` tells how many bytes a key may have, if that is limited.
        """
        raise NotImplementedError

    async def list_nested(
        self, prefixes: Sequence[str], enter: Callable[[str], bool], details: bool
    ) -> list[list[Entry] | BaseException]:
        """Children of several directories, and of those among them that `enter` accepts, in one go."""
        raise NotImplementedError

    async def leftovers(self, prefix: str, token: object | None = None) -> Page:
        """Some of the temporary files below a directory, of writes under way or killed, and how to go on."""
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
        """As :meth:`write`, but where a backend has to see to it that a power cut is outlasted, :meth:`sync` does that."""
        return await self.write(key, data, condition)

    async def sync(self, keys: Sequence[str]) -> None:  # noqa: B027 - object stores have nothing to do
        """Make what was written without that outlast a power cut; where there are directories."""

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; missing ones are no error."""
        raise NotImplementedError

    async def delete_tree(self, prefix: str) -> int:
        """Delete a directory with everything below."""
        raise NotImplementedError

    async def delete_linked(self, prefix: str) -> bool:
        """Delete a directory that is a link or has links in it, links as links; False, and nothing is done, if not."""
        return False

    async def copy(self, source: str, target: str) -> None:
        """Copy an object."""
        raise NotImplementedError

    @classmethod
    def capabilities_of(cls, settings: Settings) -> Capabilities:
        """What such a storage can do, as far as that can be said without asking it."""
        return cls.capabilities

    @classmethod
    def meaning(cls, error: BaseException) -> Fault:
        """What an exception of such a backend means."""
        return common_fault(error)

    def fault(self, error: BaseException) -> Fault:
        """What an exception of this backend means, with what it knows of its root."""
        return self.meaning(error)

    def absolute(self, key: str) -> str:
        """The key below the root's own prefix, as the server counts it."""
        prefix = self.root.prefix
        return f"{prefix}/{key}" if prefix and key else prefix or key


# Seconds until a server must have accepted a connection. How long an answer may take is not the connection's business,
# which roots with different timeouts share: the deadline of the operation ends it (`storage/retries.py`).
CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 86_400.0


def connections() -> int:
    """Sockets that may be open at a time: a quarter of the file descriptors, and no more than 256."""
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
