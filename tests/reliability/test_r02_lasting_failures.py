"""R2: a server that refuses for ever is a named error, after at most 6 requests."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import aiocopick
from aiocopick.errors import AccessDeniedError, NotFoundError, StorageError, StorageTimeoutError
from tests.entities.projects import write_run
from tests.reliability.places import NETWORK, Place

pytestmark = pytest.mark.usefixtures("no_pauses")


@pytest.mark.parametrize("place", NETWORK, indirect=True)
@pytest.mark.parametrize("side", ["async", "facade"])
def test_it_is_an_error_that_names_the_path(place: Place, side: str, measured: Any) -> None:
    assert place.server is not None

    async def write() -> None:
        async with aiocopick.AsyncRoot(place.writing) as writing:
            await write_run(writing, volumes=False)

    async def load() -> None:
        async with place.open() as root:
            picks = (await (await root.query())[0].query_picks())[0]
            place.server.requests.clear()  # type: ignore[union-attr]
            place.server.always("503")  # type: ignore[union-attr]
            try:
                await picks.load()
            finally:
                refused = list(place.server.requests)  # type: ignore[union-attr]
                assert len(refused) == 5
                for retries in (0, 1):
                    place.server.requests.clear()  # type: ignore[union-attr]
                    with pytest.raises(StorageError):
                        await root.layer.storage.options(retries=retries).read(picks.key)  # type: ignore[attr-defined]
                    assert len(place.server.requests) == retries + 1  # type: ignore[union-attr]
                place.server.requests[:] = refused  # type: ignore[union-attr]

    def load_blocking() -> None:
        with place.open_sync() as root:
            picks = root.query()[0].query_picks()[0]
            place.server.requests.clear()  # type: ignore[union-attr]
            place.server.always("503")  # type: ignore[union-attr]
            picks.points  # noqa: B018 - a property that loads

    asyncio.run(write())
    with pytest.raises(StorageError, match=r"1_ribosome\.json.*503") as caught:
        asyncio.run(load()) if side == "async" else load_blocking()
    assert not isinstance(caught.value, (NotFoundError, StorageTimeoutError, AccessDeniedError))
    assert caught.value.path is not None
    assert caught.value.path.endswith("1_ribosome.json")
    assert len(place.server.requests) <= 6
    measured(f"{side}: StorageError after {len(place.server.requests)} requests")
