"""What a disk holds after a power cut at any moment, told from the calls of the system.

What was synced is there: contents of files, names in directories. Of what was not, anything may be: each name as it was
or as it is, each content empty.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from aiocopick.storage.backends.durability import is_temporary

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="tells directories from descriptors by /proc"
)

State = dict[str, bytes | None]
"""Contents by path relative to the root; None for directories."""

CHANGES = ("open", "mkdir", "rmdir", "replace", "rename", "link", "unlink", "write", "utime", "fsync")


class PowerCut:
    """Watches what is below a directory; all that is there already is durable.

    Parameters
    ----------
    monkeypatch : pytest.MonkeyPatch
        Patches ``os``.
    root : Path
        The directory.
    cuts : bool
        Whether :attr:`states` are collected.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path, *, cuts: bool = False) -> None:
        self.root = str(root)
        self.calls: list[tuple[str, str]] = []
        """Each change of a name, and each sync, with the path."""
        self.states: list[State] = []
        """What may be there after a cut between any two calls."""
        self._cuts = cuts
        self._seen: set[int] = set()
        self._turn = threading.RLock()
        self._numbers = count()
        self._random = random.Random(0)
        # Inodes are used again.
        self._files: dict[int, int] = {}
        self._contents: dict[int, bytes | None] = {}
        self._names = self._walk()
        for path, number in self._names.items():
            self._contents[number] = None if os.path.isdir(path) else Path(path).read_bytes()
        for name in CHANGES:
            monkeypatch.setattr(os, name, self._watched(name, getattr(os, name)))

    def _watched(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(first: Any, *args: Any, **kwargs: Any) -> Any:
            if name == "open" and not (args and args[0] & os.O_CREAT):
                return real(first, *args, **kwargs)
            with self._turn:
                result = real(first, *args, **kwargs)
                if name in ("open", "mkdir"):
                    self._forget(os.stat(result if name == "open" else first).st_ino)
                elif name == "fsync":
                    first = self._synced(first)
                if name not in ("open", "write", "utime"):
                    last = args[0] if name in ("replace", "link") else first
                    self.calls.append((name, os.path.relpath(last, self.root)))
                if self._cuts:
                    self._cut()
                return result

        return call

    def _forget(self, inode: int) -> None:
        self._files[inode] = next(self._numbers)

    def _synced(self, handle: int) -> str:
        path = os.readlink(f"/proc/self/fd/{handle}")
        if os.path.isdir(path):
            there = {name: number for name, number in self._walk().items() if os.path.dirname(name) == path}
            self._names = {name: number for name, number in self._names.items() if os.path.dirname(name) != path}
            self._names |= there
        else:
            self._contents[self._number(os.fstat(handle).st_ino)] = os.pread(handle, os.fstat(handle).st_size, 0)
        return path

    def _number(self, inode: int) -> int:
        if inode not in self._files:
            self._forget(inode)
        return self._files[inode]

    def _walk(self) -> dict[str, int]:
        found = {}
        waiting = [self.root]
        while waiting:
            with os.scandir(waiting.pop()) as items:
                for item in items:
                    number = found[item.path] = self._number(item.inode())
                    if item.is_dir(follow_symlinks=False):
                        self._contents[number] = None
                        waiting.append(item.path)
        return found

    def _cut(self) -> None:
        now, kept = self._walk(), self._names
        paths = sorted(now.keys() | kept.keys())
        at_random = {path: self._random.choice((now, kept)) for path in paths}
        choices: list[Callable[[str], int | None]] = [
            kept.get,
            now.get,
            lambda path: now.get(path, kept.get(path)),
            lambda path: now.get(path) if path in kept else None,
            lambda path: at_random[path].get(path),
        ]
        for choose in choices:
            state: State = {}
            for path in paths:
                number = choose(path)
                above = os.path.relpath(os.path.dirname(path), self.root)
                if number is None or (above != "." and above not in state) or is_temporary(os.path.basename(path)):
                    continue
                state[os.path.relpath(path, self.root)] = self._contents.get(number, b"")
            if (known := hash(frozenset(state.items()))) not in self._seen:
                self._seen.add(known)
                self.states.append(state)

    def is_synced(self, path: Path | str) -> bool:
        """Whether the content of a file as it is now is there afterwards, whatever its name is."""
        return self._contents.get(self._number(os.stat(path).st_ino)) == Path(path).read_bytes()

    def keeps(self, path: Path) -> bool:
        """Whether a file as it is now is there afterwards."""
        with self._turn:
            above = str(path)
            while above != self.root:
                if self._names.get(above) != self._number(os.lstat(above).st_ino):
                    return False
                above = os.path.dirname(above)
            return self.is_synced(path)

    def loses(self, path: Path) -> bool:
        """Whether a name that is no more stays away afterwards."""
        with self._turn:
            return str(path) not in self._names


def put_down(state: State, folder: Path) -> None:
    """Make a directory hold a state."""
    folder.mkdir()
    for name, content in sorted(state.items()):
        if content is None:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(content)
