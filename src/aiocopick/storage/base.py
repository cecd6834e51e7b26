"""What the rest of the library asks of a storage: a small protocol over keys and bytes.

Keys are ``/``-separated, relative to the root of the storage, without leading or trailing ``/``; they cannot leave the
root. Nothing here knows what a CoPick project is, nor which library moves the bytes.
"""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from aiocopick.errors import CopickError
    from aiocopick.storage.stats import StorageStats

Value = TypeVar("Value")

Range: TypeAlias = tuple[int, int | None]
"""Half-open byte range ``(start, stop)``; ``stop`` None reads to the end; a negative start counts from the end."""

ReadItem: TypeAlias = str | tuple[str, Range]
"""What :meth:`Storage.read_many` takes: a key, or a key and a range."""

Buffer: TypeAlias = bytes | bytearray | memoryview
"""What can be written."""


class Entry(NamedTuple):
    """One line of a listing. A tuple, as listings have thousands, and tuples are made fastest.

    Parameters
    ----------
    key : str
        Relative to the root, without trailing ``/``.
    is_prefix : bool
        True for a directory, a common prefix, or a tree that a scan collapsed; False for an object or file.
    size : int, optional
        Bytes; None for prefixes and where the storage does not say.
    etag : str, optional
        Opaque version of the content, without quotes. None where the storage has none.
    modified : float, optional
        Seconds since the epoch.
    """

    key: str
    is_prefix: bool = False
    size: int | None = None
    etag: str | None = None
    modified: float | None = None

    @property
    def name(self) -> str:
        """The last segment of the key."""
        return self.key.rpartition("/")[2]


class Aged(NamedTuple):
    """A content and how old it is.

    Parameters
    ----------
    data : bytes
        The content.
    etag : str, optional
        Its version, where the storage has one.
    age : float, optional
        Seconds since it was written, both times taken by the clock of the server; None where it does not say.
    """

    data: bytes
    etag: str | None
    age: float | None


@dataclass(frozen=True, slots=True)
class FirstPage:
    """How a scan begins, for one request.

    Parameters
    ----------
    entries : sequence of Entry
        In key order.
    reached : str
        All keys up to here are among the entries, or in one of their trees; greater than any key when nothing follows.
    sparse : bool
        Whether the server counts the keys inside of collapsed trees and these fill its pages: directory by directory,
        the rest takes less.
    """

    entries: Sequence[Entry]
    reached: str
    sparse: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a storage can do beyond reading and writing whole objects.

    Parameters
    ----------
    delimiter : bool
        Whether a flat listing may collapse trees with a delimiter of several characters. It is a hint: the answer of
        the server is checked while it arrives.
    conditional_writes : bool
        Whether ``if_match`` and ``create`` are decided by the storage, atomically.
    etags : bool
        Whether entries and writes carry etags.
    writable : bool
        Whether the protocol can write at all (plain HTTP cannot).
    directories : bool
        Whether directories exist on their own (disk), rather than as parts of keys (object stores).
    nested : bool
        Whether :meth:`Storage.list_nested` is one request, however many directories it lists.
    near : bool
        Whether a request takes no round trip (memory, disk).
    """

    delimiter: bool = False
    conditional_writes: bool = False
    etags: bool = False
    writable: bool = True
    directories: bool = False
    nested: bool = False
    near: bool = False


@runtime_checkable
class Storage(Protocol):
    """Concurrent access to keys and bytes below one root.

    Every method is safe to call from any event loop; each loop gets its own connections. Limits on requests and bytes in
    flight, retries, deadlines, error mapping, read-only protection, key confinement and statistics hold inside. Errors
    are those of :mod:`aiocopick.errors`, raised bare out of every fan-out.
    """

    @property
    def url(self) -> str:
        """URL of the root, fit for display: never a secret in it."""

    @property
    def read_only(self) -> bool:
        """Whether every change is refused with :class:`~aiocopick.errors.ReadOnlyError`, before a request is sent."""

    @property
    def capabilities(self) -> Capabilities:
        """What this storage can do."""

    @property
    def stats(self) -> StorageStats:
        """Counters over all loops and views: requests by verb, bytes, retries, requests in flight."""

    def path_of(self, key: str) -> str:
        """Root and key joined, fit for messages and display."""

    def options(self, **changes: Any) -> Storage:
        """A view of the same storage (same connections and counters) with other limits, timeout, retries or read_only.

        With ``durable=False``, writes outlast a power cut only once :meth:`sync` was called for them.
        """

    async def list(self, prefix: str) -> Sequence[Entry]:
        """Immediate children of a directory, sorted by key; empty when there is none.

        Names that others gave may make keys that cannot be asked for (not UTF-8, a backslash, an empty segment). They
        are listed, here and wherever directories or volumes are listed as one, so that they can be told of.

        Raises
        ------
        AccessDeniedError
            A denied listing is never an empty one.
        """

    def scan(
        self, prefix: str, collapse: str | None = ".zarr/", *, start_after: str = "", stop_before: str | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Entry]]]:
        """Everything below a directory, in pages, every entry once; trees ending in `collapse` count as one entry.

        Entries come in key order where the storage lists in order (object stores); on others page by page, a page a
        directory. `start_after` and `stop_before` bound the keys. With `collapse` None, keys that cannot be asked for are
        left out.
        """

    async def first_page(self, prefix: str, *, start_after: str = "") -> FirstPage | None:
        """How a scan would begin: at most one request. None where pages are not in key order or trees not collapsed."""

    async def list_nested(
        self, prefixes: Sequence[str], enter: Callable[[str], bool], *, details: bool = True
    ) -> builtins.list[Sequence[Entry] | CopickError]:
        """Children of several directories and, in the place of those directories among them that `enter` accepts by
        name, what these hold (themselves, when that is nothing); an error in the place of what could not be listed.

        Without `details`, sizes, etags and times are missing where they would cost more than the names.
        """

    async def leftovers(self, prefix: str = "") -> Sequence[Entry]:
        """Temporary files below a directory that listings hide, of writes under way or killed, sorted by key.

        Empty where writes leave none.
        """

    async def exists(self, key: str) -> bool:
        """Whether anything is stored at the key or below it. One request."""

    async def stat(self, key: str) -> Entry:
        """The entry of one object or directory; NotFoundError when there is none."""

    async def read(self, key: str, range: Range | None = None) -> bytes:
        """The content of one object, or a part of it. One request."""

    async def read_versioned(self, key: str) -> tuple[bytes, str | None]:
        """The content of one object and the etag of exactly that content, for a later ``write(if_match=)``.

        One request where the backend answers a read with its etag. Otherwise the etag is asked for *before* the content,
        so that a change in between looks like a conflict and is never lost. None where there are no etags.
        """

    async def read_aged(self, key: str) -> Aged:
        """The content of one object, its etag, and its age by the clock of the server."""

    def read_many(
        self, items: Iterable[ReadItem]
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[ReadItem, bytes | CopickError]]]:
        """Contents of many objects, as they arrive, an error in place of what could not be read.

        Bounded by the limits of the storage, whatever the number of items. Leaving the block cancels what is under way.
        """

    def read_many_versioned(
        self, keys: Iterable[str]
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[str, tuple[bytes, str | None] | CopickError]]]:
        """As :meth:`read_many`, each content with its etag, as :meth:`read_versioned` gives it."""

    def read_through(
        self, keys: Iterable[str], use: Callable[[str, bytes], Value], *, limit: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[str, Value | CopickError]]]:
        """As :meth:`read_many`, each content put through a function off the event loop: in the thread that read it,
        where one did. What the function makes of it comes in its place; our errors count as that key's, others are
        raised. At most `limit` contents are worked on at a time.
        """

    async def write(self, key: str, data: Buffer, *, if_match: str | None = None, create: bool = False) -> str | None:
        """Replace an object, atomically; returns its new etag where there is one.

        Raises
        ------
        AlreadyExistsError
            `create` is set and the key exists.
        ConflictError
            `if_match` is given and the object has another etag by now, or is gone.
        """

    async def write_many(self, items: Iterable[tuple[str, Buffer]]) -> None:
        """Replace many objects concurrently, within the limits."""

    async def sync(self, keys: Iterable[str]) -> None:
        """Make files that were written with ``durable=False`` outlast a power cut, with the names that lead to them.

        An error means that they may not be whole: write them again. Memory and object stores are not asked.
        """

    async def delete_many(self, keys: Iterable[str]) -> None:
        """Delete objects; what is missing already is no error."""

    async def delete_tree(self, prefix: str) -> int:
        """Delete everything below a directory, and the directory; returns how many objects there were.

        Links on a disk are removed as links: what they lead to stays.
        """

    async def delete_linked(self, prefix: str) -> bool:
        """Delete a directory that is a link or has links in it, as :meth:`delete_tree` does.

        What is written there afterwards belongs to this directory, not to another one. False, and nothing is done, if it
        has no links; object stores have none and are not asked.
        """

    async def copy(self, source: str, target: str) -> None:
        """Copy one object inside this storage, by the server where it can."""

    async def aclose(self) -> None:
        """Close this loop's connections; the next use connects again."""
