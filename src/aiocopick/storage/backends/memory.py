"""fsspec's ``memory://``: the dictionary of the process that its memory filesystem keeps, used inline.

A call in a thread costs more than the access itself. Other users of ``fsspec.filesystem("memory")`` see the same
objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from anyio.lowlevel import checkpoint

from aiocopick.concurrency.forks import Lock
from aiocopick.storage.backends.base import Backend, Condition, ConditionError, Content, Page
from aiocopick.storage.base import Aged, Buffer, Capabilities, Entry, Range
from aiocopick.storage.faults import TooLargeError
from aiocopick.storage.keys import Root
from aiocopick.storage.settings import Settings

# The dictionary belongs to the process, whatever thread a loop runs in.
_lock = Lock()


class MemoryBackend(Backend):
    """Objects in the memory of this process. Nothing blocks, so each operation lets others have their turn."""

    capabilities = Capabilities(delimiter=True, conditional_writes=True, etags=True, near=True)
    resumes = True
    delete_batch = 1000

    def __init__(self, settings: Settings, root: Root) -> None:
        super().__init__(settings, root)
        from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

        self._file = MemoryFile
        self._filesystem = MemoryFileSystem
        self._store: dict[str, Any] = MemoryFileSystem.store
        self._base = f"/{root.location}/" if root.location else "/"

    async def list_page(
        self, prefix: str, delimiter: str | None, *, start_after: str = "", token: object | None = None
    ) -> Page:
        """Everything at once; `start_after` is honoured."""
        await checkpoint()
        start = self._base + (f"{prefix}/" if prefix else "")
        skipped = len(self._base)
        entries: dict[str, Entry] = {}
        with _lock:
            found = [(path, file) for path, file in self._store.items() if path.startswith(start)]
            # Directories that fsspec's mkdir made, and that may be empty.
            made = [
                path for path in self._filesystem.pseudo_dirs if f"{path}/".startswith(start) and path != start[:-1]
            ]
        for path, file in found:
            key = path[skipped:]
            if key <= start_after:
                continue
            at = -1 if delimiter is None else path.find(delimiter, len(start))
            if at < 0 or delimiter is None:
                entries[key] = self._entry(key, file)
            else:
                tree = path[skipped : at + len(delimiter)]
                entries.setdefault(tree, Entry(tree[:-1], is_prefix=True))
        if delimiter == "/":
            for path in made:
                name = path[len(start) :].partition("/")[0]
                tree = path[skipped : len(start)] + name + "/"
                if tree > start_after:
                    entries.setdefault(tree, Entry(tree[:-1], is_prefix=True))
        return Page(list(entries.values()))

    def _entry(self, key: str, file: Any) -> Entry:
        modified = file.modified.timestamp()
        # Each write makes another file object; its address alone may be used again.
        return Entry(key, size=file.size, etag=f"{id(file):x}-{modified}", modified=modified)

    async def stat(self, key: str) -> Entry:
        """Return the entry of an object, or of the directory of that name."""
        path = (self._base + key).rstrip("/")
        with _lock:
            file = self._store.get(path)
            if file is not None:
                return self._entry(key, file)
            if path in self._filesystem.pseudo_dirs or any(name.startswith(f"{path}/") for name in self._store):
                return Entry(key, is_prefix=True)
        raise FileNotFoundError(key)

    async def read(self, key: str, span: Range | None, most: int | None = None) -> Content:
        """A copy of the content, or of a part of it."""
        await checkpoint()
        with _lock:
            file = self._store.get(self._base + key)
        if file is None:
            raise FileNotFoundError(key)
        content = file.getbuffer()
        if most is not None and len(content) > most:
            raise TooLargeError(f"it has {len(content)} bytes")
        if span is None:
            return Content(bytes(content), self._entry(key, file).etag)
        start, stop = span
        return Content(bytes(content[start:stop]), self._entry(key, file).etag)

    async def read_aged(self, key: str, most: int) -> Aged:
        """A copy of the content, and its age."""
        await checkpoint()
        with _lock:
            file = self._store.get(self._base + key)
            if file is None:
                raise FileNotFoundError(key)
            if file.size > most:
                raise TooLargeError(f"it has {file.size} bytes")
            age = (datetime.now(UTC) - file.modified).total_seconds()
            return Aged(bytes(file.getbuffer()), self._entry(key, file).etag, max(0.0, age))

    async def write(self, key: str, data: Buffer, condition: Condition | None) -> str | None:
        """Replace the object by a new one."""
        await checkpoint()
        path = self._base + key
        file = self._file(self._filesystem(), path, bytes(data))
        with _lock:
            present = self._store.get(path)
            etag = None if present is None else self._entry(key, present).etag
            if condition is not None and condition.if_match != etag:
                raise ConditionError
            self._store[path] = file
            return self._entry(key, file).etag

    async def delete(self, keys: Sequence[str]) -> None:
        """Forget objects."""
        with _lock:
            for key in keys:
                self._store.pop(self._base + key, None)

    async def copy(self, source: str, target: str) -> None:
        """Copy an object."""
        await self.write(target, (await self.read(source, None)).data, None)
