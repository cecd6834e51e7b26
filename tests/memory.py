"""How much memory a piece of work takes."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


class Memory:
    """Bytes, at most and more than before; known when the work is done."""

    peak = 0


@contextmanager
def traced() -> Iterator[Memory]:
    """Count what Python allocates. Nothing may run beside it that is not Python's: `tracemalloc` crashes on it."""
    memory = Memory()
    tracemalloc.start()
    try:
        yield memory
        memory.peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@contextmanager
def resident() -> Iterator[Memory]:
    """Count what the process takes, native threads included.

    Before Python 3.12.9, `tracemalloc` may crash when it starts or ends while a thread of obstore enters the interpreter
    (https://github.com/python/cpython/issues/128679).
    """
    memory = Memory()
    with suppress(OSError):
        # Where this is not possible, what counts is more than ever before.
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _high_water()
    yield memory
    memory.peak = _high_water() - before


def _high_water() -> int:
    if sys.platform == "linux":
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        [line] = [line for line in lines if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024
    resource = pytest.importorskip("resource", reason="this system does not tell how much memory a process has held")
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1 if sys.platform == "darwin" else 1024)
