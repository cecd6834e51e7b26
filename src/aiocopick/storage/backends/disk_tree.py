"""Listings of a local disk, blocking: one directory, or a whole tree in one pass."""

from __future__ import annotations

import errno
import functools
import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from aiocopick.errors import AccessDeniedError, StorageError
from aiocopick.storage.backends.durability import is_temporary
from aiocopick.storage.base import Entry
from aiocopick.storage.keys import path_below

Found = tuple[str, "os.DirEntry[str]"]
"""A name in a directory, that of a directory with a ``/`` behind it, so that names sort as keys do."""

_log = logging.getLogger(__name__)

_AGAIN = 1000
_AGAIN_EACH = 16

# Windows has more kinds of links than it tells of.
_LINKS_SHOW = os.name != "nt"


def etag_of(status: os.stat_result) -> str:
    """A file's version: each write makes a new file with its own time of change."""
    return f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"


class DiskTree:
    """The tree below one directory.

    Parameters
    ----------
    root : str
        Absolute path.
    follow_symlinks : bool
        Whether links that leave the tree are followed; when not, they are not listed, and refused when named.
    """

    def __init__(self, root: str, follow_symlinks: bool) -> None:
        self.root = root
        self.follow_symlinks = follow_symlinks

    @functools.cached_property
    def _real(self) -> str:
        return os.path.realpath(self.root)

    def path(self, key: str) -> str:
        """The path of a key.

        Raises
        ------
        AccessDeniedError
            It leads out of the root through a link that must not be followed.
        InvalidNameError
            Windows would read it as another place.
        """
        path = path_below(self.root, key) if key else self.root
        if not self.follow_symlinks and not self._inside(path):
            raise AccessDeniedError(
                f"{path} leads out of {self.root} through a symbolic link; set follow_symlinks=True to allow that",
                path=path,
            )
        return path

    def _inside(self, path: str) -> bool:
        real = os.path.realpath(path)
        return real == self._real or real.startswith(self._real.rstrip(os.sep) + os.sep)

    def entry(self, key: str) -> Entry:
        """The entry of one file or directory."""
        status = os.stat(self.path(key))
        return Entry(key, is_prefix=True) if stat.S_ISDIR(status.st_mode) else _entry_of(key, status)

    def children(self, prefix: str) -> list[Entry]:
        """Files and directories in a directory, in key order."""
        start = f"{prefix}/" if prefix else ""
        entries = []
        for name, item in sorted(self._found(self.path(prefix))):
            entry = Entry(start + name[:-1], is_prefix=True) if name[-1] == "/" else _file(start + name, item)
            if entry is not None:
                entries.append(entry)
        return entries

    def nested(
        self, prefixes: Sequence[str], enter: Callable[[str], bool], details: bool
    ) -> list[list[Entry] | BaseException]:
        """List the children of directories; children that `enter` accepts are replaced by their own children."""
        results: list[list[Entry] | BaseException] = []
        for prefix in prefixes:
            try:
                results.append(self._nested(prefix, enter, details))
            except Exception as error:
                results.append(error)
        return results

    def _nested(self, prefix: str, enter: Callable[[str], bool], details: bool) -> list[Entry]:
        start = f"{prefix}/" if prefix else ""
        entries: list[Entry] = []
        inner: list[tuple[str, str, Callable[[str], bool] | None]] = [(start, self.path(prefix), enter)]
        for start, path, into in inner:
            found = sorted(self._found(path))
            for name, item in found:
                if name[-1] == "/":
                    if into is not None and into(name[:-1]):
                        inner.append((start + name, item.path, None))
                    else:
                        entries.append(_entry((start + name[:-1], True, None, None, None)))
                elif not details:
                    entries.append(_entry((start + name, False, None, None, None)))
                elif (entry := _file(start + name, item)) is not None:
                    entries.append(entry)
            if not found and into is None:
                entries.append(_entry((start[:-1], True, None, None, None)))
        return entries

    def tree(self, prefix: str, collapse: str | None, start_after: str = "") -> Iterator[Entry]:
        """Everything below a directory in key order; collapsed trees and empty directories are entries of their own.

        Directories that lie before `start_after` as a whole are passed over. Files are looked at as they are taken.
        """
        top = _Folder(self.path(prefix), f"{prefix}/" if prefix else "", 0 if _LINKS_SHOW else 1)
        web = _Web()
        above: list[_Folder] = []
        folder, folder.items = top, iter(self._ordered(top, start_after))
        while True:
            start = folder.start
            for name, item in folder.items:
                if name[-1] != "/":
                    entry = _file(start + name, item)
                    if entry is not None:
                        yield entry
                elif collapse is not None and name.endswith(collapse):
                    yield Entry(start + name[:-1], is_prefix=True)
                elif start + name > start_after or start_after.startswith(start + name):
                    inner = _Folder(item.path, start + name, folder.links + item.is_symlink())
                    closed = inner.links and (_within_itself(inner, [*above, folder]) or web.is_closed_to(inner))
                    inside = [] if closed else self._ordered(inner, start_after)
                    if not inside:
                        yield Entry(start + name[:-1], is_prefix=True)
                        continue
                    above.append(folder)
                    folder, inner.items = inner, iter(inside)
                    break
            else:
                if not above:
                    return
                folder = above.pop()

    def leftovers(self, prefix: str) -> Iterator[list[Entry]]:
        """Temporary files, and trees whose removal was stopped, below a directory: a list for each directory that there
        is.

        Links are followed as in listings.
        """
        top = self.path(prefix)
        start = f"{prefix}/" if prefix else ""
        seen: set[tuple[int, int] | None] = {None}
        for directory, names, files in os.walk(top, followlinks=True):
            identity = _identity(directory)
            if identity in seen or not (self.follow_symlinks or self._inside(directory)):
                names.clear()
                continue
            seen.add(identity)
            inner = directory[len(top) + 1 :].replace(os.sep, "/")
            found = [name for name in (*files, *names) if is_temporary(name)]
            names[:] = [name for name in names if not is_temporary(name)]
            base = start + (f"{inner}/" if inner else "")
            entries = [_looked_at(base + name, os.path.join(directory, name)) for name in found]
            yield [entry for entry in entries if entry is not None]

    def _ordered(self, folder: _Folder, start_after: str) -> list[Found]:
        # Of a directory the position is inside of, what begins with its next name is needed still.
        low = start_after[len(folder.start) :].partition("/")[0] if start_after.startswith(folder.start) else ""
        # Names differ, so that what stands beside them is not compared.
        return sorted(self._found(folder.path, low))

    def _is_left_out(self, item: os.DirEntry[str], low: str) -> bool:
        """Return True if a name ends before the requested position, or leads out of the root."""
        if low and item.name < low and not low.startswith(item.name):
            return True
        return not self.follow_symlinks and item.is_symlink() and not self._inside(item.path)

    def _found(self, path: str, low: str = "") -> list[Found]:
        """Return the content of a directory; entries that end before `low` are not examined."""
        found: list[Found] = []
        chosen = bool(low) or not self.follow_symlinks
        try:
            with os.scandir(path) as items:
                for item in items:
                    name = item.name
                    if (name[0] == "." and is_temporary(name)) or (chosen and self._is_left_out(item, low)):
                        continue
                    if _leads_round(item):
                        continue
                    if item.is_dir():
                        found.append((name + "/", item))
                    elif item.is_file():
                        found.append((name, item))
        except FileNotFoundError:
            return []
        except NotADirectoryError:
            # Below a root that is a file nothing is empty: nothing can be there.
            if os.path.isfile(self.root):
                raise StorageError(f"{self.root} is a file; the root must be a directory", path=self.root) from None
            return []
        return found


def _leads_round(item: os.DirEntry[str]) -> bool:
    """Return True if an entry is a link that leads to itself, and so to nothing, like a link whose target is
    missing.
    """
    if item.is_symlink():
        try:
            item.stat()
        except OSError as error:
            return error.errno == errno.ELOOP
    return False


class _Folder:
    """A directory that is being walked.

    Parameters
    ----------
    path : str
        Where it lies.
    start : str
        What the keys of its children begin with.
    links : int
        How many links were followed to get here: only if there were any can it be one of those above.
    """

    __slots__ = ("items", "links", "path", "start")

    items: Iterator[Found]

    def __init__(self, path: str, start: str, links: int) -> None:
        self.path = path
        self.start = start
        self.links = links


class _Web:
    """Directories that links lead to, in one walk.

    Folders that link to each other have paths without end in number, though none of them leads round. A directory
    behind one link is always entered, so that a folder may be shared by any number of runs. Behind two or more, one
    that was entered before is entered again only so many times, in proportion to all that there are.
    """

    __slots__ = ("_again", "_entered", "_warned")

    def __init__(self) -> None:
        self._entered: set[tuple[int, int] | None] = set()
        self._again = 0
        self._warned = False

    def is_closed_to(self, folder: _Folder) -> bool:
        """Return True if a directory is listed as one entry only; otherwise record that it is entered."""
        identity = _identity(folder.path)
        if folder.links > 1 and identity in self._entered:
            self._again += 1
            if self._again > _AGAIN + _AGAIN_EACH * len(self._entered):
                if not self._warned:
                    self._warned = True
                    _log.warning(
                        "Links among folders lead to the same ones over and over; %s is one entry", folder.path
                    )
                return True
        self._entered.add(identity)
        return False


def _within_itself(folder: _Folder, above: list[_Folder]) -> bool:
    """Return True if a directory is one of its own parents, which would be walked for ever; or was deleted."""
    identity = _identity(folder.path)
    return identity is None or any(identity == _identity(other.path) for other in above)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return (status.st_dev, status.st_ino)


_entry: Callable[[Iterable[Any]], Entry] = functools.partial(tuple.__new__, Entry)
"""Make a tuple like ``Entry._make``, in half the time."""


def _looked_at(key: str, path: str) -> Entry | None:
    try:
        status = os.stat(path)
        return Entry(key, is_prefix=True) if stat.S_ISDIR(status.st_mode) else _entry_of(key, status)
    except FileNotFoundError:
        # Renamed since: the write has come to its end.
        return None


def _file(key: str, item: os.DirEntry[str]) -> Entry | None:
    try:
        status = item.stat()
    except FileNotFoundError:
        # Deleted since.
        return None
    return _entry_of(key, status)


def _entry_of(key: str, status: os.stat_result) -> Entry:
    return Entry(key, False, status.st_size, etag_of(status), status.st_mtime)
