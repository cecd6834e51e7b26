"""What makes files outlast a power cut: their contents, then the names that lead to them, up to directories just made."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from aiocopick.concurrency.forks import Lock

# What systems say of a file or directory that they cannot sync.
_NO_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF})

_lock = Lock()
_made: dict[str, int] = {}
"""Directories of this process whose own names are not durable yet, and how many calls make them so."""


def sync(handle: int) -> None:
    """Wait until a file, or a directory's names, are on the disk, as far as the system can say."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def sync_directory(path: str) -> None:
    """Make the names in a directory durable."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0))
    except (PermissionError, FileNotFoundError, NotADirectoryError):
        # One that cannot be opened (none can on Windows), or that was deleted meanwhile.
        return
    try:
        sync(handle)
    finally:
        os.close(handle)


def sync_names(path: str) -> None:
    """Make the name of a file durable, and those of directories above it that another thread is just making."""
    directory = os.path.dirname(path)
    sync_directory(directory)
    while _made:
        with _lock:
            fresh = directory in _made
        above = os.path.dirname(directory)
        if fresh:
            sync_directory(above)
        if above == directory:
            return
        directory = above


def make_directories(path: str) -> None:
    """Make a directory and those above it that are missing, durably.

    Raises
    ------
    FileExistsError
        A file or a link that leads nowhere is in the way.
    """
    if os.path.isdir(path):
        return
    above = os.path.dirname(path)
    if above != path:
        make_directories(above)
    with _making(path):
        with contextlib.suppress(FileExistsError):
            os.mkdir(path)
        if not os.path.isdir(path) and os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        sync_directory(above)


@contextlib.contextmanager
def _making(path: str) -> Iterator[None]:
    # Known before it is there: another thread that writes into it must not take its name for durable.
    with _lock:
        _made[path] = _made.get(path, 0) + 1
    try:
        yield
    finally:
        with _lock:
            _made[path] -= 1
            if not _made[path]:
                del _made[path]
