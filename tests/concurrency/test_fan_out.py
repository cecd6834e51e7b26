"""The fan-out helper and the gate: bounds, order, bare errors, nothing left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import anyio
import pytest

from aiocopick.concurrency.fan_out import Backlog, first_error, gather, gather_results, stream, unwrap
from aiocopick.concurrency.gate import Gate
from aiocopick.concurrency.threads import in_thread
from aiocopick.errors import CopickError, NotFoundError, StorageError


class Meter:
    """Counts how many calls are under way, and yields to the loop in each."""

    def __init__(self) -> None:
        self.now = self.peak = self.started = 0

    async def __call__(self, item: int) -> int:
        self.now += 1
        self.started += 1
        self.peak = max(self.peak, self.now)
        try:
            await asyncio.sleep(0)
            if item < 0:
                raise NotFoundError(f"no {item}", path=str(item))
            return item * 2
        finally:
            self.now -= 1


@pytest.mark.asyncio
@pytest.mark.parametrize("limit", [1, 3, 100])
async def test_gather_keeps_order_and_limit(limit: int) -> None:
    meter = Meter()
    assert await gather(meter, range(20), limit=limit) == [2 * item for item in range(20)]
    assert meter.peak == min(limit, 20)


@pytest.mark.asyncio
async def test_gather_of_nothing() -> None:
    assert await gather(Meter(), [], limit=3) == []
    assert await gather_results(Meter(), iter(()), limit=3) == []


@pytest.mark.asyncio
async def test_gather_raises_the_failure_bare_and_cancels_the_rest() -> None:
    meter = Meter()
    with pytest.raises(NotFoundError) as caught:
        await gather(meter, [0, -1, *range(1000)], limit=2)
    assert caught.value.path == "-1"
    assert meter.now == 0
    assert meter.started < 10


@pytest.mark.asyncio
async def test_gather_notes_those_that_failed_beside_the_first() -> None:
    gate = anyio.Event()

    async def fail(item: int) -> None:
        try:
            if item == 0:
                raise NotFoundError("first")
            await gate.wait()
        finally:
            if item == 1:
                raise StorageError("second")

    with pytest.raises(NotFoundError) as caught:
        await gather(fail, [1, 0], limit=2)
    assert caught.value.__notes__ == ["StorageError: second"]


@pytest.mark.asyncio
async def test_gather_keeps_the_cause_of_a_failure() -> None:
    async def fail(item: int) -> None:
        try:
            raise OSError("below")
        except OSError as error:
            raise StorageError("above") from error

    with pytest.raises(StorageError) as caught:
        await gather(fail, [1], limit=1)
    assert isinstance(caught.value.__cause__, OSError)


@pytest.mark.asyncio
async def test_gather_results_returns_our_errors_and_raises_others() -> None:
    results = await gather_results(Meter(), [1, -1, 2], limit=2)
    assert (results[0], results[2]) == (2, 4)
    assert isinstance(results[1], NotFoundError)

    async def fail(item: int) -> None:
        raise ValueError(item)

    with pytest.raises(ValueError, match="5"):
        await gather_results(fail, [5], limit=1)


@pytest.mark.asyncio
async def test_a_group_inside_is_opened() -> None:
    async def fail(item: int) -> None:
        raise BaseExceptionGroup("several", [NotFoundError("inner"), OSError("other")])

    with pytest.raises(NotFoundError) as caught:
        await gather(fail, [1], limit=1)
    assert caught.value.__notes__ == ["OSError: other"]


def test_an_interrupt_is_never_a_note() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, unwrap():
        raise BaseExceptionGroup("both", [NotFoundError("x"), KeyboardInterrupt()])
    assert caught.value.__notes__ == ["NotFoundError: x"]
    assert isinstance(first_error([ValueError("a"), SystemExit(3)]), SystemExit)


@pytest.mark.asyncio
@pytest.mark.parametrize("ordered", [True, False])
async def test_stream_delivers_everything_within_its_limit(ordered: bool) -> None:
    meter = Meter()
    async with stream(meter, range(50), limit=4, ordered=ordered) as results:
        pairs = [pair async for pair in results]
    assert meter.peak <= 4
    assert sorted(pairs) == [(item, 2 * item) for item in range(50)]
    if ordered:
        assert pairs == sorted(pairs)


@pytest.mark.asyncio
async def test_a_consumer_rests_until_there_is_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    release = anyio.Event()
    waits = 0

    class Event:
        def __init__(self) -> None:
            self.inner = asyncio.Event()
            self.set = self.inner.set

        async def wait(self) -> None:
            nonlocal waits
            waits += 1
            await asyncio.sleep(0)
            await self.inner.wait()

    async def later() -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        release.set()

    async def hold(item: int) -> int:
        if item:
            await release.wait()
        return item

    monkeypatch.setattr(anyio, "Event", Event)
    async with stream(hold, range(2), limit=2) as results, anyio.create_task_group() as group:
        group.start_soon(later)
        assert [result async for _, result in results] == [0, 1]
    assert waits < 5


@pytest.mark.asyncio
async def test_stream_takes_no_more_than_its_limit_ahead_of_the_consumer() -> None:
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    async with stream(Meter(), endless(), limit=5) as results:
        consumed = 0
        async for _ in results:
            consumed += 1
            for _ in range(10):
                await asyncio.sleep(0)
            assert taken <= consumed + 5
            if consumed == 20:
                break


@pytest.mark.asyncio
@pytest.mark.parametrize("ordered", [False, True])
async def test_a_stream_starts_no_more_workers_than_it_finds_items_for(ordered: bool) -> None:
    before = len(asyncio.all_tasks())
    release = anyio.Event()
    under_way = 0
    peak = 0

    async def hold(item: int) -> int:
        nonlocal under_way, peak
        under_way += 1
        peak = max(peak, len(asyncio.all_tasks()) - before)
        if under_way == 3:
            release.set()
        await release.wait()
        return item

    async with stream(hold, iter(range(3)), limit=1000, ordered=ordered) as results:
        # All three are under way at once, and one more worker looked for a fourth item.
        assert sorted([item async for item, _ in results]) == [0, 1, 2]
    assert peak <= 4


@pytest.mark.asyncio
async def test_stream_gives_our_errors_in_place_and_raises_others() -> None:
    async with stream(Meter(), [1, -1, 2], limit=1, ordered=True) as results:
        found = [result async for _, result in results]
    assert (found[0], found[2]) == (2, 4)
    assert isinstance(found[1], CopickError)

    async def fail(item: int) -> int:
        raise ValueError(item)

    with pytest.raises(ValueError, match="7"):
        async with stream(fail, [7], limit=1) as results:
            await anext(results)


@pytest.mark.asyncio
async def test_stream_takes_async_sources_and_tells_of_their_failure() -> None:
    async def source() -> AsyncIterator[int]:
        yield 1
        yield 2
        raise OSError("the source failed")

    found: list[int] = []

    async def consume() -> None:
        async with stream(Meter(), source(), limit=2, ordered=True) as results:
            async for item, _ in results:
                found.append(item)

    with pytest.raises(OSError, match="the source failed"):
        await consume()
    assert found == [1, 2]


@pytest.mark.asyncio
async def test_leaving_a_stream_cancels_what_is_under_way() -> None:
    meter = Meter()
    before = asyncio.all_tasks()

    async def wait(item: int) -> int:
        if item:
            await asyncio.Event().wait()
        return await meter(item)

    async with stream(wait, range(10), limit=10) as results:
        assert await anext(results) == (0, 0)
    assert asyncio.all_tasks() == before


@pytest.mark.asyncio
async def test_what_is_raised_inside_a_stream_leaves_it_bare() -> None:
    with pytest.raises(KeyError):
        async with stream(Meter(), range(10), limit=3):
            raise KeyError("mine")
    with anyio.move_on_after(0.01) as scope:
        async with stream(lambda item: asyncio.Event().wait(), range(10), limit=3) as results:
            await anext(results)
    assert scope.cancelled_caught


@pytest.mark.asyncio
async def test_a_backlog_grows_while_it_is_worked_on() -> None:
    backlog = Backlog([3])

    async def visit(depth: int) -> int:
        try:
            await asyncio.sleep(0)
            if depth:
                backlog.add(depth - 1)
                backlog.add(depth - 1)
            return depth
        finally:
            backlog.done()

    async with stream(visit, backlog, limit=4) as results:
        visited = [depth async for depth, _ in results]
    assert sorted(visited) == [0] * 8 + [1] * 4 + [2] * 2 + [3]


@pytest.mark.asyncio
async def test_a_backlog_rests_while_others_work() -> None:
    looks = 0

    class Source(Iterator[int]):
        def __next__(self) -> int:
            nonlocal looks
            looks += 1
            raise StopIteration

    backlog = Backlog(Source())
    backlog.add(1)
    assert await anext(backlog) == 1
    looks = 0

    async def end() -> None:
        with pytest.raises(StopAsyncIteration):
            await anext(backlog)

    async with anyio.create_task_group() as group:
        group.start_soon(end)
        for _ in range(20):
            await asyncio.sleep(0)
        assert looks == 1
        backlog.done()
    assert looks == 2


@pytest.mark.asyncio
async def test_in_thread_returns_and_raises() -> None:
    assert await in_thread(sum, [1, 2, 3]) == 6
    with pytest.raises(ZeroDivisionError):
        await in_thread(divmod, 1, 0)


@pytest.mark.asyncio
async def test_the_gate_bounds_requests_and_bytes() -> None:
    gate = Gate(3, 100)
    peak_requests = peak_bytes = 0

    async def pass_through(weight: int) -> None:
        nonlocal peak_requests, peak_bytes
        async with gate.passing(weight):
            peak_requests = max(peak_requests, gate.inside)
            peak_bytes = max(peak_bytes, gate.bytes_inside)
            await asyncio.sleep(0)

    await gather(pass_through, [40, 60, 10, 100, 1, 1, 1, 1, 250, 30, 30, 30, 30], limit=13)
    assert peak_requests == 3
    assert peak_bytes <= 100
    assert (gate.inside, gate.bytes_inside) == (0, 0)


@pytest.mark.asyncio
async def test_more_than_the_bound_passes_alone() -> None:
    gate = Gate(10, 100)
    assert gate.admit(1)
    assert not gate.admit(1000)
    large = asyncio.ensure_future(gate.wait(1000))
    await asyncio.sleep(0)
    assert not gate.admit(1)
    late = asyncio.ensure_future(gate.wait(1))
    await asyncio.sleep(0)
    # First come, first served: the small one behind does not slip past.
    assert not large.done()
    assert not late.done()
    gate.leave(1)
    await large
    await asyncio.sleep(0)
    assert not late.done()
    gate.leave(1000)
    await late
    gate.leave(1)
    assert (gate.inside, gate.bytes_inside) == (0, 0)


@pytest.mark.asyncio
async def test_the_gate_holds_across_cancellation() -> None:
    gate = Gate(2, 100)

    async def pass_through(number: int) -> None:
        async with gate.passing(number % 70):
            assert gate.inside <= 2
            assert gate.bytes_inside <= 100
            await asyncio.sleep(0)

    for victims in range(1, 12):
        tasks = [asyncio.ensure_future(pass_through(number * 37)) for number in range(12)]
        for _ in range(victims % 5):
            await asyncio.sleep(0)
        for task in tasks[::victims]:
            task.cancel()
        await asyncio.wait(tasks)
        assert (gate.inside, gate.bytes_inside) == (0, 0)
        assert not gate._waiting


@pytest.mark.asyncio
async def test_one_that_is_admitted_and_cancelled_at_once_gives_its_place_on() -> None:
    gate = Gate(1, 100)
    assert gate.admit(1)
    second = asyncio.ensure_future(gate.wait(1))
    third = asyncio.ensure_future(gate.wait(1))
    await asyncio.sleep(0)
    gate.leave(1)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    await third
    gate.leave(1)
    assert gate.inside == 0
