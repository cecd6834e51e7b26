"""R3: whatever a connection does, the bytes are the same in the end."""

from __future__ import annotations

import random
from typing import Any

import pytest

from aiocopick.storage import open_storage
from tests.reliability.places import NETWORK, Place

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_pauses")]

CONTENT = random.Random(3).randbytes(20_000)
PLANS = 200


@pytest.mark.parametrize("place", NETWORK, indirect=True)
async def test_every_plan_gives_the_same_bytes(place: Place, measured: Any) -> None:
    assert place.server is not None
    writing = open_storage(place.writing)
    await writing.write("object", CONTENT)
    await writing.aclose()
    storage = open_storage(place.config(timeout=20))
    chance = random.Random(20240607)
    repeated = 0
    kinds = ["503", "reset", "truncate", "short", "no-length", "ok", "500 0", "lost"]
    if place.kind != "minio":
        # It checks the signature of a range, which cannot be dropped on its way.
        kinds.append("whole")
    for _ in range(PLANS):
        faults = chance.choices(kinds, k=chance.randint(0, 3))
        place.server.plan("object", faults)
        span = chance.choice([None, (0, 10), (17, 4000), (-100, None), (5000, None)])
        assert await storage.read("object", span) == (CONTENT if span is None else CONTENT[slice(*span)])
        repeated += sum(fault != "ok" for fault in faults)
    await storage.aclose()
    measured(f"{PLANS} plans, {repeated} faults: all bytes equal")
