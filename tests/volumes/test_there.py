"""Volumes that are there, though not as CoPick writes them: copied in part, single arrays, groups of other writers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
import zarr
from anyio import to_thread

import aiocopick
from aiocopick.errors import FormatError, NotFoundError, StorageError
from aiocopick.tables import catalog
from aiocopick.testing import FaultStorage
from aiocopick.upkeep import examine
from aiocopick.volumes.pyramid import downsample_mean
from tests.volumes.places import Place
from tests.volumes.projects import SIZE, noise, project, requests, spacing_of, tomogram_of, wrap, write_document

pytestmark = pytest.mark.asyncio

FINE = noise(18, 20, 22)
MIDDLE = downsample_mean(FINE)
COARSE = downsample_mean(MIDDLE)
PYRAMID = {"0": FINE, "1": MIDDLE, "2": COARSE}
FORMATS = pytest.mark.parametrize("zarr_format", [2, 3])
SIZES = {20: SIZE, 10: 2 * SIZE, 5: 4 * SIZE}
"""Voxels along y -> voxel size."""

Writer = Callable[[Path, int], dict[str, Any]]
"""Makes a volume and returns its levels by name."""


def array(path: Path, data: Any, zarr_format: int) -> None:
    """One array and nothing around it."""
    zarr.create_array(path, data=data, chunks=(8, 8, 8), zarr_format=zarr_format)


def group_of(path: Path, zarr_format: int, attributes: dict[str, Any] | None = None) -> Any:
    return zarr.open_group(path, mode="a", zarr_format=zarr_format, attributes=attributes)


def described(*paths: str, version: str = "0.4") -> dict[str, Any]:
    axes = [{"name": name, "type": "space", "unit": "angstrom"} for name in "zyx"]
    datasets = [
        {"path": path, "coordinateTransformations": [{"type": "scale", "scale": [SIZE * 2**at] * 3}]}
        for at, path in enumerate(paths)
    ]
    entry = {"version": version, "axes": axes, "datasets": datasets}
    return {"multiscales": [entry]} if version == "0.4" else {"ome": {"version": version, "multiscales": [entry]}}


def ome(zarr_format: int, *paths: str) -> dict[str, Any]:
    return described(*paths, version="0.4" if zarr_format == 2 else "0.5")


def part(*kept: str) -> Writer:
    """A pyramid of which only some levels were copied."""

    def write(path: Path, zarr_format: int) -> dict[str, Any]:
        group_of(path, zarr_format, ome(zarr_format, "0", "1", "2"))
        for name in kept:
            array(path / name, PYRAMID[name], zarr_format)
        return {name: PYRAMID[name] for name in kept}

    return write


def single_array(path: Path, zarr_format: int) -> dict[str, Any]:
    array(path, FINE, zarr_format)
    return {"": FINE}


def no_group(path: Path, zarr_format: int) -> dict[str, Any]:
    array(path / "0", FINE, zarr_format)
    return {"0": FINE}


def no_group_of_a_pyramid(path: Path, zarr_format: int) -> dict[str, Any]:
    for name, data in PYRAMID.items():
        array(path / name, data, zarr_format)
    return PYRAMID


def plain_group(path: Path, zarr_format: int) -> dict[str, Any]:
    group_of(path, zarr_format)
    return no_group_of_a_pyramid(path, zarr_format)


def plain_group_of_level_2(path: Path, zarr_format: int) -> dict[str, Any]:
    group_of(path, zarr_format, {"made by": "others"})
    array(path / "2", COARSE, zarr_format)
    return {"2": COARSE}


def plain_group_with_names(path: Path, zarr_format: int) -> dict[str, Any]:
    group_of(path, zarr_format)
    array(path / "data", FINE, zarr_format)
    array(path / "half", MIDDLE, zarr_format)
    zarr.create_array(path / "z", data=np.arange(18.0), zarr_format=zarr_format)
    return {"data": FINE, "half": MIDDLE}


def levels_with_an_s(path: Path, zarr_format: int) -> dict[str, Any]:
    group_of(path, zarr_format)
    for name, data in PYRAMID.items():
        array(path / f"s{name}", data, zarr_format)
    return {f"s{name}": data for name, data in PYRAMID.items()}


def group_of_images(path: Path, zarr_format: int) -> dict[str, Any]:
    layout = {"bioformats2raw.layout": 3}
    group_of(path, zarr_format, layout if zarr_format == 2 else {"ome": {"version": "0.5", **layout}})
    series = {"series": ["0"]}
    group_of(path / "OME", zarr_format, series if zarr_format == 2 else {"ome": {"version": "0.5", **series}})
    (path / "OME" / "METADATA.ome.xml").write_text("<OME/>")
    group_of(path / "0", zarr_format, ome(zarr_format, "0", "1"))
    array(path / "0" / "0", FINE, zarr_format)
    array(path / "0" / "1", MIDDLE, zarr_format)
    return {"0/0": FINE, "0/1": MIDDLE}


def image_in_a_bare_group(path: Path, zarr_format: int) -> dict[str, Any]:
    group_of(path / "0", zarr_format)
    array(path / "0" / "0", FINE, zarr_format)
    return {"0/0": FINE}


def nested_levels(path: Path, zarr_format: int) -> dict[str, Any]:
    group_of(path, zarr_format, ome(zarr_format, "scale0/image", "scale1/image"))
    array(path / "scale0" / "image", FINE, zarr_format)
    array(path / "scale1" / "image", MIDDLE, zarr_format)
    return {"scale0/image": FINE, "scale1/image": MIDDLE}


WRITERS = {
    "only level 0": part("0"),
    "only level 1": part("1"),
    "only level 2": part("2"),
    "without level 1": part("0", "2"),
    "a single array": single_array,
    "a level without a group": no_group,
    "levels without a group": no_group_of_a_pyramid,
    "a group without OME": plain_group,
    "level 2 in a group without OME": plain_group_of_level_2,
    "names of their own": plain_group_with_names,
    "s0, s1, s2": levels_with_an_s,
    "bioformats2raw": group_of_images,
    "an image in a bare group": image_in_a_bare_group,
    "nested levels": nested_levels,
}
LAYOUTS = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())


@pytest_asyncio.fixture
async def folders(local: Place) -> dict[str, Path]:
    """Where a volume of each kind is on disk; there is none yet."""
    async with project(local) as root:
        await spacing_of(root)
    run = Path(local.root) / "ExperimentRuns" / "TS_1"
    return {
        "tomogram": run / "VoxelSpacing10.000" / "wbp.zarr",
        "segmentation": run / "Segmentations" / "10.000_user_1_membrane.zarr",
        "object": Path(local.root) / "Objects" / "ribosome.zarr",
    }


async def check(volume: Any, expected: dict[str, Any], *, sized: bool = True) -> None:
    """All ways to a volume show the levels that are there."""
    levels = await volume.levels()
    assert {level.path: level.shape for level in levels} == {name: data.shape for name, data in expected.items()}
    if sized:
        assert [level.voxel_size for level in levels] == [(SIZES[level.shape[1]],) * 3 for level in levels]
    finest = next(iter(expected.values()))
    for read in (volume.numpy(), to_thread.run_sync(np.asarray, await volume.to_dask())):
        np.testing.assert_array_equal(await read, finest)
    shown, _, _ = await aiocopick.layer_data(volume)
    np.testing.assert_array_equal(shown, finest)
    middle = np.array([[size // 2 * SIZES[finest.shape[1]] for size in reversed(finest.shape)]])
    if sized:
        [box] = await volume.extract(middle, 2)
        z, y, x = (size // 2 - 1 for size in finest.shape)
        np.testing.assert_array_equal(box, finest[z : z + 2, y : y + 2, x : x + 2])
    for name, data in expected.items():
        np.testing.assert_array_equal(await volume.numpy(name), data)
        opened = await to_thread.run_sync(lambda name=name: zarr.open_array(volume.zarr(), path=name, mode="r")[:])
        np.testing.assert_array_equal(opened, data)


@FORMATS
@LAYOUTS
async def test_the_levels_that_are_there_are_used(
    local: Place, folders: dict[str, Path], zarr_format: int, write: Writer
) -> None:
    expected = write(folders["tomogram"], zarr_format)
    async with project(local) as root:
        [run] = await root.runs()
        [spacing] = await run.voxel_spacings()
        [tomogram] = await spacing.tomograms()
        await check(tomogram, expected)
        table = (await catalog(root, stats=True)).to_pylist()
        [row] = [row for row in table if row["kind"] == "tomogram"]
        assert row["levels"] == len(expected)
        assert row["shape"] == list(next(iter(expected.values())).shape)
        problems = await examine(root)
        assert "unfinished volume" not in {finding.problem for finding in problems}


@LAYOUTS
async def test_other_volumes_as_well(local: Place, folders: dict[str, Path], write: Writer) -> None:
    for kind in ("segmentation", "object"):
        write(folders[kind], 2)
    expected = write(folders["tomogram"], 2)
    async with project(local) as root:
        found = await root.get_object("ribosome")
        assert await found.has_density_map()
        await check(found, expected, sized=False)
        [run] = await root.runs()
        [segmentation] = await run.segmentations()
        assert [level.path for level in await segmentation.levels()] == list(expected)


async def test_a_store_that_cannot_be_listed_is_asked_for_the_usual_names(memory: Place) -> None:
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(FINE, levels=3)
        await tomogram.zarr().delete(".zattrs")
        tomogram.refresh()

        async def refuse(*_: Any, **__: Any) -> Any:
            raise StorageError("this server does not list")

        storage = wrap(root, lambda inner: FaultStorage(inner, 0))
        storage.list = refuse
        assert [level.path for level in await tomogram.levels()] == ["0", "1", "2"]


@pytest.mark.parametrize("zarr_format", [2, 3])
async def test_what_is_no_volume_is_told(local: Place, folders: dict[str, Path], zarr_format: int) -> None:
    folder = folders["tomogram"]
    group_of(folder, zarr_format)
    (folder / "notes.txt").write_text("later")
    (folder / "0" / "0").mkdir(parents=True)
    (folder / "0" / "0" / "0").write_bytes(b"chunk")
    async with project(local) as root:
        [run] = await root.runs()
        [spacing] = await run.voxel_spacings()
        [tomogram] = await spacing.tomograms()
        with pytest.raises(NotFoundError, match=r"found: 0, notes\.txt") as caught:
            await tomogram.numpy()
        assert "from_numpy" not in str(caught.value)


@FORMATS
async def test_a_level_left_behind_is_no_data(local: Place, zarr_format: int) -> None:
    async with project(local, zarr_format=zarr_format) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(FINE, levels=3)
        volume = Path(local.root) / "ExperimentRuns" / "TS_1" / "VoxelSpacing10.000" / "wbp.zarr"
        other = await (await spacing_of(root)).new_tomogram("other")
        # A coarse level of an unfinished write beside the group as it was created.
        shutil.copytree(volume / "1", volume.parent / "other.zarr" / "1")
        for read in (other.numpy(), other.levels(), other.numpy("0"), other.to_dask(), other.open_array()):
            with pytest.raises(NotFoundError, match="only 1"):
                await read
        # The finest level has chunks, and its metadata would have been written last.
        (volume / "0" / (".zarray" if zarr_format == 2 else "zarr.json")).unlink()
        tomogram.refresh()
        with pytest.raises(NotFoundError, match="not complete"):
            await tomogram.numpy()
        # Copied without that level.
        shutil.rmtree(volume / "0")
        tomogram.refresh()
        np.testing.assert_array_equal(await tomogram.numpy(), MIDDLE)


@pytest.mark.slow
@FORMATS
async def test_zeros_alone_are_written_to_the_end_or_not_seen(memory: Place, zarr_format: int) -> None:
    data = np.zeros((16, 16, 16), np.float32)
    for at in range(1, 100):
        async with project(memory, zarr_format=zarr_format) as root:
            tomogram = await (await spacing_of(root, f"TS_{at}")).new_tomogram("wbp")
            storage = wrap(root, lambda inner, at=at: FaultStorage(inner, at))
            try:
                await tomogram.from_numpy(data, chunks=(4, 4, 4), shards=(8, 8, 8) if zarr_format == 3 else None)
            except StorageError:
                storage.at = 0
                tomogram.refresh()
                with pytest.raises(NotFoundError):
                    await tomogram.levels()
            else:
                if storage.made < at:
                    return
    pytest.fail("the write never came through")


@pytest.mark.slow
@FORMATS
@LAYOUTS
async def test_replacing_one_shows_it_whole_or_not_at_all(
    local: Place, folders: dict[str, Path], zarr_format: int, write: Writer
) -> None:
    folder = folders["tomogram"]
    new = np.full((4, 4, 4), 7, np.float32)
    states: set[str] = set()
    for at in range(1, 100):
        shutil.rmtree(folder, ignore_errors=True)
        expected = write(folder, zarr_format)
        async with project(local, zarr_format=2 + at % 2) as root:
            tomogram = await (await spacing_of(root)).new_tomogram("wbp", exist_ok=True)
            storage = wrap(root, lambda inner, at=at: FaultStorage(inner, at))
            failed = False
            try:
                await tomogram.from_numpy(new, levels=2)
            except StorageError:
                failed = True
            storage.at = 0
            tomogram.refresh()
            try:
                found = [level.shape for level in await tomogram.levels()]
            except NotFoundError:
                states.add("empty")
            else:
                assert found in ([data.shape for data in expected.values()], [(4, 4, 4), (2, 2, 2)]), f"request {at}"
                states.add("new" if found[0] == (4, 4, 4) else "old")
            if not failed and storage.made < at:
                assert states == {"old", "empty", "new"}
                return
    pytest.fail("the write never came through")


async def test_a_volume_in_part_costs_what_is_looked_for(memory: Place) -> None:
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(FINE, levels=3)
        await tomogram.zarr().delete_dir("0")
        tomogram.refresh()
        requests(root)
        await tomogram.numpy()
        counted = requests(root)
        # Group, the three levels, the group once more, the first chunk of what is missing; the data.
        assert counted["read"] <= 2 + 1 + 3 + 2 + 1 + 1
        await tomogram.numpy()
        assert requests(root) == {"read": 1}


@FORMATS
async def test_arrays_of_the_other_format_are_there(memory: Place, zarr_format: int) -> None:
    async with project(memory, zarr_format=5 - zarr_format) as root:
        tomogram = await (await spacing_of(root)).new_tomogram("wbp")
        await tomogram.from_numpy(np.ones((4, 4, 4), np.float32), levels=1)
        store = tomogram.zarr()
        for name in (".zattrs", ".zgroup", "zarr.json"):
            await store.delete(name)
        multiscales = [{"datasets": [{"path": "0"}]}]
        group = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"multiscales": multiscales}}}
        if zarr_format == 2:
            await write_document(tomogram, ".zgroup", {"zarr_format": 2})
            await write_document(tomogram, ".zattrs", {"multiscales": multiscales})
        else:
            await write_document(tomogram, "zarr.json", group)
        for read in (tomogram.numpy, tomogram.levels):
            with pytest.raises(
                FormatError, match=f"an array of zarr {5 - zarr_format} in a group of zarr {zarr_format}"
            ):
                await read()
        [finding] = await examine(root)
        assert finding.problem == "broken volume"
