"""The contract of roots on copick's own root, behind a foreign layer. Run in copick's Python."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import copick
import numpy as np
import pytest
import pytest_asyncio

from aiocopick import AsyncRoot, ReadOnlyError
from aiocopick.testing import RootContract
from tests.interop.foreign_projects import copick_config


def copick_root(folder: Path, *, static: Path | None = None) -> Any:
    config = copick_config(folder)
    if static is not None:
        config |= {"static_root": f"local://{static}", "static_fs_args": {"auto_mkdir": True}}
    return copick.from_string(json.dumps(config))


class TestCopick(RootContract):
    @pytest_asyncio.fixture
    async def root(self, tmp_path: Path) -> AsyncIterator[AsyncRoot]:
        async with AsyncRoot.stack([copick_root(tmp_path / "theirs")]) as root:
            yield root


class TestCopickOverlay(RootContract):
    @pytest_asyncio.fixture
    async def root(self, tmp_path: Path) -> AsyncIterator[AsyncRoot]:
        static = tmp_path / "static"
        (static / "ExperimentRuns").mkdir(parents=True)
        async with AsyncRoot.stack([copick_root(tmp_path / "theirs", static=static)]) as root:
            yield root


class TestOursOnCopick(RootContract):
    @pytest_asyncio.fixture
    async def root(self, tmp_path: Path) -> AsyncIterator[AsyncRoot]:
        members = [f"memory://{uuid.uuid4().hex}/ours", copick_root(tmp_path / "theirs")]
        async with AsyncRoot.stack(members) as root:
            yield root


VOLUME = np.arange(4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6)
POSITIONS = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


@pytest_asyncio.fixture
async def stacked(tmp_path: Path) -> AsyncIterator[AsyncRoot]:
    """Ours, empty, on copick's overlay and static project, which both hold something."""
    import trimesh

    static = copick_root(tmp_path / "static")
    run = static.new_run("TS_1")
    run.new_voxel_spacing(10.0).new_tomogram("wbp").from_numpy(VOLUME)
    run.new_segmentation(10.0, "membrane", "1").from_numpy((VOLUME > 3).astype(np.uint8))
    run.new_picks("ribosome", "1").from_numpy(POSITIONS)
    mesh = run.new_mesh("membrane", "1")
    mesh.mesh = trimesh.creation.box((1.0, 2.0, 3.0))
    mesh.store()
    theirs = copick_root(tmp_path / "overlay", static=tmp_path / "static")
    theirs.get_run("TS_1").new_picks("ribosome", "2").from_numpy(POSITIONS)
    async with AsyncRoot.stack([f"memory://{uuid.uuid4().hex}/ours", theirs]) as root:
        yield root


@pytest.mark.asyncio
async def test_copicks_overlay_under_ours_is_seen_and_copied_up(stacked: AsyncRoot, tmp_path: Path) -> None:
    (run,) = await stacked.query()
    picks = await run.picks()
    assert [(item.session_id, item.layer.name) for item in picks] == [("1", "copick"), ("2", "copick")]
    for item in picks:
        np.testing.assert_array_equal((await item.numpy())[0], POSITIONS)
    (spacing,) = await run.voxel_spacings()
    (tomogram,) = await spacing.tomograms()
    (segmentation,) = await run.segmentations()
    (mesh,) = await run.meshes()
    np.testing.assert_array_equal(await tomogram.numpy(), VOLUME)
    await picks[0].from_numpy(POSITIONS[:1])
    await segmentation.set_region(np.full((1, 1, 1), 9, np.uint8), z=slice(0, 1), y=slice(0, 1), x=slice(0, 1))
    await mesh.load()
    await mesh.store()
    assert {item.layer.name for item in (picks[0], segmentation, mesh)} == {"filesystem"}
    expected = (VOLUME > 3).astype(np.uint8)
    expected[0, 0, 0] = 9
    np.testing.assert_array_equal(await segmentation.numpy(), expected)
    theirs = copick_root(tmp_path / "static").get_run("TS_1")
    np.testing.assert_array_equal(theirs.segmentations[0].numpy(), (VOLUME > 3).astype(np.uint8))
    assert len(theirs.picks[0].points) == 2
    assert len(await run.query_picks()) == 2


@pytest.mark.asyncio
async def test_what_is_static_in_copicks_overlay_is_not_changed_through_it(stacked: AsyncRoot) -> None:
    root = AsyncRoot.stack([stacked.layers[1]])
    (run,) = await root.query()
    static, overlay = await run.picks()
    for attempt in (static.from_numpy(POSITIONS), static.delete(), root.delete_run("TS_1")):
        with pytest.raises(ReadOnlyError):
            await attempt
    assert len(await run.query_picks()) == 2
    await overlay.delete()
    assert [item.session_id for item in await run.query_picks()] == ["1"]
