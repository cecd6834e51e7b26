"""How many requests a project written by copick costs, counted by the server or below the storage."""

from __future__ import annotations

import dataclasses
from collections import Counter

import pytest

import aiocopick
from aiocopick import AsyncRoot
from aiocopick.entities.root import entities_of
from aiocopick.layers import Stack
from aiocopick.layers.filesystem import FilesystemLayer
from aiocopick.layout.refs import NOUNS
from aiocopick.models import CopickConfigFS
from aiocopick.storage import open_storage
from aiocopick.storage.base import Capabilities
from aiocopick.testing import CountingStorage
from tests.interop.describe_project import describe_ours
from tests.interop.project import CopickProject
from tests.servers import MotoServer


class SlashesOnly(CountingStorage):
    """A store that honours no delimiter but `/`, as some do."""

    @property
    def capabilities(self) -> Capabilities:
        return dataclasses.replace(self.inner.capabilities, delimiter=False)


@pytest.fixture
def on_moto(copick1_project: CopickProject, moto_server: MotoServer) -> CopickConfigFS:
    bucket = moto_server.new_bucket()
    moto_server.seed_folder(bucket, copick1_project.root, prefix="project/")
    return CopickConfigFS(root=f"s3://{bucket}/project", fs_args=moto_server.fs_args())


@pytest.mark.asyncio
async def test_200_runs_are_one_request(moto_server: MotoServer) -> None:
    bucket = moto_server.new_bucket()
    names = [f"TS_{number:03d}" for number in range(200)]
    contents = {"/.meta": b"meta", "/Picks/alice_1_ribosome.json": b"[]", "/VoxelSpacing10.000/.meta": b"meta"}
    moto_server.seed(
        bucket, {f"p/ExperimentRuns/{name}{key}": data for name in names for key, data in contents.items()}
    )
    async with aiocopick.open(f"s3://{bucket}/p", fs_args=moto_server.fs_args()) as root:
        with moto_server.counting() as counts:
            runs = await root.query()
    assert [run.name for run in runs] == names
    assert counts == {"ListObjectsV2": 1}


@pytest.mark.asyncio
async def test_everything_in_a_run_is_one_request(on_moto: CopickConfigFS, moto_server: MotoServer) -> None:
    """The 1,331 chunks of one volume, too, which a page of keys does not hold."""
    async with AsyncRoot(on_moto) as root:
        runs = await root.query()
        for run in runs:
            with moto_server.counting() as counts:
                found = {noun for noun in NOUNS if await entities_of(run, noun)}
            assert counts == {"ListObjectsV2": 1}, run.name
            assert found >= set(NOUNS) - {"features", "filaments"}


@pytest.mark.asyncio
async def test_a_run_is_a_request_per_folder_where_only_slashes_are_honoured(
    on_moto: CopickConfigFS, copick1_project: CopickProject
) -> None:
    storage = SlashesOnly(open_storage(on_moto))
    async with AsyncRoot._over(on_moto, Stack([FilesystemLayer(on_moto, storage)])) as root:
        walked = await describe_ours(root, data=False)
        folders = Counter(path.parent.name for path in copick1_project.root.glob("ExperimentRuns/*/*") if path.is_dir())
        for run in await root.query():
            before = storage.stats.requests["list"]
            for noun in NOUNS:
                await entities_of(run, noun)
            # Its folders themselves are a listing, too.
            assert storage.stats.requests["list"] - before == 1 + folders[run.name], run.name
        assert set(storage.stats.requests) == {"list"}
    async with AsyncRoot(on_moto) as root:
        assert walked == await describe_ours(root, data=False)


@pytest.mark.asyncio
async def test_the_four_folders_of_most_runs_are_five_requests_where_only_slashes_are_honoured(
    copick1_project: CopickProject, moto_server: MotoServer
) -> None:
    bucket = moto_server.new_bucket()
    run = copick1_project.root / "ExperimentRuns" / "TS_001"
    for folder in ("VoxelSpacing7.840", "Picks", "Meshes", "Segmentations"):
        moto_server.seed_folder(bucket, run / folder, prefix=f"p/ExperimentRuns/TS_001/{folder}/")
    config = CopickConfigFS(root=f"s3://{bucket}/p", fs_args=moto_server.fs_args())
    storage = SlashesOnly(open_storage(config))
    async with AsyncRoot._over(config, Stack([FilesystemLayer(config, storage)])) as root:
        [found] = await root.query()
        with moto_server.counting() as counts:
            assert [len(await entities_of(found, noun)) > 0 for noun in NOUNS] == [True] * 6 + [False]
    assert counts == {"ListObjectsV2": 5}


@pytest.mark.asyncio
async def test_picks_are_one_request_to_read_and_at_most_two_to_write(
    on_moto: CopickConfigFS, moto_server: MotoServer
) -> None:
    async with AsyncRoot(on_moto) as root:
        run = await root.get_run("TS_001")
        assert run is not None
        seen, unseen, *_ = await run.picks()
        with moto_server.counting() as counts:
            positions, _ = await seen.numpy()
        assert counts == {"GetObject": 1}
        with moto_server.counting() as counts:
            await seen.from_numpy(positions + 1)
        assert counts == {"PutObject": 1}
        # What its file says besides the points is to be kept, so it is read first.
        with moto_server.counting() as counts:
            await unseen.from_numpy(positions)
        assert counts == {"GetObject": 1, "PutObject": 1}
        with moto_server.counting() as counts:
            new = await run.new_picks("ribosome", "new", "alice")
        assert counts == {"PutObject": 1}
        with moto_server.counting() as counts:
            await new.from_numpy(positions)
        assert counts == {"PutObject": 1}
        with moto_server.counting() as counts:
            await aiocopick.load([seen, unseen, new])
        assert counts == {"GetObject": 3}


@pytest.mark.asyncio
async def test_a_crawl_on_disk_reads_nothing_but_what_it_is_to_load(copick1_project: CopickProject) -> None:
    async with aiocopick.open(copick1_project.root) as root:
        async with root.crawl() as runs:
            count = sum([len(await run.picks()) async for run in runs])
        assert set(root.stats.requests) == {"list"}
        async with root.crawl(kinds=["picks"], load=["picks"]) as runs:
            assert sum([len(await run.picks()) async for run in runs]) == count
        assert root.stats.requests["read"] == count
