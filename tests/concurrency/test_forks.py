"""Forked children: every lock is free there, whatever the threads of the parent were doing."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from aiocopick.concurrency import forks
from tests.children import run_child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")

HELPERS = """
import os, signal, sys, threading, time, warnings

# Python 3.12 warns about any fork of a process with threads.
warnings.filterwarnings("ignore", "This process", DeprecationWarning)

def end_of(child, seconds=60):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hung"

def in_child(function):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            function()
            code = 0
        finally:
            os._exit(code)
    return child
"""


@pytest.mark.parametrize("where", ["disk", pytest.param("memory", marks=pytest.mark.slow)])
def test_children_store_while_threads_of_the_parent_store(tmp_path: Path, where: str) -> None:
    url = str(tmp_path) if where == "disk" else "memory://forked"
    script = (
        HELPERS
        + """
import aiocopick
from aiocopick.sample import sample_config

root = aiocopick.open_sync(sample_config(sys.argv[1]))
run = root.new_run("TS_1")
entities = [run.new_picks("ribosome", "u", str(number)) for number in range(18)]
for picks in entities:
    picks.store()
stop = threading.Event()

def work(picks):
    while not stop.is_set():
        picks.meta
        picks.store()

threads = [threading.Thread(target=work, args=[picks]) for picks in entities[:6]]
for thread in threads:
    thread.start()
results = []
for number in range(12):
    time.sleep(0.01)
    mine = entities[6 + number]
    def store():
        mine.store()
        other = root.get_run("TS_1").new_picks("ribosome", "child", str(os.getpid()))
        other.store()
        root.config.fs()
    results.append(end_of(in_child(store)))
stop.set()
for thread in threads:
    thread.join(60)
    assert not thread.is_alive()
entities[0].store()
root.new_run("TS_2").new_picks("ribosome", "u", "1").store()
print(results == [0] * 12, results if results != [0] * 12 else "")
"""
    )
    assert run_child(script, url).split()[0] == "True"


@pytest.mark.slow
def test_every_lock_is_free_in_a_child() -> None:
    script = (
        HELPERS
        + """
import aiocopick, aiocopick.sync, aiocopick.storage.filesystem, aiocopick.storage.backends.disk
import aiocopick.storage.backends.memory, aiocopick.storage.backends.s3, aiocopick.layers.foreign.opened
from aiocopick.concurrency import forks
from aiocopick.sample import sample_config

root = aiocopick.open_sync(sample_config("memory://locks"))
root.new_run("a")
root.refresh()
root.runs
ready, stop = threading.Event(), threading.Event()
locks = list(forks._locks)

def hold():
    for lock in locks:
        lock.__enter__()
    ready.set()
    stop.wait(60)

thread = threading.Thread(target=hold)
thread.start()
ready.wait(60)

def use():
    for lock in locks:
        with lock:
            pass
    root.runs[0].picks
    root.new_run("b")
    root.config.fs()

print(len(locks) > 8, end_of(in_child(use), 30))
stop.set()
thread.join()
"""
    )
    assert run_child(script) == "True 0"


@pytest.mark.parametrize("make", [threading.Lock, threading.RLock])
def test_a_renewed_lock_is_free_and_its_holder_releases_the_old_one(make: Any) -> None:
    lock = forks.Lock(make)
    free = []

    def take() -> None:
        with lock:
            free.append(lock)

    with lock:
        lock.renew()
        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        thread.join(60)
        assert free == [lock]
        with lock:
            pass
    with lock:
        pass


def test_no_lock_of_ours_is_one_that_a_child_cannot_have() -> None:
    source = Path(__file__).parents[2] / "src" / "aiocopick"
    plain = [
        str(path.relative_to(source))
        for path in source.rglob("*.py")
        if path.relative_to(source).parts[0] != "testing"
        and path.name != "forks.py"
        and ("threading.Lock()" in path.read_text() or "threading.RLock()" in path.read_text())
    ]
    assert plain == []


def test_a_child_does_not_keep_the_lock_of_a_directory(tmp_path: Path) -> None:
    """Neither a parent that goes on nor one that is killed leaves a lock behind, as long as its child may live."""
    script = (
        HELPERS
        + """
import fcntl
from aiocopick.storage.backends import disk

def is_free():
    handle = os.open(sys.argv[1], os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True

reader, writer = os.pipe()

def live_on():
    os.close(writer)
    os.read(reader, 1)

# The parent unlocks what its child has, too.
forget, disk._locks_held = disk._locks_held, set()
with disk._locked(sys.argv[1]) as locked:
    disk._locks_held.clear()
    first = in_child(live_on)
    held = not is_free()
print(locked, held, is_free())
disk._locks_held = forget

# And a child gives up what its parent has, before that is killed.
def lock_and_die():
    with disk._locked(sys.argv[1]):
        in_child(live_on)
        os.kill(os.getpid(), signal.SIGKILL)

end_of(in_child(lock_and_die))
until = time.monotonic() + 30
while not is_free() and time.monotonic() < until:
    time.sleep(0.01)
print(is_free())
os.close(writer)
end_of(first)
"""
    )
    assert run_child(script, tmp_path).split() == ["True", "True", "True", "True"]


def test_a_child_closes_nothing_else_and_waits_for_no_thread_of_its_parent(tmp_path: Path) -> None:
    script = (
        HELPERS
        + """
from aiocopick.storage.backends import disk

with disk._locked(sys.argv[1]):
    pass
# It gets the number of the descriptor that was locked.
reader, writer = os.pipe()

def use():
    os.close(writer)
    # Until the parent has unlocked.
    os.read(reader, 1)
    with disk._locked(sys.argv[1]) as locked:
        assert locked

with disk._locked(sys.argv[1]):
    child = in_child(use)
os.close(writer)
print(end_of(child, 30))
"""
    )
    assert run_child(script, tmp_path) == "0"
