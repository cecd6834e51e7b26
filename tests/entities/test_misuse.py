"""Async objects used like blocking ones, and the reverse: the error says what to write instead."""

from __future__ import annotations

import copy
import gc
import inspect
import pickle
import pkgutil
from collections.abc import AsyncIterator, Callable
from importlib import import_module
from typing import Any

import pandas  # noqa: F401 - imported on first use by pyarrow, which blocks
import pytest
import pytest_asyncio

import aiocopick
from aiocopick import upkeep
from aiocopick.concurrency.misuse import AsyncOnly
from aiocopick.entities import AsyncRoot
from aiocopick.sync.base import Blocking
from aiocopick.sync.root import facade
from tests.entities.projects import write_run


@pytest_asyncio.fixture
async def root(tmp_path: Any) -> AsyncIterator[AsyncRoot]:
    async with aiocopick.open(tmp_path, user_id="me") as root:
        await write_run(root)
        yield root


def facade_classes() -> list[type]:
    found, left = [], [Blocking]
    while left:
        cls = left.pop()
        left += cls.__subclasses__()
        found.append(cls)
    return found


def listings() -> set[tuple[type, str]]:
    """The attributes of facade classes that are coroutine methods of the async ones."""
    pairs = set()
    for cls in facade_classes():
        twin = AsyncRoot if cls.__name__.startswith("CopickRoot") else getattr(cls, "_twin_class", None)
        for name in dir(cls) if twin is not None else ():
            function = getattr(twin, name, None)
            if isinstance(inspect.getattr_static(cls, name), property) and inspect.iscoroutinefunction(function):
                pairs.add((twin, name))
    return pairs


@pytest.mark.asyncio
async def test_lists_of_entities_are_called_and_awaited(root: AsyncRoot) -> None:
    run = (await root.runs())[0]
    spacing = (await run.voxel_spacings())[0]
    tomogram = (await spacing.tomograms())[0]
    owners = {type(item): item for item in (root, run, spacing, tomogram)}
    assert len(listings()) == 9
    wrong: list[Callable[[Any], Any]] = [iter, list, len, bool, lambda value: value[0], lambda value: value.name]
    for cls, name in listings():
        method = getattr(owners[cls], name)
        for use in wrong:
            with pytest.raises((TypeError, AttributeError), match=rf"write `await \w+\.{name}\(\)`.*open_sync"):
                use(method)
        # It is a method for everything else.
        assert isinstance(await method(), list)
        assert method == getattr(owners[cls], name)
        assert method.__name__ == name
        assert not inspect.signature(method).parameters
        assert "coroutine" not in repr(method)
        assert copy.copy(method) == method
    assert await pickle.loads(pickle.dumps(root.runs))() == await root.runs()


@pytest.mark.asyncio
async def test_blocking_loops_and_blocks(root: AsyncRoot) -> None:
    run = (await root.runs())[0]
    tomogram = (await (await run.voxel_spacings())[0].tomograms())[0]
    for item in (root.crawl(), aiocopick.select(root), tomogram.slabs()):
        with pytest.raises(TypeError, match=f"{type(item).__name__} is asynchronous: write `async for`, not `for`"):
            list(item)
        with pytest.raises(TypeError, match=r"write `async with`, not `with`.*open_sync"), item:
            pass
    async with root.crawl() as runs:
        with pytest.raises(TypeError, match="write `async for`"):
            list(runs)
    with pytest.raises(TypeError, match=r"for run in await root.runs\(\)"):
        list(root)
    with pytest.raises(TypeError, match=r"write `async with`, not `with`.*open_sync"), root:
        pass


def test_everything_that_is_iterated_asynchronously_says_so() -> None:
    for room in ("concurrency", "entities", "tables", "training", "upkeep", "volumes"):
        for module in pkgutil.walk_packages(import_module(f"aiocopick.{room}").__path__, f"aiocopick.{room}."):
            import_module(module.name)
    known = [cls for cls in gc.get_objects() if isinstance(cls, type) and str(cls.__module__).startswith("aiocopick.")]
    found = {cls for cls in known if hasattr(cls, "__aiter__") and not cls.__name__.startswith("_")}
    inner = {"ArrivingRuns", "Backlog", "Ending", "Plan"}
    assert {cls.__name__ for cls in found if not issubclass(cls, AsyncOnly)} <= inner
    assert {"Boxes", "Crawl", "Flattened", "Selection", "Slabs"} <= {cls.__name__ for cls in found}


@pytest.mark.asyncio
async def test_a_project_that_was_not_awaited(root: AsyncRoot) -> None:
    opening = aiocopick.open(root.url)
    for name in ("runs", "query", "crawl", "config", "new_run"):
        with pytest.raises(
            AttributeError, match=rf"not open yet, so it has no '{name}'.*await aiocopick.open.*open_sync"
        ):
            getattr(opening, name)
    with pytest.raises(TypeError, match=r"await aiocopick.open"):
        list(opening)
    with pytest.raises(TypeError, match="write `async with`, not `with`"), opening:
        pass
    assert await opening == root


@pytest.mark.asyncio
async def test_functions_say_that_their_root_was_not_awaited(root: AsyncRoot) -> None:
    calls: list[Callable[[Any], Any]] = [
        aiocopick.catalog,
        lambda given: aiocopick.points(given, "ribosome"),
        upkeep.examine,
        lambda given: upkeep.copy(given, root),
        lambda given: upkeep.copy(root, given),
        lambda given: upkeep.matching(given, "ribosome"),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="was not awaited; write `await`"):
            await call(aiocopick.open(root.url))
        with pytest.raises(TypeError, match="The root of a project is expected, not str"):
            await call(root.url)
    for select in (aiocopick.select, lambda given: AsyncRoot.stack([given])):
        with pytest.raises(TypeError, match="was not awaited; write `await`"):
            select(aiocopick.open(root.url))
    run = (await root.runs())[0]
    for function in (lambda item: aiocopick.load([item]), lambda item: aiocopick.store([item]), aiocopick.layer_data):
        with pytest.raises(TypeError, match="was not awaited; write `await`"):
            await function(run.get_picks("ribosome"))


@pytest.mark.asyncio
async def test_functions_take_blocking_roots_and_entities(root: AsyncRoot) -> None:
    blocking = facade(root)
    assert (await aiocopick.catalog(blocking)).num_rows == (await aiocopick.catalog(root)).num_rows
    assert (await aiocopick.points(blocking, "ribosome")).num_rows == 3
    assert [item.uri async for item in aiocopick.select(blocking, "ribosome:*/1")] == ["ribosome:me/1"]
    assert len(await upkeep.matching(blocking, "ribosome")) == 2
    picks = [blocking._facade_of(item) for item in await root.resolve("ribosome")]
    assert len(await aiocopick.load(picks)) == 2
    assert sum(len(item.points) for item in picks) == 3
    assert await upkeep.remove(picks) == {}


@pytest.mark.asyncio
async def test_a_blocking_root_is_not_entered_asynchronously(root: AsyncRoot) -> None:
    blocking = facade(root)
    with pytest.raises(TypeError, match="open for blocking code: write `with`"):
        async with blocking:
            pass
