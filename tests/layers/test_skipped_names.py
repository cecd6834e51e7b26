"""Names that cannot be understood are left out, said once, and hide nothing."""

from __future__ import annotations

import logging
import uuid
from pathlib import Path

import pytest

import aiocopick
from aiocopick.layers.filesystem import FilesystemLayer
from aiocopick.layers.flat import FEW
from aiocopick.layout.refs import RunRef
from aiocopick.models import CopickConfigFS


@pytest.mark.asyncio
async def test_a_strange_name_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "ExperimentRuns" / "TS_1" / "Picks"
    folder.mkdir(parents=True)
    for name in ("strange.json", "user_1_ribosome.json"):
        (folder / name).write_text("{}")
    with caplog.at_level(logging.WARNING, logger="aiocopick"):
        async with aiocopick.open(tmp_path) as root:
            for _ in range(2):
                run = (await root.query())[0]
                assert [picks.pickable_object_name for picks in await run.query_picks()] == ["ribosome"]
    assert [record.getMessage() for record in caplog.records] == [
        f"{folder / 'strange.json'} is not a name that CoPick gives, so it is left out."
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize("root", ["disk", "memory"])
async def test_every_way_of_listing_tells_of_strange_names(root: str, tmp_path: Path) -> None:
    config = CopickConfigFS(root=str(tmp_path) if root == "disk" else f"memory://{uuid.uuid4().hex}")
    layer = FilesystemLayer(config)
    run = layer.locate(RunRef(run="TS_1"))
    strange = [f"{run.key}/Picks/strange.json", f"{run.key}/VoxelSpacingfine", f"{run.key}/VoxelSpacingnone"]
    for key in (strange[0], f"{strange[1]}/wbp.zarr/.zgroup", f"{strange[2]}/notes.txt"):
        await layer.storage.write(key, b"{}")
    listed = await layer.list_run(run)
    assert listed.skipped == tuple(strange)
    async with layer.scan([run] * FEW) as listings:
        async for _, found in listings:
            assert found == listed
    await layer.aclose()


@pytest.mark.asyncio
async def test_a_misspelt_option_opens_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="readonly"):
        async with aiocopick.open(tmp_path, readonly=True):
            pytest.fail("opened")
