from __future__ import annotations

import asyncio
from fnmatch import fnmatch

import anyio
import pytest

import aiocopick
from aiocopick.entities import AsyncRoot
from aiocopick.entities.root import entities_of
from aiocopick.errors import FormatError, NotFoundError, StorageError
from aiocopick.layers import Stack
from aiocopick.layers.filesystem import FilesystemLayer
from aiocopick.layout.refs import NOUNS
from aiocopick.models import CopickConfigFS
from aiocopick.storage.base import FirstPage
from aiocopick.testing import FaultStorage, WrappedStorage
from tests.entities.projects import Counted, write_run
from tests.memory import traced
from tests.servers.s3 import S3Server


async def write_runs(root: AsyncRoot, count: int) -> list[str]:
    names = [f"TS_{index:03d}" for index in range(count)]
    for name in names:
        run = await root.new_run(name)
        await run.new_picks("ribosome", "1")
    return names


@pytest.mark.asyncio
async def test_runs_come_in_order_with_their_lists_filled(root: AsyncRoot) -> None:
    async with root:
        for name in ("b", "a", "c"):
            await write_run(root, name)
        async with root.crawl() as runs:
            ahead = [run async for run in runs]
        stepwise = [run async for run in root.crawl()]
        for found in (ahead, stepwise):
            assert [run.name for run in found] == ["a", "b", "c"]
            requests = root.stats.total
            for run in found:
                counts = {noun: len(await entities_of(run, noun)) for noun in NOUNS}
                assert list(counts.values()) == [1, 2, 1, 2, 1, 4, 1]
                assert run.error is None
            assert root.stats.total == requests


@pytest.mark.asyncio
async def test_requests_of_a_crawl(counted: Counted) -> None:
    for name in ("a", "b", "c"):
        await write_run(counted.root, name)
    for load, reads in (((), 0), (("picks",), 6), (("picks", "meshes", "filaments", "meta"), 18)):
        # The first page of all that is there, beside the list of runs.
        with counted.requests(list=2, **({"read": reads} if reads else {})):
            async with counted.fresh().crawl(load=load) as runs:
                assert len([run async for run in runs]) == 3
        with counted.requests(list=4, **({"read": reads} if reads else {})):
            assert len([run async for run in counted.fresh().crawl(load=load)]) == 3


@pytest.mark.asyncio
async def test_files_are_loaded(counted: Counted) -> None:
    await write_run(counted.root, "a")
    async for run in counted.fresh().crawl(load=("picks", "meshes", "filaments", "meta")):
        with counted.requests():
            assert [len(picks.points) for picks in await run.picks()] == [2, 1]
            assert (await run.meshes())[0].mesh is not None
            assert len((await run.filaments())[0].filaments) == 1


@pytest.mark.asyncio
async def test_kinds_say_what_is_listed(counted: Counted) -> None:
    await write_run(counted.root, "a")
    before = len(counted.storage.calls)
    async for run in counted.fresh().crawl(kinds={"picks"}):
        assert [noun for noun, children in run._children.items() if children.complete] == ["picks"]
    assert counted.storage.calls[before:] == [("list", "ExperimentRuns"), ("list", "ExperimentRuns/a/Picks")]
    async for run in counted.fresh().crawl(kinds=["features"]):
        with counted.requests():
            assert len(await entities_of(run, "features")) == 1
    async for run in counted.fresh().crawl(kinds=["voxel_spacings"], load=["picks"]):
        with counted.requests():
            assert len(await run.voxel_spacings()) == 1
            assert len(await run.picks()) == 2


@pytest.mark.asyncio
async def test_runs_by_name_and_by_glob(counted: Counted) -> None:
    names = await write_runs(counted.root, 12)
    root = counted.fresh()

    async def found(runs: object) -> list[str]:
        return [run.name async for run in root.crawl(runs=runs)]  # type: ignore[arg-type]

    assert await found("TS_00*") == names[:10]
    assert await found(["TS_011", "TS_003"]) == ["TS_003", "TS_011"]
    assert await found(["TS_01[01]", "TS_000"]) == ["TS_000", "TS_010", "TS_011"]
    assert await found("nothing*") == []
    assert await found([]) == []
    with counted.requests(list=1):
        assert await found("TS_005") == ["TS_005"]


@pytest.mark.asyncio
async def test_a_first_page_is_asked_for_where_all_of_it_is_wanted(counted: Counted) -> None:
    names = await write_runs(counted.root, 12)
    for runs, requests in (
        (None, 2),
        ("TS_00*", 2),
        ("TS_*", 2),
        # A few of many: the list of runs, and each of them.
        ("TS_00[1-3]", 4),
        ("*1", 3),
        (["TS_00*", "TS_011"], 2),
        (["TS_003", "TS_007"], 2),
    ):
        with counted.requests(list=requests):
            async with counted.fresh().crawl(runs=runs) as found:
                chosen = [run.name async for run in found]
        assert chosen == [name for name in names if runs is None or any(fnmatch(name, glob) for glob in globs(runs))]


def globs(runs: str | list[str]) -> list[str]:
    return [runs] if isinstance(runs, str) else runs


@pytest.mark.asyncio
async def test_a_first_page_that_fails_is_no_loss(counted: Counted) -> None:
    names = await write_runs(counted.root, 12)

    class Failing(WrappedStorage):
        async def first_page(self, prefix: str, *, start_after: str = "") -> FirstPage | None:
            raise StorageError("broken, as the test asked for", path=prefix)

    layer = FilesystemLayer(counted.root.config, Failing(counted.storage))
    root = AsyncRoot._over(counted.root.config, Stack([layer]))
    async with root.crawl() as runs:
        assert [(run.name, run.error) async for run in runs] == [(name, None) for name in names]


@pytest.mark.asyncio
async def test_a_run_that_is_not_there_has_an_error(counted: Counted) -> None:
    await write_runs(counted.root, 2)
    for runs in (["TS_000", "missing"], ["TS_000*", "missing"]):
        found = [run async for run in counted.fresh().crawl(runs=runs)]
        assert [run.name for run in found] == ["TS_000", "missing"]
        assert found[0].error is None
        assert isinstance(found[1].error, NotFoundError)
    await counted.root.new_run("empty")
    assert [run.error async for run in counted.fresh().crawl(runs="empty")] == [None]


@pytest.mark.asyncio
async def test_one_bad_file_marks_its_run_and_the_crawl_goes_on(counted: Counted) -> None:
    names = await write_runs(counted.root, 30)
    await counted.storage.write(f"ExperimentRuns/{names[7]}/Picks/someone_1_ribosome.json", b"{")

    async def check(runs) -> None:
        found = [run async for run in runs]
        assert [run.name for run in found] == names
        assert [run.name for run in found if run.error is not None] == [names[7]]
        assert isinstance(found[7].error, FormatError)
        assert names[7] in str(found[7].error)

    await check(counted.fresh().crawl(load=("picks",)))
    async with counted.fresh().crawl(load=("picks",)) as runs:
        await check(runs)


@pytest.mark.asyncio
async def test_a_run_that_cannot_be_listed_is_marked(counted: Counted) -> None:
    # So few that each is listed on its own.
    names = await write_runs(counted.root, 7)

    def failing(at: int) -> AsyncRoot:
        layer = FilesystemLayer(counted.root.config, FaultStorage(counted.storage, at))
        return AsyncRoot._over(counted.root.config, Stack([layer]))

    for at in range(2, 9):
        found = [run async for run in failing(at).crawl(kinds=("picks",))]
        assert [run.name for run in found] == names
        assert sum(isinstance(run.error, StorageError) for run in found) == 1
    for crawl in (failing(1).crawl(), failing(1).crawl()):
        with pytest.raises(StorageError):
            _ = [run async for run in crawl]


@pytest.mark.asyncio
async def test_a_crawl_may_be_left_at_any_run(root: AsyncRoot) -> None:
    async with root:
        names = await write_runs(root, 9)
        for stop in range(len(names)):
            async for run in root.crawl():
                if run.name == names[stop]:
                    break
            async with root.crawl() as runs:
                async for run in runs:
                    if run.name == names[stop]:
                        break
            assert len(asyncio.all_tasks()) == 1
        with pytest.raises(KeyError):
            await _fail_inside(root)
        assert len(asyncio.all_tasks()) == 1


async def _fail_inside(root: AsyncRoot) -> None:
    async with root.crawl(load=("picks",)) as runs:
        async for _ in runs:
            raise KeyError


@pytest.mark.asyncio
async def test_two_crawls_take_turns(counted: Counted) -> None:
    names = await write_runs(counted.root, 9)
    first, second = counted.fresh().crawl(), counted.fresh().crawl(load=("picks",))
    pairs = []
    async for run in first:
        pairs.append((run.name, (await anext(second)).name))
    assert pairs == [(name, name) for name in names]
    with pytest.raises(StopAsyncIteration):
        await anext(second)
    async with counted.fresh().crawl() as one, counted.fresh().crawl() as other:
        async for run in one:
            assert (await anext(other)).name == run.name


@pytest.mark.asyncio
async def test_a_timeout_between_or_inside_steps_loses_no_run(counted: Counted) -> None:
    names = await write_runs(counted.root, 9)
    slow = _Slow(counted.storage)
    layer = FilesystemLayer(counted.root.config, slow)
    crawl = AsyncRoot._over(counted.root.config, Stack([layer])).crawl()
    found = []
    for _ in range(200):
        with anyio.CancelScope() as scope:
            slow.scope = scope
            try:
                found.append((await anext(crawl)).name)
            except StopAsyncIteration:
                break
    assert found == names
    assert slow.cancelled >= 3


class _Slow(FaultStorage):
    """Cancels whoever waits for every second request."""

    scope: anyio.CancelScope | None = None
    cancelled = 0

    def __init__(self, inner) -> None:
        super().__init__(inner, 0)

    async def around(self, verb, key, call):
        self._made[0] += 1
        if self._made[0] % 7 == 3 and self.scope is not None:
            self.cancelled += 1
            self.scope.cancel()
            await anyio.sleep_forever()
        return await call()


@pytest.mark.asyncio
async def test_no_more_requests_are_in_flight_than_allowed(counted: Counted) -> None:
    await write_runs(counted.root, 40)
    root = counted.root.options(max_concurrency=3)
    root.stats.peak_in_flight = 0
    async with root.crawl(load=("picks", "meta")) as runs:
        assert len([run async for run in runs]) == 40
    assert 1 <= root.stats.peak_in_flight <= 3


@pytest.mark.asyncio
async def test_an_empty_project_has_no_runs(counted: Counted) -> None:
    assert [run async for run in counted.root.crawl()] == []
    async with counted.root.crawl() as runs:
        assert [run async for run in runs] == []


def test_what_a_crawl_cannot_do(counted: Counted) -> None:
    with pytest.raises(ValueError, match="tomogrammes"):
        counted.root.crawl(kinds=["tomogrammes"])
    with pytest.raises(ValueError, match="tomograms"):
        counted.root.crawl(load=["tomograms"])


@pytest.mark.asyncio
async def test_a_glob_lists_only_runs_that_begin_like_it(s3_server: S3Server) -> None:
    bucket = s3_server.new_bucket()
    names = [f"TS_{number:04}" for number in range(1500)]
    s3_server.seed(bucket, {f"p/ExperimentRuns/{name}/Picks/u_1_ribosome.json": b"[]" for name in names})
    async with aiocopick.open(f"s3://{bucket}/p", fs_args=s3_server.fs_args()) as root:
        for runs, expected in (
            ("TS_14[89]*", names[1480:]),
            (["TS_120?", "TS_121*"], names[1200:1220]),
            ("TS_1499*", names[1499:]),
            (["TS_1400", "TS_149*"], [names[1400], *names[1490:]]),
        ):
            with s3_server.counting() as counts:
                async with root.crawl(runs=runs) as found:
                    assert [run.name async for run in found if await run.picks()] == expected
            # One for the names, where all of them would be two, and what the runs hold: a range, or one by one if few.
            assert counts["ListObjectsV2"] <= 2
        assert [run.name async for run in root.crawl(runs="[T]S_1499")] == ["TS_1499"]
        assert [run.name async for run in root.crawl(runs=["TS_0000*", "X*"])] == ["TS_0000"]


class _Vanishing(WrappedStorage):
    """Somebody deletes a file when it is about to be read."""

    key = ""

    async def around(self, verb, key, call):
        if verb == "read" and key == self.key:
            await self.inner.delete_many([key])
        return await call()


@pytest.mark.slow
@pytest.mark.asyncio
async def test_of_a_thousand_runs_those_that_are_not_whole_are_marked(root: AsyncRoot) -> None:
    names = [f"TS_{number:04}" for number in range(1000)]
    keys = {name: f"ExperimentRuns/{name}/Picks/someone_1_ribosome.json" for name in names}
    async with root:
        storage = root.layer.storage
        await storage.write_many((key, b"{" if name == "TS_0600" else b"[]") for name, key in keys.items())
        vanishing = _Vanishing(storage)
        vanishing.key = keys["TS_0417"]
        layer = FilesystemLayer(root.config, vanishing)
        async with AsyncRoot._over(root.config, Stack([layer])).crawl(load=("picks",)) as runs:
            found = [run async for run in runs]
        assert [run.name for run in found] == names
        errors = {run.name: run.error for run in found if run.error is not None}
        assert {name: type(error) for name, error in errors.items()} == {
            "TS_0417": NotFoundError,
            "TS_0600": FormatError,
        }
        assert all(keys[name] in str(error) for name, error in errors.items())


@pytest.mark.slow
@pytest.mark.asyncio
async def test_ten_times_the_runs_take_little_more_memory(config: CopickConfigFS) -> None:
    peaks = []
    async with AsyncRoot(config) as root:
        for count in (300, 3000):
            await root.layer.storage.write_many(
                (f"ExperimentRuns/TS_{number:05}/Picks/someone_1_ribosome.json", b'{"points": []}')
                for number in range(count)
            )
            with traced() as memory:
                async with root.options(max_concurrency=16).crawl(load=("picks",)) as runs:
                    assert sum([len(await run.picks()) async for run in runs]) == count
            peaks.append(memory.peak)
    assert peaks[1] - peaks[0] <= 15 * 2**20
