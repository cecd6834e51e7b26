"""CoPick's names of filesystems and paths, on every kind of entity."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

import aiocopick
from aiocopick import CopickRootFS
from aiocopick.errors import ReadOnlyError
from tests.sync.test_drop_in import config


def fill(root: CopickRootFS, name: str) -> list[Any]:
    """One entity of every kind, with data, in a run of this name."""
    ones = np.ones((4, 4, 4))
    run = root.new_run(name)
    picks, mesh = run.new_picks("ribosome", "1"), run.new_mesh("membrane", "1")
    filaments = run.new_filaments("actin", "1")
    filaments.from_numpy([[[0, 0, 0], [1, 2, 3]]])
    segmentation = run.new_segmentation(10.0, "membrane", "1")
    segmentation.from_numpy(ones.astype(int))
    spacing = run.new_voxel_spacing(10.0)
    tomogram = spacing.new_tomogram("wbp")
    tomogram.from_numpy(ones)
    features = tomogram.new_features("x")
    features.from_numpy(ones)
    return [run, picks, mesh, filaments, segmentation, spacing, tomogram, features]


@pytest.fixture
def root(tmp_path: Path) -> CopickRootFS:
    """An overlay with the run `mine` above a static root with the run `given`."""
    fill(aiocopick.from_string(json.dumps(config(tmp_path, overlay_root=str(tmp_path / "static")))), "given")
    root = aiocopick.from_string(json.dumps(config(tmp_path, static_root=f"local://{tmp_path}/static/")))
    fill(root, "mine")
    return root


def entities(root: CopickRootFS, name: str) -> list[Any]:
    run = root.get_run(name)
    assert run is not None
    [tomogram] = run.voxel_spacings[0].tomograms
    children = [*run.picks, *run.meshes, *run.filaments, *run.segmentations]
    return [run, *children, *run.voxel_spacings, tomogram, *tomogram.features]


def test_every_entity_has_a_filesystem_that_opens_its_path(root: CopickRootFS) -> None:
    found = entities(root, "mine") + entities(root, "given")
    assert len(found) == 16
    for entity in found:
        assert entity.fs.exists(entity.path), entity
        assert entity.read_only is (entity.run if hasattr(entity, "run") else entity).read_only
    mesh = root.get_run("given").meshes[0]  # type: ignore[union-attr]
    with mesh.fs.open(mesh.path, "rb") as file:
        assert file.read(4) == b"glTF"


def test_the_filesystem_of_what_is_read_only_is_read_only(root: CopickRootFS) -> None:
    for entity in entities(root, "given"):
        assert entity.read_only
        with pytest.raises(ReadOnlyError):
            entity.fs.rm(entity.path, recursive=True)
    with pytest.raises(ReadOnlyError):
        root.fs_static.rm(root.root_static, recursive=True)
    for entity in entities(root, "mine")[1:]:
        entity.fs.touch(f"{entity.path}.tmp")


def test_overlay_and_static_paths_are_those_of_copick(root: CopickRootFS, tmp_path: Path) -> None:
    assert root.root_overlay == str(tmp_path / "overlay")
    assert root.root_static == str(tmp_path / "static")
    assert root.fs_overlay.exists(root.root_overlay)
    assert not root.static_is_overlay
    for name in ("mine", "given"):
        run, *_ = entities(root, name)
        spacing = run.voxel_spacings[0]
        [tomogram] = spacing.tomograms
        below = {run: "", spacing: "/VoxelSpacing10.000", tomogram: "/VoxelSpacing10.000/wbp.zarr"}
        for entity, path in below.items():
            assert entity.overlay_path == f"{tmp_path}/overlay/ExperimentRuns/{name}{path}"
            assert entity.static_path == f"{tmp_path}/static/ExperimentRuns/{name}{path}"
            assert entity.fs_overlay is root.fs_overlay
            assert entity.fs_static is root.fs_static
            assert not entity.static_is_overlay
        assert tomogram.overlay_stem == tomogram.overlay_path.removesuffix(".zarr")
        assert tomogram.static_stem == tomogram.static_path.removesuffix(".zarr")
        lies_in = "overlay" if name == "mine" else "static"
        for noun, entity in (("Picks", run.picks[0]), ("Meshes", run.meshes[0]), ("Filaments", run.filaments[0])):
            assert entity.directory == f"{tmp_path}/{lies_in}/ExperimentRuns/{name}/{noun}/"
    ribosome = root.get_object("ribosome")
    assert ribosome is not None
    assert ribosome.overlay_path == f"{tmp_path}/overlay/Objects/ribosome.zarr"
    assert ribosome.static_path == f"{tmp_path}/static/Objects/ribosome.zarr"


def test_without_a_static_root_the_overlay_is_both(tmp_path: Path) -> None:
    root = aiocopick.from_string(json.dumps(config(tmp_path)))
    run = root.new_run("TS_1")
    assert (root.root_static, root.fs_static) == (root.root_overlay, root.fs_overlay)
    assert run.static_path == run.overlay_path == run.path
    assert root.static_is_overlay
    assert run.static_is_overlay


def test_a_project_that_is_read_only_has_only_read_only_filesystems(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config(tmp_path)))
    aiocopick.from_file(path).new_run("TS_1")
    root = aiocopick.open_sync(path, read_only=True)
    for filesystem in (root.fs, root.fs_overlay, root.fs_static, root.runs[0].fs):
        with pytest.raises(ReadOnlyError):
            filesystem.mkdir(f"{root.root_overlay}/new")


def test_in_other_places_paths_have_no_protocol() -> None:
    run = aiocopick.open_sync("memory://places/a", user_id="me").new_run("TS_1")
    filesystem = fsspec.filesystem("memory")
    assert run.overlay_path == filesystem._strip_protocol(run.path) == "/places/a/ExperimentRuns/TS_1"


def test_types_of_segmentations_are_named_as_shipped(tmp_path: Path) -> None:
    run = aiocopick.from_string(json.dumps(config(tmp_path))).new_run("TS_1")
    for kind, name in {"binary": "ribosome", "multilabel": "all", "instance": "ribosome", "panoptic": "all"}.items():
        flags = {} if kind == "binary" else {f"is_{kind}": True}
        run.new_segmentation(10.0, name, "1", **flags)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=f"{kind} segmentation .* already exists"):
            run.new_segmentation(10.0, name, "1", **flags)  # type: ignore[arg-type]
        if kind in ("binary", "instance"):
            with pytest.raises(ValueError, match=f"{kind} segmentations are named after one"):
                run.new_segmentation(10.0, "nothing", "1", **flags)  # type: ignore[arg-type]
    panoptic = run.new_segmentation(10.0, "all", "1", is_panoptic=True, exist_ok=True)
    panoptic.from_numpy(np.ones((2, 4, 4, 4), int))
    with pytest.raises(ValueError, match="per object"):
        panoptic.instance_ids()
