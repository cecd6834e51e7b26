"""R10: whatever changes a project is stopped at each of its requests, and nobody sees a part of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import aiocopick
from tests.entities.mutators import MUTATORS, verbs
from tests.entities.test_interrupted import contents, stop_at_every_request
from tests.reliability.places import DISK, MEMORY, WRITABLE, Place, some

QUICK = {"AsyncPicks.store", "AsyncTomogram.from_numpy", "AsyncRun.delete", "AsyncRun.store_meta"}


@pytest.mark.asyncio
@pytest.mark.timeout(600)
@pytest.mark.parametrize("place", some(MEMORY, DISK, of=WRITABLE), indirect=True)
@pytest.mark.parametrize(
    "verb", [verb if verb in QUICK else pytest.param(verb, marks=pytest.mark.reliability_full) for verb in MUTATORS]
)
@pytest.mark.parametrize("how", ["fails", "fails after", "is cancelled"])
async def test_no_state_is_torn(place: Place, verb: str, how: str, measured: Any) -> None:
    assert verbs() == set(MUTATORS)
    full = await asyncio.to_thread(contents, 2)
    async with aiocopick.AsyncRoot(place.writing) as root:
        stops = await stop_at_every_request(root.layer.storage, verb, how, 2, full)  # type: ignore[attr-defined]
    measured(f"{verb} {how}: {stops} stops, 0 torn states")
