"""R12: the lost reply of a conditional write is neither a false conflict nor a false success."""

from __future__ import annotations

from typing import Any

import pytest

from aiocopick.errors import AlreadyExistsError, ConflictError
from aiocopick.storage import open_storage
from tests.reliability.places import STORES, Place

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_pauses")]

TIMES = 100


@pytest.mark.parametrize("place", STORES, indirect=True)
async def test_what_happened_is_found_out(place: Place, measured: Any) -> None:
    assert place.server is not None
    storage, other = open_storage(place.config()), open_storage(place.writing)
    # Google Cloud is told the name in the body.
    of_upload = "/o" if place.kind == "gs" else ""
    etag = await storage.write("object", b"start")
    for number in range(TIMES):
        place.server.plan(of_upload or "object", ["lost"])
        etag = await storage.write("object", b"mine %d" % number, if_match=etag)
        assert await other.read_versioned("object") == (b"mine %d" % number, etag)
        place.server.plan(of_upload or f"new{number}", ["lost"])
        await storage.write(f"new{number}", b"created", create=True)
    assert storage.stats.retries >= 2 * TIMES
    for number in range(TIMES // 5):
        await other.write("object", b"theirs %d" % number)
        place.server.plan(of_upload or "object", ["lost"])
        with pytest.raises(ConflictError):
            await storage.write("object", b"mine", if_match=etag)
        place.server.plan(of_upload or "object", ["lost"])
        with pytest.raises(AlreadyExistsError):
            await storage.write("object", b"mine", create=True)
        assert await other.read("object") == b"theirs %d" % number
    await storage.aclose()
    await other.aclose()
    measured(f"{2 * TIMES} lost replies: 0 false conflicts; {2 * (TIMES // 5)} real conflicts: 0 false successes")
