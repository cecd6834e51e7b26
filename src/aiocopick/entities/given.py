"""Roots and entities as callers pass them: async ones, or those of the facade."""

from __future__ import annotations

from typing import Any

from aiocopick.concurrency.misuse import refuse_unawaited
from aiocopick.entities.root import AsyncRoot


def async_root(root: Any) -> AsyncRoot:
    """Return the root itself, or the async root of a facade.

    Raises
    ------
    TypeError
        It is neither an async nor a facade root, or it was not awaited.
    """
    refuse_unawaited(root, "The root of a project")
    twin = getattr(root, "aio", root)
    if not isinstance(twin, AsyncRoot):
        raise TypeError(
            f"The root of a project is expected, not {type(root).__name__}; open one with aiocopick.open() or "
            "aiocopick.open_sync()."
        )
    return twin


__all__ = ["async_root"]
