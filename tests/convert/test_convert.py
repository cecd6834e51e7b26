"""Files of other programs into a project and out of it: round trips, sizes that contradict, nothing replaced."""

from __future__ import annotations

import gzip
import os
import shutil
import struct
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import mrcfile
import numpy as np
import pandas as pd
import pytest
import pytest_asyncio
import starfile
import tifffile

import aiocopick
from aiocopick import (
    AlreadyExistsError,
    AsyncRoot,
    AsyncRun,
    AsyncTomogram,
    AsyncVoxelSpacing,
    FormatError,
    InvalidNameError,
    NotFoundError,
)
from aiocopick.convert import add, export, mrc
from tests.training.projects import config
from tests.volumes.projects import name_axes

pytestmark = pytest.mark.asyncio

SIZE = 12.5


def voxels(*shape: int, dtype: Any = np.float32) -> Any:
    return (np.random.default_rng(3).normal(0, 20, shape or (6, 8, 10))).astype(dtype)


def write_mrc(path: Path, data: Any, size: Any = SIZE) -> Path:
    with mrcfile.new(path, overwrite=True) as file:
        file.set_data(data)
        file.set_volume()
        file.voxel_size = size
    return path


@pytest_asyncio.fixture
async def root(tmp_path: Path) -> AsyncIterator[AsyncRoot]:
    async with aiocopick.open(config(str(tmp_path / "project"))) as opened:
        await opened.ensure(create=True)
        yield opened


async def tomogram_of(root: AsyncRoot, run: str, size: float = SIZE) -> AsyncTomogram:
    root.refresh()
    found = await root.get_run(run)
    assert found is not None
    spacing = await found.get_voxel_spacing(size)
    assert spacing is not None
    tomogram = await spacing.get_tomogram("wbp")
    assert tomogram is not None
    return tomogram


def at_byte(path: Path, offset: int, layout: str, *values: Any) -> Path:
    """Change numbers in a file."""
    content = bytearray(path.read_bytes())
    struct.pack_into(layout, content, offset, *values)
    path.write_bytes(content)
    return path


# --- volumes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "int16", "int8", "uint16", "float16"])
async def test_tomograms_survive_the_way_in_and_out(root: AsyncRoot, tmp_path: Path, dtype: str) -> None:
    data = voxels(dtype=dtype)
    files = [write_mrc(tmp_path / f"TS_{number}.mrc", data + data.dtype.type(number)) for number in range(3)]
    seen: list[str] = []
    report = await add(root, "wbp@12.5", files, progress=seen.append)
    assert report.errors == {}
    assert report.done == {str(path): [f"{path.stem} wbp@12.5"] for path in files}
    assert sorted(seen) == sorted(map(str, files))
    tomogram = await tomogram_of(root, "TS_1")
    np.testing.assert_array_equal(await tomogram.numpy(), (data + data.dtype.type(1)).astype(np.float32))
    assert len(await tomogram.levels()) == 3
    report = await export(root, "wbp@12.5", tmp_path / "out", runs="TS_[12]")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["TS_1_wbp_12.5.mrc", "TS_2_wbp_12.5.mrc"]
    assert report.errors == {}
    path = tmp_path / "out" / "TS_1_wbp_12.5.mrc"
    assert report.done[str(path)] == ["TS_1 wbp@12.5"]
    with mrcfile.open(path) as file:
        np.testing.assert_array_equal(file.data, data + data.dtype.type(1))
        assert file.is_volume()
        assert file.voxel_size.x == file.voxel_size.z == SIZE
        assert file.header.dmin == file.data.min()
        assert file.header.dmax == file.data.max()
        assert file.header.dmean == pytest.approx(file.data.mean(dtype="f8"), abs=1e-3)
        assert file.header.rms == pytest.approx(file.data.std(dtype="f8"), rel=1e-4)
    assert mrcfile.validate(path)


async def test_a_coarser_level_has_its_own_voxel_size(root: AsyncRoot, tmp_path: Path) -> None:
    await add(root, "wbp@12.5", [write_mrc(tmp_path / "TS_1.mrc", voxels(8, 8, 8))])
    await export(root, "wbp@12.5", tmp_path, level="1")
    with mrcfile.open(tmp_path / "TS_1_wbp_25.mrc") as file:
        assert file.data.shape == (4, 4, 4)
        assert file.voxel_size.x == 2 * SIZE


async def test_axes_of_both_sides_are_put_in_order(root: AsyncRoot, tmp_path: Path) -> None:
    data = voxels(4, 6, 8)
    path = write_mrc(tmp_path / "TS_1.mrc", data)
    with mrcfile.open(path, "r+") as file:
        # Columns are along z, sections along x.
        file.header.mapc, file.header.mapr, file.header.maps = 3, 2, 1
        file.header.cella.x, file.header.cella.z = 4 * SIZE, 8 * SIZE
        file.header.mx, file.header.mz = 4, 8
    report = await add(root, "wbp@12.5", [path])
    assert report.errors == {}
    tomogram = await tomogram_of(root, "TS_1")
    np.testing.assert_array_equal(await tomogram.numpy(), data.transpose())
    await name_axes(tomogram, "xyz", SIZE)
    await export(root, "wbp@12.5", tmp_path)
    with mrcfile.open(tmp_path / "TS_1_wbp_12.5.mrc") as file:
        np.testing.assert_array_equal(file.data, data)


async def test_compressed_files_and_other_endings_are_read(root: AsyncRoot, tmp_path: Path) -> None:
    data = voxels()
    plain = write_mrc(tmp_path / "TS_1.mrc", data)
    with gzip.open(tmp_path / "TS_2.mrc.gz", "wb") as packed:
        packed.write(plain.read_bytes())
    shutil.copy(plain, tmp_path / "TS_3.REC")
    report = await add(root, "wbp@", [tmp_path / "TS_2.mrc.gz", tmp_path / "TS_3.REC"])
    assert report.errors == {}
    for run in ("TS_2", "TS_3"):
        np.testing.assert_array_equal(await (await tomogram_of(root, run)).numpy(), data)


async def test_tiff_with_the_voxel_size_of_imagej_and_ome(root: AsyncRoot, tmp_path: Path) -> None:
    data = voxels()
    tifffile.imwrite(
        tmp_path / "TS_1.tif",
        data,
        imagej=True,
        resolution=(10 / SIZE, 10 / SIZE),
        metadata={"spacing": SIZE / 10, "unit": "nm", "axes": "ZYX"},
    )
    sizes = {f"PhysicalSize{axis}": SIZE for axis in "XYZ"} | {f"PhysicalSize{axis}Unit": "Å" for axis in "XYZ"}
    tifffile.imwrite(
        tmp_path / "TS_2.ome.tiff",
        data,
        compression="zlib",
        metadata={"axes": "ZYX", **sizes},
        photometric="minisblack",
    )
    tifffile.imwrite(tmp_path / "TS_3.tif", data, photometric="minisblack")
    report = await add(root, "wbp@", sorted(tmp_path.glob("*.tif*")), run_pattern=r"TS_\d")
    assert set(report.errors) == {str(tmp_path / "TS_3.tif")}
    assert "no voxel size" in str(report.errors[str(tmp_path / "TS_3.tif")])
    report = await add(root, "wbp@12.5", [tmp_path / "TS_3.tif"])
    assert report.errors == {}
    for run in ("TS_1", "TS_2", "TS_3"):
        np.testing.assert_array_equal(await (await tomogram_of(root, run)).numpy(), data)
    report = await add(root, "wbp@10", [tmp_path / "TS_1.tif"])
    assert isinstance(report.errors[str(tmp_path / "TS_1.tif")], FormatError)


@pytest.mark.parametrize(("flags", "order", "dtype"), [(0, "<", "u1"), (1, "<", "i1"), (0, ">", "u1"), (3, ">", "i1")])
async def test_bytes_that_imod_marks_as_unsigned(
    root: AsyncRoot, tmp_path: Path, flags: int, order: str, dtype: str
) -> None:
    data = np.arange(4 * 8 * 8, dtype="u1").reshape(4, 8, 8)
    path = at_byte(write_mrc(tmp_path / "TS_1.mrc", data.view("i1")), 152, f"{order}ii", 1146047817, flags)
    assert (await add(root, "wbp@12.5", [path])).errors == {}
    np.testing.assert_array_equal(await (await tomogram_of(root, "TS_1")).numpy(), data.view(dtype))


@pytest.mark.parametrize("size", [np.nan, np.inf, -1.0, 0.0])
@pytest.mark.parametrize("axis", range(3))
async def test_a_cell_that_is_no_length_says_nothing(root: AsyncRoot, tmp_path: Path, size: float, axis: int) -> None:
    path = at_byte(write_mrc(tmp_path / "TS_1.mrc", voxels()), 40 + 4 * axis, "<f", size)
    report = await add(root, "wbp@", [path])
    assert "has no voxel size" in str(report.errors[str(path)])
    assert (await add(root, "wbp@12.5", [path])).errors == {}


COLOURS = np.zeros((9, 10, 3), np.uint8)


@pytest.mark.parametrize(
    ("data", "how"),
    [
        (COLOURS, {"photometric": "rgb"}),
        (COLOURS.transpose(2, 0, 1), {"photometric": "rgb", "planarconfig": "separate"}),
        (np.zeros((9, 10, 4), np.uint8), {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
    ],
    ids=["rgb", "planes", "alpha"],
)
async def test_colours_are_no_volume(root: AsyncRoot, tmp_path: Path, data: Any, how: Any) -> None:
    path = tmp_path / "TS_1.tif"
    tifffile.imwrite(path, data, **how)
    report = await add(root, "wbp@10", [path])
    assert "axes are" in str(report.errors[str(path)])
    assert await root.query() == []


async def test_a_file_of_several_volumes_is_refused(root: AsyncRoot, tmp_path: Path) -> None:
    path = tmp_path / "TS_1.tif"
    with tifffile.TiffWriter(path) as file:
        for shape in ((6, 8, 10), (4, 9, 9)):
            file.write(voxels(*shape), photometric="minisblack")
    report = await add(root, "wbp@10", [path])
    assert "2 images" in str(report.errors[str(path)])
    assert await root.query() == []


async def test_a_header_that_contradicts_is_an_error_unless_told(root: AsyncRoot, tmp_path: Path) -> None:
    data = voxels()
    path = write_mrc(tmp_path / "TS_1.mrc", data)
    report = await add(root, "wbp@13", [path])
    assert "12.5 x 12.5 x 12.5 angstrom (z, y, x), and 13 is given" in str(report.errors[str(path)])
    assert await root.get_run("TS_1") is None
    report = await add(root, "wbp@13", [path], ignore_header=True)
    assert report.errors == {}
    assert (await tomogram_of(root, "TS_1", 13)).voxel_size == 13
    # Rounded headers are no contradiction.
    assert (await add(root, "wbp@12.504", [path])).errors == {}
    flat = write_mrc(tmp_path / "TS_2.mrc", data, (10, 10, 20))
    for uri in ("wbp@10", "wbp@"):
        assert isinstance((await add(root, uri, [flat])).errors[str(flat)], FormatError)
    unknown = write_mrc(tmp_path / "TS_3.mrc", data, 0)
    assert "no voxel size" in str((await add(root, "wbp@", [unknown])).errors[str(unknown)])
    assert (await add(root, "wbp@10", [unknown])).errors == {}


async def test_nothing_is_replaced_unless_asked_for(root: AsyncRoot, tmp_path: Path) -> None:
    first, second = voxels(), voxels() + 1
    path = write_mrc(tmp_path / "TS_1.mrc", first)
    # One that was only begun is gone on with.
    run = await root.new_run("TS_1")
    await (await run.new_voxel_spacing(SIZE)).new_tomogram("wbp")
    assert (await add(root, "wbp@12.5", [path])).errors == {}
    write_mrc(path, second)
    report = await add(root, "wbp@12.5", [path])
    assert isinstance(report.errors[str(path)], AlreadyExistsError)
    np.testing.assert_array_equal(await (await tomogram_of(root, "TS_1")).numpy(), first)
    assert (await add(root, "wbp@12.5", [path], overwrite=True)).errors == {}
    np.testing.assert_array_equal(await (await tomogram_of(root, "TS_1")).numpy(), second)
    out = tmp_path / "out"
    await export(root, "wbp@12.5", out)
    content = (out / "TS_1_wbp_12.5.mrc").read_bytes()
    (out / "TS_1_wbp_12.5.mrc").write_bytes(b"precious")
    report = await export(root, "wbp@12.5", out)
    [error] = report.errors.values()
    assert isinstance(error, AlreadyExistsError)
    assert (out / "TS_1_wbp_12.5.mrc").read_bytes() == b"precious"
    await export(root, "wbp@12.5", out, overwrite=True)
    assert len((out / "TS_1_wbp_12.5.mrc").read_bytes()) == len(content)
    assert [path.name for path in out.iterdir()] == ["TS_1_wbp_12.5.mrc"]


@pytest.mark.parametrize(
    ("flag", "labels"), [("", [0, 1]), ("?multilabel=true", [0, 3]), ("?instance=true", [0, 9000])]
)
async def test_segmentations_survive_the_way_in_and_out(
    root: AsyncRoot, tmp_path: Path, flag: str, labels: list[int]
) -> None:
    data = np.random.default_rng(0).choice(labels, (4, 5, 6)).astype(np.float32)
    path = write_mrc(tmp_path / "TS_1.mrc", data)
    assert (await add(root, f"membrane:tool/0@12.5{flag}", [path])).errors == {}
    assert isinstance((await add(root, f"membrane:tool/0@12.5{flag}", [path])).errors[str(path)], AlreadyExistsError)
    run = await root.get_run("TS_1")
    assert run is not None
    [segmentation] = await run.segmentations()
    np.testing.assert_array_equal(await segmentation.numpy(), data)
    report = await export(root, f"membrane:tool@12.5{flag}", tmp_path / "out")
    [written] = report.done
    with mrcfile.open(written) as file:
        np.testing.assert_array_equal(file.data, data)


async def test_values_that_are_no_labels_leave_nothing(root: AsyncRoot, tmp_path: Path) -> None:
    path = write_mrc(tmp_path / "TS_1.mrc", voxels())
    report = await add(root, "membrane:tool/0@12.5", [path])
    assert isinstance(report.errors[str(path)], FormatError)
    run = await root.get_run("TS_1")
    assert run is not None
    assert await run.segmentations() == []


async def test_what_mrc_cannot_hold_is_refused(root: AsyncRoot, tmp_path: Path) -> None:
    run = await root.new_run("TS_1")
    large = await run.new_segmentation(SIZE, "membrane", "1", is_instance=True)
    await large.from_numpy(np.full((2, 2, 2), 2**24 + 1, np.uint32))
    both = await run.new_segmentation(SIZE, "all", "1", is_panoptic=True)
    await both.from_numpy(np.zeros((2, 2, 2, 2), np.uint16))
    out = tmp_path / "out"
    for uri, words in (("membrane@12.5?instance=true", "16777217"), ("all:*@12.5?panoptic=true", "one volume")):
        report = await export(root, uri, out)
        assert report.done == {}
        assert words in str(next(iter(report.errors.values())))
    assert not out.exists() or list(out.iterdir()) == []


async def test_what_another_writer_adds_meanwhile_is_kept(
    root: AsyncRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, theirs = write_mrc(tmp_path / "TS_1.mrc", voxels()), np.ones((4, 4, 4), np.uint8)
    await (await root.new_run("TS_1")).new_voxel_spacing(SIZE)

    async def appears_after_the_look(entity: Any, *args: Any, **options: Any) -> Any:
        async with aiocopick.open(root.config) as other:
            run = await other.get_run("TS_1")
            assert run is not None
            if isinstance(entity, AsyncRun):
                names: dict[str, Any] = {"user_id": "tool", "session_id": "0", "exist_ok": True}
                volume: Any = await run.new_segmentation(SIZE, "membrane", **names)
            else:
                volume = await (await run.new_voxel_spacing(SIZE, exist_ok=True)).new_tomogram("wbp", exist_ok=True)
            await volume.from_numpy(theirs)
        return [] if isinstance(entity, AsyncRun) else None

    with monkeypatch.context() as patched:
        patched.setattr(AsyncVoxelSpacing, "get_tomogram", appears_after_the_look)
        patched.setattr(AsyncRun, "get_segmentations", appears_after_the_look)
        for uri in ("wbp@12.5", "membrane:tool/0@12.5"):
            report = await add(root, uri, [path])
            assert isinstance(report.errors[str(path)], AlreadyExistsError)
        # Values that are no labels: what is removed for them must be our own.
        report = await add(root, "membrane:tool/0@12.5", [path], overwrite=True)
        assert isinstance(report.errors[str(path)], FormatError)
    np.testing.assert_array_equal(await (await tomogram_of(root, "TS_1")).numpy(), theirs)
    run = await root.get_run("TS_1")
    assert run is not None
    [segmentation] = await run.segmentations()
    np.testing.assert_array_equal(await segmentation.numpy(), theirs)


@pytest.mark.parametrize("suffix", ["mrc", "mrc.gz", "tif", "star"])
async def test_a_pipe_is_not_waited_for(root: AsyncRoot, tmp_path: Path, suffix: str) -> None:
    pipe = tmp_path / f"TS_1.{suffix}"
    os.mkfifo(pipe)
    report = await add(root, "ribosome:relion/0" if suffix == "star" else "wbp@10", [pipe])
    [error] = report.errors.values()
    assert "is not a file" in str(error)


async def test_a_file_that_appears_during_an_export_is_kept(
    root: AsyncRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(root, "wbp@", [write_mrc(tmp_path / "TS_1.mrc", voxels())])
    out, finish = tmp_path / "out" / "TS_1_wbp_12.5.mrc", mrc.give_name

    def appears(*args: Any, **options: Any) -> None:
        out.write_text("of another program")
        finish(*args, **options)

    monkeypatch.setattr(mrc, "give_name", appears)
    report = await export(root, "wbp@*", out.parent)
    assert isinstance(report.errors.popitem()[1], AlreadyExistsError)
    assert out.read_text() == "of another program"
    assert [item.name for item in out.parent.iterdir()] == [out.name]


async def test_two_volumes_with_one_file_name_do_not_replace_each_other(root: AsyncRoot, tmp_path: Path) -> None:
    run = await root.new_run("TS_1")
    for size in (1000.121, 1000.122):
        tomogram = await (await run.new_voxel_spacing(size)).new_tomogram("wbp")
        await tomogram.from_numpy(voxels())
    report = await export(root, "wbp@*", tmp_path / "out", overwrite=True)
    assert len(report.done) == 1
    [error] = report.errors.values()
    assert isinstance(error, AlreadyExistsError)
    assert "is that of" in str(error)


async def test_files_that_are_no_volumes_are_errors_of_their_own(root: AsyncRoot, tmp_path: Path) -> None:
    good = write_mrc(tmp_path / "TS_1.mrc", voxels())
    (tmp_path / "TS_2.mrc").write_bytes(good.read_bytes()[:1500])
    (tmp_path / "TS_3.mrc").write_text("not a volume")
    (tmp_path / "TS_4.txt").write_text("not a volume")
    (tmp_path / "TS_5.tif").write_text("not a volume")
    with mrcfile.new(tmp_path / "TS_6.mrc", voxels(4, 4)):
        pass
    tifffile.imwrite(tmp_path / "TS_7.tif", voxels(2, 3, 4, 5), photometric="minisblack")
    files = sorted(tmp_path.glob("TS_*"))
    report = await add(root, "wbp@12.5", [*files, tmp_path / "TS_9.mrc"])
    assert set(report.done) == {str(good)}
    assert set(report.errors) == {str(path) for path in [*files[1:], tmp_path / "TS_9.mrc"]}
    for path, error in report.errors.items():
        assert path in str(error)
    assert isinstance(report.errors[str(tmp_path / "TS_9.mrc")], NotFoundError)
    assert [run.name for run in await root.query()] == ["TS_1"]


async def test_runs_are_named_by_the_caller(root: AsyncRoot, tmp_path: Path) -> None:
    path = write_mrc(tmp_path / "job12_TS_004_rec.mrc", voxels())
    assert (await add(root, "wbp@12.5", [path], run_pattern=r"_(TS_\d+)_")).done == {str(path): ["TS_004 wbp@12.5"]}
    assert (await add(root, "wbp@12.5", [path], run="other")).errors == {}
    assert isinstance((await add(root, "wbp@12.5", [path], run_pattern="X")).errors[str(path)], NotFoundError)
    other = write_mrc(tmp_path / "TS_004_again.mrc", voxels())
    with pytest.raises(InvalidNameError, match="both of run 'TS_004'"):
        await add(root, "wbp@12.5", [path, other], run_pattern=r"TS_\d+")
    with pytest.raises(InvalidNameError, match="one file"):
        await add(root, "wbp@12.5", [path, other], run="TS_1")
    with pytest.raises(InvalidNameError, match="regular expression"):
        await add(root, "wbp@12.5", [path], run_pattern="(")
    for uri in ("*@12.5", "membrane@12.5?multilabel=true", "ribosome:curator", "wbp@10:dino"):
        with pytest.raises(InvalidNameError):
            await add(root, uri, [path])


async def test_without_the_packages_the_error_names_the_extra(
    root: AsyncRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_mrc(tmp_path / "TS_1.mrc", voxels())
    monkeypatch.setitem(sys.modules, "mrcfile", None)
    report = await add(root, "wbp@12.5", [path])
    assert "aiocopick[convert]" in str(report.errors[str(path)])


# --- picks ------------------------------------------------------------------------------------------------------------


def rotations(count: int) -> Any:
    matrices, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(count, 3, 3)))
    matrices *= np.sign(np.linalg.det(matrices))[:, None, None]
    transforms = np.tile(np.eye(4), (count, 1, 1))
    transforms[:, :3, :3] = matrices
    return transforms


async def picked(root: AsyncRoot, runs: int = 2, *, tomograms: bool = True) -> dict[str, Any]:
    """Picks of some runs with their tomograms; positions by run."""
    positions = {}
    for number in range(runs):
        run = await root.new_run(f"00{number}")
        if tomograms:
            spacing = await run.new_voxel_spacing(SIZE)
            await (await spacing.new_tomogram("wbp")).from_numpy(voxels(6, 8, 10), levels=1)
        positions[run.name] = np.random.default_rng(number).uniform(0, 75, (5, 3)).round(3)
        await (await run.new_picks("ribosome")).from_numpy(positions[run.name], rotations(5))
    return positions


@pytest.mark.parametrize("pixel_size", [None, 2.5])
async def test_picks_survive_the_way_out_and_in(root: AsyncRoot, tmp_path: Path, pixel_size: float | None) -> None:
    positions = await picked(root)
    out = tmp_path / "particles.star"
    report = await export(root, "ribosome:curator", out, pixel_size=pixel_size)
    assert report.done == {str(out): ["000 ribosome:curator/1", "001 ribosome:curator/1"]}
    blocks = starfile.read(out, always_dict=True, parse_as_string=["rlnTomoName"])
    particles = blocks["particles"]
    assert particles["rlnTomoName"].tolist() == ["000"] * 5 + ["001"] * 5
    # RELION 5: about the centre of the tomogram, of 10 x 8 x 6 voxels.
    centred = particles[[f"rlnCenteredCoordinate{axis}Angst" for axis in "XYZ"]].to_numpy()
    np.testing.assert_allclose(centred[:5] + np.array([10, 8, 6]) * SIZE / 2, positions["000"], atol=1e-5)
    assert ("optics" in blocks) == (pixel_size is not None)
    if pixel_size is not None:
        pixels = particles[[f"rlnCoordinate{axis}" for axis in "XYZ"]].to_numpy() * pixel_size
        np.testing.assert_allclose(pixels[5:], positions["001"], atol=1e-4)
        assert blocks["optics"]["rlnTomoTiltSeriesPixelSize"].tolist() == [pixel_size]
    report = await add(root, "ribosome:relion/0", [out])
    assert report.errors == {}
    assert report.done == {str(out): ["000 ribosome:relion/0", "001 ribosome:relion/0"]}
    for name, expected in positions.items():
        run = await root.get_run(name)
        assert run is not None
        [picks] = await run.get_picks("ribosome", user_id="relion")
        found, transforms = await picks.numpy()
        np.testing.assert_allclose(found, expected, atol=1e-4)
        np.testing.assert_allclose(transforms, rotations(5), atol=1e-5)


async def test_a_table_of_relion_4_is_in_pixels_of_the_optics_table(root: AsyncRoot, tmp_path: Path) -> None:
    await root.new_run("TS_1")
    particles = pd.DataFrame(
        {
            "rlnTomoName": ["tomo_TS_1"] * 2,
            "rlnCoordinateX": [10.0, 20.0],
            "rlnCoordinateY": [1.0, 2.0],
            "rlnCoordinateZ": [0.0, 5.0],
            "rlnOpticsGroup": [1, 1],
        }
    )
    optics = pd.DataFrame({"rlnOpticsGroup": [1], "rlnTomoTiltSeriesPixelSize": [1.5]})
    path = tmp_path / "job.star"
    starfile.write({"optics": optics, "particles": particles}, path)
    report = await add(root, "ribosome:relion/0", [path])
    assert "no run of" in str(report.errors["tomo_TS_1"])
    report = await add(root, "ribosome:relion/0", [path], run_pattern="TS_.*", pixel_size=2.0)
    assert "1.5 angstrom, and 2 is given" in str(report.errors[str(path)])
    assert (await add(root, "ribosome:relion/0", [path], run_pattern="TS_.*")).errors == {}
    run = await root.get_run("TS_1")
    assert run is not None
    [picks] = await run.picks()
    np.testing.assert_allclose((await picks.numpy())[0], [[15, 1.5, 0], [30, 3, 7.5]])
    report = await add(root, "ribosome:relion/0", [path], run_pattern="TS_.*")
    assert isinstance(report.errors["TS_1"], AlreadyExistsError)
    report = await add(
        root, "ribosome:relion/0", [path], run_pattern="TS_.*", pixel_size=2.0, ignore_header=True, overwrite=True
    )
    assert report.errors == {}
    np.testing.assert_allclose((await picks.load()).points[1].location.x, 40)


async def test_tables_that_cannot_be_understood_leave_nothing(root: AsyncRoot, tmp_path: Path) -> None:
    run = await root.new_run("TS_1")
    named = tmp_path / "TS_1.star"
    starfile.write(pd.DataFrame({f"rlnCenteredCoordinate{axis}Angst": [1.0] for axis in "XYZ"}), named)
    # No tomogram, and so no centre.
    report = await add(root, "ribosome:relion/0", [named])
    assert "centre of the tomogram" in str(report.errors["TS_1"])
    other = tmp_path / "other.star"
    starfile.write(pd.DataFrame({"rlnMicrographName": ["a"]}), other)
    (tmp_path / "broken.star").write_text("loop_\n_rlnA #1\n")
    bad = [other, tmp_path / "broken.star", tmp_path / "absent.star", tmp_path / "TS_1.mrc"]
    report = await add(root, "ribosome:relion/0", bad)
    assert set(report.errors) == {str(path) for path in bad}
    report = await add(root, "nothing:relion/0", [named], run="TS_1")
    assert report.done == {}
    assert await run.query_picks() == []


def particles_of(**columns: list[Any]) -> Any:
    coordinates = {f"rlnCoordinate{axis}": [1.0, 2.0] for axis in "XYZ"}
    return pd.DataFrame({"rlnTomoName": ["TS_1"] * 2} | coordinates | columns)


OPTICS = pd.DataFrame({"rlnOpticsGroup": [1], "rlnTomoTiltSeriesPixelSize": [2.0]})

AMBIGUOUS: dict[str, tuple[Any, Any, str]] = {
    "two of three angles": (particles_of(rlnAngleTilt=[30.0, 30.0], rlnAnglePsi=[1.0, 2.0]), OPTICS, "rlnAngleRot"),
    "an angle of the subtomogram": (particles_of(rlnTomoSubtomogramRot=[9.0, 9.0]), OPTICS, "rlnTomoSubtomogramTilt"),
    "one shift": (particles_of(rlnOriginXAngst=[5.0, 5.0]), OPTICS, "rlnOriginYAngst"),
    "shifts in pixels": (
        particles_of(**{f"rlnOrigin{axis}": [0.0, 3.0] for axis in "XYZ"}),
        OPTICS,
        "shifts in pixels",
    ),
    "an angle that is no number": (
        particles_of(rlnAngleRot=[0.0, np.nan], rlnAngleTilt=[1.0, 1.0], rlnAnglePsi=[1.0, 1.0]),
        OPTICS,
        "rlnAngleRot of particle 1",
    ),
    "a coordinate that is no number": (
        particles_of(rlnCoordinateY=[1.0, np.nan]),
        OPTICS,
        "rlnCoordinateY of particle 1",
    ),
    "an infinite coordinate": (particles_of(rlnCoordinateY=[np.inf, 1.0]), OPTICS, "rlnCoordinateY of particle 0"),
    "a coordinate of text": (particles_of(rlnCoordinateZ=["here", "there"]), OPTICS, "rlnCoordinateZ"),
    "half a filament": (particles_of(rlnHelicalTubeID=[1.5, 2.0]), OPTICS, "rlnHelicalTubeID of particle 0"),
    "no filament": (particles_of(rlnHelicalTubeID=[1.0, np.nan]), OPTICS, "rlnHelicalTubeID of particle 1"),
    "a filament by name": (particles_of(rlnHelicalTubeID=["A", "B"]), OPTICS, "rlnHelicalTubeID"),
    "a negative filament": (particles_of(rlnHelicalTubeID=[-1, 2]), OPTICS, "instance_ids"),
    "pixels of 0": (particles_of(), OPTICS.assign(rlnTomoTiltSeriesPixelSize=[0.0]), "pixel size is"),
    "negative pixels": (particles_of(), OPTICS.assign(rlnTomoTiltSeriesPixelSize=[-1.0]), "pixel size is"),
    "pixels of text": (particles_of(), OPTICS.assign(rlnTomoTiltSeriesPixelSize=["big"]), "pixel size is"),
    "one group twice": (
        particles_of(rlnOpticsGroup=[1, 1]),
        pd.DataFrame({"rlnOpticsGroup": [1, 1], "rlnTomoTiltSeriesPixelSize": [2.0, 4.0]}),
        "several groups",
    ),
    "no particles": (particles_of()[:0], OPTICS, "empty"),
    "several micrographs": (
        particles_of(rlnMicrographName=["a.mrc", "b.mrc"]).drop(columns="rlnTomoName"),
        OPTICS,
        "rename that column to rlnTomoName",
    ),
}


@pytest.mark.parametrize(("particles", "optics", "message"), AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
async def test_tables_that_do_not_say_all_are_refused_and_leave_nothing(
    root: AsyncRoot, tmp_path: Path, particles: Any, optics: Any, message: str
) -> None:
    run = await root.new_run("TS_1")
    path = tmp_path / "TS_1.star"
    starfile.write({"optics": optics, "particles": particles}, path)
    report = await add(root, "ribosome:relion/0", [path])
    [error] = report.errors.values()
    assert isinstance(error, FormatError)
    assert message in str(error)
    assert str(path) in str(error)
    assert error.path == str(path)
    assert report.done == {}
    assert await run.query_picks() == []


@pytest.mark.parametrize("size", [0, -2.5, float("nan"), float("inf")])
async def test_a_pixel_size_that_is_none_is_refused(root: AsyncRoot, tmp_path: Path, size: float) -> None:
    run = await root.new_run("TS_1")
    starfile.write(particles_of(), tmp_path / "TS_1.star")
    report = await add(root, "ribosome:relion/0", [tmp_path / "TS_1.star"], pixel_size=size)
    assert "pixel size is" in str(report.errors["TS_1"])
    assert await run.query_picks() == []


@pytest.mark.parametrize("how", [{"run": "TS_1"}, {"run_pattern": "TS"}])
async def test_particles_of_several_tomograms_are_not_mixed(root: AsyncRoot, tmp_path: Path, how: Any) -> None:
    run = await root.new_run("TS_1")
    await root.new_run("TS")
    path = tmp_path / "both.star"
    starfile.write({"optics": OPTICS, "particles": particles_of(rlnTomoName=["TS_1", "TS_2"])}, path)
    report = await add(root, "ribosome:relion/0", [path], **how)
    assert "'TS_1' and 'TS_2'" in str(report.errors[str(path)])
    assert report.done == {}
    assert await run.query_picks() == []


async def test_a_pixel_size_beside_the_coordinates_is_their_unit(root: AsyncRoot, tmp_path: Path) -> None:
    run = await root.new_run("TS_1")
    await run.new_voxel_spacing(SIZE)
    starfile.write(particles_of(rlnTomoTiltSeriesPixelSize=[2.0, 3.0]), tmp_path / "TS_1.star")
    assert (await add(root, "ribosome:relion/0", [tmp_path / "TS_1.star"])).errors == {}
    [picks] = await run.query_picks()
    np.testing.assert_allclose((await picks.numpy())[0], [[2, 2, 2], [6, 6, 6]])


ODD_NAMES = [
    "TS 1",
    "TS#1",
    "#TS",
    "data_1",
    "loop_",
    "_TS",
    ";TS",
    "a # b",
    "data_ 1",
    "001",
    "1e5",
    "NA",
    "null",
    "Tomö",
    " TS ",
]


async def test_runs_with_names_that_mean_something_in_a_star_file(root: AsyncRoot, tmp_path: Path) -> None:
    for number, name in enumerate(ODD_NAMES):
        await (await (await root.new_run(name)).new_picks("ribosome")).from_numpy([[number, 1.0, 2.0]])
    report = await export(root, "ribosome", tmp_path / "all.star", pixel_size=1.0)
    assert report.errors == {}
    assert (await add(root, "ribosome:relion/0", [tmp_path / "all.star"])).errors == {}
    for number, name in enumerate(ODD_NAMES):
        run = await root.get_run(name)
        assert run is not None
        [picks] = await run.get_picks(user_id="relion")
        np.testing.assert_allclose((await picks.numpy())[0], [[number, 1, 2]], atol=1e-5)


@pytest.mark.parametrize("name", ["TS'1", 'TS"1', "nan", "NaN", "<NA>"])
async def test_runs_with_names_that_a_star_file_cannot_hold(root: AsyncRoot, tmp_path: Path, name: str) -> None:
    await (await (await root.new_run(name)).new_picks("ribosome")).from_numpy([[0.0, 1.0, 2.0]])
    out = tmp_path / "all.star"
    report = await export(root, "ribosome", out, pixel_size=1.0)
    assert repr(name) in str(report.errors["ribosome"])
    assert not out.exists()


async def test_a_particle_without_a_tomogram_is_not_left_out(root: AsyncRoot, tmp_path: Path) -> None:
    await root.new_run("TS_1")
    path = tmp_path / "some.star"
    starfile.write({"optics": OPTICS, "particles": particles_of(rlnTomoName=["TS_1", None])}, path)
    report = await add(root, "ribosome:relion/0", [path])
    assert "particle 1 has no rlnTomoName" in str(report.errors[str(path)])


async def test_picks_that_cannot_be_exported_are_errors(root: AsyncRoot, tmp_path: Path) -> None:
    await picked(root, 1, tomograms=False)
    out = tmp_path / "out.star"
    report = await export(root, "ribosome", out)
    assert "have no unit; pass tilt_series_pixel_size" in str(report.errors["ribosome"])
    assert not out.exists()
    assert (await export(root, "ribosome", out, pixel_size=3)).errors == {}
    assert isinstance(
        next(iter((await export(root, "ribosome", out, pixel_size=3)).errors.values())), AlreadyExistsError
    )
    run = await root.get_run("000")
    assert run is not None
    await (await run.new_picks("apo-ferritin")).from_numpy([[1.0, 2.0, 3.0]])
    with pytest.raises(InvalidNameError, match="apo-ferritin, ribosome"):
        await export(root, "*", out, pixel_size=3)
    report = await export(root, "*", tmp_path / "stars", pixel_size=3)
    assert sorted(Path(path).name for path in report.done) == ["apo-ferritin.star", "ribosome.star"]
    with pytest.raises(InvalidNameError, match="features"):
        await export(root, "wbp@10:dino", tmp_path)
