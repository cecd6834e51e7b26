"""A run by name and its first listing are one request: the page that shows that it exists also shows what it holds."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.lowlevel
import pytest
import pytest_asyncio

from aiocopick import CopickConfigFS
from aiocopick.entities import AsyncRoot, AsyncRun
from aiocopick.entities.root import entities_of
from aiocopick.errors import AccessDeniedError, CopickError
from aiocopick.layers import Stack, look_ahead
from aiocopick.layers.filesystem import FilesystemLayer
from aiocopick.layers.look_ahead import LookAhead
from aiocopick.layout.refs import NOUNS, RunRef
from aiocopick.storage import open_storage
from aiocopick.storage.base import Capabilities, Entry, FirstPage
from aiocopick.storage.scan import behind
from aiocopick.testing import Answer, CountingStorage, FaultServer, Request
from tests.entities.projects import write_run
from tests.servers.gcs import GcsServer
from tests.servers.s3 import MinioServer, MotoServer

Value = TypeVar("Value")

RUN = "ExperimentRuns/TS_1"
PAGE = ("list", RUN)
SCAN = [PAGE, PAGE]
"""The only page of a listing, and its end."""

pytestmark = pytest.mark.asyncio


class Far(CountingStorage):
    """A storage in memory that takes round trips; its first page may be cut, and may be said to be full of chunks."""

    most: int | None = None
    sparse = False
    most_names: int | None = None
    rounds = 0
    """Times at which a request began while no other was under way."""
    under_way = 0

    async def around(self, verb: str, key: str, call: Callable[[], Awaitable[Value]]) -> Value:
        self.rounds += not self.under_way
        self.under_way += 1
        try:
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
            return await super().around(verb, key, call)
        finally:
            self.under_way -= 1

    @property
    def capabilities(self) -> Capabilities:
        return dataclasses.replace(self.inner.capabilities, near=False)

    async def first_page(self, prefix: str, *, start_after: str = "") -> FirstPage | None:
        page = await super().first_page(prefix, start_after=start_after)
        if page is None or self.most is None or len(page.entries) <= self.most:
            return page
        entries = page.entries[: self.most]
        return FirstPage(entries, behind(entries[-1]) if entries else start_after, self.sparse)

    async def first_children(self, prefix: str, *, start_after: str = "") -> FirstPage | None:
        page = await super().first_children(prefix, start_after=start_after)
        if page is None or self.most_names is None or len(page.entries) <= self.most_names:
            return page
        entries = page.entries[: self.most_names]
        return FirstPage(entries, behind(entries[-1]) if entries else start_after)


@dataclasses.dataclass
class Project:
    """A project whose requests are noted, and another root of it."""

    config: CopickConfigFS
    storage: Far

    @classmethod
    def of(cls, config: CopickConfigFS) -> Project:
        return cls(config, Far(open_storage(config)))

    def root(self) -> AsyncRoot:
        return AsyncRoot._over(self.config, Stack([FilesystemLayer(self.config, self.storage)]))

    def calls(self) -> list[tuple[str, str]]:
        """Return the requests since the last call."""
        calls, self.storage.calls[:] = [*self.storage.calls], []
        return calls


def in_memory(**options: Any) -> CopickConfigFS:
    return CopickConfigFS(root=f"memory://{uuid.uuid4().hex}/project", user_id="someone", **options)


@pytest_asyncio.fixture
async def project() -> Project:
    config = in_memory()
    await write_run(AsyncRoot(config))
    return Project.of(config)


async def found(root: AsyncRoot, name: str = "TS_1") -> AsyncRun:
    run = await root.get_run(name)
    assert run is not None
    return run


async def everything(run: AsyncRun) -> dict[str, list[Any]]:
    return {noun: [(entity, entity._located) for entity in await entities_of(run, noun)] for noun in NOUNS}


FIRST: dict[str, Callable[[AsyncRun], Any]] = {
    "picks": AsyncRun.picks,
    "voxel_spacings": AsyncRun.voxel_spacings,
    "get_segmentations": AsyncRun.get_segmentations,
    "query_picks": AsyncRun.query_picks,
    "query_meshes": AsyncRun.query_meshes,
    "query_filaments": AsyncRun.query_filaments,
    "query_segmentations": AsyncRun.query_segmentations,
    "query_voxelspacings": AsyncRun.query_voxelspacings,
}


@pytest.mark.parametrize("first", FIRST)
async def test_the_first_list_is_part_of_the_same_request(project: Project, first: str) -> None:
    expected = await FIRST[first](await found(AsyncRoot(project.config)))
    run = await found(project.root())
    assert not any(children.complete for children in run._children.values())
    assert await FIRST[first](run) == expected != []
    assert project.calls() == [PAGE]


async def test_all_lists_are_part_of_the_same_request(project: Project) -> None:
    expected = await everything(await found(AsyncRoot(project.config)))
    assert await everything(await found(project.root())) == expected
    assert project.calls() == [PAGE]


@pytest.mark.parametrize(("sparse", "most_names"), [(False, None), (True, None), (True, 1)])
async def test_a_page_of_any_length_shows_the_same(project: Project, sparse: bool, most_names: int | None) -> None:
    expected = await everything(await found(AsyncRoot(project.config)))
    queried = {first: await ask(await found(AsyncRoot(project.config))) for first, ask in FIRST.items()}
    project.storage.sparse, project.storage.most_names = sparse, most_names
    for project.storage.most in range(14):
        assert await everything(await found(project.root())) == expected
        for first, ask in FIRST.items():
            assert await ask(await found(project.root())) == queried[first]


async def test_a_folder_that_the_page_shows_whole_is_not_asked_for_again(project: Project) -> None:
    project.storage.most = 12
    assert len(await (await found(project.root())).query_picks()) == 2
    assert project.calls() == [PAGE]
    # Its last file might not be the last one.
    project.storage.most = 6
    assert len(await (await found(project.root())).query_picks()) == 2
    assert project.calls() == [PAGE, ("list", f"{RUN}/Picks")]


async def test_what_a_page_that_is_full_of_chunks_leaves_out_is_walked(project: Project) -> None:
    project.storage.most, project.storage.sparse = 6, True
    run = await found(project.root())
    assert project.calls() == [PAGE]
    await everything(run)
    # Of the folder of the last entry there may be more.
    folders = ("Picks", "Segmentations", "VoxelSpacing10.000")
    assert sorted(project.calls()) == [PAGE, *[("list", f"{RUN}/{folder}") for folder in folders]]


@pytest.mark.parametrize(
    ("most", "rounds"), [(1, 2), (6, 2), (10, 1), (11, 1)], ids=["metadata", "picks", "spacing", "tomogram"]
)
async def test_such_a_walk_is_as_short_as_the_page_allows(project: Project, most: int, rounds: int) -> None:
    project.storage.most, project.storage.sparse = most, True
    run = await found(project.root())
    project.storage.rounds = 0
    await everything(run)
    assert project.storage.rounds == rounds


async def test_folders_whose_names_are_known_are_asked_for_at_once(project: Project) -> None:
    project.storage.most, project.storage.sparse = 5, True
    layer = FilesystemLayer(project.config, project.storage)
    located = await layer.find(RunRef(run="TS_1"))
    assert located is not None
    listing = await layer.list_run(located, frozenset({"meshes", "picks", "segmentations"}), found=True)
    assert {item.ref.kind for item in listing.located} >= {"mesh", "picks", "segmentation"}
    assert project.storage.rounds == 2
    folders = ("PanopticSegmentations", "Picks", "Segmentations")
    assert sorted(project.calls()) == [PAGE, *[("list", f"{RUN}/{folder}") for folder in folders]]


async def test_raw_frames_are_walked_around(project: Project) -> None:
    frames = {f"{RUN}/Frames/frame_{index:04}.tif": b"" for index in range(600)}
    await open_storage(project.config).write_many(frames.items())
    run = await found(project.root())
    assert len(await run.picks()) == 2
    assert project.calls()[0] == PAGE
    assert not any("Frames" in key for _, key in project.calls())


@pytest.mark.parametrize("require_meta", [False, True])
async def test_a_missing_run_is_one_request(project: Project, require_meta: bool) -> None:
    project.config.require_meta = require_meta
    root = project.root()
    assert await root.get_run("TS_9") is None
    # Names that begin alike are other runs.
    assert await root.get_run("TS_") is None
    assert project.calls() == [("list", "ExperimentRuns/TS_9"), ("list", "ExperimentRuns/TS_")]


@pytest.mark.parametrize("most", [None, 0, 1])
async def test_the_page_shows_whether_the_metadata_is_there(project: Project, most: int | None) -> None:
    writer = open_storage(project.config)
    await writer.write("ExperimentRuns/without/Picks/u_1_x.json", b"[]")
    project.config.require_meta, project.storage.most = True, most
    root = project.root()
    assert await root.get_run("without") is None
    # A page that ends before the metadata does not show it.
    more = [("stat", "ExperimentRuns/without/.meta")] if most == 0 else []
    assert project.calls() == [("list", "ExperimentRuns/without"), *more]
    assert await root.get_run("TS_1") is not None
    assert project.calls() == [PAGE, *([("stat", f"{RUN}/.meta")] if most == 0 else [])]


async def test_it_is_used_once(project: Project) -> None:
    run = await found(project.root())
    await run.query_picks()
    await run.query_picks()
    await run.query_meshes()
    assert project.calls() == [PAGE, ("list", f"{RUN}/Picks"), ("list", f"{RUN}/Meshes")]


async def test_those_who_ask_at_once_share_it(project: Project) -> None:
    run = await found(project.root())
    async with anyio.create_task_group() as group:
        for ask in (run.picks, run.meshes, run.segmentations, run.voxel_spacings, run.filaments):
            group.start_soon(ask)
    assert project.calls() == [PAGE]


@pytest.mark.parametrize("forget", [AsyncRun.refresh, AsyncRun.refresh_picks, AsyncRun.refresh_voxel_spacings])
async def test_a_refresh_forgets_it(project: Project, forget: Callable[[AsyncRun], None]) -> None:
    run = await found(project.root())
    forget(run)
    await run.picks()
    assert project.calls() == [PAGE, *SCAN]


async def test_a_run_that_was_listed_otherwise_is_listed(project: Project) -> None:
    root = project.root()
    held = await found(root)
    root.refresh()
    [run] = await root.runs()
    await run.picks()
    assert project.calls() == [PAGE, ("list", "ExperimentRuns"), *SCAN]
    # What a crawl has listed since is newer.
    async with root.crawl() as runs:
        assert [run async for run in runs] == [held]
    project.calls()
    again = await found(project.root())
    async with again.root.crawl() as runs:
        assert [run async for run in runs] == [again]
    project.calls()
    await again.query_picks()
    assert project.calls() == [("list", f"{RUN}/Picks")]


async def test_layers_that_are_named_are_asked(project: Project) -> None:
    run = await found(project.root())
    await run.query_picks(layers=["filesystem"])
    assert project.calls() == [PAGE, ("list", f"{RUN}/Picks")]


@pytest.mark.parametrize("where", ["", "/ExperimentRuns/TS_1"])
async def test_a_change_by_any_root_of_the_process_drops_it(project: Project, where: str) -> None:
    run = await found(project.root())
    other = open_storage(project.config.model_copy(update={"root": project.config.root + where}))
    await other.write(f"{'' if where else RUN + '/'}Picks/other_1_ribosome.json", b"[]")
    assert len(await run.query_picks()) == 3
    assert project.calls() == [PAGE, ("list", f"{RUN}/Picks")]


async def test_what_is_made_in_between_is_listed(project: Project) -> None:
    run = await found(project.root())
    made = await run.new_picks("ribosome", "7")
    spacing = await run.new_voxel_spacing(5.0)
    assert made in await run.picks()
    assert spacing in await run.voxel_spacings()
    await made.delete()
    assert made not in await (await found(project.root())).picks()


async def test_a_spacing_that_was_looked_up_since_stays(project: Project) -> None:
    run = await found(project.root())
    # As another process does.
    filesystem = project.config.fs()
    filesystem.pipe(f"{project.config.root}/{RUN}/VoxelSpacing5.000/.meta", b"{}")
    spacing = await run.get_voxel_spacing(5.0)
    assert spacing in await run.voxel_spacings()


@pytest.mark.parametrize(("age", "more"), [(4.9, []), (5.1, SCAN)])
async def test_it_is_used_for_some_seconds(
    project: Project, monkeypatch: pytest.MonkeyPatch, age: float, more: list[Any]
) -> None:
    now = [100.0]
    monkeypatch.setattr(look_ahead, "monotonic", lambda: now[0])
    run = await found(project.root())
    now[0] += age
    assert len(await run.picks()) == 2
    assert project.calls() == [PAGE, *more]


@pytest.mark.parametrize("options", [{"read_ahead": 0}, {"max_concurrency": 3}])
async def test_a_view_has_its_own_and_may_be_without(project: Project, options: dict[str, Any]) -> None:
    await found(project.root())
    view = project.root().options(**options)
    project.calls()
    await (await found(view)).picks()
    assert project.calls() == ([("stat", RUN), *SCAN] if "read_ahead" in options else [PAGE])


async def test_storages_without_round_trips_and_without_pages_answer_as_before(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited = dataclasses.replace(project.storage.capabilities, delimiter=False)
    for capabilities in (limited, project.storage.inner.capabilities):
        monkeypatch.setattr(Far, "capabilities", capabilities)
        assert await project.root().get_run("TS_9") is None
        await found(project.root())
        assert project.calls() == [("stat", "ExperimentRuns/TS_9"), ("stat", RUN)]


async def test_a_server_that_does_not_collapse_is_asked_as_before(project: Project) -> None:
    class Cutting(Far):
        async def first_page(self, prefix: str, *, start_after: str = "") -> None:
            await super().first_page(prefix, start_after=start_after)

    project.storage = Cutting(project.storage.inner)
    root = project.root()
    assert await root.get_run("TS_9") is None
    assert len(await (await found(root)).query_picks()) == 2
    assert project.calls()[2:] == [PAGE, ("stat", RUN), ("list", f"{RUN}/Picks")]


class Denying(Far):
    """A storage that denies some of its verbs."""

    denied: tuple[str, ...] = ()
    error: type[CopickError] = AccessDeniedError

    async def around(self, verb: str, key: str, call: Callable[[], Any]) -> Any:
        if verb in self.denied:
            self.calls.append((verb, key))
            raise self.error(f"Cannot {verb} {key}: denied", path=key)
        return await super().around(verb, key, call)


async def test_a_run_that_cannot_be_listed_as_a_whole_is_told_from_a_missing_one(project: Project) -> None:
    project.storage = Denying(project.storage.inner)
    project.storage.denied = ("list",)
    root = project.root()
    assert await root.get_run("TS_9") is None
    run = await found(root)
    assert project.calls()[2:] == [PAGE, ("stat", RUN)]
    with pytest.raises(AccessDeniedError):
        await run.picks()
    project.storage.denied = ("list", "stat")
    for name in ("TS_1", "TS_9"):
        with pytest.raises(AccessDeniedError):
            await project.root().get_run(name)


# --- layers -----------------------------------------------------------------------------------------------------------


async def test_every_layer_is_asked_once() -> None:
    projects = [Project.of(in_memory(layer_name=name)) for name in ("upper", "lower", "other")]
    await write_run(AsyncRoot(projects[0].config), volumes=False)
    await write_run(AsyncRoot(projects[1].config))

    def root() -> AsyncRoot:
        layers = [FilesystemLayer(project.config, project.storage) for project in projects]
        return AsyncRoot._over(projects[0].config, Stack(layers))

    for ask in (AsyncRun.query_picks, AsyncRun.query_segmentations, everything):
        await ask(await found(root()))
        assert [project.calls() for project in projects] == [[PAGE]] * 3
    # A change in one layer is no change in the others.
    run = await found(root())
    await AsyncRoot(projects[1].config).new_run("TS_2")
    assert len(await run.segmentations()) == 4
    assert [project.calls() for project in projects] == [[PAGE], [PAGE, *SCAN], [PAGE]]


# --- memory -----------------------------------------------------------------------------------------------------------


async def test_few_pages_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(look_ahead, "monotonic", lambda: now[0])
    ahead = LookAhead("memory://look-ahead", 5.0)
    page = FirstPage([Entry(f"file_{index}") for index in range(999)], "file_998")
    for number in range(30):
        ahead.keep(f"run_{number}", page, ahead.now())
    assert len(ahead._pages) == 20
    assert ahead.take("run_9") is None
    assert ahead.take("run_10") is page
    assert ahead.take("run_10") is None
    now[0] += 6
    ahead.keep("run_40", page, ahead.now())
    assert list(ahead._pages) == ["run_40"]
    assert ahead._entries == 1000
    nothing = FirstPage([], look_ahead.LAST)
    for number in range(30_000):
        ahead.keep(f"missing_{number}", nothing, ahead.now())
    assert len(ahead._pages) == 20_000


# --- servers ----------------------------------------------------------------------------------------------------------


def of_server(server: Any, bucket: str, protocol: str = "s3", **options: Any) -> CopickConfigFS:
    return CopickConfigFS(root=f"{protocol}://{bucket}/p", fs_args=server.fs_args(), **options)


FILES = {
    f"p/{RUN}/Picks/u_1_ribosome.json": b"[]",
    f"p/{RUN}/VoxelSpacing10.000/wbp.zarr/.zgroup": b"{}",
    # Names that begin alike come before and after it.
    f"p/{RUN}-a/Picks/u_1_ribosome.json": b"[]",
    f"p/{RUN}0/Picks/u_1_ribosome.json": b"[]",
}


@pytest.mark.parametrize("options", [{}, {"require_meta": True}])
async def test_one_listing_on_s3(moto_server: MotoServer, options: dict[str, Any]) -> None:
    bucket = moto_server.new_bucket()
    moto_server.seed(bucket, FILES | {f"p/{RUN}/.meta": b"{}", "p/ExperimentRuns/empty/": b""})
    config = of_server(moto_server, bucket, **options)
    async with AsyncRoot(config) as root:
        with moto_server.counting() as counts:
            run = await found(root)
            assert len(await run.query_picks()) == 1
        assert counts == {"ListObjectsV2": 1}
        with moto_server.counting() as counts:
            assert await root.get_run("TS_9") is None
        assert counts == {"ListObjectsV2": 1}
        # The marker of an empty folder is a run, unless metadata is required.
        with moto_server.counting() as counts:
            empty = await root.get_run("empty")
            assert (empty is None) is config.require_meta
            assert empty is None or await everything(empty) == {noun: [] for noun in NOUNS}
        assert counts == {"ListObjectsV2": 1}


async def test_volumes_of_many_chunks(minio_server: MinioServer) -> None:
    bucket = minio_server.new_bucket()
    volumes = [f"p/{RUN}/VoxelSpacing10.000/{name}.zarr" for name in ("raw", "wbp")]
    chunks = {f"{volume}/0/0/0/{index}": b"" for volume in volumes for index in range(1200)}
    minio_server.seed(bucket, FILES | chunks | {f"{volume}/.zgroup": b"{}" for volume in volumes})
    config = of_server(minio_server, bucket)
    async with AsyncRoot(config.model_copy(update={"read_ahead": 0})) as root, AsyncRoot(config) as other:
        with minio_server.counting() as before:
            expected = await everything(await found(root))
        assert len(expected["tomograms"]) == 2
        with minio_server.counting() as counts:
            assert await everything(await found(other)) == expected
        # The page ends in the folder of the voxel spacing: it is listed, and the names behind it.
        assert counts.total() == 3 < before.total()
        other.refresh()
        with minio_server.counting() as counts:
            assert len(await (await found(other)).query_picks()) == 1
        assert counts.total() == 1


async def test_a_crawl_of_volumes_of_many_chunks_costs_no_more_than_a_walk(minio_server: MinioServer) -> None:
    bucket = minio_server.new_bucket()
    names = ("TS_1", "TS_2", "TS_3")
    volumes = [f"p/ExperimentRuns/{name}/VoxelSpacing10.000/wbp.zarr" for name in names]
    chunks = {f"{volume}/0/0/0/{index}": b"" for volume in volumes for index in range(600)}
    picks = {f"p/ExperimentRuns/{name}/Picks/u_1_ribosome.json": b"[]" for name in names}
    minio_server.seed(bucket, chunks | picks | {f"{volume}/.zgroup": b"{}" for volume in volumes})
    async with AsyncRoot(of_server(minio_server, bucket)) as root:
        with minio_server.counting() as counts:
            async with root.crawl() as runs:
                content = [
                    (
                        run.name,
                        len(await run.picks()),
                        [len(await spacing.tomograms()) for spacing in await run.voxel_spacings()],
                    )
                    async for run in runs
                ]
    assert content == [(name, 1, [1]) for name in names]
    # A walk: the runs, the folders of each, and what is in the two. The page that shows that one is needed holds the
    # first run and most of the second.
    assert counts.total() == 2 + 2 + 3 < 1 + 3 * 3


async def test_a_server_that_cuts_prefixes(gcs_server: GcsServer) -> None:
    bucket = gcs_server.new_bucket()
    gcs_server.seed(bucket, FILES)
    async with AsyncRoot(of_server(gcs_server, bucket, "gs")) as root:
        run = await found(root)
        assert len(await run.picks()) == len(await run.voxel_spacings()) == 1
        # The server cuts prefixes, unlike Google's, which is noticed once.
        assert await AsyncRoot(root.config).get_run("TS_9") is None
        before = root.stats.requests.copy()
        assert await root.get_run("TS_9") is None
        assert root.stats.requests - before == {"stat": 1}


@pytest.mark.parametrize(
    ("status", "code", "delimiter", "outcome"),
    [
        (403, "AccessDenied", None, AccessDeniedError),
        (403, "AccessDenied", ".zarr/", True),
        (404, "NoSuchBucket", None, None),
    ],
)
async def test_answers_that_are_errors(
    moto_server: MotoServer, status: int, code: str, delimiter: str | None, outcome: Any
) -> None:
    """A listing may be denied, altogether or for this delimiter, and the bucket may be missing."""
    bucket = moto_server.new_bucket()
    moto_server.seed(bucket, FILES)

    def refuse(request: Request) -> Answer:
        body = f"<Error><Code>{code}</Code><Message>No.</Message></Error>".encode()
        return Answer(status, {"content-type": "application/xml"}, body)

    async with FaultServer(moto_server.url) as server:
        arguments = moto_server.fs_args()
        arguments["client_kwargs"] |= {"endpoint_url": server.url}
        config = CopickConfigFS(root=f"s3://{bucket}/p", fs_args=arguments)
        async with AsyncRoot(config) as root:
            server.plan(bucket, [refuse] * (2 if delimiter is None else 1))
            ask = partial(root.get_run, "TS_1")
            if outcome is AccessDeniedError:
                with pytest.raises(AccessDeniedError):
                    await ask()
            else:
                assert (await ask() is not None) is bool(outcome)
            assert len(server.requests) == 2
            assert "delimiter=.zarr%2F" in server.requests[0].target
            # Afterwards it answers.
            assert len(await (await found(root)).query_picks()) == 1
            assert len(server.requests) == 3
