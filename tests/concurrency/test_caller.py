"""Warnings point to the line of the caller: from tasks, and from the loop of blocking calls."""

from __future__ import annotations

import json
import uuid
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aiocopick
from aiocopick import AsyncRoot
from aiocopick.concurrency.caller import warn
from aiocopick.concurrency.fan_out import gather, stream
from aiocopick.errors import LayerSkippedWarning, MissingProjectWarning, PointsOutsideWarning
from tests.training.projects import config


def lines_of(found: list[warnings.WarningMessage], category: type[Warning]) -> list[str]:
    """The source lines that warnings point to."""
    chosen = [item for item in found if issubclass(item.category, category)]
    return [
        f"{item.filename}: {Path(item.filename).read_text().splitlines()[item.lineno - 1].strip()}" for item in chosen
    ]


async def crawled(root: Any) -> list[Any]:
    async with root.crawl() as runs:
        return [run async for run in runs]  # here


async def stepped(root: Any) -> list[Any]:
    return [run async for run in root.crawl("TS_*")]  # here


async def queried(root: Any) -> Any:
    return await root.query()  # here


async def looked_up(root: Any) -> Any:
    return await root.resolve("ribosome")  # here


async def catalogued(root: Any) -> Any:
    return await aiocopick.catalog(root)  # here


async def selected(root: Any) -> Any:
    async with aiocopick.select(root, "ribosome") as found:
        return [item async for item in found]  # here


WAYS = [crawled, stepped, queried, looked_up, catalogued, selected]


@pytest.mark.asyncio
@pytest.mark.parametrize("way", WAYS)
async def test_a_missing_project_is_missed_where_it_is_asked_for(way: Callable[[Any], Awaitable[Any]]) -> None:
    async with aiocopick.open(f"memory://{uuid.uuid4().hex}/absent", user_id="u") as root:
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            await way(root)
    [line] = lines_of(found, MissingProjectWarning)
    assert line.startswith(__file__)


def missing_in_a_list(root: Any) -> None:
    assert root.runs == []  # here


def missing_in_a_crawl(root: Any) -> None:
    assert list(root.crawl()) == []  # here


@pytest.mark.parametrize("way", [missing_in_a_list, missing_in_a_crawl])
def test_blocking_calls_point_to_their_line(way: Callable[[Any], None]) -> None:
    with (
        aiocopick.open_sync(f"memory://{uuid.uuid4().hex}/absent", user_id="u") as root,
        warnings.catch_warnings(record=True) as found,
    ):
        warnings.simplefilter("always")
        way(root)
    [line] = lines_of(found, MissingProjectWarning)
    assert line.startswith(__file__)
    assert line.endswith("# here")


@pytest.mark.asyncio
async def test_names_and_points(tmp_path: Path) -> None:
    async with aiocopick.open(config(str(tmp_path / "project"))) as root:
        run = await root.new_run("TS_1")
        tomogram = await (await run.new_voxel_spacing(10.0)).new_tomogram("wbp")
        await tomogram.from_numpy(np.zeros((4, 4, 4), np.float32))
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            await run.new_picks("ribosome", "a session")  # here
            await tomogram.extract([[1e6, 1e6, 1e6]], 2)  # here
        assert [line.partition(": ")[2].endswith("# here") for line in lines_of(found, UserWarning)] == [True, True]


def test_names_and_points_in_blocking_code(tmp_path: Path) -> None:
    with aiocopick.open_sync(config(str(tmp_path / "project"))) as root:
        run = root.new_run("TS_1")
        tomogram = run.new_voxel_spacing(10.0).new_tomogram("wbp")
        tomogram.from_numpy(np.zeros((4, 4, 4), np.float32))
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            run.new_picks("ribosome", "a session")  # here
            tomogram.extract([[1e6, 1e6, 1e6]], 2)  # here
    assert [line.endswith("# here") for line in lines_of(found, UserWarning)] == [True, True]
    assert any(issubclass(item.category, PointsOutsideWarning) for item in found)


@pytest.mark.asyncio
async def test_a_layer_that_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(json.dumps({}))
    sound = config(str(tmp_path / "sound"))
    async with aiocopick.open(sound) as root:
        await root.new_run("TS_1")
    layers = [sound, config(str(tmp_path / "file"), read_only=True)]
    async with AsyncRoot.stack(layers, on_layer_error="skip") as root:
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            await root.query()  # here
    assert [line.endswith("# here") for line in lines_of(found, LayerSkippedWarning)] == [True]


@pytest.mark.asyncio
async def test_tasks_of_tasks_point_to_who_waits_for_them() -> None:
    async def inner(text: str) -> None:
        warn(text)

    async def outer(text: str) -> None:
        await gather(inner_of_library, [text], limit=1)

    # As functions of the library are: not the caller's.
    inner_of_library: Any = type(inner)(inner.__code__, {"__name__": "aiocopick.x", "warn": warn})
    outer_of_library: Any = type(outer)(
        outer.__code__, {"__name__": "aiocopick.x", "gather": gather}, closure=outer.__closure__
    )
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        await gather(outer_of_library, ["a", "b"], limit=2)  # here
        async with stream(outer_of_library, ["c"], limit=1) as results:
            assert [item async for item, _ in results] == ["c"]  # here
    lines = lines_of(found, UserWarning)
    assert [line.endswith("# here") for line in lines] == [True] * 3
