"""R5: a server that stalls is a StorageTimeoutError within the deadline and a second, and leaves no task."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

import aiocopick
from aiocopick.entities import AsyncPicks, AsyncRun
from aiocopick.errors import StorageTimeoutError
from tests.entities.projects import write_run
from tests.reliability.facades import Awaited
from tests.reliability.places import HTTP, NETWORK, Place

TIMEOUT = 0.5


@pytest.mark.asyncio
@pytest.mark.parametrize("place", NETWORK, indirect=True)
@pytest.mark.parametrize("action", ["stall", "hang"])
async def test_the_caller_gets_an_error_in_time(place: Place, action: str, measured: Any) -> None:
    assert place.server is not None
    async with aiocopick.AsyncRoot(place.writing) as writing:
        await write_run(writing, volumes=False)
    async with place.open() as root:
        patient = (await (await root.query())[0].query_picks())[0]
        await patient.load()
        run = AsyncRun._of(root.options(timeout=TIMEOUT), patient.run.ref)
        picks = AsyncPicks._of(run, patient.ref)
        picks.points = patient.points
        before = asyncio.all_tasks()
        place.server.always(action)
        operations: list[Any] = [picks.load, run.query_picks]
        if place.kind != HTTP and action == "stall":
            operations.append(picks.store)
        longest = 0.0
        for operation in operations:
            started = time.monotonic()
            with pytest.raises(StorageTimeoutError) as caught:
                await operation()
            assert isinstance(caught.value, TimeoutError)
            longest = max(longest, time.monotonic() - started)
        left = asyncio.all_tasks() - before
        if left:
            await asyncio.wait(left, timeout=1)
        assert not [task for task in left if not task.done()]
        assert root.stats.in_flight == 0
        place.server.always(None)
    # The facade's own thread has nothing under way either.
    with place.open_sync() as unhurried:
        await Awaited(unhurried).query()
        blocking = unhurried.options(timeout=TIMEOUT)
        place.server.always(action)
        started = time.monotonic()
        with pytest.raises(StorageTimeoutError):
            await Awaited(blocking).query()
        longest = max(longest, time.monotonic() - started)
        assert blocking.stats.in_flight == 0
        place.server.always(None)
    assert longest < TIMEOUT + 1
    measured(f"{action}, deadline {TIMEOUT} s, async and facade: error after {longest:.1f} s at most, 0 tasks left")
