"""The interface of a storage: a small protocol over keys and bytes.

Keys are ``/``-separated, relative to the root of the storage, without leading or trailing ``/``; they cannot leave the
root. Nothing here depends on CoPick, or on the library that transfers the bytes.
"""

from __future__ import annotations

import builtins
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeVar, overload, runtime_checkable

if TYPE_CHECKING:
    from aiocopick.errors import CopickError
    from aiocopick.storage.stats import StorageStats

Value = TypeVar("Value")

Range: TypeAlias = tuple[int, int | None]
"""Half-open byte range ``(start, stop)``; ``stop`` None reads to the end; a negative start counts from the end."""

ReadItem: TypeAlias = str | tuple[str, Range]
"""An item of :meth:`Storage.read_many`: a key, or a key and a range."""

Buffer: TypeAlias = bytes | bytearray | memoryview
"""Data that can be written."""


class Entry(NamedTuple):
    """One line of a listing. A tuple, because listings have thousands, and tuples are created fastest.

    Parameters
    ----------
    key : str
        Relative to the root, without trailing ``/``.
    is_prefix : bool
        True for a directory, a common prefix, or a tree that a scan collapsed; False for an object or file.
    size : int, optional
        Bytes; None for prefixes and if the storage does not report it.
    etag : str, optional
        Opaque version of the content, without quotes. None if the storage has none.
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


Row: TypeAlias = tuple[str, bool, int | None, str | None, float | None]
"""The fields of an entry, in their order; an entry is one as well."""

_entry: Callable[[Row], Entry] = partial(tuple.__new__, Entry)
"""Make an entry like ``Entry._make``, in half the time."""


class Entries(Sequence[Entry]):
    """Entries that are made of rows when they are looked at.

    Thousands wait between a server and the consumer. The garbage collector does not visit plain tuples of text and
    numbers, and visits every entry.

    Parameters
    ----------
    rows : sequence of tuple
        The fields of each entry.
    """

    __slots__ = ("rows",)

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Entry]:
        return map(_entry, self.rows)

    @overload
    def __getitem__(self, index: int) -> Entry: ...

    @overload
    def __getitem__(self, index: slice) -> Entries: ...

    def __getitem__(self, index: int | slice) -> Entry | Entries:
        return Entries(self.rows[index]) if isinstance(index, slice) else _entry(self.rows[index])

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, Sequence) else NotImplemented

    def __repr__(self) -> str:
        return repr(list(self))


class Aged(NamedTuple):
    """The content of an object and its age.

    Parameters
    ----------
    data : bytes
        The content.
    etag : str, optional
        Its version, if the storage has versions.
    age : float, optional
        Seconds since it was written, both times by the clock of the server; None if it does not report them.
    """

    data: bytes
    etag: str | None
    age: float | None


@dataclass(frozen=True, slots=True)
class FirstPage:
    """The beginning of a scan, from one request.

    Parameters
    ----------
    entries : sequence of Entry
        In key order.
    reached : str
        All keys up to this key are among the entries, or in one of their trees; greater than any key if nothing
        follows.
    sparse : bool
        True if the server counts the keys inside of collapsed trees, so that they fill its pages: listing the rest
        directory by directory takes fewer requests.
    marked : bool
        True if the directory is an object of its own, so that it exists without any entries.
    """

    entries: Sequence[Entry]
    reached: str
    sparse: bool = False
    marked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """Capabilities of a storage beyond reading and writing whole objects.

    Parameters
    ----------
    delimiter : bool
        True if a flat listing may collapse trees with a delimiter of several characters. It is a hint: the answer of
        the server is checked while it arrives.
    conditional_writes : bool
        True if ``if_match`` and ``create`` are decided by the storage, atomically.
    etags : bool
        True if entries and writes have etags.
    writable : bool
        True if the protocol can write (plain HTTP cannot).
    directories : bool
        True if directories exist on their own (disk), rather than as parts of keys (object stores).
    nested : bool
        True if :meth:`Storage.list_nested` is one request for any number of directories.
    near : bool
        True if a request takes no round trip (memory, disk).
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

    Every method is safe to call from any event loop; each loop gets its own connections. Limits on requests and bytes
    in flight, retries, deadlines, error mapping, read-only protection, key confinement and statistics hold inside.
    Errors are those of :mod:`aiocopick.errors`, raised singly, never as an exception group.
    """

    @property
    def url(self) -> str:
        """URL of the root, without secrets."""

    @property
    def read_only(self) -> bool:
        """True if every change is refused with :class:`~aiocopick.errors.ReadOnlyError`, before a request is sent."""

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities of this storage."""

    @property
    def stats(self) -> StorageStats:
        """Counters over all loops and views: requests by verb, bytes, retries, requests in flight."""

    def path_of(self, key: str) -> str:
        """Return root and key joined, for messages and display."""

    def options(self, **changes: Any) -> Storage:
        """Return a view of the same storage (same connections and counters) with other limits, timeout, retries or
        read_only.

        With ``durable=False``, writes survive a power cut only after :meth:`sync` was called for them. A
        chunk larger than ``max_chunk_bytes`` is not read, nor is any object larger than ``max_listed_bytes``.
        """

    def opened(self, prefix: str) -> Storage:
        """Return a view for the reader of one volume that is opened now.

        A storage that keeps contents asks once for the versions in the volume. Others return themselves.
        """

    def fresh(self) -> Storage:
        """Return a view that reads what the server has now, for changes of it; others than caches return themselves."""

    def renew(self) -> None:
        """Forget what is known of the versions in an opened volume."""

    async def list(self, prefix: str) -> Sequence[Entry]:
        """List the immediate children of a directory, sorted by key; empty if it does not exist.

        Names of other programs may give keys that cannot be requested (not UTF-8, a backslash, an empty segment). They
        are listed, here and in listings of collapsed directories or volumes, so that they can be reported.

        Raises
        ------
        AccessDeniedError
            The listing is denied; it is not reported as empty.
        """

    def scan(
        self, prefix: str, collapse: str | None = ".zarr/", *, start_after: str = "", stop_before: str | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Entry]]]:
        """List everything below a directory, in pages, every entry once; a tree ending in `collapse` is one entry.

        Entries are in key order if the storage lists in order (object stores); otherwise each page is one
        directory. `start_after` and `stop_before` bound the keys. With `collapse` None, keys that cannot be requested
        are left out.
        """

    async def first_page(self, prefix: str, *, start_after: str = "") -> FirstPage | None:
        """Request the first page of a scan, or None if pages are not in key order or trees are not collapsed."""

    async def first_children(self, prefix: str, *, start_after: str = "") -> FirstPage | None:
        """Request the first page of the immediate children of a directory; None under the same conditions."""

    async def list_nested(
        self, prefixes: Sequence[str], enter: Callable[[str], bool], *, details: bool = True
    ) -> builtins.list[Sequence[Entry] | CopickError]:
        """List the children of several directories.

        Child directories that `enter` accepts by name are replaced by their own children (unless they are empty). A
        directory that cannot be listed is replaced by its error. Without `details`, sizes, etags and times are missing
        if they would cost more requests than the names.
        """

    async def leftovers(self, prefix: str = "") -> Sequence[Entry]:
        """List the temporary files below a directory that listings hide, of running or killed writes, sorted by key.

        Empty if writes leave none.
        """

    async def exists(self, key: str) -> bool:
        """Return True if anything is stored at the key or below it. One request."""

    async def stat(self, key: str) -> Entry:
        """Return the entry of one object or directory; NotFoundError if it does not exist."""

    async def read(self, key: str, range: Range | None = None) -> bytes:
        """Return the content of one object, or a part of it. One request."""

    async def read_versioned(self, key: str, *, listed: bool = False) -> tuple[bytes, str | None]:
        """Return the content of one object and the etag of exactly that content, for a later ``write(if_match=)``.

        With `listed`, a storage that keeps contents may return the version that its own last listing gave.

        One request if the backend returns the etag with a read. Otherwise the etag is requested *before* the content,
        so that a change in between looks like a conflict and is never lost. None if there are no etags.
        """

    async def read_unless(
        self, key: str, etag: str | None, range: Range | None = None
    ) -> tuple[Buffer, str | None] | None:
        """Return the content of one object, or a part of it, and its etag; None if it still has the given etag.

        One request; of an object that has the etag, the server sends no body.
        """

    async def read_aged(self, key: str) -> Aged:
        """Return the content of one object, its etag, and its age by the clock of the server."""

    def read_many(
        self, items: Iterable[ReadItem]
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[ReadItem, bytes | CopickError]]]:
        """Read many objects; yield them as they arrive, with an error instead of a content that could not be read.

        Bounded by the limits of the storage, whatever the number of items. Leaving the block cancels running requests.
        """

    def read_many_versioned(
        self, keys: Iterable[str], *, listed: bool = False
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[str, tuple[bytes, str | None] | CopickError]]]:
        """Read like :meth:`read_many`, each content with its etag as from :meth:`read_versioned`."""

    def read_through(
        self, keys: Iterable[str], use: Callable[[str, Buffer], Value], *, limit: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[str, Value | CopickError]]]:
        """Read like :meth:`read_many`, and apply a function to each content off the event loop.

        If a thread read the content, the function runs in that thread. Its results are yielded instead of the contents;
        our errors are yielded as errors of the key, others are raised. At most `limit` contents are processed at a
        time.
        """

    async def write(self, key: str, data: Buffer, *, if_match: str | None = None, create: bool = False) -> str | None:
        """Replace an object, atomically; return its new etag if there is one.

        Raises
        ------
        AlreadyExistsError
            `create` is set and the key exists.
        ConflictError
            `if_match` is given and the object has another etag now, or was deleted.
        """

    async def write_many(self, items: Iterable[tuple[str, Buffer]]) -> None:
        """Replace many objects concurrently, within the limits."""

    async def sync(self, keys: Iterable[str]) -> None:
        """Make files that were written with ``durable=False`` survive a power cut, with their directories.

        An error means that they may be incomplete: write them again. No-op for memory and object stores.
        """

    async def delete_many(self, keys: Iterable[str]) -> None:
        """Delete objects; a missing object is not an error."""

    async def delete_tree(self, prefix: str) -> int:
        """Delete everything below a directory, and the directory; return the number of objects.

        Links on a disk are removed as links: their targets stay.
        """

    async def delete_linked(self, prefix: str) -> bool:
        """Delete a directory that is a link or contains links, as :meth:`delete_tree` does.

        Files written there afterwards belong to this directory, not to a link target. False, and no change, if it
        has no links; no request is sent to object stores, which have none.
        """

    async def copy(self, source: str, target: str) -> None:
        """Copy one object inside this storage, by the server if possible."""

    async def aclose(self) -> None:
        """Close this loop's connections; the next use connects again."""
