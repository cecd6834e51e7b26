"""Links in a project on disk: removing never follows one, and what replaces a linked volume is a volume of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aiocopick
from aiocopick import AsyncRoot, AsyncTomogram, CopickConfigFSSpec
from aiocopick.errors import AccessDeniedError, StorageError
from aiocopick.sample import sample_config
from aiocopick.storage.backends import disk
from aiocopick.upkeep import copy, remove

RUN = "ExperimentRuns/TS_1"
VOLUME = f"{RUN}/VoxelSpacing10.000/wbp.zarr"
DATA = np.arange(512, dtype=np.float32).reshape(8, 8, 8)
NEW = -DATA


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


async def write_project(folder: Path, data: Any = DATA) -> None:
    async with aiocopick.open(sample_config(str(folder))) as root:
        run = await root.new_run("TS_1")
        tomogram = await (await run.new_voxel_spacing(10.0)).new_tomogram("wbp")
        await tomogram.from_numpy(data, levels=2, chunks=(4, 4, 4))
        picks = await run.new_picks(object_name="ribosome", user_id="u", session_id="1")
        await picks.store()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both projects, not to be changed."""
    folder = tmp_path_factory.mktemp("links")
    asyncio.run(write_project(folder / "project"))
    asyncio.run(write_project(folder / "archive", DATA + 1))
    return folder


@pytest.fixture
def project(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written / "project", tmp_path / "project"))


@pytest.fixture
def archive(written: Path, tmp_path: Path) -> Path:
    """A second project, of another person, that is linked to."""
    return Path(shutil.copytree(written / "archive", tmp_path / "archive"))


def linked(project: Path, archive: Path, key: str) -> Path:
    """Replace a part of the project by a link to that of the archive."""
    path = project / key
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    path.symlink_to(archive / key)
    return path


@pytest.fixture(
    autouse=True, params=[True, pytest.param(False, marks=pytest.mark.slow)], ids=["by descriptor", "by path"]
)
def relative(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on systems that have operations relative to a directory, and as on others."""
    monkeypatch.setattr(disk, "_RELATIVE", request.param)


async def tomogram_of(root: AsyncRoot) -> AsyncTomogram:
    run = await root.get_run("TS_1")
    assert run is not None
    spacing = await run.get_voxel_spacing(10.0)
    assert spacing is not None
    return (await spacing.get_tomograms("wbp"))[0]


async def overwritten(root: AsyncRoot) -> None:
    await (await tomogram_of(root)).from_numpy(NEW, levels=2, chunks=(4, 4, 4))


async def overwritten_as_zarr_3(root: AsyncRoot) -> None:
    root.config.zarr_format = 3  # type: ignore[attr-defined]
    await (await tomogram_of(root)).from_numpy(NEW, levels=2, chunks=(8, 8, 8))


async def copied(root: AsyncRoot) -> None:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        await write_project(Path(folder), NEW)
        async with aiocopick.open(sample_config(folder)) as source:
            await copy(source, root, overwrite=True)


async def volume_deleted(root: AsyncRoot) -> None:
    await (await tomogram_of(root)).delete()


async def spacings_deleted(root: AsyncRoot) -> None:
    run = await root.get_run("TS_1")
    assert run is not None
    await run.delete_voxel_spacings(voxel_size=10.0)


async def run_deleted(root: AsyncRoot) -> None:
    await root.delete_run("TS_1")


async def removed_by_name(root: AsyncRoot) -> None:
    run = await root.get_run("TS_1")
    assert run is not None
    await remove([run])


async def store_cleared(root: AsyncRoot) -> None:
    await (await tomogram_of(root)).zarr().clear()


LINKS = {
    "run": RUN,
    "spacing": f"{RUN}/VoxelSpacing10.000",
    "volume": VOLUME,
    "finest level": f"{VOLUME}/0",
    "coarse level": f"{VOLUME}/1",
    "chunk folder": f"{VOLUME}/0/0",
    "chunk folder in it": f"{VOLUME}/0/1/0",
    "chunk": f"{VOLUME}/0/0/0/0",
    "metadata of a level": f"{VOLUME}/0/.zarray",
    "metadata": f"{VOLUME}/.zattrs",
}
REPLACING = [overwritten, overwritten_as_zarr_3, copied]
REMOVING = [volume_deleted, spacings_deleted, run_deleted, removed_by_name, store_cleared]


@pytest.mark.asyncio
@pytest.mark.parametrize("link", [name for name in LINKS if name not in ("run", "spacing")])
@pytest.mark.parametrize("change", REPLACING, ids=lambda change: change.__name__)
async def test_overwriting_replaces_links_inside_of_a_volume(
    project: Path, archive: Path, link: str, change: Callable[[AsyncRoot], Awaitable[None]]
) -> None:
    before = contents(archive)
    path = linked(project, archive, LINKS[link])
    async with aiocopick.open(sample_config(str(project))) as root:
        await change(root)
    async with aiocopick.open(sample_config(str(project))) as root:
        np.testing.assert_array_equal(await (await tomogram_of(root)).numpy(), NEW)
    assert contents(archive) == before
    assert not path.is_symlink()
    assert not (project / VOLUME).is_symlink()
    assert not [item for item in (project / VOLUME).rglob("*") if item.is_symlink()]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("change", "link"),
    [
        (change, link)
        for change in REMOVING
        for link in LINKS
        # What is named inside of a folder that is a link is the project's own: see the next test.
        if not (link == "run" and change not in (run_deleted, removed_by_name))
        and not (link == "spacing" and change in (volume_deleted, store_cleared))
    ],
)
async def test_removing_never_follows_a_link(
    project: Path, archive: Path, link: str, change: Callable[[AsyncRoot], Awaitable[None]]
) -> None:
    before = contents(archive)
    path = linked(project, archive, LINKS[link])
    async with aiocopick.open(sample_config(str(project))) as root:
        await change(root)
    assert contents(archive) == before
    assert not path.is_symlink()
    assert not (project / VOLUME).exists()


@pytest.mark.asyncio
async def test_a_run_that_is_kept_elsewhere_is_worked_on_there(project: Path, archive: Path) -> None:
    linked(project, archive, RUN)
    async with aiocopick.open(sample_config(str(project))) as root:
        await overwritten(root)
        np.testing.assert_array_equal(await (await tomogram_of(root)).numpy(), NEW)
        await volume_deleted(root)
    assert (project / RUN).is_symlink()
    assert not (archive / VOLUME).exists()


@pytest.mark.asyncio
async def test_level_links_to_a_home_leave_it_as_it_is(project: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "deep/er").mkdir(parents=True)
    (home / "letter").write_text("dear")
    (home / "deep/er/thesis").write_text("final")
    (home / "back").symlink_to(home)
    before = contents(home)
    for name in ("2", "0/7"):
        (project / VOLUME / name).symlink_to(home)
    async with aiocopick.open(sample_config(str(project))) as root:
        await overwritten(root)
    assert contents(home) == before
    assert not (project / VOLUME / "2").is_symlink()


@pytest.mark.asyncio
async def test_dangling_and_endless_links_are_replaced(project: Path, tmp_path: Path) -> None:
    (project / VOLUME / "2").symlink_to(tmp_path / "missing")
    (project / VOLUME / "0/2").symlink_to("2")
    async with aiocopick.open(sample_config(str(project))) as root:
        await overwritten(root)
        np.testing.assert_array_equal(await (await tomogram_of(root)).numpy(), NEW)
    assert not [item for item in (project / VOLUME).rglob("*") if item.is_symlink()]


@pytest.mark.asyncio
async def test_a_name_that_a_dangling_link_has_is_taken(project: Path, tmp_path: Path) -> None:
    spacing = project / RUN / "VoxelSpacing10.000"
    (spacing / "other.zarr").symlink_to(tmp_path / "unmounted")
    (spacing / "round.zarr").symlink_to("round.zarr")
    (project / "ExperimentRuns/round").symlink_to("round")
    async with aiocopick.open(sample_config(str(project))) as root:
        assert [run.name for run in await root.runs()] == ["TS_1"]
        found = (await tomogram_of(root)).voxel_spacing
        for name in ("other", "round"):
            with pytest.raises(StorageError, match="a link that leads nowhere is in the way"):
                await found.new_tomogram(name)
    assert (spacing / "other.zarr").is_symlink()


@pytest.mark.asyncio
async def test_one_array_of_a_linked_volume_is_not_removed_through_the_link(project: Path, archive: Path) -> None:
    import zarr

    before = contents(archive)
    linked(project, archive, VOLUME)
    async with aiocopick.open(sample_config(str(project))) as root:
        store: Any = (await tomogram_of(root)).zarr()
        with pytest.raises(AccessDeniedError, match="symbolic link"):
            await store.delete_dir("0")
        with pytest.raises(AccessDeniedError, match="symbolic link"):
            await zarr.api.asynchronous.create_array(store, name="1", shape=(2, 2), dtype="f4", overwrite=True)
    assert contents(archive) == before


@pytest.mark.asyncio
async def test_a_file_that_is_a_link_is_replaced_and_removed_as_one(project: Path, archive: Path) -> None:
    before = contents(archive)
    key = f"{RUN}/Picks/u_1_ribosome.json"
    async with aiocopick.open(sample_config(str(project))) as root:
        run = await root.get_run("TS_1")
        assert run is not None
        linked(project, archive, key)
        picks = (await run.get_picks("ribosome"))[0]
        await picks.from_numpy(np.ones((2, 3)))
        assert not (project / key).is_symlink()
        linked(project, archive, key)
        await picks.delete()
        assert not (project / key).is_symlink()
    assert contents(archive) == before


@pytest.mark.asyncio
async def test_a_twin_of_a_lower_layers_volume_is_not_made_through_a_link(project: Path, archive: Path) -> None:
    before = contents(archive)
    overlay = project.parent / "overlay"
    (overlay / RUN / "VoxelSpacing10.000").mkdir(parents=True)
    # An earlier attempt that was stopped, whose place a link took.
    (overlay / VOLUME).symlink_to(archive / VOLUME)
    (overlay / RUN / "VoxelSpacing10.000/.wbp.zarr.copying").write_bytes(b"")
    config = CopickConfigFSSpec(overlay_root=str(overlay), static_root=str(project), user_id="u", session_id="1")
    async with AsyncRoot(config) as root:
        tomogram = await tomogram_of(root)
        await tomogram.set_region(np.zeros((4, 4, 4), np.float32), z=slice(0, 4), y=slice(0, 4), x=slice(0, 4))
    assert contents(archive) == before
    assert not (overlay / VOLUME).is_symlink()


@pytest.mark.asyncio
@pytest.mark.parametrize("relative", [True], ids=["by descriptor"], indirect=True)
@pytest.mark.parametrize("victim", ["wbp.zarr", "0", "1"])
async def test_a_directory_that_becomes_a_link_while_it_is_removed_is_not_followed(
    project: Path, archive: Path, monkeypatch: pytest.MonkeyPatch, victim: str
) -> None:
    """Another process replaces a directory by a link between the look at it and its removal."""
    before = contents(archive)
    items, done = disk._items, []

    def swapping(parent: int | None, name: str) -> Any:
        if name == victim and not done:
            done.append(name)
            os.rename(name, "aside", src_dir_fd=parent, dst_dir_fd=parent)
            os.symlink(archive / VOLUME, name, dir_fd=parent)
        return items(parent, name)

    async with aiocopick.open(sample_config(str(project))) as root:
        with monkeypatch.context() as patch:
            patch.setattr(disk, "_items", swapping)
            await root.delete_run("TS_1")
    assert done
    assert contents(archive) == before
    assert not (project / RUN).exists()
