"""A zarr 3 store over a Storage, so that chunks use the same limits, retries and error mapping.

zarr's synchronous API runs on an event loop of its own, in a thread; a Storage serves every loop with its own
connections, so the store may be used from any of them, from several at once, and after pickling in another process.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, Store, SuffixByteRequest
from zarr.core.buffer import default_buffer_prototype

from aiocopick.concurrency.fan_out import gather, stream
from aiocopick.concurrency.lazy import numpy as np
from aiocopick.errors import AlreadyExistsError, NotFoundError, ReadOnlyError
from aiocopick.formats.json_bytes import inflated_document
from aiocopick.layout.paths import file_kind
from aiocopick.storage.keys import is_key
from aiocopick.storage.together import Together

if TYPE_CHECKING:
    from zarr.core.buffer import Buffer, BufferPrototype

    from aiocopick.storage.base import Entry, Range, Storage

Item = TypeVar("Item")

_TOGETHER = 64
"""Keys asked for at once by the methods that take several; the limits of the storage hold below that."""


class StorageStore(Store):
    """One zarr hierarchy: everything below one directory of a storage.

    Parameters
    ----------
    storage : Storage
        The storage of the bytes. Its limits, retries, errors, counters and protection apply to the store.
    prefix : str
        Directory of the hierarchy, relative to the root of the storage; keys cannot leave it.
    read_only : bool
        Refuse changes. A store over a read-only storage is always read-only.
    """

    supports_writes: bool = True
    supports_deletes: bool = True
    supports_listing: bool = True

    def __init__(self, storage: Storage, prefix: str, *, read_only: bool = False) -> None:
        super().__init__(read_only=read_only or storage.read_only)
        self.prefix = prefix.strip("/")
        self.storage = storage.opened(self.prefix)

    @property
    def url(self) -> str:
        """URL of the hierarchy, without secrets."""
        return self.storage.path_of(self.prefix)

    @property
    def reads_in_threads(self) -> bool:
        """True if values are read in threads (local disk), so that they can also be processed there."""
        return self.storage.capabilities.nested

    @property
    def near(self) -> bool:
        """True if a request takes next to no time."""
        return self.storage.capabilities.near

    def __str__(self) -> str:
        return self.url

    def __repr__(self) -> str:
        return f"StorageStore({self.url!r}{', read_only=True' if self.read_only else ''})"

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, StorageStore)
            and self.prefix == other.prefix
            and self.read_only == other.read_only
            and self.storage == other.storage
        )

    def __hash__(self) -> int:
        return hash((self.url, self.read_only))

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (self.storage, self.prefix, self.read_only))

    def with_read_only(self, read_only: bool = False) -> StorageStore:
        """Return a store of the same hierarchy, read-only or not.

        Raises
        ------
        ReadOnlyError
            A writable store of a read-only storage is asked for.
        """
        if not read_only and self.storage.read_only:
            raise ReadOnlyError(f"{self.url}: the storage is read-only; its store cannot be writable", path=self.url)
        return StorageStore(self.storage, self.prefix, read_only=read_only)

    def with_chunk_limit(self, size: int) -> StorageStore:
        """Return a store of the same hierarchy that refuses to read larger chunks, before they are in memory."""
        return StorageStore(self.storage.options(max_chunk_bytes=size), self.prefix, read_only=self.read_only)

    def fresh(self) -> StorageStore:
        """Return a store of the same hierarchy that reads what is stored now, not what is kept on local disk."""
        storage = self.storage.fresh()
        return self if storage is self.storage else StorageStore(storage, self.prefix, read_only=self.read_only)

    def renew(self) -> None:
        """Forget the versions of what is kept on local disk: they are asked for again."""
        self.storage.renew()

    def _check_writable(self) -> None:
        if self.read_only:
            raise ReadOnlyError(
                f"{self.url}: store was opened in read-only mode and does not support writing", path=self.url
            )

    def _key(self, key: str) -> str:
        # The storage refuses what would leave the prefix; a key of it must not be the prefix itself either.
        return f"{self.prefix}/{key}" if self.prefix else key

    def _directory(self, prefix: str) -> str:
        prefix = prefix.strip("/")
        return self._key(prefix) if prefix else self.prefix

    # --- reading ------------------------------------------------------------------------------------------------------

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Return the value of a key, or a part of it; None if the key does not exist. One request."""
        prototype = prototype or default_buffer_prototype()
        try:
            data = await self.storage.read(self._key(key), _range(byte_range))
            if byte_range is None and file_kind(key) == "metadata":
                # Stores may hold it as gzip, which zarr does not expect.
                data = inflated_document(data, path=self.storage.path_of(self._key(key)))
            return prototype.buffer.from_bytes(data)
        except NotFoundError:
            return None

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Return several values or parts, in the order of the request."""

        async def get(item: tuple[str, ByteRequest | None]) -> Buffer | None:
            return await self.get(item[0], prototype, item[1])

        found: list[Buffer | None] = []
        async with stream(get, list(key_ranges), limit=_TOGETHER, ordered=True) as values:
            async for _, value in values:
                if isinstance(value, Exception):
                    raise value
                found.append(value)
        return found

    async def _get_many(
        self, requests: Iterable[tuple[str, BufferPrototype, ByteRequest | None]]
    ) -> AsyncGenerator[tuple[str, Buffer | None], None]:
        # A task group must not stay open across a yield, so the answers are gathered first.
        items = list(requests)
        if items:
            values = await self.get_partial_values(items[0][1], [(key, part) for key, _, part in items])
            for (key, _, _), value in zip(items, values, strict=True):
                yield key, value

    async def read_through(
        self, items: Iterable[tuple[str, Item]], use: Callable[[Item, bytes | bytearray | memoryview], None], limit: int
    ) -> list[Item]:
        """Apply a function to values off the event loop: in the thread that read them, if there was one.

        Parameters
        ----------
        items : iterable of (str, object)
            Keys, and the objects that are passed to the function with their values.
        use : callable
            Called in a thread.
        limit : int
            Values worked on at a time.

        Returns
        -------
        list
            The items of keys that have no value.
        """
        waiting: dict[str, Item] = {}
        missing: list[Item] = []

        def keys() -> Iterator[str]:
            for name, item in items:
                key = self._key(name)
                waiting[key] = item
                yield key

        async with self.storage.read_through(keys(), lambda key, data: use(waiting[key], data), limit=limit) as results:
            async for key, error in results:
                item = waiting.pop(key)
                if isinstance(error, NotFoundError):
                    missing.append(item)
                elif error is not None:
                    raise error from error.__cause__
        return missing

    async def exists(self, key: str) -> bool:
        """Return True if the key has a value; a directory is not a value."""
        try:
            entry = await self.storage.stat(self._key(key))
        except NotFoundError:
            return False
        return not entry.is_prefix

    async def getsize(self, key: str) -> int:
        """Bytes of a value."""
        entry = await self.storage.stat(self._key(key))
        if entry.is_prefix:
            raise NotFoundError(f"{self.url}/{key}: nothing is stored under that key", path=f"{self.url}/{key}")
        return len(await self.storage.read(self._key(key))) if entry.size is None else entry.size

    async def getsize_prefix(self, prefix: str) -> int:
        """Bytes of all values below a directory, from its listing."""
        total = 0
        async with self.storage.scan(self._directory(prefix), None) as pages:
            async for page in pages:
                for entry in page:
                    if not entry.is_prefix:
                        total += await self.getsize(self._relative(entry.key)) if entry.size is None else entry.size
        return total

    # --- listing ------------------------------------------------------------------------------------------------------

    def _relative(self, key: str) -> str:
        return key[len(self.prefix) + 1 :] if self.prefix else key

    async def list(self) -> AsyncIterator[str]:
        """All keys."""
        async with aclosing(self._list_prefix("")) as keys:
            async for key in keys:
                yield key

    async def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """All keys that begin with a string."""
        async with aclosing(self._list_prefix(prefix)) as keys:
            async for key in keys:
                yield key

    async def _list_prefix(self, prefix: str) -> AsyncGenerator[str, None]:
        for key in await self.keys(prefix):
            yield key

    async def keys(self, prefix: str = "") -> tuple[str, ...]:
        """All keys that begin with a string, at once."""
        found = []
        async with self.storage.scan(self._directory(prefix.rpartition("/")[0]), None) as pages:
            async for page in pages:
                found += [self._relative(entry.key) for entry in page if not entry.is_prefix]
        return tuple(key for key in found if key.startswith(prefix))

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Names of the immediate children of a directory."""
        entries = [entry for entry in await self.storage.list(self._directory(prefix)) if is_key(entry.key)]
        if self.storage.capabilities.directories:
            held = await gather(self._holds, entries, limit=_TOGETHER)
            entries = [entry for entry, holds in zip(entries, held, strict=True) if holds]
        for entry in entries:
            yield entry.name

    async def _holds(self, entry: Entry) -> bool:
        """Return True if an entry is a value, or a directory with a value in it: on disk, deleted chunks leave empty
        directories.
        """
        if not entry.is_prefix:
            return True
        async with self.storage.scan(entry.key, None) as pages:
            async for page in pages:
                if any(not child.is_prefix for child in page):
                    return True
        return False

    # --- changing -----------------------------------------------------------------------------------------------------

    async def set(self, key: str, value: Buffer) -> None:
        """Replace a value. One request."""
        self._check_writable()
        await self.storage.write(self._key(key), _bytes(value))

    @asynccontextmanager
    async def together(self) -> AsyncIterator[Callable[[str, Buffer], Awaitable[None]]]:
        """Yield a function that writes values that are not visible yet: they survive a power cut from the end of the
        block on.
        """
        self._check_writable()
        files = Together(self.storage)

        async def put(key: str, value: Buffer) -> None:
            await files.write(self._key(key), _bytes(value))

        yield put
        await files.finish()

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write a value unless the key exists; decided by the storage if it has conditional writes."""
        self._check_writable()
        if not self.storage.capabilities.conditional_writes:
            if not await self.exists(key):
                await self.set(key, value)
            return
        try:
            await self.storage.write(self._key(key), _bytes(value), create=True)
        except AlreadyExistsError:
            return

    async def delete(self, key: str) -> None:
        """Delete a value; a missing key is not an error."""
        await self.delete_many([key])

    async def delete_many(self, keys: Iterable[str]) -> None:
        """Delete values, in as few requests as the storage allows."""
        self._check_writable()
        await self.storage.delete_many([self._key(key) for key in keys])

    async def delete_dir(self, prefix: str) -> None:
        """Delete everything below a directory."""
        self._check_writable()
        await self.storage.delete_tree(self._directory(prefix))

    async def delete_linked(self) -> bool:
        """Delete the hierarchy if it is a link or contains links, before it is replaced: the targets of links stay."""
        self._check_writable()
        return bool(self.prefix) and await self.storage.delete_linked(self.prefix)

    async def clear(self) -> None:
        """Delete everything."""
        await self.delete_dir("")


def _rebuild(storage: Storage, prefix: str, read_only: bool) -> StorageStore:
    return StorageStore(storage, prefix, read_only=read_only)


def _range(request: ByteRequest | None) -> Range | None:
    if request is None:
        return None
    if isinstance(request, RangeByteRequest):
        return (request.start, request.end)
    if isinstance(request, OffsetByteRequest):
        return (request.offset, None)
    if isinstance(request, SuffixByteRequest):
        return (-request.suffix, None) if request.suffix else (0, 0)
    raise TypeError(f"Unexpected byte_range, got {request!r}; it must be one of zarr's byte requests")


def _bytes(value: Buffer) -> memoryview:
    from zarr.core.buffer import Buffer as BufferClass

    if not isinstance(value, BufferClass):
        raise TypeError(f"A store takes zarr buffers, not {type(value).__name__}")
    # No copy: the storage writes out of the buffer of the codec.
    array: Any = np.ascontiguousarray(value.as_numpy_array())
    return memoryview(array).cast("B") if len(value) else memoryview(b"")
