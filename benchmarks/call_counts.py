"""How long the ways through the library are: coroutine functions of ours that everyday operations enter, on memory.

``python -m benchmarks.call_counts`` prints a table; with ``--functions`` also the functions, with the entries of each.
A count is the same on every machine, unlike a time. ``tests/benchmarks/test_call_counts.py`` keeps them from growing.
"""

from __future__ import annotations

import inspect
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import uuid4

import anyio
import numpy as np

import aiocopick

SOURCE = str(Path(aiocopick.__file__).parent)
"""Functions in files below it are ours."""

RUNS = 3
PICKS_OF_A_RUN = 2


class Entries:
    """Coroutine functions of ours that this thread enters between ``with`` and its end."""

    def __init__(self) -> None:
        self.by_function: Counter[str] = Counter()
        self._seen: dict[int, FrameType] = {}

    def __enter__(self) -> Entries:
        sys.setprofile(self._note)
        return self

    def __exit__(self, *error: object) -> None:
        sys.setprofile(None)
        self._seen.clear()

    def _note(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_flags & inspect.CO_COROUTINE or not code.co_filename.startswith(SOURCE):
            return
        # A coroutine that goes on after a pause is called again. Frames are kept, so that no two have one id.
        if id(frame) not in self._seen:
            self._seen[id(frame)] = frame
            module = code.co_filename.removeprefix(SOURCE).strip("/\\").removesuffix(".py")
            self.by_function[f"{module}: {code.co_qualname}"] += 1

    @property
    def functions(self) -> int:
        """Different functions."""
        return len(self.by_function)

    @property
    def entries(self) -> int:
        """Calls of them."""
        return self.by_function.total()


async def _project(root: aiocopick.AsyncRoot) -> None:
    """Write three runs with two picks each, and a tomogram of one chunk in the first."""
    await root.ensure(create=True)
    for number in range(RUNS):
        run = await root.new_run(f"run_{number}")
        for user in range(PICKS_OF_A_RUN):
            picks = await run.new_picks("ribosome", session_id="1", user_id=f"user-{user}")
            await picks.from_numpy(np.full((10, 3), 1.0))
    spacing = await (await root.runs())[0].new_voxel_spacing(10.0)
    await (await spacing.new_tomogram("wbp")).from_numpy(np.zeros((8, 8, 8), np.float32), levels=1)


async def _picks(root: aiocopick.AsyncRoot) -> Callable[[], Awaitable[Any]]:
    picks = await (await root.runs())[0].picks()
    await picks[0].numpy()
    return picks[1].numpy


async def _tomogram(root: aiocopick.AsyncRoot) -> Callable[[], Awaitable[Any]]:
    [spacing] = await (await root.runs())[0].voxel_spacings()
    [tomogram] = await spacing.tomograms()
    await tomogram.numpy()
    return tomogram.numpy


async def _crawl(root: aiocopick.AsyncRoot) -> Callable[[], Awaitable[Any]]:
    async def crawl() -> None:
        async with root.crawl(load=["picks"]) as runs:
            found = [picks async for run in runs for picks in await run.picks()]
        assert len(found) == RUNS * PICKS_OF_A_RUN

    await crawl()
    root.refresh()
    return crawl


async def _load(root: aiocopick.AsyncRoot) -> Callable[[], Awaitable[Any]]:
    picks = [item for run in await root.runs() for item in await run.picks()]
    await aiocopick.load(picks)
    return lambda: aiocopick.load(picks)


OPERATIONS: dict[str, Callable[[aiocopick.AsyncRoot], Awaitable[Callable[[], Awaitable[Any]]]]] = {
    "picks.numpy() of a file not read yet": _picks,
    "tomogram.numpy() of one chunk": _tomogram,
    "crawl of three runs with six picks": _crawl,
    "load of six picks": _load,
}


async def count_calls() -> dict[str, Entries]:
    """Count each operation once, after it was done before: what is imported or connected the first time is not counted."""
    counts = {}
    url = f"memory://call-counts-{uuid4().hex}"
    async with aiocopick.open(url, user_id="counts") as writer:
        await _project(writer)
    for name, prepare in OPERATIONS.items():
        async with aiocopick.open(url) as root:
            operation = await prepare(root)
            with Entries() as entries:
                await operation()
        counts[name] = entries
    return counts


def main(arguments: list[str]) -> None:
    """Print the counts."""
    for name, entries in anyio.run(count_calls).items():
        print(f"{name:40}{entries.functions:5} functions{entries.entries:6} entries")
        if "--functions" in arguments:
            for function, count in sorted(entries.by_function.items()):
                print(f"{count:8}  {function}")


if __name__ == "__main__":
    main(sys.argv[1:])
