"""Tools for tests of code that uses aiocopick: contract suites, and storages that count, wait and fail.

The suites need pytest and pytest-asyncio, which the library itself does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocopick.storage.wrapped import WrappedStorage
from aiocopick.testing.contents import CONTENTS, HOSTILE_KEYS
from aiocopick.testing.faults import Answer, FaultServer, Request
from aiocopick.testing.wrappers import CountingStorage, FaultStorage, LatencyStorage

if TYPE_CHECKING:
    from aiocopick.testing.root_contract import CONTRACT_OBJECTS, Awaited, RootContract
    from aiocopick.testing.storage_contract import ReadContract, StorageContract

__all__ = [
    "CONTENTS",
    "CONTRACT_OBJECTS",
    "HOSTILE_KEYS",
    "Answer",
    "Awaited",
    "CountingStorage",
    "FaultServer",
    "FaultStorage",
    "LatencyStorage",
    "ReadContract",
    "Request",
    "RootContract",
    "StorageContract",
    "WrappedStorage",
]

_SUITES = {
    "Awaited": "root_contract",
    "CONTRACT_OBJECTS": "root_contract",
    "ReadContract": "storage_contract",
    "RootContract": "root_contract",
    "StorageContract": "storage_contract",
}


def __getattr__(name: str) -> Any:
    # pytest is needed only for the contract suites.
    if name in _SUITES:
        from importlib import import_module

        return getattr(import_module(f"aiocopick.testing.{_SUITES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
