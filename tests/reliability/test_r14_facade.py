"""R14: Ctrl-C, a timeout, a closed root, a call inside a loop, fork and spawn each end as documented, never in None."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest

import aiocopick
from aiocopick.errors import ClosedError, StorageTimeoutError
from tests.entities.projects import write_run
from tests.reliability.places import ALL, DISK, MEMORY, NETWORK, WRITABLE, Place, some

CHILD = """
import json, multiprocessing, os, signal, sys, threading, time, warnings
import aiocopick
from aiocopick.models import parse_config
warnings.filterwarnings("ignore", "This process", DeprecationWarning)
config = parse_config(json.loads(sys.argv[1]))

def count(root):
    return [len(picks.points) for run in root.query() for picks in run.query_picks()]

def work(queue):
    queue.put(count(aiocopick.CopickRootFS(config)))

if __name__ == "__main__":
    root = aiocopick.CopickRootFS(config)
    assert count(root) == [2, 1], count(root)
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        queue = context.Queue()
        child = context.Process(target=work, args=(queue,))
        child.start()
        print(method, queue.get(timeout=60), flush=True)
        child.join()
    assert count(root) == [2, 1]
"""


@pytest.mark.parametrize("place", some(DISK, "s3", "obstore", "minio", of=[DISK, *NETWORK]), indirect=True)
def test_children_of_both_kinds_read_on_their_own(place: Place, tmp_path: Any, measured: Any) -> None:
    with aiocopick.CopickRootFS(place.writing) as root:
        root._call(write_run, root.aio, volumes=False)
    script = tmp_path / "script.py"
    script.write_text(CHILD)
    done = subprocess.run(
        [sys.executable, str(script), place.config().to_json()],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["fork [2, 1]", "spawn [2, 1]"]
    measured("children by fork and spawn read the same, and so does the parent after them")


@pytest.mark.parametrize("place", NETWORK, indirect=True)
def test_a_timeout_and_a_closed_root_are_errors(place: Place, measured: Any) -> None:
    assert place.server is not None
    with aiocopick.CopickRootFS(place.writing) as writing:
        writing._call(write_run, writing.aio, volumes=False)
    root = place.open_sync()
    [run] = root.query()
    place.server.always("stall")
    with pytest.raises(StorageTimeoutError):
        root.options(timeout=0.5).query()
    place.server.always(None)
    assert len(run.query_picks()) == 2
    root.close()
    with pytest.raises(ClosedError):
        run.query_picks()
    measured("stalled: StorageTimeoutError; closed: ClosedError")


@pytest.mark.parametrize("place", NETWORK, indirect=True)
def test_ctrl_c_ends_the_call_and_leaves_nothing(place: Place, measured: Any) -> None:
    assert place.server is not None
    with aiocopick.CopickRootFS(place.writing) as writing:
        writing._call(write_run, writing.aio, volumes=False)
    script = """
import json, os, signal, sys, threading, time
import aiocopick
from aiocopick.models import parse_config
root = aiocopick.CopickRootFS(parse_config(json.loads(sys.argv[1])))
root.query()
threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    while True:
        root.query()[0].query_picks()
except KeyboardInterrupt:
    print("interrupted", root.stats.in_flight, len(root.query()))
"""
    document = json.dumps(json.loads(place.config().to_json()))
    done = subprocess.run(
        [sys.executable, "-c", script, document], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "interrupted 0 1\n", done.stderr
    measured("KeyboardInterrupt, 0 requests in flight, the next call works")


INTERRUPTED = """
import json, os, random, signal, sys, threading
import aiocopick
from aiocopick.models import parse_config
config = parse_config(json.loads(sys.argv[1]))
root = aiocopick.CopickRootFS(config)
[picks] = root.query()[0].get_picks("ribosome", session_id="1")
picks.load()
chance = random.Random(18)
size = 0
for _ in range(int(sys.argv[2])):
    timer = threading.Timer(chance.random() * 0.1, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        while True:
            size += 1
            picks.from_numpy([[1.0, 2.0, 3.0]] * size, store=False)
            picks.store()
    except KeyboardInterrupt:
        pass
    timer.join()
    size += 1
    picks.from_numpy([[1.0, 2.0, 3.0]] * size, store=False)
    picks.store()
    [stored] = aiocopick.CopickRootFS(config).query()[0].get_picks("ribosome", session_id="1")
    assert len(stored.points) == size, (len(stored.points), size)
print("stored", root.stats.in_flight)
"""


@pytest.mark.parametrize("place", some(MEMORY, DISK, "s3", "obstore", of=WRITABLE), indirect=True)
@pytest.mark.parametrize("times", [10, pytest.param(100, marks=pytest.mark.reliability_full)])
def test_after_ctrl_c_in_a_store_the_next_one_is_no_conflict(place: Place, times: int, measured: Any) -> None:
    script = INTERRUPTED
    if place.kind == MEMORY:
        # What is in memory is in that process only.
        script = script.replace("[picks] =", "root.new_run('TS_1').new_picks('ribosome', '1').store()\n[picks] =")
    else:
        with aiocopick.CopickRootFS(place.writing) as root:
            root._call(write_run, root.aio, volumes=False)
    command = [sys.executable, "-c", script, place.config().to_json(), str(times)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    assert done.stdout == "stored 0\n", done.stderr
    measured(f"{times} times Ctrl-C in store(): the next one is stored")


@pytest.mark.parametrize("place", ALL, indirect=True)
def test_a_call_inside_a_loop_works_and_its_own_loop_refuses_it(place: Place, measured: Any) -> None:
    with aiocopick.CopickRootFS(place.writing) as root:
        root._call(write_run, root.aio, volumes=False)
    with place.open_sync() as root:

        async def inside() -> int:
            return len(root.query())

        assert asyncio.run(inside()) == 1
        with pytest.raises(RuntimeError):
            root._call(inside)
    measured("another loop: works; the facade's own: RuntimeError")
