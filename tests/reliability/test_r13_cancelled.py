"""R13: a bulk read or write that is cancelled leaves no task, no request and no upload behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aiocopick.storage import open_storage
from tests.reliability.places import HTTP, NETWORK, Place


@pytest.mark.asyncio
@pytest.mark.parametrize("place", NETWORK, indirect=True)
async def test_nothing_is_left(place: Place, measured: Any) -> None:
    assert place.server is not None
    writing = open_storage(place.writing)
    await writing.write("object", b"content")
    storage = open_storage(place.config())
    await storage.read("object")
    before = asyncio.all_tasks()

    async def read_all() -> None:
        async with storage.read_many(["object"] * 200) as results:
            async for _ in results:
                pass

    operations = [read_all]
    if place.kind != HTTP:
        operations.append(lambda: storage.write_many((f"new/{number}", b"x" * 1000) for number in range(200)))
    for operation in operations:
        place.server.always("stall")
        place.server.requests.clear()
        task = asyncio.ensure_future(operation())
        while len(place.server.requests) < 5:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        left = asyncio.all_tasks() - before
        if left:
            await asyncio.wait(left, timeout=1)
        assert not [task for task in left if not task.done()]
        assert storage.stats.in_flight == 0
        # What was sent before the end still arrives.
        seen = -1
        while seen != len(place.server.requests):
            seen = len(place.server.requests)
            await asyncio.sleep(0.3)
        place.server.always(None)
    assert await storage.read("object") == b"content"
    async with writing.scan("", None) as pages:
        keys = [entry.key async for page in pages for entry in page]
    assert keys == ["object"]
    await storage.aclose()
    await writing.aclose()
    measured("0 tasks after 1 s, 0 requests in flight, 0 objects of a cancelled write")
