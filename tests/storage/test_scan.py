"""Listing a tree: the same entries from every server, in the fewest requests each allows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings, strategies as st

from aiocopick.storage import Entry, Storage, open_storage
from aiocopick.storage.base import Entries
from aiocopick.storage.scan import LAST, UnfitError, behind, dense, follow, position, walk
from aiocopick.storage.settings import Settings
from tests.servers.gcs import GcsServer
from tests.servers.listings import ListingServer
from tests.servers.s3 import MinioServer, MotoServer, S3Server


def expected(keys: list[str], prefix: str, start_after: str = "", stop_before: str | None = None) -> set[str]:
    start = f"{prefix}/" if prefix else ""
    found = set()
    for key in keys:
        if key.startswith(start):
            at = key.find(".zarr/", len(start))
            found.add(key if at < 0 else key[: at + 6])
    return {name for name in found if name > start_after and (stop_before is None or name < stop_before)}


async def flat(server: ListingServer, prefix: str, **bounds: str | None) -> list[str]:
    found: list[str] = []
    async with aclosing(follow(server.fetch, prefix, ".zarr/", resumes=True, **bounds)) as pages:  # type: ignore[arg-type]
        async for page in pages:
            found += [position(entry) for entry in page]
    return found


async def walked(server: ListingServer, prefix: str, **bounds: str | None) -> list[str]:
    found: list[str] = []

    async def listing(directory: str) -> list[Entry]:
        entries: list[Entry] = []
        async with aclosing(follow(server.fetch, directory, "/", resumes=True)) as pages:
            async for page in pages:
                entries += Entries(page)
        return entries

    async def emit(entries: object) -> None:
        found.extend(position(entry) for entry in entries)  # type: ignore[attr-defined]

    await walk(listing, emit, prefix, ".zarr/", limit=4, **bounds)  # type: ignore[arg-type]
    return found


SEGMENTS = st.sampled_from(["a", "b", "a-", "a0", "run", "x.zarr", "y.zarr", "é", "0", "1", "z"])
KEYS = st.lists(st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join), max_size=25, unique=True).map(
    # An object and a directory of the same name are two entries on a server and cannot be on a disk.
    lambda keys: [key for key in keys if not any(other.startswith(f"{key}/") for other in keys)]
)
BOUNDS = st.one_of(st.just(""), st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join))


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["good", "raw", "deaf", "blind", "twice"])
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(keys=KEYS, size=st.integers(1, 9), prefix=st.sampled_from(["", "a", "run"]), low=BOUNDS, high=BOUNDS)
async def test_flat_listings_are_complete_and_in_order(
    kind: str, keys: list[str], size: int, prefix: str, low: str, high: str
) -> None:
    found = await flat(ListingServer(keys, kind, size), prefix, start_after=low, stop_before=high or None)
    assert found == sorted(expected(keys, prefix, low, high or None))


@pytest.mark.asyncio
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(keys=KEYS, size=st.integers(1, 9), prefix=st.sampled_from(["", "a", "run"]), low=BOUNDS, high=BOUNDS)
async def test_walking_finds_what_a_flat_listing_finds(
    keys: list[str], size: int, prefix: str, low: str, high: str
) -> None:
    found = await walked(ListingServer(keys, "good", size), prefix, start_after=low, stop_before=high or None)
    assert sorted(found) == sorted(expected(keys, prefix, low, high or None))


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["cutting", "stuck"])
async def test_a_server_that_cannot_is_noticed(kind: str) -> None:
    keys = [f"run{number}/wbp.zarr/0" for number in range(9)]
    server = ListingServer(keys, kind, 2)
    with pytest.raises(UnfitError) as caught:
        await flat(server, "")
    assert caught.value.always
    assert server.requests <= 3


@pytest.mark.asyncio
async def test_a_collapsed_tree_costs_one_page_however_large_it_is() -> None:
    keys = ["a/.meta", *(f"a/wbp.zarr/{chunk:05}" for chunk in range(2150)), "a/zzz"]
    server = ListingServer(keys, "raw", 1000)
    assert await flat(server, "a") == ["a/.meta", "a/wbp.zarr/", "a/zzz"]
    assert server.requests == 2


@pytest.mark.asyncio
async def test_pages_full_of_chunks_are_given_up_for_a_walk() -> None:
    keys = [f"run{number:03}/wbp.zarr/{chunk}" for number in range(100) for chunk in range(1000)]
    server = ListingServer(keys, "raw", 1000)
    found: list[str] = []

    async def list_them() -> None:
        async with aclosing(dense(follow(server.fetch, "", ".zarr/", resumes=True))) as pages:
            async for page in pages:
                found.extend(position(entry) for entry in page)

    with pytest.raises(UnfitError) as caught:
        await list_them()
    assert not caught.value.always
    assert server.requests == len(found) == 4
    assert caught.value.reached == f"run003/wbp.zarr/{LAST}"


def test_positions_order_a_prefix_behind_its_siblings() -> None:
    entries = [Entry("a", is_prefix=True), Entry("a.json"), Entry("a0"), Entry("a-")]
    assert [position(entry) for entry in sorted(entries, key=position)] == ["a-", "a.json", "a/", "a0"]
    assert behind(Entry("a")) == "a" < behind(Entry("a", is_prefix=True)) < "a0"


# --- on real servers --------------------------------------------------------------------------------------------------


def project(runs: int, chunks: int = 3) -> dict[str, bytes]:
    """A project with five objects and two volumes a run."""
    objects: dict[str, bytes] = {}
    for number in range(runs):
        run = f"p/ExperimentRuns/TS_{number:04}"
        objects[f"{run}/.meta"] = b"meta"
        objects[f"{run}/VoxelSpacing10.000/.meta"] = b"meta"
        for name in ("a", "b"):
            objects[f"{run}/Picks/u_0_{name}.json"] = b"[]"
        objects[f"{run}/Meshes/u_0_a.glb"] = b""
        for volume in (f"{run}/VoxelSpacing10.000/wbp.zarr", f"{run}/Segmentations/10.000_u_0_a.zarr"):
            for chunk in range(chunks):
                objects[f"{volume}/0/{chunk}"] = b"x"
    return objects


def entries_of(objects: dict[str, bytes]) -> list[str]:
    return sorted(expected([key.removeprefix("p/") for key in objects], "ExperimentRuns"))


async def scanned(storage: Storage, prefix: str) -> list[str]:
    async with storage.scan(prefix) as pages:
        return sorted([position(entry) async for page in pages for entry in page])


@pytest_asyncio.fixture
async def opened(s3_server: S3Server) -> AsyncIterator[tuple[S3Server, str, Storage]]:
    bucket = s3_server.new_bucket()
    storage = open_storage(Settings(root=f"s3://{bucket}/p", fs_args=s3_server.fs_args()))
    yield s3_server, bucket, storage
    await storage.aclose()


@pytest.mark.asyncio
async def test_a_run_is_one_request(opened: tuple[S3Server, str, Storage]) -> None:
    server, bucket, storage = opened
    objects = project(3)
    server.seed(bucket, objects)
    with server.counting() as counts:
        found = await scanned(storage, "ExperimentRuns/TS_0001")
    assert found == [name for name in entries_of(objects) if "TS_0001" in name]
    assert dict(counts) == {"ListObjectsV2": 1}
    assert storage.stats.requests == {"list": 1}


@pytest.mark.asyncio
async def test_two_hundred_runs_are_one_request(opened: tuple[S3Server, str, Storage]) -> None:
    server, bucket, storage = opened
    server.seed(bucket, {f"p/ExperimentRuns/TS_{number:04}/.meta": b"meta" for number in range(200)})
    with server.counting() as counts:
        entries = await storage.list("ExperimentRuns")
    assert [entry.name for entry in entries] == [f"TS_{number:04}" for number in range(200)]
    assert dict(counts) == {"ListObjectsV2": 1}


@pytest.mark.asyncio
async def test_every_operation_costs_what_it_should(opened: tuple[S3Server, str, Storage]) -> None:
    server, bucket, storage = opened
    server.seed(bucket, project(1))
    picks = "ExperimentRuns/TS_0000/Picks/u_0_a.json"
    await storage.list("")
    for operation, cost in (
        (lambda: storage.read(picks), {"GetObject": 1}),
        (lambda: storage.read(picks, (0, 1)), {"GetObject": 1}),
        (lambda: storage.read_versioned(picks), {"GetObject": 1}),
        (lambda: storage.exists(picks), {"ListObjectsV2": 1}),
        (lambda: storage.exists("ExperimentRuns/TS_0000"), {"ListObjectsV2": 1}),
        (lambda: storage.exists("ExperimentRuns/TS_0001"), {"ListObjectsV2": 1}),
        (lambda: storage.stat(picks), {"ListObjectsV2": 1}),
        (lambda: storage.write(picks, b"{}"), {"PutObject": 1}),
        (lambda: storage.write("new", b"{}", create=True), {"PutObject": 1}),
        (lambda: storage.copy(picks, "copy"), {"CopyObject": 1}),
        (lambda: storage.delete_many(["copy"]), {"DeleteObject": 1}),
        (lambda: storage.delete_many(["copy", "new"]), {"DeleteMultipleObjects": 1}),
        (lambda: storage.delete_tree("ExperimentRuns/TS_0000"), {"ListObjectsV2": 1, "DeleteMultipleObjects": 1}),
    ):
        with server.counting() as counts:
            await operation()
        assert dict(counts) == cost


@pytest.mark.asyncio
async def test_moto_collapses_a_whole_project(moto_server: MotoServer) -> None:
    bucket = moto_server.new_bucket()
    objects = project(200)
    moto_server.seed(bucket, objects)
    storage = open_storage(Settings(root=f"s3://{bucket}/p", fs_args=moto_server.fs_args()))
    with moto_server.counting() as counts:
        found = await scanned(storage, "ExperimentRuns")
    assert found == entries_of(objects)
    # 200 runs have 1,400 entries.
    assert dict(counts) == {"ListObjectsV2": 2}
    await storage.aclose()


@pytest.mark.asyncio
async def test_minio_gives_the_same_whatever_its_pages_hold(minio_server: MinioServer) -> None:
    bucket = minio_server.new_bucket()
    objects = project(40, chunks=2) | project(1, chunks=1500)
    minio_server.seed(bucket, objects)
    storage = open_storage(Settings(root=f"s3://{bucket}/p", fs_args=minio_server.fs_args()))
    with minio_server.counting() as counts:
        found = await scanned(storage, "ExperimentRuns")
    assert found == entries_of(objects)
    assert counts["ListObjectsV2"] < 1 + 5 * 40
    await storage.aclose()


@pytest.mark.asyncio
async def test_a_first_page_says_how_far_it_reaches_and_whether_it_is_filled_with_chunks(
    s3_server: S3Server,
) -> None:
    bucket = s3_server.new_bucket()
    objects = project(300, chunks=2) | {
        key.replace("p/", "large/", 1): content for key, content in project(1, chunks=1500).items()
    }
    s3_server.seed(bucket, objects)
    storage = open_storage(Settings(root=f"s3://{bucket}/p", fs_args=s3_server.fs_args()))
    with s3_server.counting() as counts:
        first = await storage.first_page("ExperimentRuns")
    assert dict(counts) == {"ListObjectsV2": 1}
    assert first is not None
    keys = [position(entry) for entry in first.entries]
    everything = entries_of(project(300, chunks=2))
    assert keys == everything[: len(keys)]
    assert 20 < len(keys) < len(everything)
    assert keys[-1] <= first.reached < everything[len(keys)]
    assert not first.sparse
    later = await storage.first_page("ExperimentRuns", start_after=first.reached)
    assert later is not None
    assert position(later.entries[0]) == everything[len(keys)]
    await storage.aclose()

    large = open_storage(Settings(root=f"s3://{bucket}/large", fs_args=s3_server.fs_args()))
    first = await large.first_page("ExperimentRuns")
    assert first is not None
    # moto collapses, so that all of it is one page; MinIO counts chunks.
    assert first.sparse is (s3_server.name == "minio")
    assert first.sparse or first.reached == LAST
    await large.aclose()


@pytest.mark.asyncio
async def test_a_cut_prefix_is_noticed_once(gcs_server: GcsServer) -> None:
    bucket = gcs_server.new_bucket()
    objects = project(2)
    gcs_server.seed(bucket, objects)
    storage = open_storage(Settings(root=f"gs://{bucket}/p", fs_args=gcs_server.fs_args()))
    assert storage.capabilities.delimiter
    assert await scanned(storage, "ExperimentRuns") == entries_of(objects)
    assert not storage.capabilities.delimiter
    before = storage.stats.requests["list"]
    found = await scanned(storage, "ExperimentRuns/TS_0001")
    assert found == [name for name in entries_of(objects) if "TS_0001" in name]
    # The run, and the four directories in it: voxel spacing, picks, meshes, segmentations.
    assert storage.stats.requests["list"] - before == 5
    await storage.aclose()


@pytest.mark.asyncio
async def test_directory_markers_are_directories(opened: tuple[S3Server, str, Storage]) -> None:
    server, bucket, storage = opened
    server.seed(bucket, {"p/run/x": b""})
    client = server.client()
    for marker in ("p/run/", "p/run/empty/", "p/other/"):
        client.put_object(Bucket=bucket, Key=marker, Body=b"")
    client.close()
    assert [(entry.key, entry.is_prefix) for entry in await storage.list("")] == [("other", True), ("run", True)]
    assert [(entry.key, entry.is_prefix) for entry in await storage.list("run")] == [
        ("run/empty", True),
        ("run/x", False),
    ]
    assert await storage.list("other") == []
    assert await storage.exists("other")
    assert await scanned(storage, "run") == ["run/empty/", "run/x"]
    assert await storage.delete_tree("run") == 1
    assert server.keys(bucket) == ["p/other/"]


@pytest.mark.asyncio
async def test_only_a_collapsed_listing_has_names_that_are_no_keys(moto_server: MotoServer) -> None:
    bucket = moto_server.new_bucket()
    client = moto_server.client()
    names = ["p/a", "p//b", "p/c.zarr/0", "p/../d", "p/c.zarr//1"]
    for name in names:
        client.put_object(Bucket=bucket, Key=name, Body=b"")
    client.close()
    storage = open_storage(Settings(root=f"s3://{bucket}", fs_args=moto_server.fs_args()))
    found = {}
    for collapse in (None, ".zarr/"):
        async with storage.scan("p", collapse) as pages:
            found[collapse] = {entry.key async for page in pages for entry in page}
    await storage.aclose()
    assert found == {None: {"p/a", "p/c.zarr/0"}, ".zarr/": {"p/a", "p//b", "p/../d", "p/c.zarr"}}
