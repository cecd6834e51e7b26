"""Something that implements the abstract API and is not ours to look into: a facade root, its async twin out of sight."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np

from aiocopick import CopickRootFS
from aiocopick.testing import CONTRACT_OBJECTS

PROJECT: dict[str, Any] = {"user_id": "someone", "pickable_objects": CONTRACT_OBJECTS}
POSITIONS = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def memory() -> str:
    return f"memory://{uuid.uuid4().hex}/project"


class Stranger:
    """A blocking entity, its async twin out of sight; notes which threads call it."""

    def __init__(self, inner: Any, threads: set[int], before: Callable[[str], None]) -> None:
        self.__dict__.update(_inner=inner, _threads=threads, _before=before)

    def __getattr__(self, name: str) -> Any:
        if name == "aio":
            raise AttributeError(name)
        value = getattr(self._inner, name)
        if not callable(value) or isinstance(value, type):
            return value
        if name in ("_load", "zarr"):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            self._threads.add(threading.get_ident())
            self._before(name)
            return self._wrapped(value(*args, **kwargs))

        return call

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._inner, name, value)

    def _wrapped(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._wrapped(item) for item in value]
        return type(self)(value, self._threads, self._before) if hasattr(value, "aio") else value


def stranger(before: Callable[[str], None] = lambda name: None) -> tuple[Stranger, set[int]]:
    """A project with a run of picks, a mesh and a volume, and the threads that called it since."""
    root = CopickRootFS.stack([{"root": memory(), **PROJECT}])
    run = root.new_run("TS_1")
    run.new_picks("ribosome", "1").from_numpy(POSITIONS)
    run.new_mesh("membrane", "1")
    run.new_voxel_spacing(10.0).new_tomogram("wbp").from_numpy(np.ones((4, 4, 4), np.float32))
    threads: set[int] = set()
    return Stranger(root, threads, before), threads
