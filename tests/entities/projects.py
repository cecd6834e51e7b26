"""Small projects that tests share, written by coroutines or by blocking calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from aiocopick import CopickRootFS, CopickRunFS
from aiocopick.entities import AsyncRoot, AsyncRun
from aiocopick.testing import CountingStorage

POSITIONS = np.array([[1.0, 2.0, 3.0], [4.5, 5.25, 6.125]])


class Counted(NamedTuple):
    """A project, async or blocking, and the storage that notes its requests."""

    root: Any
    storage: CountingStorage

    def fresh(self) -> AsyncRoot:
        """The same project, nothing known of it yet."""
        return AsyncRoot._over(self.root.config, self.root._stack)

    @contextmanager
    def requests(self, count: int | None = None, **expected: int) -> Iterator[None]:
        """The block makes exactly these requests, by verb, or so many calls."""
        before, noted = self.storage.stats.requests.copy(), len(self.storage.calls)
        yield
        made = self.storage.calls[noted:]
        if count is None:
            assert self.storage.stats.requests - before == expected, made
        else:
            assert len(made) == count, made


async def write_run(root: AsyncRoot, name: str = "TS_1", *, volumes: bool = True) -> AsyncRun:
    """A run with something of each kind."""
    run = await root.new_run(name)
    picks = await run.new_picks("ribosome", "1")
    await picks.from_numpy(POSITIONS, scores=[0.5, 1.0])
    await (await run.new_picks("ribosome", "0", "tool")).from_numpy(POSITIONS[:1])
    await run.new_mesh("membrane", "1")
    filaments = await run.new_filaments("microtubule", "1")
    await filaments.from_numpy([np.arange(9.0).reshape(3, 3)])
    spacing = await run.new_voxel_spacing(10.0)
    if volumes:
        tomogram = await spacing.new_tomogram("wbp")
        await tomogram.new_features("sobel")
        await spacing.new_tomogram("denoised")
        await run.new_segmentation(10.0, "membrane", "1")
        await run.new_segmentation(10.0, "all", "1", is_multilabel=True)
        await run.new_segmentation(10.0, "ribosome", "1", is_instance=True)
        await run.new_segmentation(10.0, "everything", "1", is_panoptic=True)
    return run


def fill(root: CopickRootFS, names: Iterable[str]) -> None:
    """Runs with something of each kind."""
    for name in names:
        fill_run(root.new_run(name))


def fill_run(run: CopickRunFS) -> None:
    tomogram = run.new_voxel_spacing(10.0).new_tomogram("wbp")
    tomogram.new_features("sobel")
    run.new_picks("ribosome", "1").from_numpy(POSITIONS)
    run.new_picks("ribosome", "0", "tool").from_numpy(POSITIONS)
    run.new_mesh("membrane", "1")
    run.new_segmentation(10.0, "membrane", "1")
    run.new_filaments("actin", "1").from_numpy([np.arange(9.0).reshape(3, 3)])
