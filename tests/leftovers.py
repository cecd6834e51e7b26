"""No test may leave a task behind: what is still running when its coroutine returns was forgotten by the library."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

# A cancelled task needs some rounds of the loop to end; one that is forgotten never ends.
PATIENCE = 1.0


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
