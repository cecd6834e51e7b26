"""The content of runs is requested while the names of further runs arrive."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from hypothesis import given, settings, strategies as st

import aiocopick
from aiocopick.entities.root import AsyncRoot
from aiocopick.errors import StorageError
from aiocopick.layers import Stack, flat
from aiocopick.layers.filesystem import FilesystemLayer
from aiocopick.models import CopickConfigFS
from aiocopick.storage import open_storage
from aiocopick.storage.base import Entry, FirstPage
from aiocopick.storage.scan import behind
from aiocopick.testing import CountingStorage
from tests.layers.test_flat import INSIDE, fill, projects
from tests.servers.s3 import S3Server

NAMES = [f"run-{index:02}" for index in range(60)]


class Paged(CountingStorage):
    """Small pages, and a word with whoever asks for one of names or for a range."""

    page_size = 20

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.asked: list[str] = []
        self.names: Callable[[str], Awaitable[None]] | None = None
        self.range: Callable[[], Awaitable[None]] | None = None

    async def first_children(self, prefix: str, *, start_after: str = "") -> FirstPage | None:
        self.asked.append(f"names {start_after}".rstrip())
        if self.names is not None:
            await self.names(start_after)
        return self._part(await super().first_children(prefix, start_after=start_after))

    async def first_page(self, prefix: str, *, start_after: str = "") -> FirstPage | None:
        return self._part(await super().first_page(prefix, start_after=start_after))

    def _part(self, page: FirstPage | None) -> FirstPage | None:
        assert page is not None
        if len(page.entries) <= self.page_size:
            return page
        return FirstPage(page.entries[: self.page_size], behind(page.entries[self.page_size - 1]))

    @asynccontextmanager
    async def scan(  # type: ignore[override]
        self, prefix: str, collapse: str | None = ".zarr/", **bounds: Any
    ) -> AsyncIterator[AsyncIterator[Sequence[Entry]]]:
        self.asked.append("range")
        if self.range is not None:
            await self.range()
        async with super().scan(prefix, collapse, **bounds) as pages:
            yield pages


def paged() -> Paged:
    return Paged(open_storage(CopickConfigFS(root=f"memory://{uuid.uuid4().hex}/project")))


def root_of(*storages: Paged) -> AsyncRoot:
    configs = [CopickConfigFS(root=s.url, layer_name=f"l{n}") for n, s in enumerate(storages)]
    return AsyncRoot._over(configs[0], Stack([FilesystemLayer(*pair) for pair in zip(configs, storages, strict=True)]))


async def filled(names: Sequence[str] = NAMES) -> Paged:
    storage = paged()
    await fill(
        FilesystemLayer(CopickConfigFS(root=storage.url), storage),
        dict.fromkeys(names, (INSIDE[0], INSIDE[5], INSIDE[7])),
    )
    storage.calls.clear()
    return storage


@pytest.mark.asyncio
async def test_ranges_begin_with_the_first_names() -> None:
    storage = await filled()
    begun = anyio.Event()

    async def wait(start_after: str) -> None:
        if start_after:
            await begun.wait()

    async def note() -> None:
        begun.set()

    storage.names, storage.range = wait, note
    crawl = root_of(storage).crawl()
    with anyio.fail_after(30):
        async with crawl as runs:
            assert crawl.total == len(NAMES)
            assert [(run.name, len(await run.picks())) async for run in runs] == [(name, 1) for name in NAMES]
    pages = [index for index, asked in enumerate(storage.asked) if asked.startswith("names")]
    assert len(pages) == 3
    assert storage.asked.index("range") < pages[-1]


@pytest.mark.asyncio
async def test_one_page_of_names_is_split_as_ever() -> None:
    storage = await filled(NAMES[:10])
    async with root_of(storage).crawl() as runs:
        assert [run.name async for run in runs] == NAMES[:10]
    # The first page of everything shows six of the ten; what is left is one range, with its end.
    assert storage.asked == ["names", "range"]
    assert storage.count() == 4


@given(runs=projects, size=st.integers(1, 4))
@settings(deadline=None, max_examples=40)
@pytest.mark.asyncio
async def test_runs_come_in_order_whatever_their_names(runs: dict[str, list[str]], size: int) -> None:
    storage = paged()
    storage.page_size = size
    layer = FilesystemLayer(CopickConfigFS(root=storage.url), storage)
    await fill(layer, runs)
    expected = [(run, await layer.list_run(run)) for run in (await layer.list_runs()).located]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flat, "FEW", 2)
        patch.setattr(flat, "BLOCK", 3)
        scan = layer.scan_all()
        assert scan is not None
        async with scan as (listing, answers):
            assert list(listing.located) == [run for run, _ in expected]
            assert [answer async for answer in answers] == expected


@pytest.mark.asyncio
@pytest.mark.parametrize("beginning", ["run-1", "run-3", "run", "other"])
async def test_names_that_begin_so_are_asked_for_alone(beginning: str) -> None:
    storage = await filled()
    async with root_of(storage).crawl(f"{beginning}*") as runs:
        expected = [name for name in NAMES if name.startswith(beginning)]
        assert [run.name async for run in runs] == expected
    pages = [asked for asked in storage.asked if asked.startswith("names")]
    assert len(pages) == (3 if beginning == "run" else 1)


@pytest.mark.asyncio
async def test_a_later_page_of_names_that_fails_is_the_error_of_the_crawl() -> None:
    storage = await filled()
    begun, ended = anyio.Event(), []

    async def fail(start_after: str) -> None:
        if start_after:
            await begun.wait()
            raise StorageError("Cannot list the names", path="x")

    storage.names, storage.range = fail, _endless(begun, ended)
    with anyio.fail_after(30), pytest.raises(StorageError, match="Cannot list the names"):
        async with root_of(storage).crawl():
            raise AssertionError
    assert ended


@pytest.mark.asyncio
async def test_nothing_goes_on_after_a_cancellation_between_names() -> None:
    storage = await filled()
    begun, ended = anyio.Event(), []

    async def wait(start_after: str) -> None:
        if start_after:
            await begun.wait()
            scope.cancel()
            await anyio.sleep_forever()

    storage.names, storage.range = wait, _endless(begun, ended)
    with anyio.fail_after(30), anyio.CancelScope() as scope:
        async with root_of(storage).crawl():
            raise AssertionError
    assert scope.cancelled_caught
    assert ended


def _endless(begun: anyio.Event, ended: list[bool]) -> Callable[[], Awaitable[None]]:
    async def wait() -> None:
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(True)

    return wait


@pytest.mark.asyncio
async def test_a_storage_whose_pages_do_not_go_on_lists_all_runs_its_own_way() -> None:
    storage = await filled()
    whole = storage.inner.first_children

    async def again(prefix: str, *, start_after: str = "") -> FirstPage | None:
        return await whole(prefix) if not start_after else FirstPage([], start_after)

    storage.inner = CountingStorage(storage.inner)
    storage.inner.first_children = again  # type: ignore[method-assign]
    async with root_of(storage).crawl() as runs:
        assert [run.name async for run in runs] == NAMES


@pytest.mark.asyncio
async def test_layers_are_merged_when_all_their_runs_are_known() -> None:
    one, other = await filled(NAMES[:25]), await filled(NAMES[15:])
    async with root_of(one, other).crawl() as runs:
        assert [(run.name, len(await run.picks())) async for run in runs] == [(name, 1) for name in NAMES]
    assert not [asked for asked in one.asked + other.asked if asked != "range"]


@pytest.mark.asyncio
async def test_thousands_of_runs_take_a_request_for_each_page_of_names(s3_server: S3Server) -> None:
    bucket = s3_server.new_bucket()
    names = sorted([*(f"TS-{number:04}" for number in range(2100)), "TS", "TS-0500-b"])
    s3_server.seed(bucket, {f"p/ExperimentRuns/{name}/Picks/u_1_ribosome.json": b"[]" for name in names})
    async with aiocopick.open(f"s3://{bucket}/p", fs_args=s3_server.fs_args()) as root:
        with s3_server.counting() as counts:
            crawl = root.crawl()
            async with crawl as found:
                assert crawl.total == len(names)
                assert [run.name async for run in found if await run.picks()] == names
        # Names three, the first page of everything, five ranges, one page more each, and the run that came late.
        assert counts.total() == counts["ListObjectsV2"] <= 15
        assert [run.name for run in await root.runs()] == names
