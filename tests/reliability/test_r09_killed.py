"""R9: a process that is killed while it stores leaves the old file or the new one, and nothing acknowledged is lost."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

import aiocopick
from tests.entities.projects import write_run
from tests.reliability.places import DISK, Place

pytestmark = pytest.mark.skipif(os.name != "posix", reason="this system has no SIGKILL")

# Stores picks with 1, 2, 3... points, a mesh with as many faces more and that number in `.meta`, and says each number.
CHILD = """
import asyncio, json, sys
import aiocopick, trimesh

async def main():
    async with aiocopick.open(json.loads(sys.argv[1])) as root:
        run = await root.get_run("TS_1")
        [picks] = await run.get_picks("ribosome", session_id="1")
        [mesh] = await run.meshes()
        await picks.load()
        await mesh.load()
        for number in range(int(sys.argv[2]), 10**6):
            await picks.from_numpy([[float(number)] * 3] * number)
            mesh.mesh = trimesh.creation.box(extents=[number] * 3)
            await mesh.store()
            run.meta.number = number
            await run.store_meta()
            print(number, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("place", [DISK, pytest.param("minio", marks=pytest.mark.minio)], indirect=True)
@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.reliability_full)])
@pytest.mark.timeout(900)
def test_nothing_is_torn_or_lost(place: Place, kills: int, measured: Any) -> None:
    chance = random.Random(9)
    with aiocopick.CopickRootFS(place.writing) as root:
        root._call(write_run, root.aio, volumes=False)
    document = place.writing.to_json()
    acknowledged, lost, unreadable = 1, 0, 0
    for _ in range(kills):
        command = [sys.executable, "-c", CHILD, document, str(acknowledged + 1)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            lines = [child.stdout.readline()]
            time.sleep(chance.random() * 0.1)
            child.send_signal(signal.SIGKILL)
            lines += child.stdout.read().splitlines()
        complete = [int(line) for line in lines if line.strip()]
        acknowledged = max([acknowledged, *complete])
        with aiocopick.CopickRootFS(place.writing) as root:
            run = root.get_run("TS_1")
            assert run is not None
            found = len(run.get_picks("ribosome", session_id="1")[0].points)
            size = round(float(run.meshes[0].mesh.extents[0]))
            number = root._call(run.aio.load_meta).number
            unreadable += found == 0
            # The one that was under way may be there, and what was acknowledged has to be.
            lost += any(value not in (acknowledged, acknowledged + 1) for value in (found, size, number))
            assert len(run.picks) == 2, "a temporary file is seen as picks"
        acknowledged = max(found, size, number)
    assert (lost, unreadable) == (0, 0)
    measured(f"{kills} kills at {acknowledged} rounds of 3 files: 0 unreadable, 0 lost, 0 stray files seen")
