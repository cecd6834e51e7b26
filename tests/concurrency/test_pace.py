"""The number of concurrent requests follows the answers."""

from __future__ import annotations

import anyio
import pytest

from aiocopick.concurrency import pace as module
from aiocopick.concurrency.pace import Pace


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(module.anyio, "current_time", lambda: self.now)


async def answered(pace: Pace, clock: Clock, seconds: float, requests: int = 1) -> None:
    async with pace.turn() as turn:
        turn.requests = requests
        clock.now += seconds


@pytest.mark.asyncio
async def test_it_grows_while_answers_stay_as_fast_and_shrinks_when_they_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, pace = Clock(monkeypatch), Pace(4, 8)
    for _ in range(9):
        await answered(pace, clock, 1.0)
    assert pace.limit == 8
    # Three pages in a row are three requests.
    await answered(pace, clock, 3.0, requests=3)
    assert pace.limit == 8
    await answered(pace, clock, 3.0)
    assert pace.limit == 8
    for _ in range(9):
        await answered(pace, clock, 5.0)
    assert pace.limit == 4
    # What was answered from memory says nothing.
    await answered(pace, clock, 0.0, requests=0)
    assert pace.limit == 4


@pytest.mark.asyncio
async def test_no_more_than_the_limit_run_and_all_do() -> None:
    pace = Pace(2, 3)
    running = peak = done = 0

    async def work() -> None:
        nonlocal running, peak, done
        async with pace.turn():
            running += 1
            peak = max(peak, running)
            await anyio.sleep(0)
            running -= 1
            done += 1

    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(work)
    assert (peak, done) == (2, 20)


@pytest.mark.asyncio
async def test_who_stops_waiting_takes_no_place() -> None:
    pace = Pace(1, 1)
    async with anyio.create_task_group() as group, pace.turn():

        async def wait() -> None:
            async with pace.turn():
                raise AssertionError

        group.start_soon(wait)
        await anyio.sleep(0)
        group.cancel_scope.cancel()
    with anyio.fail_after(30):
        async with pace.turn():
            pass
