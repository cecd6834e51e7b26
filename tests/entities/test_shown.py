"""Entities in a notebook: a table of what is known, escaped, without a request."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import aiocopick
from aiocopick.entities import AsyncRoot
from aiocopick.sync.root import facade
from tests.entities.projects import write_run

BAD = "TS<script>&1"


@pytest_asyncio.fixture
async def root(tmp_path: Path) -> AsyncIterator[AsyncRoot]:
    async with aiocopick.open(tmp_path / "a&b", user_id="me") as root:
        await write_run(root, BAD)
        yield root


async def everything(root: AsyncRoot) -> list[Any]:
    found: list[Any] = [root]
    async with root.crawl() as runs:
        async for run in runs:
            found.append(run)
            for items in (run.picks, run.meshes, run.segmentations, run.filaments, run.voxel_spacings):
                found += await items()
    tomograms = await found[-1].tomograms()
    return [*found, *tomograms, *await tomograms[-1].features(), *await root.query_objects()]


@pytest.mark.asyncio
async def test_every_entity_is_a_table_without_a_request(root: AsyncRoot) -> None:
    root.config.pickable_objects.append(aiocopick.PickableObject(name="ribosome", is_particle=True))
    found = await everything(root)
    assert len({type(item) for item in found}) == 10
    before = root.stats.total
    blocking = facade(root)
    for item in [*found, *(blocking._facade_of(entity) for entity in found[1:]), blocking]:
        html = item._repr_html_()
        assert html.startswith(f"<table><caption>{type(item).__name__}</caption>")
        assert "<script>" not in html
        assert "a&b" not in html
        assert "None" not in html
        assert "=None" not in repr(item)
    assert root.stats.total == before
    run = found[1]
    assert "<td>TS&lt;script&gt;&amp;1</td>" in run._repr_html_()
    assert "<th>picks</th><td>2</td>" in run._repr_html_()
    assert "a&amp;b" in root._repr_html_()


@pytest.mark.asyncio
async def test_what_was_not_listed_is_said(root: AsyncRoot) -> None:
    run = (await AsyncRoot(root.config).runs())[0]
    assert "<th>picks</th><td>not listed yet</td>" in run._repr_html_()
    assert re.search(r"<th>runs</th><td>1</td>", run.root._repr_html_())


@pytest.mark.asyncio
async def test_a_picture_that_was_drawn_is_in_the_table(root: AsyncRoot) -> None:
    run = (await root.runs())[0]
    run._picture = b"png"
    for item in (run, facade(root)._facade_of(run)):
        assert item._repr_html_().endswith('alt="slice of the tomogram">')


@pytest.mark.asyncio
async def test_a_facade_says_what_is_known(root: AsyncRoot) -> None:
    fresh = AsyncRoot(root.config)
    blocking = facade(fresh)
    assert repr(blocking) == f"CopickRootFS(url={fresh.url!r})"
    run = blocking._facade_of((await fresh.runs())[0])
    assert repr(blocking) == f"CopickRootFS(url={fresh.url!r}, runs=1)"
    assert repr(run) == f"CopickRunFS(run={BAD!r})"
    await run.aio.picks()
    # One listing of the run finds all of its children.
    assert repr(run).startswith(f"CopickRunFS(run={BAD!r}, voxel_spacings=1, picks=2, meshes=1, ")
    picks = blocking._facade_of((await run.aio.picks())[0])
    assert repr(picks).startswith(f"CopickPicksFS(run={BAD!r}, ")


@pytest.mark.asyncio
async def test_a_selection_is_shown(root: AsyncRoot) -> None:
    selection = aiocopick.select(root, "ribosome:<b>/*", runs="TS*")
    assert repr(selection) == f"Selection(project={root.url!r}, uris='ribosome:<b>/*', runs='TS*', kinds='picks')"
    html = selection._repr_html_()
    assert "<td>ribosome:&lt;b&gt;/*</td>" in html
    assert "<b>" not in html
    assert repr(aiocopick.select(root)) == f"Selection(project={root.url!r})"
