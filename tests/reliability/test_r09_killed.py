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
from aiocopick.errors import FormatError
from tests.children import child
from tests.entities.projects import write_run
from tests.reliability.places import DISK, OTHERS, Place, some

pytestmark = pytest.mark.skipif(os.name != "posix", reason="this system has no SIGKILL")

# Starts children that store for ever: picks with 1, 2, 3... points, a mesh as large and that number in `.meta`. Each says
# its number when it is stored. To import everything for each of them would take longer than they live.
NURSERY = """
import asyncio, json, os, sys
import aiocopick, trimesh

async def store(first):
    async with aiocopick.open(json.loads(sys.argv[1])) as root:
        run = await root.get_run("TS_1")
        [picks] = await run.get_picks("ribosome", session_id="1")
        [mesh] = await run.meshes()
        await picks.load()
        await mesh.load()
        for number in range(first, 10**6):
            await picks.from_numpy([[float(number)] * 3] * number)
            mesh.mesh = trimesh.creation.box(extents=[number] * 3)
            await mesh.store()
            run.meta.number = number
            await run.store_meta()
            print(number, flush=True)

async def look():
    async with aiocopick.open(json.loads(sys.argv[1])) as root:
        await root.query()

# What is imported late is imported here.
asyncio.run(look())
for line in sys.stdin:
    child = os.fork()
    if child == 0:
        asyncio.run(store(int(line)))
    print("child", child, flush=True)
    os.waitpid(child, 0)
    print("ended", flush=True)
"""


# obstore does not work in the forked children.
@pytest.mark.parametrize("place", some(DISK, "minio", of=[DISK, "s3", *OTHERS]), indirect=True)
@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.reliability_full)])
@pytest.mark.timeout(900)
def test_nothing_is_torn_or_lost(place: Place, kills: int, measured: Any) -> None:
    chance = random.Random(9)
    with aiocopick.CopickRootFS(place.writing) as root:
        root._call(write_run, root.aio, volumes=False)
    acknowledged, lost, unreadable, rounds = 1, 0, 0, 0
    command = [sys.executable, "-c", NURSERY, place.writing.to_json()]
    with child(command, stdin=subprocess.PIPE) as nursery:
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        for _ in range(kills):
            print(acknowledged + 1, file=nursery.stdin, flush=True)
            complete: list[int] = []
            pid = 0
            # It has stored something by then, and is somewhere in what comes after it.
            while not (pid and complete):
                word, *rest = nursery.stdout.readline().split()
                if word == "child":
                    pid = int(rest[0])
                else:
                    complete.append(int(word))
            time.sleep(chance.random() * 0.1)
            os.kill(pid, signal.SIGKILL)
            # A line may be cut off by the end of its writer.
            while not (line := nursery.stdout.readline()).endswith("ended\n"):
                complete.append(int(line))
            rounds += len(complete)
            acknowledged = max([acknowledged, *complete])
            with aiocopick.CopickRootFS(place.writing) as root:
                run = root.get_run("TS_1")
                assert run is not None
                try:
                    found = len(run.get_picks("ribosome", session_id="1")[0].points)
                    size = round(float(run.meshes[0].mesh.extents[0]))
                    number = root._call(run.aio.load_meta).number
                except FormatError:
                    unreadable += 1
                    break
                # The one that was under way may be there, and what was acknowledged has to be.
                lost += any(value not in (acknowledged, acknowledged + 1) for value in (found, size, number))
                assert len(run.picks) == 2, "a temporary file is seen as picks"
                assert len(run.meshes) == 1, "a temporary file is seen as a mesh"
            acknowledged = max(found, size, number)
        nursery.stdin.close()
    assert (lost, unreadable) == (0, 0)
    measured(f"{kills} kills at {rounds} rounds of 3 files: 0 unreadable, 0 lost, 0 stray files seen")
