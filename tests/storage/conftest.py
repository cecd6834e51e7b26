"""No test of this room may block its event loop."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx


@pytest.fixture(autouse=True)
def no_blocking_calls() -> Iterator[BlockBuster]:
    """Let a call that blocks the loop, made by the library or below it, fail the test."""
    with blockbuster_ctx("aiocopick") as detector:
        yield detector
