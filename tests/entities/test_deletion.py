from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aiocopick.entities import AsyncRoot
from aiocopick.models import CopickConfigFS
from tests.entities.projects import Counted, write_run


@pytest.mark.asyncio
async def test_what_is_deleted_is_gone_from_storage_and_lists(root: AsyncRoot) -> None:
    async with root:
        run = await write_run(root)
        picks = (await run.picks())[0]
        await picks.delete()
        assert picks not in await run.picks()
        await run.delete_meshes(object_name="membrane")
        await run.delete_filaments()
        await run.delete_segmentations(name=["membrane", "all"])
        spacing = (await run.voxel_spacings())[0]
        tomogram = await spacing.get_tomogram("wbp")
        assert tomogram is not None
        await tomogram.delete()
        assert await spacing.get_tomogram("wbp") is None

        other = (await AsyncRoot(root.config).query())[0]
        assert [item.uri for item in await other.picks()] == ["ribosome:tool/0"]
        assert await other.meshes() == []
        assert await other.filaments() == []
        assert [item.segmentation_type for item in await other.segmentations()] == ["panoptic", "instance"]
        spacing = (await other.voxel_spacings())[0]
        assert [item.tomo_type for item in await spacing.tomograms()] == ["denoised"]
        assert await spacing.query_tomograms() == await spacing.tomograms()
        assert await (await spacing.tomograms())[0].features() == []


@pytest.mark.asyncio
async def test_a_run_is_deleted_with_everything_in_it(root: AsyncRoot) -> None:
    async with root:
        await write_run(root, "TS_1")
        await write_run(root, "TS_10", volumes=False)
        await root.delete_run("TS_1")
        await root.delete_run("missing")
        assert [run.name for run in await root.runs()] == ["TS_10"]
        other = AsyncRoot(root.config)
        assert [run.name for run in await other.query()] == ["TS_10"]
        assert len(await (await other.runs())[0].picks()) == 2
        assert not await root.layer.storage.exists("ExperimentRuns/TS_1")


@pytest.mark.asyncio
async def test_a_voxel_spacing_is_deleted_with_its_tomograms(counted: Counted) -> None:
    run = await write_run(counted.root)
    await run.new_voxel_spacing(20)
    await run.delete_voxel_spacings(10.0001)
    assert [item.voxel_size for item in await run.voxel_spacings()] == [20.0]
    other = (await counted.fresh().query())[0]
    assert [item.voxel_size for item in await other.voxel_spacings()] == [20.0]


@pytest.mark.asyncio
async def test_deleting_by_filter_asks_for_a_cold_list_first(counted: Counted) -> None:
    await write_run(counted.root)
    cold = await counted.fresh().get_run("TS_1")
    assert cold is not None
    await cold.delete_picks(user_id="tool")
    assert [item.user_id for item in await cold.query_picks()] == ["someone"]


@pytest.mark.asyncio
async def test_requests_of_deleting_a_file(counted: Counted) -> None:
    run = await write_run(counted.root)
    picks = (await run.picks())[0]
    with counted.requests(delete=1):
        await picks.delete()


@pytest.mark.asyncio
async def test_what_is_gone_already_is_deleted_without_error(root: AsyncRoot) -> None:
    async with root:
        run = await write_run(root, volumes=False)
        twin = (await (await AsyncRoot(root.config).query())[0].picks())[0]
        await (await run.picks())[0].delete()
        await twin.delete()
        assert len(await run.query_picks()) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("linked", ["TS_1", "TS_1/VoxelSpacing10.000", "TS_1/VoxelSpacing10.000/wbp.zarr"])
async def test_deleting_a_link_leaves_what_it_leads_to(tmp_path: Path, linked: str) -> None:
    archive, project = (CopickConfigFS(root=str(tmp_path / name)) for name in ("archive", "project"))
    async with AsyncRoot(archive) as root:
        spacing = await (await root.new_run("TS_1")).new_voxel_spacing(10)
        await (await spacing.new_tomogram("wbp")).from_numpy(np.ones((4, 4, 4)))
    link = tmp_path / "project/ExperimentRuns" / linked
    link.parent.mkdir(parents=True)
    link.symlink_to(tmp_path / "archive/ExperimentRuns" / linked)
    async with AsyncRoot(project) as root:
        [run] = await root.runs()
        [spacing] = await run.voxel_spacings()
        [tomogram] = await spacing.tomograms()
        await (tomogram, spacing, run)[2 - linked.count("/")].delete()
    assert not link.is_symlink()
    async with AsyncRoot(archive) as root:
        [run] = await root.runs()
        [spacing] = await run.voxel_spacings()
        [tomogram] = await spacing.tomograms()
        assert (await tomogram.numpy()).sum() == 64
