"""R15: a crawl keeps to its limit of requests, and ten times the runs take little more memory."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aiocopick.entities import AsyncRoot
from aiocopick.storage import open_storage
from tests.reliability.places import ALL, DISK, MEMORY, Place

LIMIT = 8
MEBIBYTE = 2**20


async def write_runs(place: Place, first: int, last: int) -> None:
    storage = open_storage(place.writing)
    await storage.write_many(
        (f"ExperimentRuns/TS_{number:05}/Picks/someone_1_ribosome.json", b'{"points": []}')
        for number in range(first, last)
    )
    await storage.aclose()


@pytest.mark.asyncio
@pytest.mark.parametrize("place", ALL, indirect=True)
async def test_requests_in_flight_keep_to_the_limit(place: Place, measured: Any) -> None:
    await write_runs(place, 0, 60)
    async with place.open(max_concurrency=LIMIT, timeout=120) as root:
        async with root.crawl(load=("picks",)) as runs:
            assert len([run async for run in runs]) == 60
        peak = root.stats.peak_in_flight if place.server is None else place.server.peak
    assert 0 < peak <= LIMIT
    if place.server is not None:
        place.server.peak = 0
    with place.open_sync(max_concurrency=LIMIT, timeout=120) as blocking:
        assert len(await asyncio.to_thread(lambda: list(blocking.crawl(load=("picks",))))) == 60
        again = blocking.stats.peak_in_flight if place.server is None else place.server.peak
    assert 0 < again <= LIMIT
    measured(f"limit {LIMIT}: {peak} at most, facade {again}")


@pytest.mark.asyncio
@pytest.mark.timeout(900)
@pytest.mark.parametrize("place", [MEMORY, DISK], indirect=True)
@pytest.mark.parametrize("runs", [pytest.param((300, 3000), id="3000"),
    pytest.param((1000, 10_000), id="10000", marks=pytest.mark.reliability_full)])  # fmt: skip
async def test_memory_is_bounded(place: Place, runs: tuple[int, int], measured: Any) -> None:
    peaks = []
    written = 0
    for count in runs:
        await write_runs(place, written, count)
        written = count
        async with AsyncRoot(place.config(max_concurrency=16)) as root:
            with place.memory() as memory:
                async with root.crawl(load=("picks",)) as found:
                    assert sum([len(await run.picks()) async for run in found]) == count
            peaks.append(memory.peak)
    more = (peaks[1] - peaks[0]) / MEBIBYTE
    assert more <= 50
    measured(f"{runs[1]} runs over {runs[0]}: {more:.0f} MiB more")
