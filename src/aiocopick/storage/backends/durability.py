"""Durability of files across a power cut: their contents, then their names, up to newly created directories.

An unfinished write is a file next to its target that is renamed onto it, and is not data until then.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import uuid
from itertools import count

from aiocopick.concurrency.forks import Lock

_TEMPORARY = re.compile(r"\.aiocopick-[0-9a-f]{32}\.tmp")


def temporary_name() -> str:
    """A new name for an unfinished write."""
    return f".aiocopick-{uuid.uuid4().hex}.tmp"


def is_temporary(name: str) -> bool:
    """Return True if a file name is that of an unfinished write."""
    return name.startswith(".aiocopick-") and _TEMPORARY.fullmatch(name) is not None


# What systems say of a file or directory that they cannot sync.
_NO_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF})

_lock = Lock()
_makings = count()
_made: dict[str, int] = {}
"""Directories of this process whose own names are not durable yet, each with the number of its making."""


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


def sync_file(path: str) -> None:
    """Make the content of a file durable that was closed already."""
    # Windows syncs only what could be written to.
    access = os.O_RDONLY if os.name == "posix" else os.O_RDWR
    handle = os.open(path, access | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0))
    try:
        sync(handle)
    finally:
        os.close(handle)


def sync_names(directory: str) -> None:
    """Make the names in a directory durable, and that of itself and those above it as far as they were just made."""
    sync_directory(directory)
    while _made:
        above = os.path.dirname(directory)
        with _lock:
            making = _made.get(directory)
        if making is not None:
            sync_directory(above)
            with _lock:
                # Unless it was made again meanwhile.
                if _made.get(directory) == making:
                    del _made[directory]
        if above == directory:
            return
        directory = above


def make_directories(path: str) -> None:
    """Make a directory and those above it that are missing; :func:`sync_names` makes their names durable.

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
    with _lock:
        # Known before it is there: another thread that writes into it must not take its name for durable.
        _made[path] = next(_makings)
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path)
        if not os.path.isdir(path) and os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
    except OSError:
        if not os.path.isdir(path):
            with _lock:
                _made.pop(path, None)
        raise
