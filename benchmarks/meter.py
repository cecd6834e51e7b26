"""Clocks of one sample, in the process that is measured. Standard library only."""

from __future__ import annotations

import gc
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

CountRequests = Callable[[], Counter[str]]


class Meter:
    """Measures the block it guards: ``with meter: ...``, once.

    Attributes
    ----------
    wall, cpu : float
        Seconds; CPU is that of all threads of this process.
    memory_before, memory_peak : int
        Resident bytes when the block began, and at the process's highest.
    requests : Counter of str or None
        Requests that the server answered meanwhile, by operation; None when nobody counts them.
    """

    def __init__(self, count_requests: CountRequests | None = None) -> None:
        self.wall = self.cpu = 0.0
        self.memory_before = self.memory_peak = 0
        self.requests: Counter[str] | None = None
        self._count_requests = count_requests

    def __enter__(self) -> Self:
        if self._count_requests is not None:
            self.requests = self._count_requests()
        # What importing left for the collector is nobody's work.
        gc.collect()
        self.memory_before = _status_bytes("VmRSS")
        self._cpu_started = time.process_time()
        self._wall_started = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.wall = time.perf_counter() - self._wall_started
        self.cpu = time.process_time() - self._cpu_started
        self.memory_peak = _status_bytes("VmHWM")
        if self._count_requests is not None and self.requests is not None:
            self.requests = self._count_requests() - self.requests

    def to_json(self) -> dict[str, Any]:
        """The figures under the names of :class:`benchmarks.results.Sample`."""
        return {
            "wall": self.wall,
            "cpu": self.cpu,
            "memory_before": self.memory_before,
            "memory_peak": self.memory_peak,
            "requests": None if self.requests is None else dict(sorted(self.requests.items())),
        }


def request_counter(server: Mapping[str, Any] | None) -> CountRequests | None:
    """Function that asks a running server of ours how many requests it has answered."""
    if server is None:
        return None
    if server["name"] == "late":
        from benchmarks.late_store import counts

        return partial(counts, server["port"])
    from tests.servers.s3 import MinioServer, MotoServer

    handle = {"moto": MotoServer, "minio": MinioServer}[server["name"]]()
    handle.port = server["port"]
    return handle.request_counts


def _status_bytes(field: str) -> int:
    # getrusage alone would do, but on Linux its peak also holds that of the process that forked this one.
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))
