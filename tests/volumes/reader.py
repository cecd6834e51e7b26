"""A process of its own: for each line it is sent, it opens the tomogram of a project anew and prints what it finds."""

from __future__ import annotations

import asyncio
import sys

import zarr

import aiocopick


async def by_name(root_url: str) -> str:
    async with aiocopick.open(root_url) as root:
        [run] = await root.runs()
        [spacing] = await run.voxel_spacings()
        [tomogram] = await spacing.tomograms()
        try:
            return f"{(await tomogram.numpy()).sum():.0f}"
        except aiocopick.NotFoundError:
            return "empty"


def by_zarr(root_url: str) -> str:
    path = f"{root_url}/ExperimentRuns/TS_1/VoxelSpacing10.000/wbp.zarr"
    try:
        return f"{zarr.open_group(path, mode='r')['0'][:].sum():.0f}"
    except (KeyError, FileNotFoundError):
        return "empty"


if __name__ == "__main__":
    for _ in sys.stdin:
        print(asyncio.run(by_name(sys.argv[1])), by_zarr(sys.argv[1]), flush=True)
