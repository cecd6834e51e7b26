"""The blocking side under the names of the async one, so that one test tries both."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from aiocopick.sync.base import Blocking


class Awaited:
    """A facade whose verbs are awaited: each call, and each property that lists something, runs in a thread."""

    def __init__(self, facade: Blocking[Any]) -> None:
        self.__dict__["facade"] = facade

    def __getattr__(self, name: str) -> Any:
        if not inspect.iscoroutinefunction(getattr(type(self.facade.aio), name, None)):
            return getattr(self.facade, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            found = getattr(self.facade, name)
            return _awaited(found(*args, **kwargs) if callable(found) else found)

        async def verb(*args: Any, **kwargs: Any) -> Any:
            return await asyncio.to_thread(call, *args, **kwargs)

        return verb

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self.facade, name, value)


def _awaited(found: Any) -> Any:
    if isinstance(found, list):
        return [_awaited(item) for item in found]
    return Awaited(found) if isinstance(found, Blocking) else found
