"""Blocking roots behind the async signatures, so that one suite holds for both."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from typing import Any

import anyio.to_thread


class Awaited:
    """A facade object, called in a thread and awaited.

    Parameters
    ----------
    blocking : CopickRootFS, CopickRunFS, ...
        The wrapped object. Its results are wrapped in the same way.
    """

    def __init__(self, blocking: Any) -> None:
        self.blocking = blocking

    def __repr__(self) -> str:
        return f"Awaited({self.blocking!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Awaited) and bool(self.blocking == other.blocking)

    def __hash__(self) -> int:
        return hash(self.blocking)

    def __getattr__(self, name: str) -> Any:
        if not inspect.iscoroutinefunction(getattr(type(self.blocking.aio), name, None)):
            return _awaited(getattr(self.blocking, name))

        async def call(*args: Any, **kwargs: Any) -> Any:
            def work() -> Any:
                # Cached nouns are properties there.
                value = getattr(self.blocking, name)
                return value(*args, **kwargs) if callable(value) else value

            return _awaited(await anyio.to_thread.run_sync(work))

        return call

    async def crawl(self, *args: Any, **kwargs: Any) -> AsyncIterator[Awaited]:
        """Yield the runs of a crawl, which runs in a thread."""
        for run in await anyio.to_thread.run_sync(lambda: list(self.blocking.crawl(*args, **kwargs))):
            yield Awaited(run)


def _awaited(value: Any) -> Any:
    # Lists of points are not wrapped: they are edited in place.
    if isinstance(value, list) and any(hasattr(item, "aio") for item in value):
        return [_awaited(item) for item in value]
    return Awaited(value) if hasattr(value, "aio") else value


__all__ = ["Awaited"]
