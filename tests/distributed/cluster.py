"""A Dask cluster of two processes, and what its workers run in the tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiocopick.entities import AsyncRoot, AsyncRun


@contextmanager
def two_workers() -> Iterator[Any]:
    """A client of a cluster of two processes with one thread each."""
    import dask
    from distributed import Client, LocalCluster

    # The defaults start a dashboard on a fixed port, and spill to the working directory.
    with (
        dask.config.set({"distributed.worker.daemon": False, "distributed.comm.timeouts.connect": "30s"}),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster,
        Client(cluster) as client,
    ):
        yield client


async def count_points(run: AsyncRun) -> list[dict[str, Any]]:
    """A row per picks of a run."""
    rows = []
    for picks in await run.picks():
        positions, _ = await picks.to_numpy()
        rows.append({"object_name": picks.pickable_object_name, "points": len(positions), "worker": os.getpid()})
    return rows


class DieOnce:
    """A function of a run that ends the process of its worker, in the middle of a part, the first time."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    async def __call__(self, run: AsyncRun) -> list[dict[str, Any]]:
        rows = await count_points(run)
        if run.name.endswith("2") and not self._marker.exists():
            self._marker.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return rows


class Unloadable(AsyncRoot):
    """A root that no worker can make sense of."""

    __slots__ = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return (_refuse, ())


def _refuse() -> None:
    raise RuntimeError("this worker cannot open projects")
