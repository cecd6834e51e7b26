"""What code written for copick counts on, call by call: messages, files on disk, and what comes back."""

from __future__ import annotations

import json
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
import pytest
import trimesh
import zarr
from trimesh.parent import Geometry
from zarr.core.buffer import default_buffer_prototype
from zarr.core.buffer.cpu import Buffer

import aiocopick
from aiocopick import CopickRootFS, CopickRunFS

OBJECTS = [
    {"name": "ribosome", "is_particle": True, "label": 1},
    {"name": "membrane", "is_particle": False, "label": 2, "color": [1, 2, 3, 4]},
    {"name": "actin", "is_particle": True, "label": 3},
]


def config(folder: Path, **fields: Any) -> dict[str, Any]:
    return {
        "config_type": "filesystem",
        "name": "drop-in",
        "description": None,
        "version": "1",
        "pickable_objects": OBJECTS,
        "user_id": "me",
        "overlay_root": f"local://{folder}/overlay/",
        "overlay_fs_args": {"auto_mkdir": True},
        "static_root": None,
        **fields,
    }


@pytest.fixture
def root(tmp_path: Path) -> CopickRootFS:
    """A project of copick's own configuration, opened from a file; its overlay is an empty folder."""
    (tmp_path / "overlay").mkdir()
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config(tmp_path)))
    return aiocopick.from_file(path)


@pytest.fixture
def run(root: CopickRootFS) -> CopickRunFS:
    """A new run."""
    return root.new_run("TS_1")


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Folder of that run."""
    return tmp_path / "overlay" / "ExperimentRuns" / "TS_1"


# --- opening ----------------------------------------------------------------------------------------------------------


def test_an_empty_overlay_is_an_empty_project(root: CopickRootFS) -> None:
    assert root.runs == []
    assert type(root) is CopickRootFS


def test_a_path_and_a_text_open_the_same(root: CopickRootFS, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    assert aiocopick.from_file(str(path)).config == aiocopick.from_string(path.read_text()).config == root.config
    assert CopickRootFS.from_file(path).config == root.config
    with pytest.raises(FileNotFoundError, match="no configuration at"):
        aiocopick.from_file(tmp_path / "nothing.json")
    with pytest.raises(ValueError, match="not a JSON object"):
        aiocopick.from_string("[]")


def test_a_saved_config_opens_the_same_project_with_secrets_metadata_and_nulls(tmp_path: Path) -> None:
    given = config(tmp_path, overlay_fs_args={"secret": "canary", "nested": {"token": None}}, other={"a": [None, {}]})
    given["pickable_objects"] = [OBJECTS[0] | {"metadata": {"deep": {"er": None}}, "radius": None}]
    root = aiocopick.from_string(json.dumps(given))
    root.save_config(str(tmp_path / "saved.json"))
    saved = json.loads((tmp_path / "saved.json").read_text())
    for name in ("overlay_fs_args", "other", "description", "overlay_root"):
        assert saved[name] == given[name]
    assert saved["pickable_objects"][0]["metadata"] == {"deep": {"er": None}}
    assert "canary" not in repr(root)
    again = aiocopick.from_file(tmp_path / "saved.json")
    assert again.config.overlay_fs_args == given["overlay_fs_args"]


def test_a_new_config_is_written_and_opened(tmp_path: Path) -> None:
    path = tmp_path / "configs" / "new.json"
    made = aiocopick.new_config(
        str(path), str(tmp_path / "project"), "mine", "of mine", [aiocopick.PickableObject(**OBJECTS[0])]
    )
    made.new_run("TS_1")
    assert (tmp_path / "project" / "ExperimentRuns" / "TS_1").is_dir()
    content = json.loads(path.read_text())
    assert content["overlay_root"] == f"local://{tmp_path}/project"
    assert content["overlay_fs_args"] == {"auto_mkdir": True}
    assert (content["name"], content["description"]) == ("mine", "of mine")
    assert [run.name for run in aiocopick.from_file(path).runs] == ["TS_1"]


def test_the_format_of_new_volumes_is_that_of_the_config(tmp_path: Path) -> None:
    root = aiocopick.from_string(json.dumps(config(tmp_path, zarr_format=3)))
    tomogram = root.new_run("TS_1").new_voxel_spacing(1.0).new_tomogram("wbp")
    assert [path.name for path in Path(tomogram.path).iterdir()] == ["zarr.json"]


# --- on disk ----------------------------------------------------------------------------------------------------------


def test_files_are_there_without_store_and_gone_after_delete(run: CopickRunFS, disk: Path) -> None:
    assert disk.is_dir()
    spacing = run.new_voxel_spacing(15.0, False)
    assert (disk / "VoxelSpacing15.000").is_dir()
    picks, mesh = run.new_picks("ribosome", "1"), run.new_mesh("membrane", "1")
    assert json.loads((disk / "Picks" / "me_1_ribosome.json").read_text())["points"] == []
    assert (disk / "Meshes" / "me_1_membrane.glb").stat().st_size > 0
    tomogram = spacing.new_tomogram("wbp")
    volume = disk / "VoxelSpacing15.000" / "wbp.zarr"
    assert {path.name: path.read_text() for path in volume.iterdir()}[".zattrs"] == "{}"
    assert len(list(volume.iterdir())) == 2
    for entity in (picks, mesh, tomogram):
        entity.delete()
    assert not [path for path in disk.rglob("*") if path.is_file() and path.name != ".meta"]
    run.delete()
    assert not disk.exists()


# --- objects ----------------------------------------------------------------------------------------------------------


def test_a_writable_particle_has_a_store_and_others_have_not(root: CopickRootFS, tmp_path: Path) -> None:
    ribosome, membrane = root.get_object("ribosome"), root.get_object("membrane")
    assert ribosome is not None
    assert membrane is not None
    assert ribosome.zarr() is not None
    assert membrane.zarr() is None
    assert (ribosome.read_only, membrane.read_only) == (False, False)
    read_only = aiocopick.open_sync(tmp_path / "config.json", read_only=True).get_object("ribosome")
    assert read_only is not None
    assert read_only.read_only
    assert read_only.zarr() is None


def test_objects_are_added_and_changed_in_place(root: CopickRootFS, caplog: pytest.LogCaptureFixture) -> None:
    tubulin = root.new_object("tubulin", True, filament={"polar": True})
    assert tubulin.is_filament
    assert root.new_object("tubulin", True, radius=3.0, exist_ok=True) is tubulin
    assert tubulin.radius == 3.0
    with caplog.at_level(logging.WARNING):
        root.new_object("x-multilabel", True)
    assert "segmentation type suffix" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "ribosome"}, ValueError, "already exists"),
        ({"name": "new", "label": 1}, ValueError, "already exists"),
        ({"name": "not clean"}, ValueError, "invalid characters"),
        ({"name": "new", "label": 0}, pydantic.ValidationError, "Label 0 is reserved"),
        ({"name": "new", "color": (1, 2, 3)}, pydantic.ValidationError, "Field required"),
        ({"name": "new", "color": (1, 2, 3, 256)}, pydantic.ValidationError, "Color values must be in the range"),
        ({"name": "ribosome", "label": 7, "color": (1, 2, 3, 256), "exist_ok": True}, ValueError, "Color values"),
    ],
)
def test_a_refused_object_changes_nothing(
    root: CopickRootFS, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    before = root.config.model_dump()
    with pytest.raises(error, match=message):
        root.new_object(is_particle=True, **arguments)
    assert root.config.model_dump() == before


# --- names ------------------------------------------------------------------------------------------------------------


def test_each_changed_name_gives_one_warning(run: CopickRunFS) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        picks = run.new_picks("ribosome", "s 1", "a_b")
    assert [("has been sanitized" in str(item.message)) for item in caught] == [True, True]
    assert (picks.session_id, picks.user_id) == ("s-1", "a-b")
    with pytest.warns(UserWarning, match="has been sanitized"):
        assert run.new_picks("ribosome", "s 1", "a-b", exist_ok=True) == picks


def test_second_arguments_may_be_positional_and_overwrite_is_tolerated(root: CopickRootFS, run: CopickRunFS) -> None:
    assert root.new_run("TS_1", True) == run
    spacing = run.new_voxel_spacing(10.0)
    assert run.new_voxel_spacing(10.0, True) == spacing
    assert run.new_segmentation(10.0, "membrane", "1", overwrite=True).name == "membrane"
    features = spacing.new_tomogram("wbp").new_features("x", False)
    features.from_numpy(np.ones((2, 2, 2)), overwrite=False)
    with pytest.raises(FileExistsError, match="not empty"):
        features.from_numpy(np.ones((2, 2, 2)), overwrite=False)


# --- picks and meshes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"instance_ids": [1, 2]}, "instance_ids must have shape"),
        ({"instance_ids": [-1]}, "instance_ids must be >= 0"),
        ({"instance_ids": [0.5]}, "instance_ids must be integers"),
        ({"scores": [1.0, 2.0]}, "scores must have shape"),
        ({"scores": [np.inf]}, "scores must be finite"),
    ],
)
def test_columns_that_cannot_be_stored_are_refused(run: CopickRunFS, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        run.new_picks("ribosome", "1").from_numpy(np.zeros((1, 3)), **columns)


def test_arrays_of_integers_are_positions(run: CopickRunFS) -> None:
    picks = run.new_picks("ribosome", "1")
    picks.from_numpy(np.array([[1, 2, 3]]))
    assert isinstance(picks.points[0].transformation, np.ndarray)
    assert picks.points[0].location.y == 2.0


def test_meshes_load_store_and_stay(run: CopickRunFS) -> None:
    mesh = run.new_mesh("membrane", "1")
    mesh.store()
    loaded = mesh.load()
    assert isinstance(loaded, Geometry)
    assert loaded is mesh.mesh
    mesh.mesh = geometry = trimesh.Trimesh(vertices=[[0, 0, 0]], faces=[[0]])
    mesh.store()
    assert mesh.mesh is geometry
    points = run.new_picks("ribosome", "1")
    points.points = mine = []
    points.store()
    assert points.points is mine


def test_metadata_that_is_assigned_is_stored_over_the_version_that_was_read(run: CopickRunFS) -> None:
    filaments = run.new_filaments("actin", "1")
    filaments.from_numpy([[[0, 0, 0], [1, 2, 3]]], voxel_spacing=5.0)
    listed = run.filaments[0]
    filaments.meta = filaments.meta.model_copy(update={"unit": "nanometer", "by": "me"})
    filaments.store()
    stored = json.loads(Path(filaments.path).read_text())
    assert (stored["voxel_spacing"], stored["unit"], stored["by"], len(stored["filaments"])) == (
        5,
        "nanometer",
        "me",
        1,
    )
    assert run.filaments[0] == listed
    picks = run.new_picks("ribosome", "1")
    picks.from_numpy([[1, 2, 3]])
    picks.meta = picks.meta.model_copy(update={"voxel_spacing": 6.0})
    picks.store()
    stored = json.loads(Path(picks.path).read_text())
    assert (stored["voxel_spacing"], len(stored["points"])) == (6.0, 1)
    # Another name is another file.
    picks.meta = picks.meta.model_copy(update={"session_id": "2", "points": []})
    picks.store()
    assert [len(item.points) for item in run.query_picks()] == [1]


# --- segmentations ----------------------------------------------------------------------------------------------------


def test_every_segmentation_says_its_type_and_place(run: CopickRunFS) -> None:
    made = [
        run.new_segmentation(15.0, "membrane", "3"),
        run.new_segmentation(15.0, "many", "3", True),
        run.new_segmentation(15.0, "ribosome", "3", is_instance=True),
        run.new_segmentation(15.0, "all", "3", is_panoptic=True),
    ]
    assert [item.segmentation_type for item in made] == ["binary", "multilabel", "instance", "panoptic"]
    assert [item.directory for item in made] == [
        "Segmentations",
        "Segmentations",
        "InstanceSegmentations",
        "PanopticSegmentations",
    ]
    assert made[0].filename == "15.000_me_3_membrane.zarr"
    assert {item.segmentation_type for item in run.get_segmentations()} == {"binary", "multilabel"}
    assert set(run.segmentations) == set(made)
    assert run.user_segmentations() == run.segmentations
    run.root.config.pickable_objects.pop(1)
    assert list(made[0].color) == [128, 128, 128, 0]


def test_labels_that_do_not_fit_are_refused_and_large_ones_fit(run: CopickRunFS) -> None:
    segmentation = run.new_segmentation(15.0, "membrane", "3")
    for data, dtype, message in (
        (np.full((2, 2, 2), 300), np.uint8, "do not fit uint8"),
        (np.full((2, 2, 2), -1), None, "non-negative"),
        (np.full((2, 2, 2), 0.5), None, "integers"),
    ):
        with pytest.raises(ValueError, match=message):
            segmentation.from_numpy(data, dtype=dtype)
    segmentation.from_numpy(np.full((8, 8, 8), 70000), levels=3)
    assert [str(level.dtype) for level in segmentation.levels()] == ["uint32"] * 3
    segmentation.from_numpy(np.ones((8, 8, 8), int))
    assert len(segmentation.levels()) == 1
    with pytest.raises(KeyError):
        segmentation.numpy("1")


def test_panoptic_segmentations_say_what_their_channels_are(run: CopickRunFS) -> None:
    panoptic = run.new_segmentation(15.0, "all", "3", is_panoptic=True)
    labels = np.zeros((8, 8, 8), int)
    labels[:4] = 1
    panoptic.from_numpy(np.stack([labels, labels * 3]), levels=2)
    [multiscales] = json.loads((Path(panoptic.path) / ".zattrs").read_text())["multiscales"]
    assert multiscales["axes"][0] == {"name": "c", "type": "channel"}
    assert multiscales["datasets"][0]["coordinateTransformations"][0]["scale"] == [1, 15, 15, 15]
    assert multiscales["metadata"]["copick"]["channels"] == ["label", "instance"]
    assert panoptic.segments("1") == [("ribosome", 3)]


# --- stores -----------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_store_is_a_store_of_zarr_3(run: CopickRunFS) -> None:
    store = run.new_voxel_spacing(10.0).new_tomogram("wbp").zarr()
    assert store.with_read_only(True).read_only
    await store.set("key", Buffer.from_bytes(b"value"))
    value = await store.get("key", default_buffer_prototype())
    assert value is not None
    assert value.to_bytes() == b"value"
    assert "key" in [key async for key in store.list()]
    await store.delete("key")
    assert not await store.is_empty("")
    await store.delete_dir("")
    assert await store.is_empty("")


def test_arrays_made_through_the_store_are_written(run: CopickRunFS) -> None:
    tomogram = run.new_voxel_spacing(10.0).new_tomogram("wbp")
    array = zarr.open_group(tomogram.zarr(), mode="r+").create_array("0", shape=(2, 2, 2), dtype="f4", chunks=(2, 2, 2))
    array[:] = 5
    assert tomogram.numpy("0").tolist() == np.full((2, 2, 2), 5.0).tolist()


# --- layers -----------------------------------------------------------------------------------------------------------


def test_what_static_holds_exists_and_its_children_go_to_the_overlay(tmp_path: Path) -> None:
    static = aiocopick.open_sync(tmp_path / "static", user_id="me").new_run("TS_1")
    static.new_picks("ribosome", "1")
    static.new_voxel_spacing(10.0).new_tomogram("wbp").from_numpy(np.ones((4, 4, 4)))
    root = aiocopick.from_string(json.dumps(config(tmp_path, static_root=str(tmp_path / "static"))))
    run = root.get_run("TS_1")
    assert run is not None
    spacing = run.get_voxel_spacing(10.0)
    assert spacing is not None
    for make in (
        lambda: root.new_run("TS_1"),
        lambda: run.new_picks("ribosome", "1"),
        lambda: run.new_voxel_spacing(10.0),
        lambda: spacing.new_tomogram("wbp"),
    ):
        with pytest.raises(ValueError, match="exists"):
            make()
    assert "/overlay/" in spacing.new_tomogram("denoised").path
    assert "/overlay/" in spacing.get_tomograms("wbp")[0].new_features("x").path
    picks = run.get_picks(session_id="1")[0]
    picks.load()
    with pytest.raises(PermissionError):
        picks.store()
