"""The folder of the cache: entries with length and checksum, of which the least recently used are removed. Blocking.

An entry is one file, written under a temporary name and renamed, so that readers see all of it or nothing and no lock
is needed, on network disks neither. What a kill, a power cut or a broken disk leaves is recognised by length and
checksum. The time of modification of an entry is the time of its last use.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import stat
import struct
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache

from aiocopick.concurrency.forks import Lock
from aiocopick.errors import StorageError
from aiocopick.storage.backends.base import Content
from aiocopick.storage.base import Buffer
from aiocopick.storage.keys import parse_root

logger = logging.getLogger(__name__)

MARKER = "aiocopick-cache.json"
"""The file that makes a folder a cache."""

_FORMAT = 1
_TEMPORARY = "tmp-"
# Magic, checksum of all that follows, lengths of content, key and etag.
_HEAD = struct.Struct("<8sIQHH")
# By checksum: processors have an instruction for the second one, which takes a fifth of the time.
_CRC32, _CRC32C = b"aiocopk1", b"aiocopk2"
_NO_ETAG = 0xFFFF
_BINARY: int = getattr(os, "O_BINARY", 0)
# Part of the limit that is left when entries were removed, so that it is not done for each new one.
_AFTER_REMOVAL = 0.9
# Part of the free room after which this process looks at what the others have added.
_OWN_SHARE = 16
_LEFT_BEHIND = 3600.0
"""Age in seconds of a temporary file that no running process can be writing."""
_PAUSE = 60.0
"""Seconds without attempts to write after one failed."""


@dataclass(slots=True)
class Usage:
    """Entries and bytes of one location, or of the whole cache."""

    entries: int = 0
    bytes: int = 0
    damaged: int = 0


class CacheFolder:
    """One cache on a local or network disk, shared by any number of processes.

    Parameters
    ----------
    path : str
        The folder, absolute; it is made on first use, for its owner only.
    max_bytes : int
        Bytes of entries to keep.
    """

    def __init__(self, path: str, max_bytes: int) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self._lock = Lock()
        # The process that removes entries now: a forked child must not wait for its parent.
        self._trimming: int | None = None
        self._open: Counter[str] = Counter()
        self._salt: bytes | None = None
        self._usable: bool | None = None
        self._total: int | None = None
        self._room = 0
        self._paused_until = 0.0
        self._warned = False

    # --- the folder itself --------------------------------------------------------------------------------------------

    def prepare(self) -> bytes | None:
        """Make the folder unless it exists; return its salt, or None if there can be no cache, which is logged.

        Raises
        ------
        StorageError
            The folder belongs to another user, others can write to it, or it holds something else.
        """
        with self._lock:
            if self._usable is None:
                try:
                    self._salt = self._opened(create=True)
                    self._usable = True
                except StorageError:
                    raise
                except OSError as error:
                    self._usable = False
                    self._warn(error, "nothing is kept")
            return self._salt

    def check(self) -> bool:
        """Return True if the folder is a cache of this user, False if there is none; nothing is made.

        Raises
        ------
        StorageError
            As from :meth:`prepare`.
        """
        try:
            self._salt = self._opened(create=False)
        except FileNotFoundError:
            return False
        return True

    def _opened(self, *, create: bool) -> bytes:
        try:
            if create:
                os.makedirs(self.path, mode=0o700, exist_ok=True)
            status = os.stat(self.path)
            names = os.listdir(self.path)
        except (FileExistsError, NotADirectoryError):
            raise self._refused("it is a file, or is in one", "name a folder") from None
        if hasattr(os, "geteuid"):
            if status.st_uid != os.geteuid():
                raise self._refused("it belongs to another user", "name a folder of your own")
            if status.st_mode & 0o022:
                mode = stat.S_IMODE(status.st_mode)
                raise self._refused(
                    f"others can write to it (mode {mode:03o}), and could replace what is read",
                    "take that right away (chmod 700), or name another folder",
                )
        marker = os.path.join(self.path, MARKER)
        if MARKER not in names:
            if any(not name.startswith(_TEMPORARY) for name in names):
                raise self._refused("it holds other files", "name a new or empty folder")
            if not create:
                raise FileNotFoundError(marker)
            self._mark(marker)
        try:
            with open(marker, "rb") as file:
                told = json.loads(file.read(4096))
            salt = bytes.fromhex(told["salt"])
        except (ValueError, KeyError, TypeError):
            raise self._refused(f"its {MARKER} cannot be read", "name a new or empty folder") from None
        if told.get("format") != _FORMAT:
            raise self._refused("it was made by another release of aiocopick", "name a new or empty folder")
        return salt

    def _mark(self, marker: str) -> None:
        temporary = os.path.join(self.path, f"{_TEMPORARY}{secrets.token_hex(8)}")
        _write_new(temporary, [json.dumps({"format": _FORMAT, "salt": secrets.token_hex(16)}).encode()])
        try:
            # Never over the one of another process: its salt is in the names of its entries.
            os.link(temporary, marker)
        except FileExistsError:
            pass
        except OSError:
            # A disk without links; of two processes that start at once, one fills entries that are not found again.
            os.replace(temporary, marker)
            return
        os.unlink(temporary)

    def _refused(self, why: str, what: str) -> StorageError:
        return StorageError(f"{self.path} cannot be the cache: {why}; {what}", path=self.path)

    def _warn(self, error: OSError, what: str) -> None:
        if not self._warned:
            self._warned = True
            logger.warning("The cache %s cannot be written to (%s): %s.", self.path, error.strerror or error, what)

    # --- entries ------------------------------------------------------------------------------------------------------

    def names(self, directory: str) -> list[str]:
        """Return the names of the entries in a directory."""
        try:
            return [name for name in os.listdir(os.path.join(self.path, directory)) if not name.startswith(_TEMPORARY)]
        except OSError:
            return []

    def load(self, name: str, key: str, etag: str | None = None, most: int | None = None) -> Content | None:
        """Return the entry of a key; None if there is none, if it has another etag than the given one, or more bytes.

        A damaged entry counts as none, and is removed.

        Parameters
        ----------
        name : str
            Path of the entry in the folder.
        key : str
            What the entry must be of: names are shortened.
        etag : str, optional
            The version to return; None is any.
        most : int, optional
            Largest number of bytes to return.
        """
        path = os.path.join(self.path, name)
        with self._opened_entry(path):
            try:
                with _reading(path) as handle:
                    kept, found = _read(handle)
                    if kept is None:
                        self._drop_damaged(path, handle)
                        return None
                    if found != key or (etag is not None and kept.etag != etag):
                        return None
                    if most is not None and len(kept.data) > most:
                        return None
                    # On a read-only disk entries have no time of use.
                    with suppress(OSError):
                        os.utime(handle if os.utime in os.supports_fd else path)
                    return kept
            except OSError:
                return None

    @contextmanager
    def _opened_entry(self, path: str) -> Iterator[None]:
        """Keep an entry from being removed by this process; others lose sight of it, not its reader."""
        with self._lock:
            self._open[path] += 1
        try:
            yield
        finally:
            with self._lock:
                self._open[path] -= 1
                if not self._open[path]:
                    del self._open[path]

    def _drop_damaged(self, path: str, handle: int) -> None:
        logger.debug("%s is damaged and is fetched again.", path)
        with suppress(OSError):
            # Another process may have replaced it by a sound one since.
            if os.path.samestat(os.fstat(handle), os.stat(path)):
                os.unlink(path)

    def save(self, name: str, key: str, data: Buffer, etag: str | None) -> None:
        """Write the entry of a key, in place of an older one. What cannot be written is not an error."""
        content = memoryview(data).cast("B")
        names = key.encode(errors="surrogatepass"), (etag or "").encode()
        size = _HEAD.size + len(names[0]) + len(names[1]) + content.nbytes
        if not self._usable or size > self.max_bytes or max(map(len, names)) >= _NO_ETAG:
            self.drop(name)
            return
        if time.monotonic() < self._paused_until:
            self.drop(name)
            return
        told = b"".join(names)
        magic = _CRC32C if type(data) is bytes and _fast_checksum() is not None else _CRC32
        checksum = _checksum(magic, told, data)
        lengths = len(names[0]), _NO_ETAG if etag is None else len(names[1])
        head = _HEAD.pack(magic, checksum, content.nbytes, *lengths)
        path = os.path.join(self.path, name)
        temporary = os.path.join(os.path.dirname(path), f"{_TEMPORARY}{secrets.token_hex(8)}")
        try:
            try:
                _write_new(temporary, [head + told, content])
            except FileNotFoundError:
                os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
                _write_new(temporary, [head + told, content])
            os.replace(temporary, path)
        except OSError as error:
            with suppress(OSError):
                os.unlink(temporary)
            # What is there is older than what could not be written.
            self.drop(name)
            # A folder that was cleared meanwhile is no full disk.
            if not isinstance(error, FileNotFoundError):
                self._paused_until = time.monotonic() + _PAUSE
                self._warn(error, "what is read now is not kept")
            return
        self._count(size)

    def drop(self, name: str) -> None:
        """Forget an entry, or a directory of entries."""
        path = os.path.join(self.path, name)
        try:
            os.unlink(path)
        except (IsADirectoryError, PermissionError):
            shutil.rmtree(path, ignore_errors=True)
        except OSError:
            return

    # --- size ---------------------------------------------------------------------------------------------------------

    def _count(self, size: int) -> None:
        with self._lock:
            if self._total is not None:
                self._total += size
                self._room -= size
                if self._total <= self.max_bytes and self._room > 0:
                    return
        self.trim()

    def trim(self) -> None:
        """Remove the least recently used entries if there are more bytes than allowed, and what kills have left."""
        with self._lock:
            # One thread at a time; the others go on.
            if self._trimming == os.getpid():
                return
            self._trimming = os.getpid()
        try:
            entries: list[tuple[float, int, str]] = []
            total = 0
            for path, status in self._files():
                if os.path.basename(path).startswith(_TEMPORARY):
                    if time.time() - status.st_mtime > _LEFT_BEHIND:
                        _unlink(path)
                    continue
                entries.append((status.st_mtime_ns, status.st_size, path))
                total += status.st_size
            if total > self.max_bytes:
                entries.sort()
                for _, size, path in entries:
                    if total <= self.max_bytes * _AFTER_REMOVAL:
                        break
                    with self._lock:
                        if self._open[path]:
                            continue
                        _unlink(path)
                    total -= size
                    with suppress(OSError):
                        os.rmdir(os.path.dirname(path))
            with self._lock:
                self._total = total
                self._room = max((self.max_bytes - total) // _OWN_SHARE, self.max_bytes // 200)
        finally:
            self._trimming = None

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        """Yield all files below the folder but the marker."""
        waiting = [self.path]
        while waiting:
            directory = waiting.pop()
            try:
                with os.scandir(directory) as found:
                    for item in found:
                        with suppress(OSError):
                            if item.is_dir(follow_symlinks=False):
                                waiting.append(item.path)
                            elif item.name != MARKER:
                                yield item.path, item.stat(follow_symlinks=False)
            except OSError:
                continue

    # --- what the command line does -----------------------------------------------------------------------------------

    def usage(self) -> dict[str, Usage]:
        """Return entries and bytes by location."""
        return self._go_through(lambda path: False)

    def verify(self) -> dict[str, Usage]:
        """Read all entries; remove the damaged ones and count them by location."""

        def is_damaged(path: str) -> bool:
            with suppress(OSError), _reading(path) as handle:
                if _read(handle)[0] is None:
                    self._drop_damaged(path, handle)
                    return True
            return False

        return self._go_through(is_damaged)

    def _go_through(self, is_damaged: Callable[[str], bool]) -> dict[str, Usage]:
        found: dict[str, Usage] = {}
        for path, status in self._files():
            location = os.path.relpath(path, self.path).split(os.sep)[0]
            if os.path.basename(path).startswith(_TEMPORARY):
                continue
            usage = found.setdefault(location, Usage())
            if is_damaged(path):
                usage.damaged += 1
            else:
                usage.entries += 1
                usage.bytes += status.st_size
        return dict(sorted(found.items()))

    def clear(self) -> Usage:
        """Remove all entries; return how many there were."""
        total = Usage()
        for usage in self.usage().values():
            total.entries += usage.entries
            total.bytes += usage.bytes
        for name in os.listdir(self.path):
            if name != MARKER:
                self.drop(name)
        with self._lock:
            self._total = None
        return total


# Files are written and read by as few calls as possible: after each of them, a thread waits for the interpreter again.


def _write_new(path: str, parts: list[bytes | memoryview]) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o600)
    try:
        for part in parts:
            left = memoryview(part)
            while left.nbytes:
                left = left[os.write(handle, left) :]
    finally:
        os.close(handle)


@contextmanager
def _reading(path: str) -> Iterator[int]:
    handle = os.open(path, os.O_RDONLY | _BINARY)
    try:
        yield handle
    finally:
        os.close(handle)


@cache
def _fast_checksum() -> Callable[[int, bytes], int] | None:
    """Return the extension of a CRC32C; None without the compiled module, as Python would take seconds."""
    import google_crc32c

    return google_crc32c.extend if google_crc32c.implementation == "c" else None


def _checksum(magic: bytes, told: bytes, content: Buffer) -> int | None:
    """Return the checksum of an entry; None if it is of another kind."""
    if magic == _CRC32:
        return zlib.crc32(content, zlib.crc32(told))
    extend = _fast_checksum()
    if magic != _CRC32C or extend is None:
        return None
    return extend(extend(0, told), bytes(content))


def _read(handle: int) -> tuple[Content | None, str]:
    """Return the entry in a file and its key; None if it is damaged."""
    size = os.fstat(handle).st_size
    raw = _take(handle, min(size, _HEAD.size))
    if len(raw) != _HEAD.size:
        return None, ""
    magic, checksum, length, of_key, of_etag = _HEAD.unpack(raw)
    has_etag = of_etag != _NO_ETAG
    of_told = of_key + (of_etag if has_etag else 0)
    # Before memory is taken for what a damaged head says.
    if size != _HEAD.size + of_told + length:
        return None, ""
    told, content = _take(handle, of_told), _take(handle, length)
    if len(content) != length or _checksum(magic, told, content) != checksum:
        return None, ""
    key = told[:of_key].decode(errors="surrogatepass")
    return Content(content, told[of_key:].decode() if has_etag else None), key


def _take(handle: int, size: int) -> bytes:
    """Read a number of bytes; fewer at the end of the file. Systems read at most 2 GB at once."""
    data = os.read(handle, size)
    while len(data) < size and (more := os.read(handle, size - len(data))):
        data += more
    return data


def _unlink(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)


_folders: dict[tuple[str, int], CacheFolder] = {}
_folders_lock = Lock()


def cache_folder(path: str, max_bytes: int) -> CacheFolder:
    """Return the folder of a path, the same one for all storages of a process. Nothing is read or made.

    Raises
    ------
    StorageError
        It is not a path on local disk.
    """
    root = parse_root(path)
    if root.protocol != "file":
        raise StorageError(f"{root.url} cannot be the cache: it is not on local disk; name a folder", path=root.url)
    with _folders_lock:
        key = (root.location, max_bytes)
        if key not in _folders:
            _folders[key] = CacheFolder(*key)
        return _folders[key]
