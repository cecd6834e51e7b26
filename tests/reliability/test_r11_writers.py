"""R11: ten writers of one file lose nothing through `update`, and a blind overwrite of a changed file is a conflict."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

import aiocopick
from aiocopick.errors import ConflictError
from aiocopick.models import CopickLocation, CopickPoint
from tests.reliability.places import WRITABLE, Place

WRITERS = 10


def point(x: float) -> CopickPoint:
    return CopickPoint(location=CopickLocation(x=x, y=0, z=0))


@pytest.mark.asyncio
@pytest.mark.parametrize("place", WRITABLE, indirect=True)
async def test_every_update_is_kept(place: Place, measured: Any) -> None:
    async with aiocopick.AsyncRoot(place.writing) as root:
        run = await root.new_run("TS_1")
        await run.new_picks("ribosome", "1")

        async def write(number: int) -> None:
            # A root of its own knows nothing of the others.
            if number % 2:
                await asyncio.to_thread(write_blocking, number)
                return
            async with aiocopick.open(place.writing) as own:
                [picks] = await (await own.query())[0].picks()
                await picks.update(lambda points: [*points, point(number)])

        def write_blocking(number: int) -> None:
            with aiocopick.open_sync(place.writing) as own:
                [picks] = own.runs[0].picks
                picks.update(lambda points: [*points, point(number)])

        async with anyio.create_task_group() as group:
            for number in range(WRITERS):
                group.start_soon(write, number)
        [mine], [theirs] = await run.query_picks(), await (await aiocopick.AsyncRoot(place.writing).query())[0].picks()
        await mine.load()
        kept = sorted(item.location.x for item in mine.points)
        assert kept == list(range(WRITERS))
        await theirs.update(lambda points: points[:3])
        mine.points.append(point(99))
        with pytest.raises(ConflictError, match=r"1_ribosome\.json"):
            await mine.store()
        await mine.load()
        assert len(mine.points) == 3
    measured(f"{len(kept)} of {WRITERS} kept, half of them by the facade; blind overwrite: ConflictError")
