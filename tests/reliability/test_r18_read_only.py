"""R18: a read-only project refuses every verb that changes something, and no byte changes."""

from __future__ import annotations

from typing import Any

import pytest

import aiocopick
from tests.entities.mutators import MUTATORS, write_everything
from tests.entities.test_read_only import everything, refuses_every_verb
from tests.reliability.facades import Awaited
from tests.reliability.places import ALL, HTTP, Place


@pytest.mark.asyncio
@pytest.mark.parametrize("place", ALL, indirect=True)
async def test_no_verb_changes_anything(place: Place, measured: Any) -> None:
    async with aiocopick.AsyncRoot(place.writing) as writing:
        await write_everything(writing)
        storage: Any = writing.layer.storage  # type: ignore[attr-defined]
        before = await everything(storage)
        changes: dict[str, Any] = {"read_only": place.kind != HTTP, "timeout": 60}
        async with place.open(**changes) as root:
            await refuses_every_verb(root)
        with place.open_sync(**changes) as blocking:
            await refuses_every_verb(Awaited(blocking))
        assert await everything(storage) == before
    requests = 0
    if place.server is not None:
        requests = sum(request.method not in ("GET", "HEAD") for request in place.server.requests)
    assert requests == 0
    measured(
        f"{len(MUTATORS)} verbs, async and facade: 0 requests that change something, 0 of {len(before)} objects changed"
    )
