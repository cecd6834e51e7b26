"""Other protocols that fsspec supports: async filesystems are awaited, others run in a few threads.

If the filesystem can rename, a file is written under a temporary name and renamed; otherwise a write is as atomic as
in the protocol.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from aiocopick.concurrency.threads import in_thread_shielded
from aiocopick.errors import AccessDeniedError, NotFoundError, StorageError
from aiocopick.storage.backends.base import Backend, Condition, Content, Most, Page, Some, Use
from aiocopick.storage.backends.durability import is_temporary, temporary_name
from aiocopick.storage.base import Buffer, Capabilities, Entry, Range
from aiocopick.storage.faults import DENIED, MISSING, Fault, TooLargeError, common_fault
from aiocopick.storage.keys import Root
from aiocopick.storage.settings import Settings, merge

Value = TypeVar("Value")

_ARCHIVES = frozenset({"zip", "tar", "libarchive"})
_READ_ONLY = frozenset({"tar", "libarchive", "github", "git", "reference", "data", "jupyter", "wandb"})
# sshfs connects while it is made, on a loop of fsspec's, and works only there.
_ON_ITS_OWN_LOOP = frozenset({"ssh", "sftp"})
_THREADS = 8


class GenericBackend(Backend):
    """Any filesystem of fsspec."""

    capabilities = Capabilities(directories=True)
    native_tree = True
    read_batch = 16
    delete_batch = 16

    def __init__(self, settings: Settings, root: Root) -> None:
        super().__init__(settings, root)
        self._filesystem: Any = None

    @classmethod
    def capabilities_of(cls, settings: Settings) -> Capabilities:
        """Return the capabilities: archives can be written only if they were opened for writing."""
        protocol = settings.root.partition("://")[0]
        writable = protocol not in _READ_ONLY and (protocol != "zip" or settings.fs_args.get("mode", "r") != "r")
        return Capabilities(directories=True, writable=writable)

    @classmethod
    def meaning(cls, error: BaseException) -> Fault:
        """Return the meaning of an exception; errors specific to a library are recognised by their names."""
        names = {kind.__name__ for kind in type(error).__mro__}
        if "PermissionDenied" in names:
            return Fault(AccessDeniedError, DENIED)
        if "is a directory" in str(error).lower():
            return Fault(NotFoundError, MISSING)
        return common_fault(error)

    @property
    def parallel(self) -> int:
        """Return 1 for an archive, which is one file with one position, else the number of threads."""
        return 1 if self.root.protocol in _ARCHIVES else _THREADS

    async def connect(self) -> None:
        """Create the filesystem, in a thread if that connects to a server."""
        import fsspec
        from fsspec.spec import AbstractFileSystem

        self._threads = anyio.CapacityLimiter(self.parallel)
        protocol, url = self.root.protocol, self.root.url
        try:
            kind = await self._hop(fsspec.get_filesystem_class, protocol)
        except ValueError:
            raise StorageError(
                f"{url}: no installed filesystem knows the protocol {protocol!r}; check the URL", path=url
            ) from None
        arguments = merge(kind._get_kwargs_from_urls(self.settings.root), self.settings.fs_args)
        arguments["skip_instance_cache"] = True
        self._asynchronous = bool(kind.async_impl) and self.root.protocol not in _ON_ITS_OWN_LOOP
        if self._asynchronous:
            try:
                self._filesystem = kind(**{**arguments, "asynchronous": True})
            except ValueError:
                # A wrapper around another filesystem, which is not asynchronous.
                self._asynchronous = False
        if not self._asynchronous:
            self._filesystem = await self._hop(lambda: kind(**arguments))
        forget_listings(self._filesystem)
        reader = kind._cat_file if self._asynchronous or hasattr(kind, "_cat_file") else kind.cat_file
        # Some take a range without a word and give everything: those are not asked for one.
        self._ranges = "start" in inspect.signature(reader).parameters
        self._opens = not self._asynchronous and reader is AbstractFileSystem.cat_file
        self._renames = _renames(kind, self._asynchronous)
        self._base = str(kind._strip_protocol(self.settings.root)).rstrip("/")

    async def close(self) -> None:
        """Close the filesystem if it can be closed; fsspec has no common method for it."""
        filesystem = self._filesystem
        if self.root.protocol in _ON_ITS_OWN_LOOP:
            await self._hop(filesystem._finalize, filesystem.loop, filesystem._pool, filesystem._stack)
            return
        session: Any = getattr(filesystem, "_session", None)
        if inspect.iscoroutinefunction(getattr(session, "close", None)):
            await session.close()
        elif self.root.protocol in _ARCHIVES:
            await self._hop(filesystem.close)

    async def _hop(self, function: Any, *args: Any, abandon: bool = False) -> Any:
        if abandon:
            return await anyio.to_thread.run_sync(function, *args, abandon_on_cancel=True, limiter=self._threads)
        return await in_thread_shielded(function, *args, limiter=self._threads)

    async def _call(self, name: str, *args: Any, abandon: bool = False, **kwargs: Any) -> Any:
        if self._asynchronous:
            return await getattr(self._filesystem, f"_{name}")(*args, **kwargs)
        return await self._hop(lambda: getattr(self._filesystem, name)(*args, **kwargs), abandon=abandon)

    def _path(self, key: str) -> str:
        # Archives have nothing above their names: with a slash before them, they list something else.
        start = f"{self._base}/" if self._base else str(self._filesystem.root_marker)
        return f"{start}{key}" if key else self._base or start

    # --- operations ---------------------------------------------------------------------------------------------------

    async def list_page(
        self, prefix: str, delimiter: str | None, *, start_after: str = "", token: object | None = None
    ) -> Page:
        """The children of a directory."""
        path = self._path(prefix)
        try:
            found = await self._call("ls", path, detail=True, abandon=True)
        except (FileNotFoundError, NotADirectoryError):
            return Page()
        start = f"{prefix}/" if prefix else ""
        entries = []
        for info in found:
            full = str(info["name"]).rstrip("/")
            # A file is listed as itself.
            if self._filesystem._strip_protocol(full).strip("/") == self._filesystem._strip_protocol(path).strip("/"):
                continue
            name = full.rpartition("/")[2]
            if not is_temporary(name):
                entries.append(_entry(start + name, info))
        return Page(entries)

    async def stat(self, key: str) -> Entry:
        """The entry of a file or directory."""
        return _entry(key, await self._call("info", self._path(key), abandon=True))

    async def read(self, key: str, span: Range | None, most: int | None = None) -> Content:
        """The content of a file, or a part of it."""
        data = await self._call("cat_file", self._path(key), **self._part(span, most), abandon=True)
        return Content(self._cut(data, span, most))

    def _part(self, span: Range | None, most: int | None) -> dict[str, Any]:
        """Return the arguments for a part of a file. If a file is opened for reading, at most the limit is
        requested.
        """
        if span is not None and self._ranges:
            return {"start": span[0], "end": span[1]}
        return {"start": 0, "end": most + 1} if span is None and self._opens and most is not None else {}

    def _cut(self, data: bytes, span: Range | None, most: int | None) -> bytes:
        if most is not None and len(data) > most:
            raise TooLargeError(f"it has more than {most} bytes")
        return data if span is None or self._ranges else data[span[0] : span[1]]

    async def read_some(
        self, items: Sequence[tuple[str, Range | None]], budget: int, use: Use[Value], most: Most
    ) -> Some[Value | BaseException]:
        """Read several files in one thread call, or one by one if the filesystem is asynchronous."""
        if self._asynchronous:
            try:
                content = await self.read(*items[0], most(items[0][0]))
            except Exception as error:
                return [error], 0
            return [use(items[0][0], content)], len(content.data)
        found: Some[Value | BaseException] = await self._hop(
            self._read_here, list(items), budget, use, most, abandon=True
        )
        return found

    def _read_here(
        self, items: Sequence[tuple[str, Range | None]], budget: int, use: Use[Value], most: Most
    ) -> Some[Value | BaseException]:
        results: list[Value | BaseException] = []
        held = 0
        for key, span in items:
            try:
                limit = most(key)
                data = self._filesystem.cat_file(self._path(key), **self._part(span, limit))
                data = self._cut(data, span, limit)
            except Exception as error:
                results.append(error)
                continue
            results.append(use(key, Content(data)))
            held += len(data)
            if held >= budget:
                break
        return results, held

    async def write(self, key: str, data: Buffer, condition: Condition | None) -> str | None:
        """Write a file, and the directories above it."""
        path = self._path(key)
        parent = path.rpartition("/")[0]
        await self._call("makedirs", parent, exist_ok=True)
        if not self._renames:
            await self._call("pipe_file", path, bytes(data))
            return None
        temporary = f"{parent}/{temporary_name()}"
        try:
            await self._call("pipe_file", temporary, bytes(data))
            await self._call("mv", temporary, path)
        except BaseException:
            with anyio.CancelScope(shield=True), suppress(Exception):
                await self._call("rm_file", temporary)
            raise
        return None

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete files."""
        for key in keys:
            try:
                await self._call("rm_file", self._path(key))
            except FileNotFoundError:
                continue

    async def delete_tree(self, prefix: str) -> int:
        """Delete a directory."""
        path = self._path(prefix)
        if await self.delete_linked(prefix):
            return 1
        count = len(await self._call("find", path))
        try:
            await self._call("rm", path, recursive=True)
        except FileNotFoundError:
            return 0
        return count

    async def delete_linked(self, prefix: str) -> bool:
        """Remove a directory that is a link. Links below one are files here: they are not followed."""
        path = self._path(prefix)
        try:
            beside = await self._call("ls", path.rpartition("/")[0] or self._filesystem.root_marker, detail=True)
        except (FileNotFoundError, NotADirectoryError):
            return False
        name = path.rpartition("/")[2]
        for info in beside:
            if info.get("type") == "link" and str(info["name"]).rstrip("/").rpartition("/")[2] == name:
                await self._call("rm_file", path)
                return True
        return False

    async def copy(self, source: str, target: str) -> None:
        """Copy by reading and writing: a copy by the server would need a shell, which many servers refuse."""
        await self.write(target, (await self.read(source, None)).data, None)


def forget_listings(filesystem: Any) -> None:
    """Disable the listings cache. Done after creation, because not every filesystem accepts the argument."""
    cache: Any = getattr(filesystem, "dircache", None)
    if hasattr(cache, "use_listings_cache"):
        cache.use_listings_cache = False
        cache.clear()


def _renames(kind: type[Any], asynchronous: bool) -> bool:
    """Return True if a filesystem has its own rename: fsspec's default copies and deletes."""
    from fsspec.spec import AbstractFileSystem

    return hasattr(kind, "_mv") or (not asynchronous and kind.mv is not AbstractFileSystem.mv)


def _entry(key: str, info: Mapping[str, Any]) -> Entry:
    if info.get("type") == "directory":
        return Entry(key, is_prefix=True)
    size = info.get("size")
    return Entry(key, size=None if size is None else int(size), modified=_modified(info))


def _modified(info: Mapping[str, Any]) -> float | None:
    for name in ("mtime", "LastModified", "last_modified", "modified", "created"):
        value = info.get(name)
        if isinstance(value, datetime):
            return value.timestamp()
        if isinstance(value, (int, float)):
            return float(value)
    return None
