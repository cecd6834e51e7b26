"""Files from one storage to another: compared, copied, verified."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING

from aiocopick.concurrency.fan_out import gather
from aiocopick.concurrency.threads import in_thread
from aiocopick.errors import AlreadyExistsError, ConflictError, NotFoundError, StorageError
from aiocopick.layers.copying import documents_of, is_document, lease_key
from aiocopick.storage.leases import NoLease, sole_writer
from aiocopick.storage.together import Together
from aiocopick.volumes.ome_writing import FINEST

if TYPE_CHECKING:
    from aiocopick.concurrency.gate import Gate
    from aiocopick.storage import Entry, Storage

_FILES_AT_ONCE = 64
_UNKNOWN_SIZE = 1024 * 1024
# What S3 gives for an object that was sent in one piece.
_MD5 = re.compile(r"[0-9a-f]{32}")


class Transfer:
    """Copies files of one entity under the same keys, and counts them.

    Parameters
    ----------
    source, target : Storage
        From where, to where.
    gate : Gate
        Bounds the files, and the bytes of them, that are in memory at a time.
    overwrite, checksum, dry_run : bool
        See :func:`aiocopick.upkeep.copy`.
    """

    __slots__ = ("_checksum", "_dry_run", "_gate", "_overwrite", "_source", "_target", "bytes", "files", "skipped")

    def __init__(
        self, source: Storage, target: Storage, gate: Gate, *, overwrite: bool, checksum: bool, dry_run: bool
    ) -> None:
        self._source = source
        self._target = target
        self._gate = gate
        self._overwrite = overwrite
        self._checksum = checksum
        self._dry_run = dry_run
        self.files = 0
        self.bytes = 0
        self.skipped = 0

    async def file(self, key: str) -> None:
        """Copy one file.

        Raises
        ------
        NotFoundError
            The source does not have the file.
        AlreadyExistsError
            The target has a different file, and `overwrite` is not set.
        """
        entry = await self._source.stat(key)
        if await self._is_there(entry, await _stat(self._target, key)):
            self.skipped += 1
        else:
            await self._write(entry)

    async def tree(self, prefix: str) -> None:
        """Copy a volume: chunks first, metadata from the bottom up, so that a part of it reads as empty.

        Raises
        ------
        AlreadyExistsError
            The target has files there that are different or not in the source, and is not to be overwritten.
        ConflictError
            Another writer holds the volume.
        NotFoundError
            The source has no metadata of it (it is being deleted, or was never complete), and the target has files.
        """
        entries = await _files(self._source, prefix)
        there = await _files(self._target, prefix)
        if there and not any(map(is_document, entries)):
            # A volume that vanished is not a wish to delete its copy.
            path = self._source.path_of(prefix)
            raise NotFoundError(
                f"{path} has no metadata: it was deleted meanwhile, or never complete; what is in the target was kept.",
                path=path,
            )
        others, wanted = await self._different(entries, there)
        if not (others or wanted):
            self.skipped += len(entries)
            return
        alone = sole_writer(self._target, lease_key(prefix), self._target.path_of(prefix))
        async with nullcontext(NoLease()) if self._dry_run else alone as lease:
            if self._overwrite and not self._dry_run and there != (now := await _files(self._target, prefix)):
                # Another writer was at it before this one kept it out.
                there = now
                others, wanted = await self._different(entries, there)
            replaced = False
            if not self._dry_run and there and (others or wanted):
                # What is replaced must not be read as a mixture of both in the meantime: without documents it is empty.
                if await self._target.delete_linked(prefix):
                    # Nothing is written or removed through a link: the copy becomes a volume of its own.
                    there, others, wanted = {}, [], list(entries)
                replaced = bool(others) or any(key in there for key in wanted)
                documents = [key for key in there if is_document(key)] if replaced else []
                await self._target.delete_many([key for key in documents if key[len(prefix) + 1 :] in FINEST])
                await self._target.delete_many(documents)
                await self._target.delete_many(others)
                wanted += [key for key in documents if key in entries and key not in wanted]
            self.skipped += len(entries) - len(wanted)
            chunks = Together(self._target)
            # Next to documents that stay, each chunk is seen at once.
            is_shown = not replaced and any(map(is_document, there))
            await gather(
                partial(self._write, into=self._target if is_shown else chunks),
                [entries[key] for key in wanted if not is_document(key)],
                limit=_FILES_AT_ONCE,
            )
            await chunks.finish()
            await lease.confirm()
            # The finest level after the coarser ones, which are not a volume without it, and the group at the very end.
            for key in documents_of(wanted):
                await self._write(entries[key])

    async def _different(self, entries: Mapping[str, Entry], there: Mapping[str, Entry]) -> tuple[list[str], list[str]]:
        """Files that the target has and the source has not, and those that the target lacks.

        Raises
        ------
        AlreadyExistsError
            The target has different files, and `overwrite` is not set.
        """
        others = sorted(there.keys() - entries.keys())
        if others and not self._overwrite:
            raise self._taken(others[0])

        async def is_missing(key: str) -> bool:
            return not await self._is_there(entries[key], there.get(key))

        missing = await gather(is_missing, list(entries), limit=_FILES_AT_ONCE)
        return others, [key for key, needed in zip(entries, missing, strict=True) if needed]

    async def _is_there(self, entry: Entry, existing: Entry | None) -> bool:
        """Return True if the target already holds the file.

        Raises
        ------
        AlreadyExistsError
            It holds a different file, and `overwrite` is not set.
        """
        if existing is None:
            return False
        if await self._same(entry, existing):
            return True
        if not self._overwrite:
            raise self._taken(entry.key)
        return False

    async def _same(self, entry: Entry, existing: Entry) -> bool:
        if None not in (entry.size, existing.size) and entry.size != existing.size:
            return False
        known = _checksum(entry.etag), _checksum(existing.etag)
        if known[0] is not None and known[0] == known[1]:
            return True
        if known == (None, None) and not self._checksum and _is_older(entry, existing):
            return True
        async with self._gate.passing(2 * (entry.size or _UNKNOWN_SIZE)):
            # The side without a checksum is read and held against that of the other one, which is read only in doubt.
            in_target = known[1] is None
            near, far = (self._target, self._source) if in_target else (self._source, self._target)
            checksum = known[0] if in_target else known[1]
            data = await near.options(max_listed_bytes=entry.size).read(entry.key)
            return (checksum is not None and checksum == await in_thread(_md5, data)) or (
                await _holds(far, entry.key, data)
            )

    def _taken(self, key: str) -> AlreadyExistsError:
        path = self._target.path_of(key)
        return AlreadyExistsError(f"{path} is different from the source; what is there was kept.", path=path)

    async def _write(self, entry: Entry, into: Storage | Together | None = None) -> None:
        if self._dry_run:
            self.files += 1
            self.bytes += entry.size or 0
            return
        async with self._gate.passing(entry.size or _UNKNOWN_SIZE):
            data = await self._source.options(max_listed_bytes=entry.size).read(entry.key)
            if entry.size is not None and len(data) != entry.size:
                path = self._source.path_of(entry.key)
                raise ConflictError(
                    f"{path} has {len(data)} bytes, not {entry.size} as listed. If it changed while it was copied, copy "
                    "it again; or the server sends it unpacked.",
                    path=path,
                )
            create = not self._overwrite and self._target.capabilities.conditional_writes
            try:
                etag = await (into or self._target).write(entry.key, data, create=create)
            except AlreadyExistsError:
                # It appeared since it was looked for.
                if not await _holds(self._target, entry.key, data):
                    raise self._taken(entry.key) from None
                self.skipped += 1
                return
            self.files += 1
            self.bytes += len(data)
            if not await self._arrived(entry.key, data, etag):
                path = self._target.path_of(entry.key)
                raise StorageError(f"{path} is not what was written to it; copy it again.", path=path)

    async def _arrived(self, key: str, data: bytes, etag: str | None) -> bool:
        checksum = _checksum(etag)
        if checksum is not None and checksum == await in_thread(_md5, data):
            return True
        # The store has no checksum of the content, or one of its own (encryption by a key service): look.
        return await _holds(self._target, key, data)


async def _holds(storage: Storage, key: str, data: bytes) -> bool:
    """Return True if a file has this content; no more than that is read of it."""
    try:
        return await storage.options(max_listed_bytes=len(data)).read(key) == data
    except ConflictError:
        return False


def _checksum(etag: str | None) -> str | None:
    """The etag, if it looks like an MD5."""
    return etag if etag is not None and _MD5.fullmatch(etag) else None


def _is_older(entry: Entry, existing: Entry) -> bool:
    """Return True if the copy is certainly newer than the last change of the original."""
    return entry.modified is not None and existing.modified is not None and entry.modified <= existing.modified


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


async def _stat(storage: Storage, key: str) -> Entry | None:
    try:
        return await storage.stat(key)
    except NotFoundError:
        return None


async def _files(storage: Storage, prefix: str) -> dict[str, Entry]:
    """All files below a directory by key."""
    async with storage.scan(prefix, None) as pages:
        return {entry.key: entry async for page in pages for entry in page if not entry.is_prefix}


__all__ = ["Transfer"]
