"""A crawl of a thousand runs, one of which is not whole."""

from __future__ import annotations

import asyncio
from typing import Any

import aiocopick
from aiocopick.entities import AsyncRoot, AsyncRun
from aiocopick.layers import Stack
from aiocopick.layers.filesystem import FilesystemLayer
from aiocopick.models import CopickConfigFS
from aiocopick.storage import open_storage
from aiocopick.testing import WrappedStorage
from tests.reliability.places import HTTP, Place

NAMES = [f"TS_{number:04}" for number in range(1000)]


class _Vanishing(WrappedStorage):
    """Somebody deletes a file when it is about to be read."""

    key = ""
    writing: Any = None

    async def around(self, verb: str, key: str, call: Any) -> Any:
        if verb == "read" and key == self.key:
            await self.writing.delete_many([key])
        return await call()


async def crawl_a_thousand(
    place: Place, *, vanishing: str | None = None, corrupt: str | None = None
) -> tuple[list[AsyncRun], dict[str, str]]:
    """Runs as a crawl gives them that loads picks, and the keys of those picks by run."""
    keys = {name: f"ExperimentRuns/{name}/Picks/someone_1_ribosome.json" for name in NAMES}
    writing = open_storage(place.writing)
    await writing.write_many((key, b"{" if name == corrupt else b'{"points": []}') for name, key in keys.items())
    # The server in between would only take time.
    config = place.config(timeout=120) if place.kind == HTTP else place.writing
    storage = _Vanishing(open_storage(config))
    storage.writing = writing
    storage.key = keys.get(vanishing or "", "")
    root = AsyncRoot._over(config, Stack([FilesystemLayer(config, storage)]))
    async with root, root.crawl(load=("picks",)) as runs:
        found = [run async for run in runs]
    await writing.aclose()
    if vanishing is None:
        # Nothing was changed: the facade says the same.
        again = await asyncio.to_thread(_crawl_blocking, config)
        assert {run.name: str(run.error) for run in found if run.error} == again
    assert [run.name for run in found] == NAMES
    return found, keys


def _crawl_blocking(config: CopickConfigFS) -> dict[str, str]:
    with aiocopick.CopickRootFS(config) as root:
        return {run.name: str(run.aio.error) for run in root.crawl(load=("picks",)) if run.aio.error}
