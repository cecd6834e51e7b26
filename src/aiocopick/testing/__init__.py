"""For tests of what is built on aiocopick: contract suites, and storages that count, wait and fail.

The suites need pytest and pytest-asyncio, which the library itself does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiocopick.testing.contents import CONTENTS, HOSTILE_KEYS
from aiocopick.testing.faults import FaultServer
from aiocopick.testing.wrappers import CountingStorage, FaultStorage, LatencyStorage, WrappedStorage

if TYPE_CHECKING:
    from aiocopick.testing.storage_contract import ReadContract, StorageContract

__all__ = [
    "CONTENTS",
    "HOSTILE_KEYS",
    "CountingStorage",
    "FaultServer",
    "FaultStorage",
    "LatencyStorage",
    "ReadContract",
    "StorageContract",
    "WrappedStorage",
]

_SUITES = ("ReadContract", "StorageContract")


def __getattr__(name: str) -> Any:
    # Only whoever asks for a suite needs pytest.
    if name in _SUITES:
        from aiocopick.testing import storage_contract

        return getattr(storage_contract, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
