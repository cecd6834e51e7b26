"""Small projects, written by blocking calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from aiocopick import CopickRootFS, CopickRunFS
from aiocopick.testing import CountingStorage

POSITIONS = np.array([[1.0, 2.0, 3.0], [4.5, 5.25, 6.125]])


class Counted(NamedTuple):
    """A project, and the storage that notes its requests."""

    root: CopickRootFS
    storage: CountingStorage

    @contextmanager
    def requests(self, count: int) -> Iterator[None]:
        """The block makes so many requests."""
        noted = len(self.storage.calls)
        yield
        assert len(self.storage.calls) - noted == count, self.storage.calls[noted:]


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
