"""Counters of a storage, shared by all its views on all event loops."""

from __future__ import annotations

from collections import Counter
from typing import Any

from aiocopick.concurrency.forks import Lock

VERBS = ("list", "stat", "read", "write", "delete", "copy")
"""The verbs by which requests are counted."""


class StorageStats:
    """Counters of one storage.

    Attributes
    ----------
    requests : collections.Counter
        Requests by verb (``list stat read write delete copy``), repeated ones included. On a local disk, each file
        counts as one request.
    bytes_read, bytes_written : int
        Bytes of content, without headers and listings.
    retries : int
        Requests that were repeated after a failure.
    in_flight, peak_in_flight : int
        Running requests (on disk: thread calls), and the largest number so far.
    cache_hits, cache_bytes : int
        Contents that came from the cache on disk, revalidated ones included, and their bytes.
    engine : str, optional
        Library that transfers the contents of objects in S3, as of the last connection; None before the first one, and
        for other storages.
    """

    __slots__ = (
        "_lock", "bytes_read", "bytes_written", "cache_bytes", "cache_hits", "engine", "in_flight", "peak_in_flight",
        "requests", "retries",
    )  # fmt: skip

    def __init__(self) -> None:
        # Loops run in threads of their own, and `+=` is not atomic between threads.
        self._lock = Lock()
        self.requests: Counter[str] = Counter()
        self.bytes_read = 0
        self.bytes_written = 0
        self.cache_hits = 0
        self.cache_bytes = 0
        self.retries = 0
        self.in_flight = 0
        self.peak_in_flight = 0
        self.engine: str | None = None

    @property
    def total(self) -> int:
        """Requests of all verbs."""
        return sum(self.requests.values())

    def started(self, verb: str, count: int = 1) -> None:
        """Count a request that is being sent."""
        with self._lock:
            self.requests[verb] += count
            self.in_flight += 1
            if self.in_flight > self.peak_in_flight:
                self.peak_in_flight = self.in_flight

    def finished(self) -> None:
        """Count the end of a request."""
        with self._lock:
            self.in_flight -= 1

    def counted(self, verb: str, count: int) -> None:
        """Count requests that were made together."""
        with self._lock:
            self.requests[verb] += count

    def moved(self, *, read: int = 0, written: int = 0) -> None:
        """Count content that was read or written."""
        with self._lock:
            self.bytes_read += read
            self.bytes_written += written

    def kept(self, size: int, count: int = 1) -> None:
        """Count contents that came from the cache."""
        with self._lock:
            self.cache_hits += count
            self.cache_bytes += size

    def repeated(self) -> None:
        """Count a retry."""
        with self._lock:
            self.retries += 1

    def as_dict(self) -> dict[str, Any]:
        """The counters as plain data, for JSON and for display."""
        with self._lock:
            kept = {"cache_hits": self.cache_hits, "cache_bytes": self.cache_bytes} if self.cache_hits else {}
            engine = {} if self.engine is None else {"engine": self.engine}
            return (
                {
                    "requests": dict(self.requests),
                    "bytes_read": self.bytes_read,
                    "bytes_written": self.bytes_written,
                    "retries": self.retries,
                    "in_flight": self.in_flight,
                    "peak_in_flight": self.peak_in_flight,
                }
                | kept
                | engine
            )

    def __repr__(self) -> str:
        counters = ", ".join(f"{name}={value}" for name, value in self.as_dict().items())
        return f"StorageStats({counters})"
