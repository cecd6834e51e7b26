"""Async iterators over other async iterators.

They are classes, because an abandoned generator is finalised later, perhaps on another loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Mapped(AsyncIterator[Result], Generic[Item, Result]):
    """The results of a function of each item."""

    __slots__ = ("_function", "_items")

    def __init__(self, function: Callable[[Item], Result], items: AsyncIterator[Item]) -> None:
        self._function = function
        self._items = items

    async def __anext__(self) -> Result:
        return self._function(await anext(self._items))


class Flattened(AsyncIterator[Result], Generic[Item, Result]):
    """All results of a function of each item, one by one. Remaining results are kept if a step is cancelled."""

    __slots__ = ("_function", "_items", "_ready")

    def __init__(self, function: Callable[[Item], Iterable[Result]], items: AsyncIterator[Item]) -> None:
        self._function = function
        self._items = items
        self._ready: deque[Result] = deque()

    async def __anext__(self) -> Result:
        while not self._ready:
            self._ready.extend(self._function(await anext(self._items)))
        return self._ready.popleft()
