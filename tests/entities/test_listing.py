from __future__ import annotations

import anyio
import pytest

from aiocopick.entities import AsyncRoot, AsyncRun
from aiocopick.entities.root import entities_of
from aiocopick.layout.refs import NOUNS
from tests.entities.projects import Counted, write_run


async def children_of(run: AsyncRun) -> dict[str, list[str]]:
    return {noun: [entity.key for entity in await entities_of(run, noun)] for noun in NOUNS}


@pytest.mark.asyncio
async def test_every_kind_is_listed_named_and_has_its_path(root: AsyncRoot) -> None:
    async with root:
        await write_run(root)
        run = (await AsyncRoot(root.config).query())[0]
        base = "ExperimentRuns/TS_1"
        assert await children_of(run) == {
            "voxel_spacings": [f"{base}/VoxelSpacing10.000"],
            "tomograms": [f"{base}/VoxelSpacing10.000/denoised.zarr", f"{base}/VoxelSpacing10.000/wbp.zarr"],
            "features": [f"{base}/VoxelSpacing10.000/wbp_sobel_features.zarr"],
            "picks": [f"{base}/Picks/someone_1_ribosome.json", f"{base}/Picks/tool_0_ribosome.json"],
            "meshes": [f"{base}/Meshes/someone_1_membrane.glb"],
            "segmentations": [
                f"{base}/Segmentations/10.000_someone_1_all-multilabel.zarr",
                f"{base}/PanopticSegmentations/10.000_someone_1_everything.zarr",
                f"{base}/Segmentations/10.000_someone_1_membrane.zarr",
                f"{base}/InstanceSegmentations/10.000_someone_1_ribosome.zarr",
            ],
            "filaments": [f"{base}/Filaments/someone_1_microtubule.json"],
        }
        picks = (await run.picks())[0]
        assert picks.path == f"{root.url}/{picks.key}"
        assert (picks.run, picks.root, picks.user_id, picks.session_id) == (run, root, "someone", "1")
        assert (picks.from_user, picks.from_tool) == (True, False)
        assert picks.uri == "ribosome:someone/1"
        assert run.picks_path == f"{run.path}/Picks"
        assert {entity.layer.name for entity in await run.segmentations()} == {"filesystem"}


@pytest.mark.asyncio
async def test_a_whole_run_is_one_listing_where_volumes_collapse(counted: Counted) -> None:
    await write_run(counted.root)
    if not counted.storage.capabilities.delimiter:
        pytest.skip("this backend has no delimiter of several characters")
    run = await counted.fresh().get_run("TS_1")
    assert run is not None
    with counted.requests(list=1):
        await children_of(run)
    with counted.requests():
        await children_of(run)


@pytest.mark.asyncio
async def test_requests_on_s3(moto_server, place_s3: AsyncRoot) -> None:
    async with place_s3 as root:
        for name in ("TS_1", "TS_2"):
            await write_run(root, name)
        with moto_server.counting() as counts:
            runs = await AsyncRoot(root.config).query()
        assert counts == {"ListObjectsV2": 1}
        with moto_server.counting() as counts:
            for run in runs:
                await children_of(run)
        assert counts == {"ListObjectsV2": 2}
        picks = (await runs[0].picks())[0]
        with moto_server.counting() as counts:
            await picks.load()
        assert counts == {"GetObject": 1}
        with moto_server.counting() as counts:
            await picks.store()
        assert counts == {"PutObject": 1}
        cold = (await runs[1].query_picks())[0]
        with moto_server.counting() as counts:
            await cold.from_numpy([[1, 2, 3]])
        assert counts == {"GetObject": 1, "PutObject": 1}
        with moto_server.counting() as counts:
            await AsyncRoot(root.config).get_run("TS_1")
        assert sum(counts.values()) == 1, counts


@pytest.fixture
def place_s3(moto_server) -> AsyncRoot:
    from aiocopick.models import CopickConfigFS

    bucket = moto_server.new_bucket()
    return AsyncRoot(CopickConfigFS(root=f"s3://{bucket}/p", fs_args=moto_server.fs_args(), user_id="someone"))


@pytest.mark.asyncio
async def test_a_run_is_at_most_five_listings_where_only_slashes_are_honoured(counted: Counted, monkeypatch) -> None:
    run = await counted.root.new_run("TS_1")
    await run.new_picks("ribosome", "1")
    await run.new_mesh("ribosome", "1")
    await (await run.new_voxel_spacing(10)).new_tomogram("wbp")
    await run.new_segmentation(10, "membrane", "1")
    _only_slashes(counted, monkeypatch)
    run = await counted.fresh().get_run("TS_1")
    assert run is not None
    with counted.requests(list=5):
        found = await children_of(run)
    assert sum(map(len, found.values())) == 5


@pytest.mark.asyncio
async def test_both_ways_of_listing_give_the_same(counted: Counted, monkeypatch) -> None:
    await write_run(counted.root)
    run, other = (await counted.fresh().query())[0], (await counted.fresh().query())[0]
    collapsed = await children_of(run)
    _only_slashes(counted, monkeypatch)
    assert await children_of(other) == collapsed


def _only_slashes(counted: Counted, monkeypatch) -> None:
    import dataclasses

    limited = dataclasses.replace(counted.storage.capabilities, delimiter=False)
    monkeypatch.setattr(type(counted.storage), "capabilities", property(lambda self: limited))


@pytest.mark.asyncio
async def test_a_query_of_picks_lists_their_folder_alone(counted: Counted) -> None:
    await write_run(counted.root)
    run = await counted.fresh().get_run("TS_1")
    assert run is not None
    before = len(counted.storage.calls)
    assert len(await run.query_picks()) == 2
    assert counted.storage.calls[before:] == [("list", "ExperimentRuns/TS_1/Picks")]
    with counted.requests(list=1):
        assert len(await run.query_picks()) == 2
    with counted.requests():
        assert len(await run.picks()) == 2


@pytest.mark.asyncio
async def test_runs_cost_one_listing_and_no_metadata(counted: Counted) -> None:
    for index in range(20):
        await counted.root.new_run(f"TS_{index:02d}")
    with counted.requests(list=1):
        runs = await counted.fresh().query()
    assert [run.name for run in runs] == [f"TS_{index:02d}" for index in range(20)]


@pytest.mark.asyncio
async def test_those_who_ask_at_once_share_a_request(counted: Counted) -> None:
    await write_run(counted.root)
    fresh = counted.fresh()
    with counted.requests(list=1):
        async with anyio.create_task_group() as group:
            for _ in range(8):
                group.start_soon(fresh.runs)
    run = (await fresh.runs())[0]
    with counted.requests(list=1):
        async with anyio.create_task_group() as group:
            for ask in (run.picks, run.meshes, run.segmentations, run.voxel_spacings, run.filaments):
                group.start_soon(ask)
    assert run._lock is None


@pytest.mark.asyncio
async def test_the_next_one_asks_when_the_first_is_cancelled(counted: Counted) -> None:
    await write_run(counted.root)
    run = (await counted.fresh().query())[0]
    found: list[int] = []

    async def ask(scope: anyio.CancelScope | None = None) -> None:
        with scope or anyio.CancelScope():
            found.append(len(await run.picks()))

    async with anyio.create_task_group() as group:
        scope = anyio.CancelScope()
        group.start_soon(ask, scope)
        group.start_soon(ask)
        await anyio.lowlevel.checkpoint()
        scope.cancel()
    assert found in ([2], [2, 2])


@pytest.mark.asyncio
async def test_children_stay_the_same_until_refreshed(counted: Counted) -> None:
    await write_run(counted.root)
    run = (await counted.fresh().query())[0]
    first = await run.picks()
    assert (await run.picks())[0] is first[0]
    run.refresh_picks()
    with counted.requests(list=1):
        again = await run.picks()
    assert again == first
    assert again[0] is not first[0]
    with counted.requests():
        await run.meshes()
    run.refresh()
    with counted.requests(list=1):
        await run.meshes()


@pytest.mark.asyncio
async def test_voxel_spacings_that_were_queried_learn_their_tomograms_from_the_run(counted: Counted) -> None:
    await write_run(counted.root)
    run = (await counted.fresh().query())[0]
    with counted.requests(list=1):
        spacing = (await run.query_voxelspacings())[0]
    with counted.requests(list=1):
        assert [item.tomo_type for item in await spacing.tomograms()] == ["denoised", "wbp"]
        assert len(await run.picks()) == 2
    assert spacing is (await run.voxel_spacings())[0]


@pytest.mark.asyncio
async def test_a_voxel_spacing_that_was_looked_up_lists_itself(counted: Counted) -> None:
    await write_run(counted.root)
    run = (await counted.fresh().query())[0]
    with counted.requests(list=1):
        spacing = await run.get_voxel_spacing(10)
    assert spacing is not None
    with counted.requests(list=1):
        assert len(await spacing.tomograms()) == 2
        assert await (await spacing.tomograms())[0].features() == []
    assert not run._children["voxel_spacings"].complete
    assert (await run.voxel_spacings())[0] is spacing


@pytest.mark.asyncio
async def test_raw_frames_in_a_run_are_walked_around(counted: Counted) -> None:
    await write_run(counted.root)
    await counted.storage.write_many(
        (f"ExperimentRuns/TS_1/Frames/frame_{index:04d}.tif", b"") for index in range(2500)
    )
    run = (await counted.fresh().query())[0]
    before = counted.storage.count("list")
    found = await children_of(run)
    assert (len(found["picks"]), len(found["tomograms"]), len(found["segmentations"])) == (2, 2, 4)
    assert counted.storage.count("list") - before <= 10


@pytest.mark.asyncio
async def test_a_run_may_be_called_like_a_volume(root: AsyncRoot) -> None:
    async with root:
        await write_run(root, "x.zarr", volumes=False)
        run = (await AsyncRoot(root.config).query())[0]
        assert run.name == "x.zarr"
        assert (await run.picks())[0].key == "ExperimentRuns/x.zarr/Picks/someone_1_ribosome.json"


@pytest.mark.asyncio
async def test_entities_keep_the_path_that_they_were_listed_under(root: AsyncRoot) -> None:
    async with root:
        storage = root.layer.storage
        await storage.write("ExperimentRuns/TS_1/VoxelSpacing5/wbp.zarr/.zgroup", b"{}")
        await storage.write("ExperimentRuns/TS_1/Segmentations/10_u_0_x.zarr/.zgroup", b"{}")
        run = (await root.query())[0]
        spacing = (await run.voxel_spacings())[0]
        assert (spacing.voxel_size, spacing.key) == (5.0, "ExperimentRuns/TS_1/VoxelSpacing5")
        assert (await spacing.tomograms())[0].key == "ExperimentRuns/TS_1/VoxelSpacing5/wbp.zarr"
        assert (await run.segmentations())[0].key == "ExperimentRuns/TS_1/Segmentations/10_u_0_x.zarr"
        again = await AsyncRoot(root.config).get_run("TS_1")
        assert again is not None
        found = await again.get_voxel_spacing(5.0004)
        assert found is not None
        assert found.key == "ExperimentRuns/TS_1/VoxelSpacing5"
        assert [item.key for item in await found.query_tomograms()] == ["ExperimentRuns/TS_1/VoxelSpacing5/wbp.zarr"]


@pytest.mark.asyncio
async def test_an_empty_project(root: AsyncRoot) -> None:
    async with root:
        assert await root.query() == []
        assert await root.runs() == []
        assert await root.get_run("TS_1") is None
        assert await root.ensure() is False
        assert await root.ensure(create=True) is True
        assert await AsyncRoot(root.config).ensure() is True
        assert await AsyncRoot(root.config).query() == []


@pytest.mark.asyncio
async def test_runs_of_the_config_restrict_the_project(counted: Counted) -> None:
    for name in ("a", "b", "c"):
        await counted.root.new_run(name)
    counted.root.config.runs = ["b", "missing"]
    fresh = counted.fresh()
    assert [run.name for run in await fresh.query()] == ["b"]
    other = counted.fresh()
    with counted.requests():
        assert await other.get_run("a") is None
    assert [run.name async for run in other.crawl()] == ["b"]


@pytest.mark.asyncio
async def test_runs_without_meta_are_none_when_the_config_asks_for_it(counted: Counted) -> None:
    await counted.root.new_run("with")
    await counted.storage.write("ExperimentRuns/without/Picks/u_0_x.json", b"[]")
    assert [run.name for run in await counted.fresh().query()] == ["with", "without"]
    counted.root.config.require_meta = True
    fresh = counted.fresh()
    assert [run.name for run in await fresh.query()] == ["with"]
    assert await counted.fresh().get_run("without") is None
    assert await counted.fresh().get_run("with") is not None
