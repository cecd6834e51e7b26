"""No test may leave a task or a connection behind: what is there when its loop ends was forgotten by somebody."""

from __future__ import annotations

import asyncio
import functools
import inspect
import weakref
from asyncio import selector_events
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

# A cancelled task needs some rounds of the loop to end; one that is forgotten never ends.
PATIENCE = 20.0


def coroutine_of(item: pytest.Item) -> tuple[Any, str] | None:
    """Where the coroutine function of a test is kept (owner and attribute), None for a test that is not one."""
    if not isinstance(item, pytest.Function):
        return None
    # Hypothesis runs the coroutine once per example, from a function of its own.
    owner, name = (item.obj.hypothesis, "inner_test") if hasattr(item.obj, "hypothesis") else (item, "obj")
    return (owner, name) if inspect.iscoroutinefunction(getattr(owner, name)) else None


def without_leftovers(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Coroutine[Any, Any, None]]:
    """Let a test fail when tasks that it started are still running after it."""

    @functools.wraps(test)
    async def checked(*arguments: Any, **named: Any) -> None:
        before = asyncio.all_tasks()
        await test(*arguments, **named)
        if started := asyncio.all_tasks() - before:
            _, left = await asyncio.wait(started, timeout=PATIENCE)
            if left:
                pytest.fail(f"the test left {len(left)} tasks running: {', '.join(map(repr, left))}")

    return checked


@contextmanager
def watched_connections() -> Iterator[list[str]]:
    """Note connections that are open when their loop is closed, as nothing can close them properly after it.

    The garbage collector would tell at some later time, and so in another test.
    """
    made: weakref.WeakSet[Any] = weakref.WeakSet()
    left: list[str] = []
    transport: Any = selector_events._SelectorTransport  # type: ignore[attr-defined]
    loops: Any = selector_events.BaseSelectorEventLoop
    begin, close = transport.__init__, loops.close

    def noted(self: Any, *arguments: Any, **named: Any) -> None:
        made.add(self)
        begin(self, *arguments, **named)

    def looked_at(self: Any) -> None:
        if not self.is_closed():
            own = [item for item in list(made) if item._loop is self and item._sock is not None]
            left.extend(f"{item!r} to {item.get_extra_info('peername')}" for item in own)
        close(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transport, "__init__", noted)
        patch.setattr(loops, "close", looked_at)
        yield left
