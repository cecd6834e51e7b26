"""A path that is not the project's: one warning says what is missing, and what is there instead."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import aiocopick
from aiocopick.entities import AsyncRoot
from aiocopick.errors import MissingProjectWarning, NotFoundError
from tests.entities.projects import write_run

pytestmark = pytest.mark.filterwarnings("default::aiocopick.errors.MissingProjectWarning")

BACKENDS = ["disk", "memory", "moto", "web"]


@pytest_asyncio.fixture(params=BACKENDS)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[dict[str, Any]]:
    """The URL of a folder in which there is a project, ``mine``, and the arguments to open it."""
    arguments: dict[str, Any] = {}
    if request.param == "moto":
        server = request.getfixturevalue("moto_server")
        url, arguments = f"s3://{server.new_bucket()}/data", server.fs_args()
    elif request.param == "memory":
        url = f"memory://{uuid.uuid4().hex}"
    else:
        url = str(tmp_path / "data")
    async with aiocopick.open(f"{url}/mine", fs_args=arguments, user_id="someone") as root:
        await write_run(root, volumes=False)
    if request.param == "web":
        url = request.getfixturevalue("web_server")(tmp_path).url + "/data"
    yield {"url": url, "fs_args": arguments}


async def crawl(root: AsyncRoot) -> list[Any]:
    async with root.crawl() as runs:
        return [run async for run in runs]


async def step(root: AsyncRoot) -> list[Any]:
    return [run async for run in root.crawl("TS_*")]


ASKED: list[Callable[[AsyncRoot], Awaitable[Any]]] = [
    AsyncRoot.query,
    AsyncRoot.runs,
    AsyncRoot.prefetch,
    crawl,
    step,
    lambda root: root.resolve("ribosome"),
    lambda root: aiocopick.catalog(root),
]

WRONG = {
    "": "There are the folders mine instead: open the one that holds the project",
    "/mine/ExperimentRuns": "This is a folder inside of a project: open .*/mine$",
    "/mine/ExperimentRuns/TS_1": "This is a folder inside of a project: open .*/mine$",
    "/mine/ExperimentRuns/TS_1/Picks": "This is a folder inside of a project: open .*/mine$",
    "/mein": "Nothing is stored there: check the path",
}


@pytest.mark.asyncio
@pytest.mark.parametrize("wrong", WRONG)
async def test_a_wrong_path_is_one_warning_and_one_request_more(place: dict[str, Any], wrong: str) -> None:
    options = {"fs_args": place["fs_args"]}
    async with aiocopick.open(place["url"] + wrong, **options) as root:
        with pytest.warns(MissingProjectWarning, match=f"no ExperimentRuns. {WRONG[wrong]}") as caught:
            assert await root.query() == []
        assert len(caught) == 1
        assert root.stats.total == 2
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert await root.query() == []
            assert await crawl(root) == []
    with pytest.raises(NotFoundError, match=WRONG[wrong]):
        await aiocopick.open(place["url"] + wrong, must_exist=True, **options)


@pytest.mark.asyncio
@pytest.mark.parametrize("ask", ASKED)
async def test_whatever_lists_first_warns(tmp_path: Path, ask: Callable[[AsyncRoot], Awaitable[Any]]) -> None:
    async with aiocopick.open(tmp_path / "mine", user_id="someone") as root:
        await write_run(root, volumes=False)
    async with aiocopick.open(tmp_path) as root:
        with pytest.warns(MissingProjectWarning, match="folders mine instead"):
            await ask(root)


def test_blocking_roots_warn(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with aiocopick.open_sync(tmp_path) as root, pytest.warns(MissingProjectWarning, match="folders mine instead"):
        assert root.runs == []


@pytest.mark.asyncio
async def test_a_project_costs_no_request_more(place: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with aiocopick.open(place["url"] + "/mine", fs_args=place["fs_args"]) as root:
            assert len(await root.query()) == 1
            assert root.stats.total == 1


@pytest.mark.asyncio
async def test_an_empty_project_is_quiet(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        async with aiocopick.open(tmp_path) as root:
            await root.ensure(create=True)
            before = root.stats.total
            assert await root.query() == []
            assert root.stats.total - before == 1
        async with aiocopick.open(tmp_path) as root:
            assert await root.query() == []


@pytest.mark.asyncio
async def test_a_read_only_layer_without_a_project_is_named(tmp_path: Path) -> None:
    async with aiocopick.open(tmp_path / "static", user_id="someone") as root:
        await write_run(root, volumes=False)
    spec = {"user_id": "someone", "overlay_root": str(tmp_path / "overlay"), "static_root": str(tmp_path / "statics")}
    (tmp_path / "overlay").mkdir()
    async with aiocopick.open(spec | {"static_root": str(tmp_path / "static")}) as root:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await write_run(root, "TS_2", volumes=False)
            assert len(await root.query()) == 2
    async with aiocopick.open(spec) as root:
        with pytest.warns(MissingProjectWarning, match="statics: it has no ExperimentRuns") as caught:
            assert len(await root.query()) == 1
        assert len(caught) == 1
