"""Modules that are imported when they are first used: listing a project needs no numpy, which takes as long as ours.

Modules write ``from aiocopick.concurrency.lazy import numpy as np``. Coroutines await :func:`imported` before they use
it, so that the import does not block the event loop.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.threads import in_thread


def is_imported(name: str) -> bool:
    """Return True if a module may be used on an event loop; else it is imported in a thread first."""
    return name in sys.modules


async def imported(name: str) -> None:
    """Import a module in a thread, unless that was done."""
    if not is_imported(name):
        await in_thread(import_module, name)


class _Lazy:
    """A module that is imported by the first look at one of its names."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __getattr__(self, name: str) -> Any:
        value = getattr(import_module(self.__name__), name)
        # The next look finds it here.
        setattr(self, name, value)
        return value


if TYPE_CHECKING:
    import numpy as numpy
else:
    numpy = _Lazy("numpy")


class _Float32:
    """``numpy.float32`` as the default of a parameter, as copick has it: equal to it, and made a dtype by numpy."""

    __name__ = "float32"

    @property
    def dtype(self) -> Any:
        """The data type."""
        return numpy.dtype("float32")

    def __eq__(self, other: object) -> bool:
        return other is self or other is numpy.float32

    def __hash__(self) -> int:
        return hash(numpy.float32)

    def __repr__(self) -> str:
        return "<class 'numpy.float32'>"


FLOAT32: Any = _Float32()
