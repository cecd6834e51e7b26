"""Versions out of a catalogue may be of any age: a store does not insist on them."""

from __future__ import annotations

import pytest

import aiocopick
from aiocopick.entities import AsyncRoot
from aiocopick.models import CopickLocation, CopickPoint


@pytest.mark.asyncio
async def test_a_store_does_not_insist_on_the_version_of_a_catalogue(sample: AsyncRoot) -> None:
    table = await aiocopick.catalog(sample)
    async for picks in aiocopick.select(sample, "ribosome:curator", runs="TS_001"):
        await picks.from_numpy([[1, 2, 3]])
    async with aiocopick.open(sample.config, catalog=table) as root:
        async for picks in aiocopick.select(root, "ribosome:curator", runs="TS_001"):
            assert picks.sources[0].located.etag is not None
            picks.points = [CopickPoint(location=CopickLocation(x=7, y=8, z=9))] * 2
            await picks.store()
    async for picks in aiocopick.select(sample.options(), "ribosome:curator", runs="TS_001", load=True):
        assert len(picks.points) == 2
