"""Files of a local disk, blocking: what :mod:`~aiocopick.storage.backends.local` runs in its threads."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import threading
import time
from collections.abc import Iterator
from typing import Any, TypeVar

from aiocopick.errors import StorageError
from aiocopick.storage.backends.base import Condition, ConditionError, Content, Some, Use
from aiocopick.storage.backends.disk_tree import DiskTree, etag_of
from aiocopick.storage.backends.temporary import is_temporary, temporary_name
from aiocopick.storage.base import Buffer, Range

try:
    import fcntl as _fcntl
except ImportError:  # Windows has none
    fcntl: Any = None
else:
    fcntl = _fcntl

Value = TypeVar("Value")

# Where directories cannot be locked, writers of this process at least take turns.
_turns = threading.Lock()

_ATTEMPTS = 8


class Disk(DiskTree):
    """Reads and changes the files below one directory."""

    # --- contents -----------------------------------------------------------------------------------------------------

    def read(self, key: str, span: Range | None) -> Content:
        """The content of a file, or a part of it, and its etag."""
        # Not blocking: opening a pipe for reading would wait for its writer.
        handle = os.open(self.path(key), os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0))
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, "no regular file")
            start, stop = _bounds(span, status.st_size)
            return Content(_read_all(handle, start, stop - start), etag_of(status))
        finally:
            os.close(handle)

    def read_some(
        self, items: list[tuple[str, Range | None]], budget: int, use: Use[Value]
    ) -> Some[Value | BaseException]:
        """What becomes of the first items, at least of one, until they were `budget` bytes."""
        results: list[Value | BaseException] = []
        held = 0
        for key, span in items:
            try:
                content = self.read(key, span)
            except Exception as error:
                results.append(error)
                continue
            results.append(use(key, content))
            held += len(content.data)
            if held >= budget:
                break
        return results, held

    def write(self, key: str, data: Buffer, condition: Condition | None) -> str:
        """Replace a file atomically: a reader, or a crash, finds the old content or the new one."""
        path = self.path(key)
        # Before anything is made: a refused write must not leave the directories of what was deleted.
        if condition is not None and condition.if_match is not None and not os.path.exists(path):
            raise ConditionError
        for attempt in range(_ATTEMPTS):
            try:
                with self._temporary(path, data) as (temporary, etag):
                    _put(temporary, path, condition)
                return etag
            except IsADirectoryError:
                raise StorageError(f"{path} cannot be a file; a directory is in the way", path=path) from None
            except FileNotFoundError:
                # Somebody deleted the directory, with the temporary file in it.
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError(path)

    @contextlib.contextmanager
    def _temporary(self, path: str, data: Buffer) -> Iterator[tuple[str, str]]:
        directory = os.path.dirname(path)
        temporary = os.path.join(directory, temporary_name())
        handle = _create(temporary, directory)
        try:
            try:
                view = memoryview(data).cast("B")
                while view:
                    view = view[os.write(handle, view) :]
                # The system's clock ticks too slowly to tell two writes apart.
                now = time.time_ns()
                os.utime(handle if os.utime in os.supports_fd else temporary, ns=(now, now))
                os.fsync(handle)
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
                    os.fsync(writer.fileno())
                _put(temporary, path, None)

    def delete(self, keys: list[str]) -> None:
        """Delete files; what is missing, or a directory, is left alone.

        Directories inside of a zarr tree that become empty go as well: they would be listed as what is no more.
        """
        left = set()
        for key in keys:
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
        for folder in sorted(left, reverse=True):
            self._prune(folder)

    def _prune(self, folder: str) -> None:
        """Remove a directory and those above it as far as they are empty, never a zarr tree itself.

        Whoever writes into one of them meanwhile makes it again, or has made it full.
        """
        while ".zarr/" in folder:
            try:
                os.rmdir(self.path(folder))
            except FileNotFoundError:
                pass
            except OSError:
                return
            folder = folder.rpartition("/")[0]

    def delete_tree(self, prefix: str) -> int:
        """Delete a directory and everything in it, links themselves rather than what they point to."""
        path = self.path(prefix)
        if os.path.islink(path):
            os.unlink(path)
            return 1
        # Under a name that nobody lists it is gone at once and as a whole, whatever stops its removal.
        unseen = os.path.join(os.path.dirname(path), temporary_name())
        try:
            os.rename(path, unseen)
        except FileNotFoundError:
            return 0
        except OSError:
            # A place where something is mounted, or a system that renames no directories in use: where it is, then.
            pass
        else:
            path = unseen
        count = 0
        for _ in range(_ATTEMPTS):
            try:
                for directory, names, files in os.walk(path, topdown=False, onerror=_raise_unless_missing):
                    for name in files:
                        with contextlib.suppress(FileNotFoundError):
                            os.unlink(os.path.join(directory, name))
                            count += not is_temporary(name)
                    for name in names:
                        _remove_directory(os.path.join(directory, name))
                _remove_directory(path)
            except OSError as error:
                # Somebody wrote into it meanwhile.
                if error.errno != errno.ENOTEMPTY:
                    raise
            else:
                break
        else:
            raise StorageError(f"{path} is being written to and could not be deleted completely", path=path)
        return count


def _put(temporary: str, path: str, condition: Condition | None) -> None:
    if condition is None:
        os.replace(temporary, path)
    elif condition.if_match is None:
        try:
            # Unlike a rename, a link fails when the name is taken.
            os.link(temporary, path)
        except FileExistsError:
            raise ConditionError from None
    else:
        with _locked(os.path.dirname(path)):
            if _present_etag(path) != condition.if_match:
                raise ConditionError
            os.replace(temporary, path)


def _present_etag(path: str) -> str | None:
    try:
        return etag_of(os.stat(path))
    except FileNotFoundError:
        return None


def _raise_unless_missing(error: OSError) -> None:
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        raise error


def _remove_directory(path: str) -> None:
    try:
        os.rmdir(path)
    except FileNotFoundError:
        pass
    except NotADirectoryError:
        # A link to a directory.
        if os.path.islink(path):
            os.unlink(path)


def _create(temporary: str, directory: str) -> int:
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    for _ in range(_ATTEMPTS):
        try:
            return os.open(temporary, flags, 0o666)
        except FileNotFoundError:
            # The directory is missing; it may vanish again when somebody deletes it just then.
            with _nothing_in_the_way(directory), contextlib.suppress(FileNotFoundError):
                os.makedirs(directory, exist_ok=True)
        except NotADirectoryError:
            with _nothing_in_the_way(directory):
                raise
    return os.open(temporary, flags, 0o666)


@contextlib.contextmanager
def _nothing_in_the_way(directory: str) -> Iterator[None]:
    """A file where a directory has to be is not "missing", which is what the system's error would be taken for."""
    try:
        yield
    except (FileExistsError, NotADirectoryError) as error:
        # A directory that was deleted again in between is not meant.
        if isinstance(error, NotADirectoryError) or os.path.isfile(directory):
            raise StorageError(f"{directory} cannot be a directory; a file is in the way", path=directory) from None


@contextlib.contextmanager
def _locked(directory: str) -> Iterator[None]:
    """Hold a directory against other conditional writers, of any process on this machine where it can be locked."""
    with _turns:
        if fcntl is None:
            yield
            return
        handle = os.open(directory, os.O_RDONLY)
        try:
            # Some network file systems lock no directories.
            with contextlib.suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


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
