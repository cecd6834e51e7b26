"""fsspec's bridge: what a blocking call of a coroutine costs elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fsspec.asyn import get_loop, sync

if TYPE_CHECKING:
    from benchmarks.child import Bench


def blocking_call(bench: Bench) -> None:
    async def nothing() -> None:
        pass

    loop = get_loop()
    sync(loop, nothing)
    with bench.meter:
        for _ in range(bench.parameters["calls"]):
            sync(loop, nothing)
    bench.notes["seconds_each"] = bench.meter.wall / bench.parameters["calls"]
