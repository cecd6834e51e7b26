"""R16: 64 file descriptors are enough."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

import aiocopick
from aiocopick.storage import open_storage
from tests.reliability.places import DISK, NETWORK, Place

FILES = 300
CHILD = """
import asyncio, json, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
import aiocopick

async def main():
    async with aiocopick.open(json.loads(sys.argv[1]), timeout=120) as root:
        async with root.crawl(load={"picks"}) as runs:
            found = [run async for run in runs]
        assert not [run.error for run in found if run.error], found[0].error
        print(len(found))

asyncio.run(main())
"""


@pytest.mark.skipif(os.name != "posix", reason="this system has no limit of descriptors to set")
@pytest.mark.parametrize("place", [DISK, *NETWORK], indirect=True)
def test_a_crawl_needs_no_more(place: Place, measured: Any) -> None:
    async def write() -> None:
        storage = open_storage(place.writing)
        await storage.write_many(
            (f"ExperimentRuns/TS_{n:03}/Picks/u_1_o.json", b'{"points": []}') for n in range(FILES)
        )
        await storage.aclose()

    with aiocopick.CopickRootFS(place.writing) as root:
        root._call(write)
    document = place.writing.to_json() if place.kind == DISK else json.dumps(json.loads(place.config().to_json()))
    done = subprocess.run(
        [sys.executable, "-c", CHILD, document], capture_output=True, text=True, timeout=150, check=False
    )
    assert done.stdout == f"{FILES}\n", done.stderr
    measured(f"{FILES} runs with a file each: 0 errors")
