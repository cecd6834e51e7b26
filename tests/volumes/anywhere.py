"""Ways to use the store that a tomogram hands out: each prints or returns the sum of the volume."""

from __future__ import annotations

import asyncio
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import zarr

import aiocopick


async def find(config: Any) -> Any:
    root = await aiocopick.open(config)
    [run] = await root.runs()
    [spacing] = await run.voxel_spacings()
    [tomogram] = await spacing.tomograms()
    return tomogram


def total(store: Any) -> float:
    return float(zarr.open(store, mode="r")["0"][:].sum(dtype="f8"))


def from_a_script(config: str) -> float:
    async def store() -> Any:
        tomogram = await find(config)
        opened = tomogram.zarr()
        await tomogram.root.aclose()
        return opened

    return total(asyncio.run(store()))


def inside_a_running_loop(config: str) -> float:
    async def work() -> float:
        tomogram = await find(config)
        found = total(tomogram.zarr())
        assert found == float((await tomogram.numpy()).sum(dtype="f8"))
        await tomogram.root.aclose()
        return found

    return asyncio.run(work())


def in_threads(config: str) -> float:
    async def work() -> Any:
        tomogram = await find(config)
        store = tomogram.zarr()
        with ThreadPoolExecutor(4) as pool:
            loop = asyncio.get_running_loop()
            sums = await asyncio.gather(*(loop.run_in_executor(pool, total, store) for _ in range(8)))
        await tomogram.root.aclose()
        [found] = set(sums)
        return found

    return float(asyncio.run(work()))


def on_loops_of_their_own(config: str) -> float:
    found: list[float] = []

    def work() -> None:
        async def read() -> float:
            tomogram = await find(config)
            data = await tomogram.numpy()
            await tomogram.root.aclose()
            return float(data.sum(dtype="f8"))

        found.append(asyncio.run(read()))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [only] = set(found)
    return only


if __name__ == "__main__":
    print(globals()[sys.argv[1]](sys.argv[2]))
