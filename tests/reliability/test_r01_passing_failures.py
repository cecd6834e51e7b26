"""R1: a server that refuses twice and then answers costs three requests, by one layer of retries."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

import aiocopick
from tests.entities.projects import write_run
from tests.reliability.facades import Awaited
from tests.reliability.places import HTTP, NETWORK, Place

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_pauses")]


@pytest.mark.parametrize("place", NETWORK, indirect=True)
@pytest.mark.parametrize("status", ["503", "500", "502", "429"])
async def test_every_operation_takes_three_requests(place: Place, status: str, measured: Any) -> None:
    assert place.server is not None
    async with aiocopick.AsyncRoot(place.writing) as writing:
        await write_run(writing, volumes=False)
    async with place.open() as root:
        run = (await root.query())[0]
        picks = (await run.query_picks())[0]
        await picks.load()
        operations: dict[str, Any] = {"list": run.query_picks, "read": picks.load}
        storage, key = root.layer.storage, picks.key  # type: ignore[attr-defined]
        operations["stat"] = partial(storage.stat, key)
        if place.kind != HTTP:
            operations |= {"write": picks.store, "copy": partial(storage.copy, key, "copy")}
            # One request for many keys is S3's alone.
            names = ["copy", "another"] if place.kind in ("s3", "obstore", "minio") else ["copy"]
            operations["delete"] = partial(storage.delete_many, names)
        for name, operation in operations.items():
            place.server.requests.clear()
            before, sent = root.stats.retries, sum(root.stats.requests.values())
            place.server.plan("", [status, status])
            await operation()
            assert len(place.server.requests) == 3, name
            assert root.stats.retries == before + 2
            assert sum(root.stats.requests.values()) == sent + 3
    measured(f"{status}, {status}: 3 requests for each of {', '.join(operations)}")


@pytest.mark.parametrize("place", NETWORK, indirect=True)
async def test_the_facade_takes_three_as_well(place: Place, measured: Any) -> None:
    assert place.server is not None
    async with aiocopick.AsyncRoot(place.writing) as writing:
        await write_run(writing, volumes=False)
    with place.open_sync(read_ahead=0) as root:
        run = (await Awaited(root).query())[0]
        picks = (await run.query_picks())[0]
        operations = {"list": run.query_picks, "read": picks.load}
        if place.kind != HTTP:
            operations["write"] = picks.store
        for name, operation in operations.items():
            place.server.requests.clear()
            place.server.plan("", ["503", "503"])
            await operation()
            assert len(place.server.requests) == 3, name
    measured(f"facade, 503, 503: 3 requests for each of {', '.join(operations)}")
