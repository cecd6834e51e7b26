"""R6: denied, not signed in, and missing are told apart, are not repeated, and are never an empty project."""

from __future__ import annotations

from typing import Any

import pytest

import aiocopick
from aiocopick.errors import AccessDeniedError, NotFoundError
from tests.entities.projects import write_run
from tests.reliability.places import NETWORK, Place


@pytest.mark.asyncio
@pytest.mark.parametrize("place", NETWORK, indirect=True)
async def test_each_is_an_error_of_its_own(place: Place, measured: Any) -> None:
    assert place.server is not None
    async with aiocopick.AsyncRoot(place.writing) as writing:
        await write_run(writing, volumes=False)
    async with place.open() as root:
        picks = (await (await root.query())[0].query_picks())[0]
        said = []
        for status, kind in (("403", AccessDeniedError), ("401", AccessDeniedError), ("404", NotFoundError)):
            place.server.always(status)
            place.server.requests.clear()
            with pytest.raises(kind) as caught:
                await picks.load()
            assert len(place.server.requests) == 1, status
            said.append(f"{status} {type(caught.value).__name__}")
    for status in ("403", "401"):
        async with place.open() as denied:
            place.server.always(status)
            with pytest.raises(AccessDeniedError):
                await denied.query()
            with pytest.raises(AccessDeniedError):
                await denied.ensure()
            with pytest.raises(AccessDeniedError):
                async with denied.crawl() as runs:
                    [run async for run in runs]
        place.server.always(None)
    measured(f"{', '.join(said)}; one request each; denied is never empty")
