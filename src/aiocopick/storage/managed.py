"""The storage that the library works with: a backend, with everything around it that holds for all of them.

Key confinement, read-only protection, limits, retries and deadline, error mapping and statistics are here, once (and in
the ``managed_`` modules beside this one); a backend only makes raw attempts.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from itertools import islice
from typing import Any

from aiocopick.concurrency.fan_out import gather
from aiocopick.errors import AlreadyExistsError, ConflictError, ReadOnlyError, StorageError
from aiocopick.storage.backends.base import Backend, Condition, ConditionError, Page
from aiocopick.storage.base import Buffer, Storage
from aiocopick.storage.keys import check_key, check_prefix
from aiocopick.storage.managed_base import ManagedCore
from aiocopick.storage.managed_listing import ManagedListing
from aiocopick.storage.managed_reading import ManagedReading
from aiocopick.storage.scan import UnfitError, follow
from aiocopick.storage.settings import Settings

_VIEWED = frozenset(
    {"max_concurrency", "max_bytes_in_flight", "max_file_bytes", "timeout", "retries", "read_only", "durable"}
)


class ManagedStorage(ManagedListing, ManagedReading):
    """A :class:`~aiocopick.storage.base.Storage` over one backend."""

    __slots__ = ()

    @classmethod
    def make(cls, settings: Settings, backend: type[Backend]) -> ManagedStorage:
        """A storage of its own."""
        return cls(ManagedCore(settings, backend), settings)

    def options(self, **changes: Any) -> Storage:
        """A view of the same storage with other limits, timeout or retries, or read-only."""
        unknown = changes.keys() - _VIEWED
        if unknown:
            raise TypeError(f"options() takes {', '.join(sorted(_VIEWED))}; not {', '.join(sorted(unknown))}")
        if self._settings.read_only and not changes.get("read_only", True):
            raise ReadOnlyError(f"{self.url} is read-only; a view cannot make it writable", path=self.url)
        return ManagedStorage(self._core, dataclasses.replace(self._settings, **changes))

    def __reduce__(self) -> tuple[object, ...]:
        # As its recipe: whoever unpickles it connects anew.
        return (_rebuild, (self._core.settings, self._core.backend, self._settings))

    # --- writing ------------------------------------------------------------------------------------------------------

    def _check_writable(self, key: str) -> None:
        if self.read_only:
            path = self.path_of(key)
            reason = "" if self._core.capabilities.writable else f" ({self._core.root.protocol} cannot write)"
            raise ReadOnlyError(f"{path}: the storage is read-only{reason}; nothing was changed", path=path)

    async def write(self, key: str, data: Buffer, *, if_match: str | None = None, create: bool = False) -> str | None:
        """Replace an object, atomically; returns its new etag where there is one."""
        self._check_writable(key)
        check_key(key)
        if (if_match is not None or create) and not self._core.capabilities.conditional_writes:
            raise StorageError(f"{self.path_of(key)}: this storage has no conditional writes", path=self.path_of(key))
        if if_match is not None and create:
            raise ValueError("if_match and create exclude each other: an object cannot be both there and not there")
        condition = Condition(if_match, uuid.uuid4().hex) if create or if_match is not None else None
        size = memoryview(data).nbytes
        path = self.path_of(key)

        async def write(backend: Backend) -> str | None:
            put = backend.write if self._settings.durable else backend.write_unsynced
            return await put(key, data, condition)

        try:
            etag = await self._run("write", key, write, weight=size)
        except ConditionError:
            if create:
                raise AlreadyExistsError(f"{path} exists already; it was not replaced", path=path) from None
            raise ConflictError(
                f"{path} was changed since it was read; load it again and repeat the change", path=path
            ) from None
        self.stats.moved(written=size)
        return etag

    async def write_many(self, items: Iterable[tuple[str, Buffer]]) -> None:
        """Replace many objects concurrently, within the limits."""

        async def write(item: tuple[str, Buffer]) -> None:
            await self.write(*item)

        await gather(write, items, limit=self._settings.max_concurrency)

    async def sync(self, keys: Iterable[str]) -> None:
        """Make files that were written with ``durable=False`` outlast a power cut."""
        self._check_writable("")
        checked = [check_key(key) for key in keys]
        if checked and self._core.capabilities.directories:
            # Never again after an error: a system tells of it once, and of the next attempt that all is well.
            await self._run("write", checked[0], lambda backend: backend.sync(checked), count=0, retries=0)

    async def delete_many(self, keys: Iterable[str]) -> None:
        """Delete objects; what is missing already is no error."""
        self._check_writable("")
        checked = [check_key(key) for key in keys]
        await self._delete(checked)

    async def _delete(self, keys: Sequence[str]) -> None:
        size = self._core.backend.delete_batch
        source = iter(keys)

        async def delete(batch: list[str]) -> None:
            await self._run("delete", batch[0], lambda backend: backend.delete(batch))

        batches = list(iter(lambda: list(islice(source, size)), []))
        await gather(delete, batches, limit=self._settings.max_concurrency)

    async def delete_tree(self, prefix: str) -> int:
        """Delete everything below a directory, and the directory; returns how many objects there were."""
        self._check_writable(prefix)
        check_key(prefix.removesuffix("/"))
        prefix = check_prefix(prefix)
        if self._core.backend.native_tree:
            return await self._run("delete", prefix, lambda backend: backend.delete_tree(prefix))
        count = 0
        resumes = self._core.backend.resumes
        markers: set[str] = set()

        async def fetch(prefix: str, delimiter: str | None, start_after: str = "", token: object | None = None) -> Page:
            page = await self._page(prefix, delimiter, start_after, token)
            if page.marked:
                markers.add(f"{prefix}/")
            return page

        try:
            async with aclosing(follow(fetch, prefix, None, resumes=resumes)) as pages:
                async for entries in pages:
                    # Names that could not be asked for are deleted as well.
                    keys = [entry.key for entry in entries if not entry.is_prefix]
                    markers.update(entry.key + "/" for entry in entries if entry.is_prefix)
                    await self._delete(keys)
                    count += len(keys)
        except UnfitError:
            raise self._endless(prefix) from None
        # A directory, where it is an object of its own, may have to be empty first: the deepest ones go first.
        for marker in sorted(markers, reverse=True):
            await self._delete([marker])
        return count

    async def delete_linked(self, prefix: str) -> bool:
        """Delete a directory that is a link or has links in it; False, and nothing is done, if it has none."""
        self._check_writable(prefix)
        prefix = check_key(prefix.removesuffix("/"))
        if not self._core.capabilities.directories:
            return False
        return await self._run("delete", prefix, lambda backend: backend.delete_linked(prefix))

    async def copy(self, source: str, target: str) -> None:
        """Copy one object inside this storage, by the server where it can."""
        self._check_writable(target)
        check_key(source)
        check_key(target)
        await self._run("copy", source, lambda backend: backend.copy(source, target))


def _rebuild(settings: Settings, backend: type[Backend], view: Settings) -> ManagedStorage:
    storage = ManagedStorage.make(settings, backend)
    return storage if view == settings else ManagedStorage(storage._core, view)
