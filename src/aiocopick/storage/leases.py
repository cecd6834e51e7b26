"""One writer at a time: a lease is a small object that its holder creates, keeps alive and deletes.

Nobody who can write conditionally gets past it: it is created only if it is missing, and one that was left by a killed
writer is taken over by replacing exactly that version, once it is old by the clock of the server. Where nobody else
wants to write, that is two requests.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from aiocopick.concurrency.caller import warn
from aiocopick.concurrency.fan_out import unwrap
from aiocopick.concurrency.threads import shielded
from aiocopick.errors import AlreadyExistsError, ConflictError, CopickError, NotFoundError
from aiocopick.storage.base import Storage

logger = logging.getLogger(__name__)

LIFETIME = 60.0
"""Seconds after which a lease that was not renewed may be taken over."""

RENEWAL = 15.0
"""Seconds between renewals."""

_GIVING_BACK = 3.0
"""Seconds that giving it back may hold up a cancellation or an error."""

_ATTEMPTS = 3

_warned: set[str] = set()


class Lease:
    """The right to write something as a whole.

    Parameters
    ----------
    storage : Storage
        Where it is; with conditional writes.
    key : str
        Of the object that stands for it.
    path : str
        Of what is written, for messages.
    """

    def __init__(self, storage: Storage, key: str, path: str) -> None:
        self._storage = storage
        self._key = key
        self._path = path
        self._holder = uuid.uuid4().hex
        self._renewals = 0
        self._etag: str | None = None
        self._renewed = 0.0
        self._lost = False
        self._turn = anyio.Lock()

    # --- holding it ---------------------------------------------------------------------------------------------------

    async def acquire(self) -> None:
        """Take it: one request, more when somebody has it.

        Raises
        ------
        ConflictError
            Another writer has it.
        """
        try:
            for _ in range(_ATTEMPTS):
                started = _clock()
                try:
                    self._etag = await self._storage.write(self._key, self._content(), create=True)
                except AlreadyExistsError:
                    if not await self._take_over():
                        continue
                self._renewed = started
                return
        except (ConflictError, AlreadyExistsError):
            raise
        except BaseException:
            # It may have been created all the same.
            await _shortly(self._delete_if_own)
            raise
        raise ConflictError(f"{self._path} is being written by others; try again when they are done", path=self._path)

    async def _take_over(self) -> bool:
        """Replace a lease that is old; tell if it was still there.

        Raises
        ------
        ConflictError
            It is not old.
        """
        try:
            found = await self._storage.read_aged(self._key)
        except NotFoundError:
            return False
        if found.age is None or found.age <= LIFETIME:
            raise held_error(self._path, found.data, found.age)
        self._renewals += 1
        self._etag = await self._storage.write(self._key, self._content(), if_match=found.etag)
        logger.warning("%s: took over from a writer that stopped %.0f s ago.", self._path, found.age)
        return True

    async def confirm(self) -> None:
        """Make sure that it is still held: nothing is sent while it cannot be old, unless a look takes no round trip.

        Raises
        ------
        ConflictError
            Another writer took it over.
        """
        if _clock() - self._renewed > LIFETIME / 2:
            await self.renew()
        elif self._storage.capabilities.near:
            async with self._turn:
                try:
                    etag = (await self._storage.read_versioned(self._key))[1]
                except NotFoundError:
                    etag = None
                if etag != self._etag:
                    raise self._taken()

    def _taken(self) -> ConflictError:
        self._lost = True
        return ConflictError(
            f"{self._path} was taken over by another writer before it was complete; nothing of this write is shown. "
            "Try again when the other one is done",
            path=self._path,
        )

    async def renew(self) -> None:
        """Say that the holder is still there: one request.

        Raises
        ------
        ConflictError
            Another writer took it over.
        """
        async with self._turn:
            started = _clock()
            self._renewals += 1
            try:
                self._etag = await self._storage.write(self._key, self._content(), if_match=self._etag)
            except ConflictError:
                raise self._taken() from None
            self._renewed = started

    async def keep(self) -> None:
        """Renew it until cancelled; failures of the storage are borne as long as it cannot be old."""
        while True:
            await anyio.sleep(RENEWAL)
            try:
                await self.renew()
            except ConflictError:
                raise
            except CopickError:
                if _clock() - self._renewed > LIFETIME:
                    raise

    async def release(self) -> None:
        """Give it back: one request. What cannot be given back is taken over by others in time."""
        if self._lost:
            return
        if _clock() - self._renewed > LIFETIME / 2:
            await _shortly(self._delete_if_own)
            return
        try:
            await self._storage.delete_many([self._key])
        except CopickError:
            # What was written is whole: that others are kept out for a while must not make a failure of it.
            await _shortly(self._delete)
        except BaseException:
            await _shortly(self._delete)
            raise

    async def _delete(self) -> None:
        try:
            await self._storage.delete_many([self._key])
        except CopickError as error:
            logger.warning("%s: its lease was left behind, for %g s at most: %s", self._path, LIFETIME, error)

    async def _delete_if_own(self) -> None:
        try:
            data = await self._storage.read(self._key)
        except CopickError:
            return
        if _understood(data).get("holder") == self._holder:
            await self._delete()

    def _content(self) -> bytes:
        # Different each time, as some stores give equal contents equal etags.
        content = {"holder": self._holder, "renewals": self._renewals, "host": socket.gethostname(), "pid": os.getpid()}
        return json.dumps(content).encode()


class NoLease(Lease):
    """The lease of a storage that cannot exclude other writers."""

    def __init__(self) -> None:
        pass

    async def confirm(self) -> None:
        """Do nothing."""


@asynccontextmanager
async def sole_writer(storage: Storage, key: str, path: str) -> AsyncIterator[Lease]:
    """Be the only writer of something for a while; a storage without conditional writes is warned of, once.

    Parameters
    ----------
    storage : Storage
        Where it is written.
    key : str
        Of the object that stands for the right to write it.
    path : str
        Of what is written, for messages.

    Raises
    ------
    ConflictError
        Another writer is at it, or took it over in the meantime.
    """
    if not storage.capabilities.conditional_writes:
        if storage.url not in _warned:
            _warned.add(storage.url)
            warn(
                f"{storage.url} has no conditional writes, so writers of one volume are not kept apart; "
                "let one process at a time write it"
            )
        yield NoLease()
        return
    lease = Lease(storage, key, path)
    await lease.acquire()
    try:
        with unwrap():
            async with anyio.create_task_group() as group:
                group.start_soon(lease.keep)
                yield lease
                group.cancel_scope.cancel()
    finally:
        await lease.release()


async def check_free(storage: Storage, key: str, path: str) -> None:
    """Refuse what would remove something under its writer.

    Raises
    ------
    ConflictError
        A writer holds the lease.
    """
    try:
        found = await storage.read_aged(key)
    except NotFoundError:
        return
    if found.age is None or found.age <= LIFETIME:
        raise held_error(path, found.data, found.age)


def held_error(path: str, content: bytes, age: float | None) -> ConflictError:
    """The error that another writer is at it."""
    seen = "" if age is None else f", last seen {age:.0f} s ago"
    return ConflictError(
        f"{path} is being written by another writer ({holder_of(content)}{seen}). Try again when that one is done; a "
        f"writer that was killed keeps others out for {LIFETIME:g} s",
        path=path,
    )


def holder_of(content: bytes) -> str:
    """The holder of a lease, for people."""
    told = _understood(content)
    return f"process {told.get('pid', 'unknown')} on {told.get('host', 'an unknown machine')}"


def _understood(content: bytes) -> dict[str, Any]:
    try:
        told = json.loads(content)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


async def _shortly(work: Any) -> None:
    """Do something that a cancellation must not keep from being done, and that must not keep it waiting for long."""

    async def bounded() -> None:
        with anyio.move_on_after(_GIVING_BACK):
            await work()

    await shielded(bounded())


def _clock() -> float:
    """Seconds that go on while the machine sleeps, where it can tell."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


__all__ = ["LIFETIME", "Lease", "NoLease", "check_free", "holder_of", "sole_writer"]
