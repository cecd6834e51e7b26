"""Which root a job is about, whichever API its user calls."""

from __future__ import annotations

from typing import Any

from aiocopick.entities import AsyncRoot


def async_root(root: Any) -> AsyncRoot:
    """The root itself, or the async twin of one of the facade: what travels to a worker is the same.

    Raises
    ------
    TypeError
        It is neither.
    """
    twin = getattr(root, "aio", root)
    if not isinstance(twin, AsyncRoot):
        raise TypeError(
            f"The root of a project is expected, not {type(root).__name__}; open one with aiocopick.open() or "
            "aiocopick.open_sync()."
        )
    return twin


__all__ = ["async_root"]
