"""Files of a local disk, blocking: what :mod:`~aiocopick.storage.backends.local` runs in its threads.

Long because one write is one concept: temporary file, lock, condition, replacement and durability depend on each other.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import time
from collections.abc import Iterator
from typing import Any, TypeVar

from aiocopick.concurrency.forks import Lock
from aiocopick.errors import AccessDeniedError, StorageError
from aiocopick.storage.backends import durability
from aiocopick.storage.backends.base import Condition, ConditionError, Content, Most, Some, Use
from aiocopick.storage.backends.disk_tree import DiskTree, etag_of
from aiocopick.storage.backends.durability import is_temporary, temporary_name
from aiocopick.storage.backends.hops import raise_if_left
from aiocopick.storage.base import Buffer, Range
from aiocopick.storage.faults import TooLargeError

try:
    import fcntl as _fcntl
except ImportError:  # Windows has none
    fcntl: Any = None
else:
    fcntl = _fcntl

Value = TypeVar("Value")

_turns = Lock()
_taken: set[str] = set()
_locks_held: set[int] = set()

_PATIENCE = 0.05
"""Seconds to wait for a lock in a thread. It is held for a look and a rename."""
_GLANCE = 0.001

_ATTEMPTS = 8

_RELATIVE = os.name == "posix"
"""True if the system has operations relative to an open directory (Windows has none)."""

_NO_LINKS = frozenset(
    {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EMLINK, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}
)

_DIRECTORY = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
# Holding a directory takes no permission to list it.
_HELD = _DIRECTORY | getattr(os, "O_PATH", 0)
_MOUNT_POINT = getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", -1)


class BusyError(Exception):
    """A directory is locked by another writer."""


class Disk(DiskTree):
    """Reads and changes the files below one directory."""

    # --- contents -----------------------------------------------------------------------------------------------------

    def read(self, key: str, span: Range | None, most: int | None = None) -> Content:
        """The content of a file, or a part of it, and its etag."""
        # Not blocking: opening a pipe for reading would wait for its writer.
        handle = os.open(self.path(key), os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0))
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, "no regular file")
            start, stop = _bounds(span, status.st_size)
            if most is not None and stop - start > most:
                raise TooLargeError(f"it has {stop - start} bytes")
            return Content(_read_all(handle, start, stop - start), etag_of(status))
        finally:
            os.close(handle)

    def read_some(
        self, items: list[tuple[str, Range | None]], budget: int, use: Use[Value], most: Most
    ) -> Some[Value | BaseException]:
        """Return the results of the first items, at least one, up to `budget` bytes."""
        results: list[Value | BaseException] = []
        held = 0
        for key, span in items:
            try:
                content = self.read(key, span, most(key))
            except Exception as error:
                results.append(error)
                continue
            results.append(use(key, content))
            held += len(content.data)
            if held >= budget:
                break
        return results, held

    def write(self, key: str, data: Buffer, condition: Condition | None, durable: bool = True) -> str:
        """Replace a file atomically and durably: a reader, a crash or a power cut finds the old content or the new one.

        If not `durable`, a power cut may leave anything until :meth:`sync` was called.
        """
        path = self.path(key)
        # Before anything is made: a refused write must not leave the directories of what was deleted.
        if condition is not None and condition.if_match is not None and not os.path.exists(path):
            raise ConditionError
        for attempt in range(_ATTEMPTS):
            try:
                with self._temporary(path, data, durable) as (temporary, etag):
                    raise_if_left()
                    put(temporary, path, condition)
                    if durable:
                        durability.sync_names(os.path.dirname(path))
                return etag
            except IsADirectoryError:
                raise StorageError(f"{path} cannot be a file; a directory is in the way", path=path) from None
            except FileNotFoundError:
                # Another process deleted the directory, with the temporary file in it.
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError(path)

    @contextlib.contextmanager
    def _temporary(self, path: str, data: Buffer, durable: bool = True) -> Iterator[tuple[str, str]]:
        directory = os.path.dirname(path)
        temporary = os.path.join(directory, temporary_name())
        handle = _create(temporary, directory)
        try:
            try:
                view = memoryview(data).cast("B")
                while view:
                    view = view[os.write(handle, view) :]
                _keep_mode(handle, path)
                # The system's clock ticks too slowly to tell two writes apart.
                now = time.time_ns()
                os.utime(handle if os.utime in os.supports_fd else temporary, ns=(now, now))
                if durable:
                    durability.sync(handle)
                etag = etag_of(os.fstat(handle))
            finally:
                os.close(handle)
            yield temporary, etag
        finally:
            # After a rename there is nothing left of it.
            with contextlib.suppress(OSError):
                os.unlink(temporary)

    def copy(self, source: str, target: str) -> None:
        """Copy a file, atomically for readers of the target."""
        # The source is opened first: a missing one must not leave directories behind.
        with open(self.path(source), "rb") as reader:
            path = self.path(target)
            with self._temporary(path, b"") as (temporary, _):
                with open(temporary, "r+b") as writer:
                    shutil.copyfileobj(reader, writer, 1024 * 1024)
                    writer.flush()
                    durability.sync(writer.fileno())
                raise_if_left()
                put(temporary, path, None)
                durability.sync_names(os.path.dirname(path))

    def sync(self, keys: list[str]) -> None:
        """Make files durable that were written without that: their contents, then the names that lead to them."""
        paths = [self.path(key) for key in keys]
        for path in paths:
            raise_if_left()
            durability.sync_file(path)
        for directory in sorted(set(map(os.path.dirname, paths))):
            raise_if_left()
            durability.sync_names(directory)

    def delete(self, keys: list[str]) -> None:
        """Delete files; what is missing, or a directory, is left alone.

        Directories inside of a zarr tree that become empty go as well: they would be listed as what is no more.
        """
        left = set()
        for key in keys:
            raise_if_left()
            path = self.path(key)
            try:
                os.unlink(path)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                continue
            except PermissionError:
                # What some systems say of a directory.
                if not os.path.isdir(path):
                    raise
                continue
            left.add(key.rpartition("/")[0])
        for folder in sorted({self._prune(folder) for folder in sorted(left, reverse=True)}):
            # Or what was deleted would be back after a power cut, among what was written since.
            durability.sync_directory(self.path(folder))

    def _prune(self, folder: str) -> str:
        """Remove a directory and those above it as far as they are empty, never a zarr tree itself; return what is
        left.

        Whoever writes into one of them meanwhile makes it again, or has made it full.
        """
        while ".zarr/" in folder:
            try:
                os.rmdir(self.path(folder))
            except FileNotFoundError:
                pass
            except OSError:
                break
            folder = folder.rpartition("/")[0]
        return folder

    def delete_tree(self, prefix: str) -> int:
        """Delete a directory and everything in it; a link is removed as a link, never what it leads to."""
        with self._parent(prefix) as (parent, name):
            return _delete_tree(parent, name, self.path(prefix))

    def delete_linked(self, prefix: str) -> bool:
        """Delete a directory that is a link or has links in it, as :meth:`delete_tree` does; False if it has none."""
        with self._parent(prefix) as (parent, name):
            if not _has_links(parent, name):
                return False
            _delete_tree(parent, name, self.path(prefix))
            return True

    @contextlib.contextmanager
    def _parent(self, prefix: str) -> Iterator[tuple[int | None, str]]:
        """Hold the directory above one that is removed, and give its name there.

        Held by descriptor, it stays the same directory whatever is renamed meanwhile. Where the system has no
        operations relative to a descriptor, the name is the whole path.

        Raises
        ------
        AccessDeniedError
            The way there leads through a link inside a zarr tree: that tree is another one's.
        """
        path = self.path(prefix)
        if not _RELATIVE:
            self._refuse_links(prefix)
            yield None, path
            return
        above, _, name = prefix.rpartition("/")
        outside, inside = _split_tree(above)
        handle = -1
        try:
            handle = os.open(self.path(outside), _HELD)
            for part in inside:
                try:
                    inner = os.open(part, _HELD | os.O_NOFOLLOW, dir_fd=handle)
                except OSError:
                    if _is_link(handle, part):
                        raise self._through_link(prefix) from None
                    raise
                handle, outer = inner, handle
                os.close(outer)
        except (FileNotFoundError, NotADirectoryError):
            # There is nothing to remove.
            if handle >= 0:
                os.close(handle)
            yield None, path
            return
        except BaseException:
            if handle >= 0:
                os.close(handle)
            raise
        try:
            yield handle, name
        finally:
            os.close(handle)

    def _refuse_links(self, prefix: str) -> None:
        key, inside = _split_tree(prefix.rpartition("/")[0])
        for part in inside:
            key = f"{key}/{part}" if key else part
            if _is_link(None, self.path(key)):
                raise self._through_link(prefix)

    def _through_link(self, prefix: str) -> AccessDeniedError:
        path = self.path(prefix)
        return AccessDeniedError(
            f"{path} is reached through a symbolic link inside of a zarr tree, so it belongs to another one and stays; "
            "write the whole volume to replace the link by a volume of its own",
            path=path,
        )


def _split_tree(key: str) -> tuple[str, list[str]]:
    """A key cut above the outermost zarr tree: what is before, and its names from the tree on."""
    names = key.split("/") if key else []
    first = next((index for index, name in enumerate(names) if name.endswith(".zarr")), len(names))
    return "/".join(names[:first]), names[first:]


def _is_link(parent: int | None, name: str) -> bool:
    try:
        status = os.lstat(name) if parent is None else os.lstat(name, dir_fd=parent)
    except (FileNotFoundError, NotADirectoryError):
        return False
    # Windows links directories by mount points, too.
    return stat.S_ISLNK(status.st_mode) or getattr(status, "st_reparse_tag", 0) == _MOUNT_POINT


@contextlib.contextmanager
def _items(parent: int | None, name: str) -> Iterator[tuple[int | None, list[os.DirEntry[str]]]]:
    """Open a directory without following a link, and list it."""
    if parent is None and not _RELATIVE:
        if _is_link(None, name):
            raise NotADirectoryError(errno.ENOTDIR, "a link", name)
        with os.scandir(name) as items:
            found = list(items)
        yield None, found
        return
    handle = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
    try:
        with os.scandir(handle) as items:
            found = list(items)
        yield handle, found
    finally:
        os.close(handle)


def _has_links(parent: int | None, name: str) -> bool:
    if _is_link(parent, name):
        return True
    try:
        with _items(parent, name) as (handle, found):
            for item in found:
                inner = item.path if handle is None else item.name
                if _is_directory(item):
                    if _has_links(handle, inner):
                        return True
                elif item.is_symlink() or _is_link(handle, inner):
                    return True
    except (FileNotFoundError, NotADirectoryError):
        pass
    return False


def _is_directory(item: os.DirEntry[str]) -> bool:
    """Return True if an entry is a directory itself, rather than a link to one (or its Windows equivalent)."""
    return item.is_dir(follow_symlinks=False) and not getattr(item, "is_junction", bool)()


def _delete_tree(parent: int | None, name: str, path: str) -> int:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        if stat.S_ISREG(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            # A file is not below itself.
            return 0
    # Under a name that is not listed it is gone at once and as a whole, whatever stops its removal.
    unseen = temporary_name() if parent is not None else os.path.join(os.path.dirname(name), temporary_name())
    try:
        os.rename(name, unseen, src_dir_fd=parent, dst_dir_fd=parent)
        durability.sync_directory(os.path.dirname(path))
    except (FileNotFoundError, NotADirectoryError):
        return 0
    except OSError:
        # A place where something is mounted, or a system that renames no directories in use: where it is, then.
        unseen = name
    count = 0
    for _ in range(_ATTEMPTS):
        try:
            count += _remove(parent, unseen)
        except OSError as error:
            # Another process wrote into it meanwhile.
            if error.errno != errno.ENOTEMPTY:
                raise
        else:
            return count
    raise StorageError(f"{path} is being written to and could not be deleted completely", path=path)


def _remove(parent: int | None, name: str) -> int:
    """Remove a directory with what is in it, or a link or file; return how many files and links there were."""
    count = 0
    try:
        with _items(parent, name) as (handle, found):
            for item in found:
                raise_if_left()
                inner = item.path if handle is None else item.name
                if _is_directory(item):
                    count += _remove(handle, inner)
                else:
                    count += _unlink(handle, inner) and not is_temporary(item.name)
    except FileNotFoundError:
        return count
    except OSError as error:
        # A link or a file, by now at least: opening one as a directory is refused with one of these.
        if error.errno not in (errno.ENOTDIR, errno.ELOOP, errno.EMLINK):
            raise
        return count + _unlink(parent, name)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(name, dir_fd=parent)
    return count


def _unlink(parent: int | None, name: str) -> bool:
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return False
    except PermissionError:
        # Windows removes a link to a directory as a directory.
        if os.name != "nt":
            raise
        os.rmdir(name)
    return True


def put(temporary: str, path: str, condition: Condition | None) -> None:
    """Give a complete file its name.

    Raises
    ------
    ConditionError
        Another file of that name is there, or it is not the expected one.
    """
    if condition is None:
        os.replace(temporary, path)
    elif condition.if_match is None:
        try:
            # Unlike a rename, a link fails when the name is taken.
            os.link(temporary, path)
        except FileExistsError:
            raise ConditionError from None
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _put_unlinked(temporary, path)
    else:
        with _locked(os.path.dirname(path)):
            if _present_etag(path) != condition.if_match:
                raise ConditionError
            raise_if_left()
            os.replace(temporary, path)


def _put_unlinked(temporary: str, path: str) -> None:
    """Put a new file in its place on a file system without hard links (FAT, some network and FUSE file systems)."""
    with _locked(os.path.dirname(path)) as exclusive:
        raise_if_left()
        try:
            if exclusive:
                os.lstat(path)
                raise ConditionError
            # Without locks either, the name itself decides: an empty file is there for a moment.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileNotFoundError:
            pass
        except FileExistsError:
            raise ConditionError from None
        os.replace(temporary, path)


def _present_etag(path: str) -> str | None:
    try:
        return etag_of(os.stat(path))
    except FileNotFoundError:
        return None


def _keep_mode(handle: int, path: str) -> None:
    """Give a file the mode and group of the one it replaces; a new one has what the umask leaves.

    Raises
    ------
    StorageError
        It would replace a pipe, a socket or a device.
    """
    try:
        old = os.lstat(path)
    except OSError:
        return
    if not (stat.S_ISREG(old.st_mode) or stat.S_ISLNK(old.st_mode) or stat.S_ISDIR(old.st_mode)):
        raise StorageError(f"{path} is not a file; a pipe, socket or device is in the way", path=path)
    if not stat.S_ISREG(old.st_mode) or not hasattr(os, "fchown"):
        # A link is replaced by a new file.
        return
    new = os.fstat(handle)
    mode = stat.S_IMODE(old.st_mode)
    if old.st_uid != new.st_uid:
        with contextlib.suppress(OSError):
            os.fchown(handle, old.st_uid, -1)
    if old.st_gid != new.st_gid:
        try:
            os.fchown(handle, -1, old.st_gid)
        except OSError:
            # Another group gets no more than everybody does.
            mode = (mode & ~0o070) | ((mode & 0o007) << 3)
    if mode != stat.S_IMODE(new.st_mode):
        with contextlib.suppress(OSError):
            os.fchmod(handle, mode)


def _create(temporary: str, directory: str) -> int:
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    for _ in range(_ATTEMPTS):
        try:
            return os.open(temporary, flags, 0o666)
        except FileNotFoundError:
            # The directory is missing; it may vanish again when it is deleted just then.
            with contextlib.suppress(FileNotFoundError):
                _make_directories(directory)
        except NotADirectoryError:
            raise _in_the_way(directory) from None
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _in_the_way(directory) from None
            raise
    return os.open(temporary, flags, 0o666)


def _make_directories(directory: str) -> None:
    try:
        durability.make_directories(directory)
    except NotADirectoryError:
        raise _in_the_way(directory) from None
    except FileExistsError:
        # A directory that was deleted again in between is not meant.
        if os.path.lexists(directory) and not os.path.isdir(directory):
            raise _in_the_way(directory) from None


def _in_the_way(directory: str) -> StorageError:
    """A file where a directory has to be is not "missing", which is what the system's error would be taken for."""
    what = "a link that leads nowhere" if os.path.islink(directory) else "a file"
    return StorageError(f"{directory} cannot be a directory; {what} is in the way", path=directory)


@contextlib.contextmanager
def _locked(directory: str) -> Iterator[bool]:
    """Hold a directory against other conditional writers; False where only those of this process are kept out.

    Raises
    ------
    BusyError
        Another one holds it for longer than a write takes. Waiting on is for the caller, who has no thread to block.
    """
    with _in_turn(directory), contextlib.ExitStack() as stack:
        yield fcntl is not None and stack.enter_context(_flocked(directory))


@contextlib.contextmanager
def _in_turn(directory: str) -> Iterator[None]:
    """Take turns in this process: a system may not be able to lock directories."""
    until = time.monotonic() + _PATIENCE
    while True:
        with _turns:
            if directory not in _taken:
                _taken.add(directory)
                break
        if time.monotonic() >= until:
            raise BusyError(directory)
        time.sleep(_GLANCE)
    try:
        yield
    finally:
        with _turns:
            _taken.discard(directory)


@contextlib.contextmanager
def _flocked(directory: str) -> Iterator[bool]:
    try:
        handle = os.open(directory, _DIRECTORY)
    except PermissionError:
        # It can be written to, but not be read.
        yield False
        return
    with _turns:
        _locks_held.add(handle)
    try:
        locked = _flock(handle, directory)
        try:
            yield locked
        finally:
            if locked:
                # Closing is not enough: a process that was forked meanwhile has the same lock.
                fcntl.flock(handle, fcntl.LOCK_UN)
    finally:
        with _turns:
            _locks_held.discard(handle)
        os.close(handle)


def _flock(handle: int, directory: str) -> bool:
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise BusyError(directory) from None
            time.sleep(_GLANCE)
        except OSError:
            # Some network file systems lock no directories.
            return False
        else:
            return True


def _forget_locks() -> None:
    """Close the parent's locks in a forked child: they would be held as long as the child lives."""
    for handle in _locks_held:
        with contextlib.suppress(OSError):
            os.close(handle)
    _locks_held.clear()
    _taken.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)


def _bounds(span: Range | None, size: int) -> tuple[int, int]:
    if span is None:
        return 0, size
    start, stop = span
    if start < 0:
        start = max(0, size + start)
    stop = size if stop is None else min(stop, size)
    return min(start, stop), stop


def _read_all(handle: int, start: int, size: int) -> bytes:
    data = os.pread(handle, size, start) if size else b""
    if len(data) == size:
        return data
    parts = [data]
    while data and size > (start_of := sum(map(len, parts))):
        data = os.pread(handle, size - start_of, start + start_of)
        parts.append(data)
    return b"".join(parts)
