"""Memory, local disk and S3 seen as one: what is asked of whom, how often, and at the same time."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import anyio
import numpy as np
import pytest

from aiocopick import AsyncRoot, AsyncRun, CopickConfigFS, LayerSkippedWarning, StorageError
from aiocopick.layers import Stack
from aiocopick.layers.filesystem import FilesystemLayer
from aiocopick.layers.stack import OnLayerError
from aiocopick.storage import Entry, open_storage
from aiocopick.storage.base import FirstPage
from aiocopick.testing import CONTRACT_OBJECTS, FaultServer, WrappedStorage
from tests.servers.s3 import S3Server

Value = TypeVar("Value")

NAMES = ("memory", "disk", "bucket")
POSITIONS = np.array([[1.0, 2.0, 3.0]])


class Meeting:
    """Where the layers of a stack wait for each other: who asks them one after the other never gets an answer."""

    def __init__(self) -> None:
        self.open = False
        self.waiting: set[str] = set()
        self.peak = 0
        self.all_there = anyio.Event()

    def begin(self) -> None:
        self.open, self.peak, self.waiting, self.all_there = True, 0, set(), anyio.Event()

    async def arrive(self, name: str) -> None:
        """The first request of each layer waits for those of the others."""
        if not self.open or self.all_there.is_set():
            return
        self.waiting.add(name)
        self.peak = max(self.peak, len(self.waiting))
        if len(self.waiting) == len(NAMES):
            self.all_there.set()
        with anyio.fail_after(30):
            await self.all_there.wait()


class Meeters(WrappedStorage):
    """A storage whose requests go through the meeting, and that can be told to fail."""

    def __init__(self, inner: Any, name: str, meeting: Meeting) -> None:
        super().__init__(inner)
        self.name = name
        self.meeting = meeting
        self.failing: list[str] = []

    async def around(self, verb: str, key: str, call: Callable[[], Awaitable[Value]]) -> Value:
        await self.meeting.arrive(self.name)
        if verb == "list" and any(part in key for part in self.failing):
            raise StorageError(f"{self.path_of(key)} is broken, as the test asked for", path=key)
        return await call()

    def scan(
        self, prefix: str, collapse: str | None = ".zarr/", *, start_after: str = "", stop_before: str | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Entry]]]:
        if self.failing and start_after:
            # What is broken in a range breaks the range.
            return broken(self.path_of(prefix))
        return super().scan(prefix, collapse, start_after=start_after, stop_before=stop_before)

    async def first_page(self, prefix: str, *, start_after: str = "") -> FirstPage | None:
        return None if self.failing else await super().first_page(prefix, start_after=start_after)


@asynccontextmanager
async def broken(path: str) -> AsyncIterator[Any]:
    raise StorageError(f"{path} is broken, as the test asked for", path=path)
    yield


class Three:
    """Three projects with runs of their own and in common, and the stack of them."""

    def __init__(self, configs: list[CopickConfigFS]) -> None:
        self.configs = configs
        self.meeting = Meeting()
        self.storages = {
            config.layer_name: Meeters(open_storage(config), config.layer_name, self.meeting) for config in configs
        }

    def root(self, on_layer_error: OnLayerError = "raise") -> AsyncRoot:
        layers = [FilesystemLayer(config, self.storages[config.layer_name]) for config in self.configs]
        return AsyncRoot._over(self.configs[0], Stack(layers, on_layer_error=on_layer_error))

    async def fill(self) -> None:
        for index, config in enumerate(self.configs):
            root = AsyncRoot(config)
            for number in range(12):
                # A third of the runs is everywhere, the others lie in two of the layers.
                if number % 3 and number % 3 == index:
                    continue
                run = await root.new_run(f"TS_{number:02}")
                await (await run.new_picks("ribosome", str(index))).from_numpy(POSITIONS)
                await run.new_picks("ribosome", "common")
                await (await run.new_voxel_spacing(10.0)).new_tomogram(("wbp", "wbp", "denoised")[index])
            await (await root.get_object("ribosome")).from_numpy(np.ones((2, 2, 2), np.float32), 10.0)  # type: ignore[union-attr]
            await root.aclose()


@asynccontextmanager
async def three(folder: Path, server: S3Server) -> AsyncIterator[tuple[Three, FaultServer]]:
    async with FaultServer(server.url) as front:
        arguments = server.fs_args() | {"client_kwargs": {"endpoint_url": front.url, "region_name": server.region}}
        common: dict[str, Any] = {"user_id": "someone", "pickable_objects": CONTRACT_OBJECTS, "timeout": 30}
        places = (
            {"root": f"memory://{uuid.uuid4().hex}/project"},
            {"root": str(folder)},
            {"root": f"s3://{server.new_bucket()}/project", "fs_args": arguments},
        )
        project = Three(
            [
                CopickConfigFS(**place, **common, layer_name=name, priority=-index)
                for index, (place, name) in enumerate(zip(places, NAMES, strict=True))
            ]
        )
        await project.fill()
        try:
            yield project, front
        finally:
            for storage in project.storages.values():
                await storage.aclose()


async def full_listing(root: AsyncRoot) -> list[str]:
    """Everything that is listed, each time from the start."""
    root.refresh()
    async with root.crawl() as runs:
        return [run.name async for run in runs]


@pytest.mark.asyncio
async def test_all_layers_are_asked_at_the_same_time(tmp_path: Path, moto_server: S3Server) -> None:
    async with three(tmp_path, moto_server) as (project, _):
        root = project.root()
        runs = await root.query()
        (spacing,) = await runs[0].query_voxelspacings()
        (tomogram, *_) = await spacing.query_tomograms()
        assert [source.layer.name for source in runs[0].sources] == list(NAMES)
        questions: list[Callable[[], Awaitable[Any]]] = [
            root.query,
            root.query_objects,
            lambda: project.root().get_run("TS_00"),
            runs[0].query_picks,
            runs[0].query_voxelspacings,
            spacing.query_tomograms,
            tomogram.query_features,
            lambda: full_listing(project.root()),
            lambda: project.root().prefetch(),
            lambda: project.root().ensure(),
        ]
        for question in questions:
            project.meeting.begin()
            await question()
            assert project.meeting.peak == len(NAMES)


@pytest.mark.asyncio
async def test_what_is_found_is_merged_and_tells_where_it_lies(tmp_path: Path, moto_server: S3Server) -> None:
    async with three(tmp_path, moto_server) as (project, _):
        root = project.root()
        runs = await root.query()
        assert [run.name for run in runs] == [f"TS_{number:02}" for number in range(12)]
        assert [[source.layer.name for source in run.sources] for run in runs[:3]] == [
            ["memory", "disk", "bucket"],
            ["memory", "bucket"],
            ["memory", "disk"],
        ]
        found = {picks.session_id: picks for picks in await runs[0].picks()}
        assert {session: picks.layer.name for session, picks in found.items()} == {
            "0": "memory",
            "1": "disk",
            "2": "bucket",
            "common": "memory",
        }
        assert [source.layer.name for source in found["common"].sources] == list(NAMES)
        (spacing,) = await runs[0].voxel_spacings()
        tomograms = {
            item.tomo_type: [source.layer.name for source in item.sources] for item in await spacing.tomograms()
        }
        assert tomograms == {"denoised": ["bucket"], "wbp": ["memory", "disk"]}
        assert [item.session_id for item in await runs[0].query_picks(layers=["disk", "bucket"])] == [
            "1",
            "2",
            "common",
        ]


@pytest.mark.asyncio
async def test_a_full_listing_asks_each_layer_no_more_than_it_is_asked_on_its_own(
    tmp_path: Path, moto_server: S3Server
) -> None:
    async with three(tmp_path, moto_server) as (project, front):

        def counts(root: AsyncRoot) -> dict[str, int]:
            return {layer.name: layer.stats.total for layer in root.layers} | {"http": len(front.requests)}

        for listing in (full_listing, step_by_step, run_by_run):
            alone: dict[str, int] = {}
            for config in project.configs:
                root = AsyncRoot(config)
                sent = len(front.requests)
                await listing(root)
                alone[config.layer_name] = root.stats.total
                alone["http"] = alone.get("http", 0) + len(front.requests) - sent
                await root.aclose()
            root = project.root()
            before = counts(root)
            assert len(await listing(root)) == 12
            together = {name: count - before[name] for name, count in counts(root).items()}
            assert together.keys() == alone.keys()
            assert 0 < together["http"] == together["bucket"]
            assert all(count <= alone[name] for name, count in together.items()), (listing, together, alone)


async def step_by_step(root: AsyncRoot) -> list[str]:
    return [run.name async for run in root.crawl()]


async def run_by_run(root: AsyncRoot) -> list[str]:
    """As somebody does who asks for the lists of one run after the other."""
    runs = await root.runs()
    for run in runs:
        await run.picks()
        for spacing in await run.voxel_spacings():
            await spacing.tomograms()
    return [run.name for run in runs]


async def crawled(root: AsyncRoot, how: str) -> dict[str, AsyncRun]:
    if how == "step by step":
        return {run.name: run async for run in root.crawl()}
    async with root.crawl() as runs:
        return {run.name: run async for run in runs}


@pytest.mark.parametrize("how", ["reading ahead", "step by step"])
@pytest.mark.asyncio
async def test_a_layer_that_fails_for_one_run_is_reported_there(
    tmp_path: Path, moto_server: S3Server, how: str
) -> None:
    async with three(tmp_path, moto_server) as (project, _):
        root = project.root("skip")
        # TS_06 lies in all layers, TS_07 in memory and the bucket.
        project.storages["disk"].failing = ["/TS_06"]
        with pytest.warns(LayerSkippedWarning, match=r"disk.*TS_06"):
            seen = await crawled(root, how)
        assert len(seen) == 12
        assert all(run.error is None for run in seen.values())
        assert {name for name, run in seen.items() if run.skipped_layers} == {"TS_06"}
        broken = seen["TS_06"]
        assert list(broken.skipped_layers) == ["disk"]
        assert "TS_06" in str(broken.skipped_layers["disk"])
        assert [picks.session_id for picks in await broken.picks()] == ["0", "2", "common"]
        assert [picks.session_id for picks in await seen["TS_03"].picks()] == ["0", "1", "2", "common"]
        # The runs after it do not make it forgotten.
        assert list(root.skipped_layers) == ["disk"]
        # It is said once; and whoever asks again when the layer is well sees everything.
        assert len(await broken.query_picks()) == 3
        project.storages["disk"].failing = []
        assert len(await broken.query_picks()) == 4
        assert broken.skipped_layers == {}
        await root.query()
        assert root.skipped_layers == {}


@pytest.mark.asyncio
async def test_a_run_that_no_layer_can_list_has_the_error(tmp_path: Path, moto_server: S3Server) -> None:
    async with three(tmp_path, moto_server) as (project, _):
        for on_layer_error, names in (("skip", NAMES), ("raise", NAMES[1:2])):
            for name in NAMES:
                project.storages[name].failing = ["/TS_06"] if name in names else []
            async with project.root(on_layer_error).crawl() as runs:  # type: ignore[arg-type]
                errors = {run.name: run.error async for run in runs if run.error is not None}
            assert list(errors) == ["TS_06"]
            assert isinstance(errors["TS_06"], StorageError)
