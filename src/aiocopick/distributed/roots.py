"""The async root of a job, whichever API its user calls."""

from __future__ import annotations

from typing import Any

from aiocopick.entities import AsyncRoot


def async_root(root: Any) -> AsyncRoot:
    """Return the root itself, or the async root of a facade: the same configuration is sent to a worker.

    Raises
    ------
    TypeError
        It is neither an async nor a facade root.
    """
    twin = getattr(root, "aio", root)
    if not isinstance(twin, AsyncRoot):
        raise TypeError(
            f"The root of a project is expected, not {type(root).__name__}; open one with aiocopick.open() or "
            "aiocopick.open_sync()."
        )
    return twin


__all__ = ["async_root"]
