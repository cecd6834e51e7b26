"""What goes wrong is an error of its own class, around single calls and fan-outs alike: of real servers and files.

On servers that refuse, or do not answer, every call is tried. Errors that a test storage makes: see test_bad_input.py;
names, and all that a read-only project refuses: see test_creation.py; what opening refuses: see test_opening.py.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import aiocopick
from aiocopick import (
    AccessDeniedError,
    AlreadyExistsError,
    AsyncPicks,
    AsyncRoot,
    AsyncRun,
    AsyncTomogram,
    AsyncVoxelSpacing,
    ConflictError,
    CopickError,
    FormatError,
    InvalidNameError,
    NotFoundError,
    ReadOnlyError,
    StorageError,
    StorageTimeoutError,
    UnknownObjectError,
)
from aiocopick.concurrency.fan_out import gather
from aiocopick.models import (
    CopickConfigFS,
    CopickPicksFile,
    CopickRunMeta,
    CopickTomogramMeta,
    CopickVoxelSpacingMeta,
    PickableObject,
)
from tests.servers import MinioServer

Call = Callable[[AsyncRoot], Awaitable[Any]]


def run_of(root: AsyncRoot, name: str = "TS_1") -> AsyncRun:
    """A run that nobody looked up."""
    return AsyncRun(root, CopickRunMeta(name=name))


def picks_of(root: AsyncRoot, count: int = 4) -> list[AsyncPicks]:
    return [
        AsyncPicks(
            run_of(root), CopickPicksFile(pickable_object_name="ribosome", user_id="alice", session_id=str(number))
        )
        for number in range(count)
    ]


def tomogram_of(root: AsyncRoot) -> AsyncTomogram:
    spacing = AsyncVoxelSpacing(run_of(root), CopickVoxelSpacingMeta(voxel_size=10))
    return AsyncTomogram(spacing, CopickTomogramMeta(tomo_type="wbp"))


async def crawl_in_steps(root: AsyncRoot) -> list[AsyncRun]:
    return [run async for run in root.crawl(load="picks")]


async def crawl_ahead(root: AsyncRoot) -> list[AsyncRun]:
    async with root.crawl(load="picks") as runs:
        return [run async for run in runs]


async def store_all(root: AsyncRoot) -> Any:
    entities = picks_of(root)
    for picks in entities:
        await picks.from_numpy([[1.0, 2.0, 3.0]], store=False)
    return await aiocopick.store(entities)


CALLS: dict[str, Call] = {
    "query": lambda root: root.query(),
    "ensure": lambda root: root.ensure(),
    "get_run": lambda root: root.get_run("TS_1"),
    "picks": lambda root: run_of(root).picks(),
    "load": lambda root: picks_of(root)[0].load(),
    "load_meta": lambda root: run_of(root).load_meta(),
    "levels": lambda root: tomogram_of(root).levels(),
    "numpy": lambda root: tomogram_of(root).numpy(),
    "new_picks": lambda root: run_of(root).new_picks("ribosome", "9", "alice"),
    "new_tomogram": lambda root: tomogram_of(root).voxel_spacing.new_tomogram("raw"),
    "delete": lambda root: picks_of(root)[0].delete(),
}
FAN_OUTS: dict[str, Call] = {
    "crawl in steps": crawl_in_steps,
    "crawl ahead": crawl_ahead,
    "load many": lambda root: aiocopick.load(picks_of(root)),
    "load many kinds": lambda root: aiocopick.load([*picks_of(root, 2), run_of(root), run_of(root, "TS_2")]),
    "store many": store_all,
    "gather": lambda root: gather(AsyncPicks.load, picks_of(root), limit=3),
    "resolve": lambda root: root.resolve("ribosome:alice/*"),
    "discover_objects": lambda root: root.discover_objects(),
}


@pytest.fixture(params=[*CALLS, *FAN_OUTS])
def call(request: pytest.FixtureRequest) -> Call:
    return (CALLS | FAN_OUTS)[request.param]


async def fails_with(error: type[CopickError], call: Awaitable[Any]) -> CopickError:
    """Caught by its own class, which it is exactly, and names a path."""
    with pytest.raises(error) as caught:
        await call
    assert type(caught.value) is error
    assert caught.value.path
    assert caught.value.path in str(caught.value)
    return caught.value


@pytest.mark.asyncio
async def test_a_denied_bucket(minio_server: MinioServer, call: Call) -> None:
    bucket = minio_server.new_bucket()
    minio_server.seed(bucket, {"p/ExperimentRuns/TS_1/Picks/alice_0_ribosome.json": b"[]"})
    config = CopickConfigFS(root=f"s3://{bucket}/p", fs_args=minio_server.denied_fs_args(), timeout=30)
    async with AsyncRoot(config) as root:
        error = await fails_with(AccessDeniedError, call(root))
        assert bucket in str(error)
        assert root.stats.retries == 0


@pytest.fixture
def silent_endpoint() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def s3_at(endpoint: str, **fields: Any) -> CopickConfigFS:
    arguments = {"key": "somebody", "secret": "secret-canary", "client_kwargs": {"endpoint_url": endpoint}}
    return CopickConfigFS(root="s3://bucket/p", fs_args=arguments, **fields)


@pytest.mark.asyncio
async def test_an_endpoint_that_never_answers_ends_at_the_deadline(silent_endpoint: str, call: Call) -> None:
    async with AsyncRoot(s3_at(silent_endpoint, timeout=0.3)) as root:
        error = await fails_with(StorageTimeoutError, call(root))
        # What the deadline says, and nothing else does.
        assert "within 0.3 s" in str(error)
        assert "secret-canary" not in str(error)


@pytest.mark.asyncio
async def test_an_endpoint_where_nobody_listens(call: Call) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with AsyncRoot(s3_at(endpoint, retries=0)) as root:
            error = await fails_with(StorageTimeoutError, call(root))
            assert "the endpoint could not be reached" in str(error)


# --- roots that are none ----------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_missing_bucket(moto_server: Any) -> None:
    config = CopickConfigFS(root="s3://never-made/p", fs_args=moto_server.fs_args())
    await fails_with(NotFoundError, _open(config, must_exist=True))


async def _open(source: Any, **options: Any) -> AsyncRoot:
    return await aiocopick.open(source, **options)


@pytest.mark.asyncio
async def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("no project")
    await fails_with(FormatError, _open(file))
    # A config may say what it likes; nothing was looked at yet.
    root = AsyncRoot(CopickConfigFS(root=str(file), user_id="alice"))
    for refused in (root.query, root.discover_objects, lambda: crawl_in_steps(root), lambda: crawl_ahead(root)):
        error = await fails_with(StorageError, refused())
        assert "is a file" in str(error)
    for refused in (lambda: root.new_run("TS_1"), lambda: root.ensure(create=True)):
        error = await fails_with(StorageError, refused())
        assert "a file is" in str(error)
    assert file.read_text() == "no project"


# --- files that are none ----------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_broken_json_fails_alone(root: AsyncRoot) -> None:
    async with root:
        contents = {"0": b"[]", "1": b'{"points": [', "2": b"[]", "3": b""}
        for session, content in contents.items():
            await root.layer.storage.write(f"ExperimentRuns/TS_1/Picks/alice_{session}_ribosome.json", content)
        await root.layer.storage.write("ExperimentRuns/TS_2/Picks/alice_0_ribosome.json", b"[]")
        broken = f"{root.path}/ExperimentRuns/TS_1/Picks/alice_1_ribosome.json"
        sound, first, _, second = picks_of(root)
        assert (await sound.load()).points == []
        assert (await fails_with(FormatError, first.load())).path == broken
        # All together: one of them is raised bare, or each is in its place.
        for fan_out in (aiocopick.load(picks_of(root)), gather(AsyncPicks.load, picks_of(root), limit=4)):
            await fails_with(FormatError, fan_out)
        results = await aiocopick.load(picks_of(root), on_error="return")
        assert [type(result) is FormatError for result in results] == [False, True, False, True]
        assert results[3].path == second.path
        for crawl in (crawl_in_steps, crawl_ahead):
            runs = await crawl(root)
            assert [(run.name, type(run.error)) for run in runs] == [("TS_1", FormatError), ("TS_2", type(None))]
            # What is sound is there all the same.
            assert [len((await picks.numpy())[0]) for picks in await runs[0].get_picks(session_id=["0", "2"])] == [0, 0]


@pytest.mark.asyncio
async def test_what_vanished_fails_alone(root: AsyncRoot) -> None:
    async with root:
        await root.layer.storage.write("ExperimentRuns/TS_1/Picks/alice_0_ribosome.json", b"[]")
        await fails_with(NotFoundError, picks_of(root)[1].load())
        await fails_with(NotFoundError, aiocopick.load(picks_of(root)))
        await fails_with(NotFoundError, gather(AsyncPicks.load, picks_of(root), limit=4))
        results = await aiocopick.load(picks_of(root), on_error="return")
        assert [type(result) for result in results[1:]] == [NotFoundError] * 3


@pytest.mark.asyncio
async def test_what_is_refused_brings_no_deleted_run_back(root: AsyncRoot) -> None:
    async with root:
        run = await root.new_run("TS_1")
        picks = await run.new_picks("ribosome", "1", "alice")
        await run.delete()
        await fails_with(ConflictError, picks.from_numpy([[1.0, 2.0, 3.0]]))
        assert await root.query() == []


# --- requests that cannot be met, side by side ------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_refusals_come_bare_out_of_a_fan_out(root: AsyncRoot) -> None:
    async with root:
        run = await root.new_run("TS_1")
        await run.new_picks("ribosome", "1", "alice")
        root.config.pickable_objects = [PickableObject(name="ribosome", is_particle=True)]

        def new(name: str, user: str = "alice") -> Awaitable[Any]:
            return run.new_picks(name, "1", user)

        for error, name in ((AlreadyExistsError, "ribosome"), (UnknownObjectError, "virus"), (InvalidNameError, ".x")):
            await fails_with(error, new(name))
            await fails_with(error, gather(new, [name] * 3, limit=2))
        await fails_with(InvalidNameError, gather(root.new_run, ["a/b", "..", "a\x00b"], limit=3))
        await fails_with(AlreadyExistsError, gather(root.new_run, ["TS_1"], limit=3))
        frozen = root.options(read_only=True)
        await fails_with(ReadOnlyError, frozen.new_run("TS_9"))
        await fails_with(ReadOnlyError, gather(frozen.new_run, ["TS_7", "TS_8"], limit=2))
        await fails_with(ReadOnlyError, store_all(frozen))
        await fails_with(ReadOnlyError, gather(AsyncPicks.delete, picks_of(frozen), limit=2))


def test_every_error_is_told_from_every_other() -> None:
    """A handler of one class must not swallow another's: none of ours derives from another but as the tree says."""
    kinds = (
        NotFoundError,
        AlreadyExistsError,
        UnknownObjectError,
        InvalidNameError,
        ReadOnlyError,
        FormatError,
        AccessDeniedError,
        StorageTimeoutError,
    )
    assert not [(one, other) for one in kinds for other in kinds if one is not other and issubclass(one, other)]
