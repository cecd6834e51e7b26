"""One task at a time, and no lock that outlasts them."""

from __future__ import annotations

import asyncio

import pytest

from aiocopick.concurrency.single_flight import single_flight


class Entity:
    _lock = None


@pytest.mark.asyncio
async def test_one_task_at_a_time_and_no_lock_is_left() -> None:
    entity, now, peak, done = Entity(), 0, 0, 0

    async def work() -> None:
        nonlocal now, peak, done
        for _ in range(3):
            async with single_flight(entity):
                now += 1
                peak = max(peak, now)
                await asyncio.sleep(0)
                now -= 1
            done += 1

    await asyncio.gather(work(), work(), work())
    assert (peak, done) == (1, 9)
    # It would keep the event loop alive.
    assert entity._lock is None
