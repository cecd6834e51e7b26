"""Files that another file makes visible later: they are made durable together, not one by one.

A chunk of a volume that is not visible yet need not survive a power cut, and waiting for the disk for every chunk
takes longer than writing it. The metadata that makes the volume visible is written after all chunks are durable.
"""

from __future__ import annotations

from aiocopick.concurrency.fan_out import gather
from aiocopick.storage.base import Buffer, Storage

_BATCH = 16
_AT_ONCE = 4


class Together:
    """Writes files of one storage.

    Parameters
    ----------
    storage : Storage
        The storage to write to. Only a local disk needs the wait.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._unsynced = storage.options(durable=False)
        self._waiting: list[str] = []

    async def write(self, key: str, data: Buffer, *, create: bool = False) -> str | None:
        """Write one file, as :meth:`Storage.write` does; the call that completes a batch waits until the batch is on
        the disk.
        """
        etag = await self._unsynced.write(key, data, create=create)
        self._waiting.append(key)
        if len(self._waiting) >= _BATCH:
            batch, self._waiting = self._waiting, []
            await self._storage.sync(batch)
        return etag

    async def finish(self) -> None:
        """Wait until all files are on the disk. Only then may they be made visible.

        Raises
        ------
        StorageError
            They are not on the disk and must not be made visible.
        """
        keys, self._waiting = self._waiting, []
        size = -(-len(keys) // _AT_ONCE) or 1
        await gather(
            self._storage.sync, [keys[start : start + size] for start in range(0, len(keys), size)], limit=_AT_ONCE
        )
