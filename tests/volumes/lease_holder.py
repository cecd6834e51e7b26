"""A process that holds a volume until it is killed: it says so once its first chunk is asked for."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import Any

import numpy as np

import aiocopick


class Endless:
    """Data whose first block never comes."""

    shape = (20, 20, 20)
    dtype = np.dtype(np.float32)

    def __getitem__(self, item: Any) -> Any:
        # In one piece, as blocks are asked for from several threads at once.
        os.write(sys.stdout.fileno(), b"writing\n")
        time.sleep(600)


async def work(root: str, fs_args: dict[str, Any]) -> None:
    async with aiocopick.open(root, fs_args=fs_args) as project:
        run = await project.get_run("TS_1")
        assert run is not None
        spacing = await run.get_voxel_spacing(10)
        assert spacing is not None
        tomogram = await spacing.get_tomogram("wbp")
        assert tomogram is not None
        await tomogram.from_numpy(Endless(), chunks=(5, 5, 5), levels=1)


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], json.loads(sys.argv[2])))
