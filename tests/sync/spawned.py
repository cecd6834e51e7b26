"""Functions that child processes import by name."""

from __future__ import annotations

from aiocopick.sync.bridge import call


async def _double(value: int) -> int:
    return 2 * value


def double_blocking(value: int) -> int:
    return call(_double, value)
