"""A storage that keeps what was read from another one on local disk, and serves it as long as it is known to be current.

What makes a kept content current is its etag: as the server has just confirmed (If-None-Match), as this storage's own
listing of the last minute gave, or, of a chunk, as the listing of its volume gave when the volume was opened. Docs:
``docs/cache.md``. Longer than 500 lines with its documentation, because it is the whole of the Storage protocol.
"""

from __future__ import annotations

import builtins
import hashlib
import hmac
import json
import logging
import os
import re
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache, partial
from itertools import islice
from typing import Any, Literal, TypeAlias, TypeVar, cast

import anyio

from aiocopick.concurrency.fan_out import Backlog, Flattened, gather
from aiocopick.concurrency.forks import Lock
from aiocopick.concurrency.single_flight import single_flight
from aiocopick.concurrency.threads import in_thread
from aiocopick.errors import CopickError, NotFoundError
from aiocopick.layout.paths import file_kind
from aiocopick.models.redaction import split_userinfo
from aiocopick.storage.backends.base import Content
from aiocopick.storage.base import Buffer, Entry, FirstPage, Range, ReadItem, Storage
from aiocopick.storage.cache_folder import CacheFolder, cache_folder
from aiocopick.storage.faults import MISSING
from aiocopick.storage.keys import check_key, parse_root
from aiocopick.storage.reading import Raised, flattened, guarded, read_singly
from aiocopick.storage.settings import Settings
from aiocopick.storage.wrapped import WrappedStorage

Value = TypeVar("Value")

Policy: TypeAlias = Literal["volume", "always", "never"]
"""When the server is asked for the versions of what is kept."""

logger = logging.getLogger(__name__)

_VOLUME = ".zarr"
_MISSES = 64
"""Entries that are not there after which a volume is looked at again: another process may have made some."""
_KEPT_TOGETHER = 4
"""Chunks that one hop into a thread reads and works on."""
_HALF = 30.0
"""Seconds of listings that are forgotten together, when as many again are over."""
_PLAIN = re.compile(r"[A-Za-z0-9_+@=,][A-Za-z0-9_+@=,.-]{0,99}")
_IDENTITY = (
    "AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ROLE_ARN", "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "GOOGLE_APPLICATION_CREDENTIALS",
    "STORAGE_EMULATOR_HOST", "AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_CLIENT_ID", "AZURE_STORAGE_TENANT_ID", "AZURE_CLIENT_ID",
    "AZURE_TENANT_ID",
)  # fmt: skip
"""Variables of the environment that say which server is asked, and who asks."""


class Said(Enum):
    """Something that is known of a version, other than an etag."""

    ANY = "every version is current"
    ABSENT = "there is no such object"
    UNKNOWN = "the server has to be asked"


Version: TypeAlias = str | Said


@dataclass(frozen=True, slots=True, kw_only=True)
class Caching:
    """The cache of a storage.

    Parameters
    ----------
    folder : str
        Its folder.
    max_bytes : int
        Bytes to keep in it.
    policy : {"volume", "always", "never"}
        When the server is asked for versions.
    """

    folder: str
    max_bytes: int
    policy: Policy = "volume"


class Listed:
    """The etags that listings of the last minute gave. Used from all threads: each step is one operation of a dict."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._half = 0
        self._young: dict[str, str] = {}
        self._old: dict[str, str] = {}

    def note(self, entries: Iterable[Entry]) -> None:
        """Take the etags of a listing."""
        self._turn()
        self._young.update({entry.key: entry.etag for entry in entries if entry.etag is not None})

    def set(self, key: str, etag: str | None) -> None:
        """Take the etag of a write; None forgets the key."""
        self._old.pop(key, None)
        if etag is None:
            self._young.pop(key, None)
        else:
            self._turn()
            self._young[key] = etag

    def forget_below(self, prefix: str) -> None:
        """Forget all keys of a directory that was deleted."""
        for known in (self._young, self._old):
            for key in [key for key in list(known) if key.startswith(f"{prefix}/")]:
                known.pop(key, None)

    def version(self, key: str) -> Version:
        """Return the etag of a key, if it was listed a moment ago."""
        self._turn()
        return self._young.get(key) or self._old.get(key) or Said.UNKNOWN

    def _turn(self) -> None:
        half = int(self._clock() // _HALF)
        if half != self._half:
            self._old = self._young if half == self._half + 1 else {}
            self._young, self._half = {}, half


class Opened:
    """The versions in one volume, as they were when it was opened: as it was listed, or as its parts were first read."""

    __slots__ = (
        "__weakref__",
        "_lock",
        "_misses",
        "kept",
        "known",
        "lists",
        "prefix",
        "searched",
        "spans",
        "unsure",
        "warm",
    )

    _lock: tuple[object, anyio.Lock] | None

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.known: dict[str, Version] = {}
        # Ranges of keys that were listed, exclusive and inclusive: what is not known in them is not there.
        self.spans: list[tuple[str, str]] = []
        # Keys that were written with an unknown result since.
        self.unsure: set[str] = set()
        # Names of entries in the cache: it is not searched for others. Some may have been removed since.
        self.kept: set[str] = set()
        self.searched = False
        # True if there are entries whose versions have to be asked for.
        self.warm = False
        self._misses = 0
        self.lists = True
        self._lock = None

    def version(self, key: str) -> Version:
        """Return what is known of a key."""
        known = self.known.get(key)
        if known is not None:
            return known
        listed = key not in self.unsure and any(start < key <= stop for start, stop in self.spans)
        return Said.ABSENT if listed else Said.UNKNOWN

    def changed(self, key: str, version: Version) -> None:
        """Note a version that was just read or written."""
        if version is Said.UNKNOWN:
            self.known.pop(key, None)
            self.unsure.add(key)
        else:
            self.known[key] = version
            self.unsure.discard(key)

    def forget(self) -> None:
        """Forget all versions, so that the server is asked again."""
        self.known, self.spans, self.unsure = {}, [], set()
        self.searched, self.warm = False, bool(self.kept)

    def found(self, names: Iterable[str]) -> None:
        """Take the names of the entries in the cache."""
        found = set(names)
        self.warm = self.warm or not found <= self.kept
        # What is made at this moment is not among them yet.
        self.kept |= found
        self.searched = True

    def misses(self, name: str) -> bool:
        """Return True if there is no such entry; now and then it has to be searched for, as other processes make some."""
        if name in self.kept:
            return False
        self._misses = (self._misses + 1) % _MISSES
        self.searched = self.searched and self._misses != 0
        return self.searched

    def start_for(self, key: str) -> str:
        """Return the key to list after, in order to get to a key: one page comes after another within a level."""
        if not self.spans:
            return ""
        level = key[len(self.prefix) + 1 :].partition("/")[0]
        start = f"{self.prefix}/{level}/"
        return max([start, *(stop for begin, stop in self.spans if begin < start <= stop or stop.startswith(start))])


class CacheCore:
    """State shared by all views of a cached storage."""

    def __init__(self, caching: Caching, settings: Settings) -> None:
        self.caching = caching
        self.settings = settings
        self.folder: CacheFolder = cache_folder(caching.folder, caching.max_bytes)
        self.listed = Listed()
        self.ready = False
        self.changes = 0
        self.expected = max(1, settings.max_bytes_in_flight // 16)
        self._opened: weakref.WeakSet[Opened] = weakref.WeakSet()
        self._lock = Lock()
        # Held by threads that write files: never acquired on an event loop.
        self._files = Lock()
        self._space: str | None = None
        self._root = parse_root(settings.root)
        self._directory = lru_cache(1024)(self._make_directory)

    def prepare(self) -> None:
        """Make the folder, and find the names of the entries. Blocking.

        Raises
        ------
        StorageError
            The folder is refused.
        """
        salt = self.folder.prepare()
        if salt is not None:
            who = identity(self._root.protocol, self.settings.root, self.settings.fs_args, os.environ)
            if who is None:
                logger.warning(
                    "%s is not cached: its fs_args hold objects, which do not say who asks; give names, keys or a "
                    "profile.",
                    self._root.url,
                )
            else:
                digest = hmac.new(salt, who.encode(), hashlib.sha256).hexdigest()[:24]
                self._space = f"{_segment(self._root.protocol)}-{digest}"
        self.ready = True

    def directory(self, prefix: str) -> str:
        """Return the directory in the cache of a directory."""
        return f"{self._space}/{self._directory(prefix)}"

    def _make_directory(self, prefix: str) -> str:
        # Roots in one bucket share what is below them.
        location = self._root.location
        # az://container@account is no password, which must not be in the name of a file.
        location = location if self._root.protocol == "az" else split_userinfo(location)[1]
        whole = f"{location}/{prefix}"
        return "/".join(_segment(part) for part in whole.split("/") if part)

    def place(self, key: str, span: Range | None) -> tuple[str, str]:
        """Return the path of an entry in the cache, and what it says that it is of."""
        at = key.find(f"{_VOLUME}/")
        parent = key.rpartition("/")[0] if at < 0 else key[: at + len(_VOLUME)]
        return f"{self.directory(parent)}/{self.name(key, span)}", _part(key, span)

    def name(self, key: str, span: Range | None) -> str:
        """Return the name of an entry in its directory."""
        return hashlib.blake2b(_part(key, span).encode(errors="surrogatepass"), digest_size=16).hexdigest()

    def load(self, key: str, span: Range | None, wanted: Version, most: int | None) -> Content | None:
        """Return what is kept of a key, if it is of the wanted version and not too large to be read. Blocking."""
        if self._space is None:
            return None
        return self.folder.load(*self.place(key, span), wanted if isinstance(wanted, str) else None, most)

    def save(self, key: str, span: Range | None, data: Buffer, etag: str | None, changes: int) -> None:
        """Keep a content that was requested after a number of changes. Blocking."""
        if self._space is None:
            return
        if self.caching.policy != "never":
            # Without a version it could not be told when the content is outdated.
            if etag is not None:
                self.folder.save(*self.place(key, span), data, etag)
            return
        # What is not compared with the server must not be older than a change of our own.
        with self._files:
            if changes == self.changes:
                self.folder.save(*self.place(key, span), data, etag)

    def update(self, key: str, data: Buffer, etag: str | None) -> None:
        """Keep what was written. Blocking."""
        if etag is None or self.caching.policy == "never":
            self.drop([key])
        else:
            self.save(key, None, data, etag, self.changes)

    def drop(self, keys: Iterable[str]) -> None:
        """Forget contents. Blocking."""
        if self._space is None:
            return
        with self._files:
            for key in keys:
                name = self.place(key, None)[0]
                # Parts of the object have names of their own.
                is_part = self.caching.policy == "never" and f"{_VOLUME}/" in key
                self.folder.drop(name.rpartition("/")[0] if is_part else name)

    def drop_below(self, prefix: str) -> None:
        """Forget all contents of a directory. Blocking."""
        if self._space is not None:
            at = f"{prefix}/".find(f"{_VOLUME}/")
            self.folder.drop(self.directory(prefix if at < 0 else prefix[: at + len(_VOLUME)]))

    def names(self, prefix: str) -> Sequence[str]:
        """Return the names of the entries of a volume. Blocking."""
        return [] if self._space is None else self.folder.names(self.place(f"{prefix}/", None)[0].rpartition("/")[0])

    def open(self, prefix: str) -> Opened:
        """Return the versions of a volume that is opened now."""
        opened = Opened(prefix)
        with self._lock:
            self._opened.add(opened)
        return opened

    def changed(self, key: str, etag: str | None, *, deleted: bool = False) -> None:
        """Note that this storage has changed an object."""
        self.changes += 1
        self.listed.set(key, etag)
        version: Version = Said.ABSENT if deleted else Said.UNKNOWN if etag is None else etag
        for opened in self._all():
            if key.startswith(f"{opened.prefix}/"):
                opened.changed(key, version)
                opened.kept.add(self.name(key, None))

    def deleted_below(self, prefix: str) -> None:
        """Note that this storage has deleted a directory, or may have deleted a part of it."""
        self.changes += 1
        self.listed.forget_below(prefix)
        for opened in self._all():
            if f"{opened.prefix}/".startswith(f"{prefix}/") or prefix.startswith(f"{opened.prefix}/"):
                opened.kept.clear()
                opened.forget()

    def _all(self) -> list[Opened]:
        with self._lock:
            return list(self._opened)


class CachedStorage(WrappedStorage):
    """A :class:`~aiocopick.storage.base.Storage` over another one, with a cache on local disk.

    Parameters
    ----------
    inner : Storage
        The storage that is cached.
    core : CacheCore
        State shared with other views.
    settings : Settings
        Limits of this view.
    opened : Opened, optional
        The volume that this view reads.
    fresh : bool
        True if every read asks the server.
    """

    def __init__(
        self, inner: Storage, core: CacheCore, settings: Settings, opened: Opened | None = None, fresh: bool = False
    ) -> None:
        super().__init__(inner)
        self._core = core
        self._settings = settings
        self._opened = opened
        self._fresh = fresh

    @classmethod
    def make(cls, inner: Storage, caching: Caching, settings: Settings) -> CachedStorage:
        """Return a storage with its own state; nothing is read or written yet."""
        return cls(inner, CacheCore(caching, settings), settings)

    def __repr__(self) -> str:
        return f"<Cached {self.inner!r}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CachedStorage):
            return NotImplemented
        return self.inner == other.inner and self._core.caching == other._core.caching

    def __hash__(self) -> int:
        return hash(self.inner)

    def __reduce__(self) -> tuple[object, ...]:
        # What was listed here says nothing of when the copy is used.
        return (_rebuild, (self.inner, self._core.caching, self._core.settings, self._settings))

    def _view(self, **changes: Any) -> CachedStorage:
        now: dict[str, Any] = {
            "inner": self.inner,
            "settings": self._settings,
            "opened": self._opened,
            "fresh": self._fresh,
        }
        return CachedStorage(core=self._core, **(now | changes))

    def options(self, **changes: Any) -> Storage:
        """A view of the same storage with other limits, timeout or retries, or read-only."""
        inner = self.inner.options(**changes)
        return self._view(inner=inner, settings=replace(self._settings, **changes))

    def opened(self, prefix: str) -> Storage:
        """Return a view for one volume that is opened now: its versions are asked for once."""
        if self._opened is not None and self._opened.prefix == prefix:
            return self
        return self._view(opened=self._core.open(prefix) if prefix else None)

    def fresh(self) -> Storage:
        """Return a view that asks the server with each read, as before a change."""
        return self._view(fresh=True)

    def renew(self) -> None:
        """Forget the versions of the opened volume: they are asked for again."""
        if self._opened is not None:
            self._opened.forget()

    async def _prepare(self) -> None:
        if not self._core.ready:
            await in_thread(self._core.prepare)

    # --- versions -----------------------------------------------------------------------------------------------------

    async def _version(self, key: str, listed: bool | None) -> Version:
        """Return the version of a key that can be served without a request.

        Parameters
        ----------
        key : str
            The key.
        listed : bool, optional
            False if the server must be asked in any case, True if its listing of the last minute is enough, None if
            the policy decides.
        """
        policy, opened = self._core.caching.policy, self._opened
        if self._fresh or listed is False:
            return Said.UNKNOWN
        if policy == "never":
            return Said.ANY
        if policy == "volume" and opened is not None and key.startswith(f"{opened.prefix}/"):
            known = opened.version(key)
            if known is Said.UNKNOWN and self._lists(opened):
                await self._search(opened)
                if opened.warm:
                    await self._look(opened, key)
                    known = opened.version(key)
            return known
        return self._core.listed.version(key) if listed else Said.UNKNOWN

    async def _search(self, opened: Opened) -> None:
        """Find the entries of the volume in the cache, unless they are known."""
        if not opened.searched:
            async with single_flight(opened):
                if not opened.searched:
                    opened.found(await in_thread(self._core.names, opened.prefix))

    async def _may_hold(self, key: str, span: Range | None) -> bool:
        """Return False if there is nothing of a key in the cache, which saves a thread call."""
        opened = self._opened
        if opened is None or not key.startswith(f"{opened.prefix}/") or f"{_VOLUME}/" not in key:
            return True
        name = self._core.name(key, span)
        if opened.misses(name):
            return False
        await self._search(opened)
        return name in opened.kept

    def _lists(self, opened: Opened) -> bool:
        return opened.lists and self.capabilities.etags

    async def _look(self, opened: Opened, key: str) -> None:
        """List the volume up to a key; what listings cannot tell is revalidated one by one."""
        try:
            async with single_flight(opened):
                while opened.lists and opened.version(key) is Said.UNKNOWN and key not in opened.unsure:
                    start = opened.start_for(key)
                    # Documents that come after the chunks are asked for by name, which is one request.
                    if (start and file_kind(key) == "metadata") or start >= key:
                        return
                    await self._list_some(opened, start)
        except CopickError:
            # Listing may be denied where reading is not; and a failure that matters shows when the content is read.
            opened.lists = False

    async def _list_some(self, opened: Opened, start: str) -> None:
        page = await self.inner.first_page(opened.prefix, start_after=start)
        if page is not None:
            # Trees inside of a volume that end in `.zarr` are collapsed: nothing is known of them.
            sparse = any(entry.is_prefix for entry in page.entries)
            entries, stop = page.entries, start if sparse else page.reached
            opened.lists = stop > start
        else:
            async with self.inner.scan(opened.prefix, None) as pages:
                entries = [entry async for found in pages for entry in found]
            start, stop = "", f"{opened.prefix}/\U0010ffff"
        found = {entry.key: entry.etag for entry in entries if entry.etag is not None}
        # What was read or written since it was opened is at least as new.
        for key, etag in found.items():
            if key not in opened.unsure:
                opened.known.setdefault(key, etag)
        opened.spans.append((start, stop))

    def _learn(self, key: str, version: Version) -> None:
        opened = self._opened
        if opened is None or not key.startswith(f"{opened.prefix}/"):
            return
        before = opened.known.get(key)
        if before is not None and before != version:
            # Another writer has changed the volume: what else was known of it may be wrong as well.
            opened.forget()
        opened.changed(key, version)

    # --- reading ------------------------------------------------------------------------------------------------------

    async def _get(
        self,
        key: str,
        span: Range | None = None,
        *,
        listed: bool | None = None,
        use: Callable[[bytes], Value] | None = None,
    ) -> tuple[Content, Value | None]:
        """Return a content and its version, and what a function makes of it in the thread that reads or keeps it."""
        check_key(key)
        await self._prepare()
        core = self._core
        wanted = await self._version(key, listed)
        if wanted is Said.ABSENT:
            raise NotFoundError(f"Cannot read {self.path_of(key)}: {MISSING}", path=self.path_of(key))
        current = wanted is not Said.UNKNOWN
        kept: Content | None = None
        if await self._may_hold(key, span):
            most = self._settings.most(file_kind(key)) if span is None else None
            kept, value = await in_thread(_load, core, key, span, wanted, most, use if current else None)
            if kept is not None and current:
                self.stats.kept(len(kept.data))
                return kept, value
        changes = core.changes
        try:
            answer = await self.inner.read_unless(key, None if kept is None else kept.etag, span)
        except NotFoundError:
            self._learn(key, Said.ABSENT)
            core.listed.set(key, None)
            if kept is not None:
                await in_thread(core.drop, [key])
            raise
        if answer is None:
            assert kept is not None
            self.stats.kept(len(kept.data))
            self._learn(key, kept.etag or Said.UNKNOWN)
            return kept, None if use is None else await in_thread(use, kept.data)
        data, etag = answer
        self._learn(key, etag or Said.UNKNOWN)
        core.expected = max(len(data), core.expected + (len(data) - core.expected) // 8)
        if self._opened is not None:
            self._opened.kept.add(core.name(key, span))
        content, value = await in_thread(_save, core, key, span, data, etag, changes, use)
        return Content(content, etag), value

    async def read(self, key: str, range: Range | None = None) -> bytes:
        """The content of one object, or a part of it."""
        if range is not None and range[1] is not None and 0 <= range[1] <= range[0]:
            return await self.inner.read(key, range)
        return (await self._get(key, range))[0].data

    async def read_versioned(self, key: str, *, listed: bool = False) -> tuple[bytes, str | None]:
        """The content of one object and the etag of exactly that content."""
        return (await self._get(key, listed=listed))[0]

    async def _item(self, key: str, span: Range | None, *, listed: bool | None) -> Content:
        return (await self._get(key, span, listed=listed))[0]

    def _read_each(
        self, items: Iterable[ReadItem], form: Callable[[Content], Value], *, listed: bool | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[Any, Value | CopickError]]]:
        return read_singly(
            partial(self._item, listed=listed),
            items,
            lambda _, content: form(content),
            limit=self._settings.max_concurrency,
            budget=self._settings.max_bytes_in_flight,
            expected=lambda _: self._core.expected,
            in_threads=False,
        )

    def read_many(
        self, items: Iterable[ReadItem]
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[ReadItem, bytes | CopickError]]]:
        """Contents of many objects, as they arrive, an error in place of what could not be read."""
        return self._read_each(items, _data)

    def read_many_versioned(
        self, keys: Iterable[str], *, listed: bool = False
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[str, tuple[bytes, str | None] | CopickError]]]:
        """Contents of many objects with their etags, as they arrive, an error in place of what could not be read."""
        return self._read_each(keys, _as_pair, listed=listed)

    def read_through(
        self, keys: Iterable[str], use: Callable[[str, Buffer], Value], *, limit: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[str, Value | CopickError]]]:
        """Apply a function to many contents, in the threads that read or keep them."""
        # Reaching a thread and coming back takes as long as reading a chunk: what is kept is read some at a time, and
        # what is not goes back to be asked for by itself.
        source = iter(keys)
        backlog = Backlog(iter(lambda: list(islice(source, _KEPT_TOGETHER)), []))

        async def fetch(batch: list[str]) -> list[tuple[str, Value | CopickError]]:
            try:
                await self._prepare()
                if len(batch) == 1:
                    return [(batch[0], cast("Value", (await self._get(batch[0], use=partial(use, batch[0])))[1]))]
                results = await self._kept(batch, use)
                for key, result in zip(reversed(batch), reversed(results), strict=True):
                    if result is None:
                        backlog.add([key])
                return [pair for pair in results if pair is not None]
            finally:
                backlog.done()

        most = self._settings.max_concurrency
        return flattened(fetch, backlog, limit=most if limit is None else min(limit, most))

    async def _kept(
        self, keys: Iterable[str], use: Callable[[str, Buffer], Value]
    ) -> builtins.list[tuple[str, Value | CopickError] | None]:
        """Apply a function to what the cache serves of some chunks, in one thread; None for those that it does not."""
        wanted = [(key, await self._held(key), self._settings.most(file_kind(key))) for key in keys]
        if all(version is None for _, version, _ in wanted):
            return [None] * len(wanted)
        results: builtins.list[tuple[str, Value | CopickError] | None] = []
        loaded = await in_thread(_load_each, self._core, wanted, guarded(use))
        for (key, _, _), found in zip(wanted, loaded, strict=True):
            if found is None:
                results.append(None)
                continue
            size, value = found
            self.stats.kept(size)
            results.append((key, value.ours() if isinstance(value, Raised) else value))
        return results

    async def _held(self, key: str) -> Version | None:
        """Return the version of a chunk that the cache seems to hold and may serve; None if the server is asked."""
        opened = self._opened
        if opened is None or not key.startswith(f"{opened.prefix}/"):
            return None
        wanted = await self._version(key, None)
        if wanted is Said.UNKNOWN or wanted is Said.ABSENT:
            return None
        await self._search(opened)
        return wanted if self._core.name(key, None) in opened.kept else None

    # --- listing ------------------------------------------------------------------------------------------------------

    async def list(self, prefix: str) -> Sequence[Entry]:
        """Immediate children of a directory, sorted by key."""
        return self._noted(await self.inner.list(prefix))

    def _noted(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        self._core.listed.note(entries)
        return entries

    def scan(
        self, prefix: str, collapse: str | None = ".zarr/", *, start_after: str = "", stop_before: str | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Entry]]]:
        """Everything below a directory, in pages."""
        pages = self.inner.scan(prefix, collapse, start_after=start_after, stop_before=stop_before)
        # Of chunks, only the listing of their volume counts.
        return pages if collapse is None else self._noting(pages)

    @asynccontextmanager
    async def _noting(
        self, pages: AbstractAsyncContextManager[AsyncIterator[Sequence[Entry]]]
    ) -> AsyncIterator[AsyncIterator[Sequence[Entry]]]:
        async with pages as found:
            yield Flattened(lambda page: [self._noted(page)], found)

    async def first_page(self, prefix: str, *, start_after: str = "") -> FirstPage | None:
        """The first page of a scan."""
        page = await self.inner.first_page(prefix, start_after=start_after)
        if page is not None:
            self._noted(page.entries)
        return page

    async def first_children(self, prefix: str, *, start_after: str = "") -> FirstPage | None:
        """The first page of the children of a directory."""
        page = await self.inner.first_children(prefix, start_after=start_after)
        if page is not None:
            self._noted(page.entries)
        return page

    async def list_nested(
        self, prefixes: Sequence[str], enter: Callable[[str], bool], *, details: bool = True
    ) -> builtins.list[Sequence[Entry] | CopickError]:
        """Children of several directories, and in their places what is in those that `enter` accepts."""
        found = await self.inner.list_nested(prefixes, enter, details=details)
        for entries in found:
            if not isinstance(entries, CopickError):
                self._noted(entries)
        return found

    # --- writing ------------------------------------------------------------------------------------------------------

    async def write(self, key: str, data: Buffer, *, if_match: str | None = None, create: bool = False) -> str | None:
        """Replace an object, and what is kept of it."""
        await self._prepare()
        try:
            etag = await self.inner.write(key, data, if_match=if_match, create=create)
        except BaseException:
            # It may have been written all the same.
            self._core.changed(key, None)
            with anyio.CancelScope(shield=True):
                await in_thread(self._core.drop, [key])
            raise
        self._core.changed(key, etag)
        await in_thread(self._core.update, key, data, etag)
        return etag

    async def write_many(self, items: Iterable[tuple[str, Buffer]]) -> None:
        """Replace many objects concurrently, within the limits."""

        async def write(item: tuple[str, Buffer]) -> None:
            await self.write(*item)

        await gather(write, items, limit=self._settings.max_concurrency)

    async def sync(self, keys: Iterable[str]) -> None:
        """Make files that were written with ``durable=False`` outlast a power cut."""
        await self.inner.sync(keys)

    async def delete_many(self, keys: Iterable[str]) -> None:
        """Delete objects, and what is kept of them."""
        await self._prepare()
        keys = [*keys]
        deleted = False
        try:
            await self.inner.delete_many(keys)
            deleted = True
        finally:
            for key in keys:
                self._core.changed(key, None, deleted=deleted)
            with anyio.CancelScope(shield=True):
                await in_thread(self._core.drop, keys)

    async def delete_tree(self, prefix: str) -> int:
        """Delete everything below a directory, the directory, and what is kept of it."""
        await self._prepare()
        try:
            count = await self.inner.delete_tree(prefix)
        finally:
            self._core.deleted_below(prefix.rstrip("/"))
            with anyio.CancelScope(shield=True):
                await in_thread(self._core.drop_below, prefix.rstrip("/"))
        return count

    async def delete_linked(self, prefix: str) -> bool:
        """Delete a directory that is a link or has links in it."""
        await self._prepare()
        done = await self.inner.delete_linked(prefix)
        if done:
            self._core.deleted_below(prefix.rstrip("/"))
            await in_thread(self._core.drop_below, prefix.rstrip("/"))
        return done

    async def copy(self, source: str, target: str) -> None:
        """Copy one object inside this storage."""
        await self._prepare()
        try:
            await self.inner.copy(source, target)
        finally:
            self._core.changed(target, None)
            with anyio.CancelScope(shield=True):
                await in_thread(self._core.drop, [target])


def _part(key: str, span: Range | None) -> str:
    return key if span is None else f"{key}\0{span[0]}-{span[1]}"


def _data(content: Content) -> bytes:
    return content.data


def _as_pair(content: Content) -> tuple[bytes, str | None]:
    return content


def _load(
    core: CacheCore,
    key: str,
    span: Range | None,
    wanted: Version,
    most: int | None,
    use: Callable[[bytes], Value] | None,
) -> tuple[Content | None, Value | None]:
    kept = core.load(key, span, wanted, most)
    return kept, None if kept is None or use is None else use(kept.data)


def _load_each(
    core: CacheCore, wanted: Iterable[tuple[str, Version | None, int]], use: Callable[[str, Content], Value]
) -> list[tuple[int, Value] | None]:
    results: list[tuple[int, Value] | None] = []
    for key, version, most in wanted:
        kept = None if version is None else core.load(key, None, version, most)
        results.append(None if kept is None else (len(kept.data), use(key, kept)))
    return results


def _save(
    core: CacheCore,
    key: str,
    span: Range | None,
    data: Buffer,
    etag: str | None,
    changes: int,
    use: Callable[[bytes], Value] | None,
) -> tuple[bytes, Value | None]:
    # A copy of what a client has received, unless it gave bytes: here, and not on the event loop.
    content = bytes(data)
    value = None if use is None else use(content)
    core.save(key, span, content, etag, changes)
    return content, value


def _rebuild(inner: Storage, caching: Caching, settings: Settings, view: Settings) -> CachedStorage:
    return CachedStorage(inner, CacheCore(caching, settings), view)


def _segment(name: str) -> str:
    """Return a name that every disk can hold: names that are long or unusual are replaced by a digest."""
    if _PLAIN.fullmatch(name) and not name.startswith("tmp-"):
        return name
    return "~" + hashlib.blake2b(name.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def identity(protocol: str, root: str, fs_args: Mapping[str, Any], environment: Mapping[str, str]) -> str | None:
    """Return a text that is the same for requests to the same server by the same user; it holds secrets.

    None if an argument is an object of which that cannot be told.
    """
    address = root.partition("://")[2].partition("?")
    user = address[0].rpartition("@")[0]
    named = {name: environment[name] for name in _IDENTITY if environment.get(name)}
    try:
        return json.dumps([protocol, user, address[2], dict(fs_args), named], sort_keys=True, default=_plain)
    except TypeError:
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError
