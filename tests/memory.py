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
    if sys.platform != "linux":
        pytest.skip("the memory of a process with native threads is measured on Linux only")
    memory = Memory()
    with suppress(OSError):
        # Where this is not allowed, what counts is more than ever before.
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = _high_water()
    yield memory
    memory.peak = _high_water() - before


def _high_water() -> int:
    [line] = [line for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines() if "VmHWM" in line]
    return int(line.split()[1]) * 1024
