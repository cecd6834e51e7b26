"""Roots of copick 1 as layers of ours, as far as its zarr allows. Run in copick's Python."""

from __future__ import annotations

import json
import pickle
import uuid
from pathlib import Path

import copick
import numpy as np
import pytest

from aiocopick import AsyncRoot, LayerError
from tests.interop.foreign_projects import copick_config

POSITIONS = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


@pytest.fixture
def theirs(tmp_path: Path) -> copick.models.CopickRoot:
    root = copick.from_string(json.dumps(copick_config(tmp_path)))
    run = root.new_run("TS_1")
    run.new_picks("ribosome", "1").from_numpy(POSITIONS)
    run.new_mesh("membrane", "1")
    run.new_voxel_spacing(10.0).new_tomogram("wbp").from_numpy(np.ones((4, 4, 4), np.float32))
    return root


@pytest.mark.asyncio
async def test_points_and_meshes_are_read_copied_and_written(theirs: copick.models.CopickRoot) -> None:
    ours = f"memory://{uuid.uuid4().hex}/ours"
    root = pickle.loads(pickle.dumps(AsyncRoot.stack([ours, theirs])))
    (run,) = await root.query()
    (picks,) = await run.picks()
    np.testing.assert_array_equal((await picks.numpy())[0], POSITIONS)
    (mesh,) = await run.meshes()
    await mesh.load()
    (spacing,) = await run.voxel_spacings()
    assert [item.tomo_type for item in await spacing.tomograms()] == ["wbp"]
    await picks.from_numpy(POSITIONS[:1])
    await mesh.store()
    assert {picks.layer.name, mesh.layer.name} == {"filesystem"}
    assert len(theirs.get_run("TS_1").query_picks()[0].load().points) == 2
    alone = AsyncRoot.stack([theirs])
    made = await (await alone.new_run("TS_2")).new_picks("ribosome", "5")
    await made.from_numpy(POSITIONS)
    theirs.refresh()
    assert len(theirs.get_run("TS_2").query_picks()[0].load().points) == 2
    await alone.delete_run("TS_2")
    assert [run.name for run in await alone.query()] == ["TS_1"]


@pytest.mark.asyncio
async def test_volumes_need_another_zarr_and_say_so(theirs: copick.models.CopickRoot) -> None:
    (run,) = await AsyncRoot.stack([theirs]).query()
    (spacing,) = await run.voxel_spacings()
    (tomogram,) = await spacing.tomograms()
    with pytest.raises(LayerError, match=r"wbp\.zarr.*zarr>=3"):
        await tomogram.numpy()
