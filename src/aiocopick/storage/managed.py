"""The storage that the library works with: one backend, and around it the rules that hold for every backend.

Key confinement, read-only protection, limits, retries and deadline, error mapping and statistics are here, once; a
backend only makes raw attempts. Longer than 500 lines because it is the whole of the Storage protocol, which is one
class.
"""

from __future__ import annotations

import builtins
import dataclasses
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import anyio

from aiocopick.concurrency.fan_out import gather
from aiocopick.concurrency.threads import processors
from aiocopick.errors import (
    AlreadyExistsError,
    ConflictError,
    CopickError,
    FormatError,
    NotFoundError,
    ReadOnlyError,
    StorageError,
)
from aiocopick.layout.paths import file_kind
from aiocopick.models.redaction import scrub, secrets_in_url, secrets_of, shows_secret
from aiocopick.storage import loops
from aiocopick.storage.backends.base import Backend, Condition, ConditionError, Content, LaterError, Page, Some, Use
from aiocopick.storage.base import Aged, Buffer, Capabilities, Entries, Entry, FirstPage, Range, ReadItem, Row, Storage
from aiocopick.storage.faults import MISSING, Fault, TooLargeError
from aiocopick.storage.keys import check_key, check_prefix, display_key, is_key, parse_root
from aiocopick.storage.reading import Raised, Read, guarded, read_batches, read_singly
from aiocopick.storage.retries import Attempts, Failure
from aiocopick.storage.scan import UnfitError, beginning, children, dense, follow, nested, prefetching, walk
from aiocopick.storage.settings import Settings
from aiocopick.storage.stats import StorageStats
from aiocopick.storage.written import note_change

Value = TypeVar("Value")

_CHANGES = frozenset({"write", "delete", "copy"})

_WORKED_ON = 4
"""Contents that one hop into a thread reads and works on."""

_VIEWED = frozenset(
    {
        "max_concurrency",
        "max_bytes_in_flight",
        "max_file_bytes",
        "timeout",
        "retries",
        "read_only",
        "durable",
        "max_chunk_bytes",
        "max_listed_bytes",
    }
)


class ManagedCore:
    """State shared by all views of a storage."""

    def __init__(self, settings: Settings, backend: type[Backend]) -> None:
        self.settings = settings
        self.root = parse_root(settings.root)
        self.backend = backend
        self.capabilities = backend.capabilities_of(settings)
        self.key = (backend, settings.connection_key)
        secrets = {*secrets_of(settings.fs_args), *secrets_in_url(settings.root)}
        self.secrets = tuple(sorted(secrets, key=len, reverse=True))
        self.stats = StorageStats()

    def make(self) -> Backend:
        """A backend for the running event loop."""
        return self.backend(self.settings, self.root)


class ManagedStorage:
    """A :class:`~aiocopick.storage.base.Storage` over one backend.

    Parameters
    ----------
    core : ManagedCore
        What is shared with other views: root, connections, counters.
    settings : Settings
        Limits of this view.
    """

    __slots__ = ("__weakref__", "_core", "_settings")

    def __init__(self, core: ManagedCore, settings: Settings) -> None:
        self._core = core
        self._settings = settings

    @classmethod
    def make(cls, settings: Settings, backend: type[Backend]) -> ManagedStorage:
        """A storage of its own."""
        return cls(ManagedCore(settings, backend), settings)

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """URL of the root, fit for display."""
        return self._core.root.url

    @property
    def read_only(self) -> bool:
        """True if every change is refused."""
        return self._settings.read_only or not self._core.capabilities.writable

    @property
    def capabilities(self) -> Capabilities:
        """Capabilities of this storage, as far as they are known now."""
        return self._core.capabilities

    @property
    def stats(self) -> StorageStats:
        """Counters over all loops and views."""
        return self._core.stats

    def path_of(self, key: str) -> str:
        """Root and key joined, fit for messages and display."""
        return f"{self.url.rstrip('/')}/{display_key(key)}" if key else self.url

    def __repr__(self) -> str:
        return f"<Storage {self.url}{' read-only' if self.read_only else ''}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ManagedStorage):
            return NotImplemented
        return self._core.key == other._core.key and self._settings == other._settings

    def __hash__(self) -> int:
        return hash((self.url, self.read_only))

    def options(self, **changes: Any) -> Storage:
        """A view of the same storage with other limits, timeout or retries, or read-only."""
        unknown = changes.keys() - _VIEWED
        if unknown:
            raise TypeError(f"options() takes {', '.join(sorted(_VIEWED))}; not {', '.join(sorted(unknown))}")
        if self._settings.read_only and not changes.get("read_only", True):
            raise ReadOnlyError(f"{self.url} is read-only; a view cannot make it writable", path=self.url)
        return ManagedStorage(self._core, dataclasses.replace(self._settings, **changes))

    def opened(self, prefix: str) -> Storage:
        """The storage itself: it keeps nothing."""
        return self

    def fresh(self) -> Storage:
        """The storage itself: it keeps nothing."""
        return self

    def renew(self) -> None:
        """Nothing to forget."""

    def __reduce__(self) -> tuple[object, ...]:
        # As its recipe: whoever unpickles it connects anew.
        return (_rebuild, (self._core.settings, self._core.backend, self._settings))

    async def aclose(self) -> None:
        """Close this loop's connections; the next use connects again."""
        await loops.release(self._core.key, self._core)

    # --- around every request -----------------------------------------------------------------------------------------

    def _connection(self) -> loops.Connection:
        return loops.connection(self._core.key, self._core, self._core.make)

    async def _run(
        self,
        verb: str,
        key: str,
        attempt: Callable[[Backend], Awaitable[Value]],
        *,
        weight: int = 0,
        count: int = 1,
        retries: int | None = None,
    ) -> Value:
        connection, stats, settings = self._connection(), self.stats, self._settings
        changes = verb in _CHANGES
        gate = connection.gate(settings.max_concurrency, settings.max_bytes_in_flight)
        # The time spent in the queue does not count towards the deadline: a long queue is no failure of the server.
        if not gate.admit(weight):
            await gate.wait(weight)
        try:
            if changes:
                note_change(self.url)
            attempts = Attempts(
                connection.backend.fault,
                retries=settings.retries if retries is None else retries,
                timeout=settings.timeout,
            )
            with anyio.move_on_after(settings.timeout):
                while True:
                    try:
                        if not connection.connected:
                            early = await connection.early(verb)
                            if early is not None:
                                stats.started(verb, count)
                                try:
                                    return await attempt(early)
                                except LaterError:
                                    stats.repeated()
                                finally:
                                    stats.finished()
                            await connection.connect()
                        stats.started(verb, count)
                        try:
                            return await attempt(connection.backend)
                        finally:
                            stats.finished()
                            stats.engine = connection.backend.engine
                    except (CopickError, ConditionError):
                        # Final, and understood by the caller.
                        raise
                    except Exception as error:
                        wait = attempts.failed(error)
                    if wait is None:
                        break
                    await anyio.sleep(wait)
                    stats.repeated()
        finally:
            gate.leave(weight)
            if changes:
                note_change(self.url)
        # Outside of the handler, or the failure would stay with the error as its context, secrets and all.
        raised = self._error(attempts.outcome(), verb, key)
        raise raised from raised.__cause__

    def _error(self, failure: Failure, verb: str, key: str) -> CopickError:
        path = self.path_of(key)
        fault = failure.fault
        # A listing that is denied is never an empty one.
        if fault.forbidden and (verb == "read" or (verb == "stat" and not self._core.backend.stat_lists)):
            if self._settings.forbidden_is_absent:
                fault = Fault(NotFoundError, MISSING)
            else:
                fault = replace(fault, reason=f"{fault.reason}, or set forbidden_is_absent=True if nothing is there")
        if isinstance(failure.cause, TooLargeError):
            kind, most, listed = file_kind(key), self._most(key), self._settings.max_listed_bytes
            if listed is not None and listed < self._settings.allowed(kind):
                fault = Fault(
                    ConflictError,
                    f"it is larger than the {most} bytes that were listed; it changed since, or "
                    "the server sends it unpacked",
                )
            elif kind == "chunks" and self._settings.max_chunk_bytes is not None:
                fault = Fault(FormatError, f"it is larger than {most} bytes, which no chunk of this array can be")
            else:
                fault = replace(
                    fault,
                    reason=f"it is larger than the {most} bytes that max_file_bytes allows for {kind}; if that is what "
                    f"it should be, open the project with max_file_bytes={{{kind!r}: ...}}",
                )
        reason = scrub(fault.reason, self._core.secrets)
        attempts = f" (after {failure.attempts} attempts)" if failure.attempts > 1 else ""
        error = fault.error(f"Cannot {verb} {path}: {reason}{attempts}", path=path)
        # A cause that shows a secret must not reach a traceback.
        error.__cause__ = None if shows_secret(failure.cause, self._core.secrets) else failure.cause
        return error

    def _most(self, key: str) -> int:
        """Return the number of bytes that may be read of a file."""
        return self._settings.most(file_kind(key))

    def _failed(self, verb: str, key: str, error: BaseException) -> CopickError:
        if isinstance(error, CopickError):
            return error
        fault = self._core.backend.meaning(error)
        return self._error(Failure(fault, error), verb, key)

    # --- listing ------------------------------------------------------------------------------------------------------

    async def list(self, prefix: str) -> Sequence[Entry]:
        """Immediate children of a directory, sorted by key; empty when there is none."""
        prefix = check_prefix(prefix)
        found: list[Row] = []
        try:
            async with aclosing(follow(self._page, prefix, "/", resumes=self._core.backend.resumes)) as pages:
                async for page in pages:
                    found.extend(page)
        except UnfitError:
            raise self._endless(prefix) from None
        return children(found)

    def _endless(self, prefix: str) -> StorageError:
        path = self.path_of(prefix)
        return StorageError(f"Cannot list {path}: the server goes on without listing anything new", path=path)

    def scan(
        self, prefix: str, collapse: str | None = ".zarr/", *, start_after: str = "", stop_before: str | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Entry]]]:
        """Everything below a directory, in pages, every entry once; trees ending in `collapse` count as one.

        Keys that cannot be asked for are left out when nothing is collapsed: whoever takes a tree apart asks for each.
        """
        prefix = check_prefix(prefix)
        if collapse is not None and not collapse.endswith("/"):
            raise ValueError(f"collapse must end in '/', as '.zarr/' does; not {collapse!r}")

        sparse = self._core.backend.counts_keys and collapse != "/"

        async def produce(send: Callable[[Sequence[Entry]], Awaitable[None]]) -> None:
            async def emit(page: Sequence[Entry]) -> None:
                await send(page if collapse is not None else [entry for entry in page if is_key(entry.key)])

            reached = start_after
            if self.capabilities.delimiter or (collapse in (None, "/") and self._core.backend.resumes):
                chain = follow(
                    self._page,
                    prefix,
                    collapse,
                    resumes=self._core.backend.resumes,
                    ordered=self._core.backend.ordered,
                    start_after=start_after,
                    stop_before=stop_before,
                    sparse=sparse,
                )
                try:
                    async with aclosing(dense(chain) if sparse else chain) as pages:
                        async for page in pages:
                            await emit(Entries(page))
                    return
                except UnfitError as unfit:
                    reached = unfit.reached
                    self._remember(unfit)
            await walk(
                self.list,
                emit,
                prefix,
                collapse,
                limit=self._settings.max_concurrency,
                start_after=reached,
                stop_before=stop_before,
            )

        return prefetching(produce)

    async def first_page(self, prefix: str, *, start_after: str = "") -> FirstPage | None:
        """Request the first page of a scan; None if its pages are not in key order or do not collapse volumes."""
        return await self._first(prefix, ".zarr/", start_after)

    async def first_children(self, prefix: str, *, start_after: str = "") -> FirstPage | None:
        """Request the first page of the children of a directory; None under the same conditions."""
        return await self._first(prefix, "/", start_after)

    async def _first(self, prefix: str, delimiter: str, start_after: str) -> FirstPage | None:
        prefix, backend = check_prefix(prefix), self._core.backend
        if not (self.capabilities.delimiter and backend.resumes):
            return None
        page = await self._page(prefix, delimiter, start_after)
        try:
            return beginning(page, prefix, delimiter, start_after=start_after, counts_keys=backend.counts_keys)
        except UnfitError as unfit:
            self._remember(unfit)
            return None

    def _remember(self, unfit: UnfitError) -> None:
        if unfit.always:
            self._core.capabilities = dataclasses.replace(self._core.capabilities, delimiter=False)

    def _page(
        self, prefix: str, delimiter: str | None, start_after: str = "", token: object | None = None
    ) -> Awaitable[Page]:
        return self._run(
            "list",
            prefix,
            lambda backend: backend.list_page(prefix, delimiter, start_after=start_after, token=token),
        )

    async def list_nested(
        self, prefixes: Sequence[str], enter: Callable[[str], bool], *, details: bool = True
    ) -> builtins.list[Sequence[Entry] | CopickError]:
        """Children of several directories, and in their places what is in those that `enter` accepts."""
        if not self.capabilities.nested:
            return await nested(self.list, prefixes, enter, limit=self._settings.max_concurrency)
        results: dict[int, Sequence[Entry] | CopickError] = {}
        wanted: dict[int, str] = {}
        for index, prefix in enumerate(prefixes):
            try:
                wanted[index] = check_prefix(prefix)
            except CopickError as error:
                results[index] = error
        if wanted:
            keys = list(wanted.values())
            found = await self._run("list", keys[0], lambda backend: backend.list_nested(keys, enter, details))
            for (index, key), entries in zip(wanted.items(), found, strict=True):
                results[index] = self._failed("list", key, entries) if isinstance(entries, BaseException) else entries
        return [results[index] for index in range(len(prefixes))]

    async def leftovers(self, prefix: str = "") -> Sequence[Entry]:
        """Temporary files below a directory that listings hide, of writes under way or killed, sorted by key."""
        prefix = check_prefix(prefix)
        found: list[Row] = []
        token: object | None = None
        while self._core.backend.leaves_files:
            page = await self._run("list", prefix, lambda backend, token=token: backend.leftovers(prefix, token))  # type: ignore[misc]
            found += page.entries
            token = page.token
            if token is None:
                break
        return children(found)

    async def exists(self, key: str) -> bool:
        """Return True if anything is stored at the key or below it."""
        try:
            await self.stat(key)
        except NotFoundError:
            return False
        return True

    async def stat(self, key: str) -> Entry:
        """The entry of one object or directory."""
        key = check_prefix(key)
        return await self._run("stat", key, lambda backend: backend.stat(key))

    # --- reading ------------------------------------------------------------------------------------------------------

    async def read(self, key: str, range: Range | None = None) -> bytes:
        """The content of one object, or a part of it."""
        return (await self._read(check_key(key), range)).data

    async def read_versioned(self, key: str, *, listed: bool = False) -> tuple[bytes, str | None]:
        """The content of one object and the etag of exactly that content."""
        return await self._read(check_key(key), None)

    async def read_unless(
        self, key: str, etag: str | None, range: Range | None = None
    ) -> tuple[Buffer, str | None] | None:
        """The content of one object, or a part of it, and its etag; None if it still has the given etag."""
        check_key(key)
        if etag is None:
            return await (self._view if range is None else self._read)(key, range)
        most, weight = self._most(key), self._weight(key, range)
        content = await self._run(
            "read", key, lambda backend: backend.read_unless(key, etag, range, most), weight=weight
        )
        self.stats.moved(read=0 if content is None else len(content.data))
        return content

    async def read_aged(self, key: str) -> Aged:
        """The content of one object, its etag, and its age by the clock of the server."""
        check_key(key)
        most = self._most(key)
        return await self._run("read", key, lambda backend: backend.read_aged(key, most))

    async def _read(self, key: str, span: Range | None) -> Content:
        if span is not None and span[1] is not None and 0 <= span[1] <= span[0]:
            return Content(b"")
        most, weight = self._most(key), self._weight(key, span)
        content = await self._run("read", key, lambda backend: backend.read(key, span, most), weight=weight)
        self._note_size(span, len(content.data))
        return content

    async def _view(self, key: str, span: Range | None) -> tuple[Buffer, str | None]:
        most, weight = self._most(key), self._weight(key, span)
        content = await self._run("read", key, lambda backend: backend.read_view(key, span, most), weight=weight)
        self._note_size(span, len(content[0]))
        return content

    def _note_size(self, span: Range | None, size: int) -> None:
        if span is None:
            self._connection().learn(size, self._settings.max_bytes_in_flight)
        self.stats.moved(read=size)

    def _weight(self, key: str, span: Range | None) -> int:
        return self._expected(key) if span is None or span[1] is None or span[0] < 0 else span[1] - span[0]

    def read_many(
        self, items: Iterable[ReadItem]
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[ReadItem, bytes | CopickError]]]:
        """Contents of many objects, as they arrive, an error in place of what could not be read."""
        return self._read_each(items, _data)

    def read_many_versioned(
        self, keys: Iterable[str], *, listed: bool = False
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[str, tuple[bytes, str | None] | CopickError]]]:
        """Contents of many objects with their etags, as they arrive, an error in place of what could not be read."""
        return self._read_each(keys, _as_pair)

    def read_through(
        self, keys: Iterable[str], use: Callable[[str, Buffer], Value], *, limit: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[str, Value | CopickError]]]:
        """Apply a function to many contents off the event loop; yield results as they arrive, and errors instead of
        results.
        """
        most = self._settings.max_concurrency if limit is None else min(limit, self._settings.max_concurrency)
        if self._core.backend.reads_in_threads:
            # Few to a hop, so that there is work for each thread; one thread more, as one of them waits for the disk.
            return self._in_batches(keys, guarded(use), size=_WORKED_ON, limit=min(most, processors() + 1))

        return self._singly(self._view, keys, lambda key, view: use(key, view[0]), most, in_threads=True)

    def _read_each(
        self, items: Iterable[ReadItem], form: Callable[[Content], Value]
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[Any, Value | CopickError]]]:
        limit = self._settings.max_concurrency
        if self._core.backend.read_batch > 1:
            size = self._core.backend.read_batch
            return self._in_batches(items, lambda _, content: form(content), size=size, limit=limit)
        return self._singly(self._read, items, lambda _, content: form(content), limit)

    def _singly(
        self,
        read: Callable[[str, Range | None], Awaitable[Read]],
        items: Iterable[ReadItem],
        use: Callable[[str, Read], Value],
        limit: int,
        *,
        in_threads: bool = False,
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[Any, Value | CopickError]]]:
        return read_singly(
            read,
            items,
            use,
            limit=limit,
            budget=self._settings.max_bytes_in_flight,
            expected=self._expected,
            in_threads=in_threads,
        )

    def _in_batches(
        self, items: Iterable[ReadItem], use: Use[Value | Raised], *, size: int, limit: int
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[Any, Value | CopickError]]]:
        return read_batches(
            partial(self._read_some, use),
            items,
            size=size,
            limit=limit,
            budget=self._settings.max_bytes_in_flight,
            failed=partial(self._failed, "read"),
        )

    def _expected(self, key: str) -> int:
        # What is larger than allowed is not read: of a chunk, that is known before the first one has been seen.
        return min(self._most(key), self._connection().expected(self._settings.max_bytes_in_flight))

    async def _read_some(
        self, use: Use[Value], items: Sequence[tuple[str, Range | None]], budget: int
    ) -> Sequence[Value | BaseException]:
        attempt: Callable[[Backend], Awaitable[Some[Value | BaseException]]]
        attempt = lambda backend: backend.read_some(items, budget, use, self._most)
        results, size = await self._run("read", items[0][0], attempt, weight=budget, count=0)
        self.stats.counted("read", len(results))
        self.stats.moved(read=size)
        return results

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

        def write(backend: Backend) -> Awaitable[str | None]:
            put = backend.write if self._settings.durable else backend.write_unsynced
            return put(key, data, condition)

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
                    keys = [key for key, is_prefix, *_ in entries if not is_prefix]
                    markers.update(f"{key}/" for key, is_prefix, *_ in entries if is_prefix)
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


def _data(content: Content) -> bytes:
    return content.data


def _as_pair(content: Content) -> tuple[bytes, str | None]:
    return content


def _rebuild(settings: Settings, backend: type[Backend], view: Settings) -> ManagedStorage:
    storage = ManagedStorage.make(settings, backend)
    return storage if view == settings else ManagedStorage(storage._core, view)
