"""The facade's classes: each answers, keeps its children, and wraps them as its factories say."""

from __future__ import annotations

import json
import pickle
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
import trimesh

import aiocopick
from aiocopick import (
    ClosedError,
    CopickConfigFS,
    CopickPicksFile,
    CopickPicksFS,
    CopickPoint,
    CopickRootFS,
    CopickRootMultilayer,
    CopickRunFS,
    CopickRunMeta,
    CopickTomogramFS,
    CopickVoxelSpacingMeta,
    FormatError,
)
from aiocopick.entities import AsyncRoot, AsyncRun
from aiocopick.layers import Stack
from aiocopick.layers.filesystem import FilesystemLayer
from aiocopick.storage import open_storage
from aiocopick.testing import FaultStorage
from tests.entities.projects import POSITIONS, Counted, fill, fill_run

NOUNS = ("voxel_spacings", "picks", "meshes", "segmentations", "filaments")


@pytest.fixture
def run(root: CopickRootFS) -> CopickRunFS:
    """A run with something of each kind, nothing of it looked at yet."""
    fill_run(CopickRootFS(root.config).new_run("TS_1"))
    found = root.get_run("TS_1")
    assert found is not None
    return found


# --- every class answers ----------------------------------------------------------------------------------------------


def test_a_root_makes_finds_and_deletes_runs(root: CopickRootFS) -> None:
    assert root.runs == []
    run = root.new_run("TS_1")
    assert root.runs == [run]
    assert root.get_run("TS_1") is run
    assert root.get_run("TS_2") is None
    with pytest.raises(ValueError, match="already exists"):
        root.new_run("TS_1")
    assert root.new_run("TS_1", True) is run
    root.delete_run("TS_1")
    assert root.runs == []


def test_a_run_holds_what_was_made_in_it(run: CopickRunFS) -> None:
    assert [spacing.voxel_size for spacing in run.voxel_spacings] == [10.0]
    assert [(picks.user_id, picks.session_id) for picks in run.picks] == [("me", "1"), ("tool", "0")]
    assert [mesh.pickable_object_name for mesh in run.meshes] == ["membrane"]
    assert [segmentation.segmentation_type for segmentation in run.segmentations] == ["binary"]
    assert [filaments.pickable_object_name for filaments in run.filaments] == ["actin"]
    assert run.user_picks() == run.get_picks(user_id="me")
    assert run.tool_picks() == run.get_picks(session_id=["0"])
    assert run.get_meshes(object_name="ribosome") == []
    assert run.name == "TS_1"
    assert run.split is None


def test_tomograms_and_features_are_volumes(run: CopickRunFS) -> None:
    [tomogram] = run.voxel_spacings[0].tomograms
    data = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    tomogram.from_numpy(data, levels=2)
    assert np.array_equal(tomogram.numpy(), data)
    assert np.array_equal(tomogram.numpy(x=slice(1, 3), z=slice(0, 1)), data[:1, :, 1:3])
    tomogram.set_region(np.zeros((1, 4, 5)), z=slice(0, 1))
    assert tomogram.numpy()[0].sum() == 0
    assert [level.path for level in tomogram.levels()] == ["0", "1"]
    assert tomogram.level_for(20.0).path == "1"
    assert np.array_equal(np.concatenate(list(tomogram.slabs("y", 3)), axis=1), tomogram.numpy())
    assert np.array_equal(np.asarray(tomogram.open_array()[:]), tomogram.numpy())
    assert tomogram.extract([[10.0, 10.0, 10.0]], 1).shape == (1, 1, 1, 1)
    [features] = tomogram.features
    features.from_numpy(data)
    assert np.array_equal(features.numpy(slices=(slice(0, 1),)), data[:1])


def test_picks_are_points_and_arrays(run: CopickRunFS) -> None:
    picks = run.get_picks(user_id="me")[0]
    assert picks._data is None
    assert [point.location.x for point in picks.points] == [1.0, 4.5]
    assert picks._data is picks.points is picks.data
    assert np.array_equal(picks.numpy()[0], POSITIONS)
    picks.points.append(CopickPoint(location={"x": 7, "y": 8, "z": 9}))
    picks.store()
    picks.refresh()
    assert len(picks.points) == 3
    picks.from_numpy(np.array([[1, 2, 3]]), instance_ids=[4], scores=[0.25])
    assert (picks.instance_ids().tolist(), picks.scores().tolist()) == ([4], [0.25])
    positions, scores = picks.to_numpy()
    assert positions.shape == (1, 3)
    assert scores is not None
    assert picks.full_positions().tolist() == [[1, 2, 3]]
    picks.update(lambda points: points[:0])
    assert picks.points == []
    assert picks.color == (10, 20, 30, 255)


def test_what_is_set_on_the_model_of_a_picks_file_is_stored(run: CopickRunFS) -> None:
    picks = run.get_picks(user_id="me")[0]
    picks.load()
    assert picks.meta.points is picks.points
    picks.meta.trust_orientation = False
    picks.meta.voxel_spacing = 10.0
    picks.store()
    again = CopickPicksFS(run, CopickPicksFile(pickable_object_name="ribosome", user_id="me", session_id="1"))
    assert again.trust_orientation
    file = again.load()
    assert (file.trust_orientation, file.voxel_spacing, len(file.points or ())) == (False, 10.0, 2)
    assert not again.trust_orientation
    again.from_numpy(POSITIONS[:1])
    assert not CopickRootFS(run.config).get_run("TS_1").get_picks(user_id="me")[0].load().trust_orientation  # type: ignore[union-attr]


def test_a_mesh_is_a_geometry(run: CopickRunFS) -> None:
    [mesh] = run.meshes
    assert mesh._mesh is None
    mesh.mesh = trimesh.creation.box()
    mesh.store()
    assert isinstance(mesh.mesh, trimesh.Trimesh)
    loaded = mesh.load()
    assert loaded is mesh.mesh is mesh._mesh
    vertices, faces = mesh.to_napari()
    assert (vertices.shape, faces.shape) == ((8, 3), (12, 3))
    mesh.from_napari(vertices, faces)
    assert mesh.mesh.vertices.shape == (8, 3)


def test_filaments_are_lines(run: CopickRunFS) -> None:
    [filaments] = run.filaments
    assert [line.shape for line in filaments.numpy()] == [(3, 3)]
    assert filaments.instance_ids().tolist() == [1]
    assert filaments.get(1) is filaments.filaments[0]
    assert filaments.get(2) is None
    filaments.filaments = filaments.filaments[:0]
    filaments.store()
    assert filaments.load().filaments == []


def test_segmentations_hold_labels(run: CopickRunFS) -> None:
    [segmentation] = run.segmentations
    labels = np.eye(4, dtype=np.uint8)[None].repeat(3, axis=0)
    segmentation.from_numpy(labels)
    assert np.array_equal(segmentation.numpy(), labels)
    assert segmentation.filename == "10.000_me_1_membrane.zarr"
    panoptic = run.new_segmentation(10.0, "all", "1", is_panoptic=True)
    panoptic.from_numpy(np.stack([labels, labels * 7]))
    assert panoptic.segments() == [("ribosome", 7)]
    assert panoptic.instance_ids(object_name="ribosome").tolist() == [7]
    assert np.array_equal(panoptic.label_volume(), labels)
    assert np.array_equal(panoptic.instance_volume("ribosome"), labels * 7)
    assert panoptic.color == [128, 128, 128, 0]


def test_objects_have_maps(root: CopickRootFS) -> None:
    ribosome = root.get_object("ribosome")
    assert ribosome is not None
    assert not ribosome.has_density_map()
    ribosome.from_numpy(np.ones((2, 2, 2)), 5.0)
    assert ribosome.has_density_map()
    assert ribosome.numpy().shape == (2, 2, 2)
    membrane = root.get_object("membrane")
    assert membrane is not None
    assert membrane.zarr() is None
    known = root.pickable_objects
    added = root.new_object("proteasome", True, label=9)
    assert added in known
    ribosome.delete()
    assert not root.pickable_objects[0].has_density_map()
    assert root.get_object("nothing") is None


def test_what_is_appended_to_the_config_is_valid_at_once(root: CopickRootFS) -> None:
    run = root.new_run("TS_1")
    with pytest.raises(ValueError, match="not found in pickable objects"):
        run.new_picks("proteasome", "1")
    root.config.pickable_objects.append(aiocopick.PickableObject(name="proteasome", is_particle=True, label=8))
    assert run.new_picks("proteasome", "1").color == (100, 100, 100, 255)


def test_ids_of_the_root_are_live(root: CopickRootFS) -> None:
    run = root.new_run("TS_1")
    root.user_id = "somebody"
    assert root.config.user_id == "somebody"
    assert run.new_picks("ribosome", "1").user_id == "somebody"
    root.config.user_id = "me"
    assert root.user_id == "me"
    assert run.user_picks() == []


# --- lists ------------------------------------------------------------------------------------------------------------


def test_no_list_is_kept_before_it_is_looked_at(config: CopickConfigFS) -> None:
    fill(CopickRootFS(config), ["TS_1"])
    root = CopickRootFS(config)
    assert root._runs is None
    assert root._objects is None
    run = root.get_run("TS_1")
    assert run is not None
    assert root._runs is None
    spacing = run.get_voxel_spacing(10.0)
    assert spacing is not None
    assert [getattr(run, f"_{noun}") for noun in NOUNS] == [None] * 5
    assert spacing._tomograms is None
    [tomogram] = spacing.tomograms
    assert tomogram._features is None
    assert root.runs[0].picks
    assert [getattr(root.runs[0], f"_{noun}") is None for noun in NOUNS] == [True, False, True, True, True]
    assert tomogram.features == tomogram._features


def test_children_stay_the_same_until_they_are_asked_for_again(run: CopickRunFS) -> None:
    first = run.picks
    assert run.picks is first
    assert run.picks[0] is run.get_picks(user_id="me")[0] is run.user_picks()[0]
    assert run.voxel_spacings[0] is run.get_voxel_spacing(10.0)
    run.refresh_picks()
    assert run._picks is not None
    assert run.picks[0] is not first[0]
    assert run.picks[0] == first[0]
    assert hash(run.picks[0]) == hash(first[0])


@pytest.mark.parametrize("noun", NOUNS)
def test_a_refresh_asks_at_once(run: CopickRunFS, noun: str) -> None:
    assert getattr(run, f"_{noun}") is None
    getattr(run, f"refresh_{noun}")()
    assert len(getattr(run, f"_{noun}")) == (2 if noun == "picks" else 1)


def test_a_refresh_of_everything_asks_for_everything_at_once(root: CopickRootFS, run: CopickRunFS) -> None:
    run.refresh()
    assert None not in [getattr(run, f"_{noun}") for noun in NOUNS]
    root.refresh()
    assert root._runs is not None
    spacing = run.voxel_spacings[0]
    spacing.refresh()
    assert spacing._tomograms is not None
    spacing.tomograms[0].refresh()
    assert spacing.tomograms[0]._features is not None


def make(run: CopickRunFS) -> list[tuple[Any, str, Callable[[], Any]]]:
    spacing = run.voxel_spacings[0]
    return [
        (run.root, "runs", lambda: run.root.new_run("new")),
        (run, "voxel_spacings", lambda: run.new_voxel_spacing(5.0)),
        (run, "picks", lambda: run.new_picks("ribosome", "9")),
        (run, "meshes", lambda: run.new_mesh("ribosome", "9")),
        (run, "segmentations", lambda: run.new_segmentation(10.0, "ribosome", "9")),
        (run, "filaments", lambda: run.new_filaments("actin", "9")),
        (spacing, "tomograms", lambda: spacing.new_tomogram("aaa")),
        (spacing.tomograms[0], "features", lambda: spacing.tomograms[0].new_features("aaa")),
    ]


@pytest.mark.parametrize("index", range(8))
@pytest.mark.parametrize("cold", [True, False])
def test_what_is_made_is_in_its_list_and_what_is_deleted_is_not(run: CopickRunFS, index: int, cold: bool) -> None:
    parent, noun, new = make(run)[index]
    known = None if cold else getattr(parent, noun)
    child = new()
    assert child in getattr(parent, noun)
    if known is not None:
        assert known is getattr(parent, noun)
        assert any(item is child for item in known)
    child.delete()
    assert child not in getattr(parent, noun)
    fresh = CopickRootFS(run.config)
    assert len(fresh.runs) == 1
    assert len(fresh.runs[0].picks) == 2


def test_deleting_each_of_a_list_in_a_loop_over_it_deletes_all(run: CopickRunFS) -> None:
    for picks in run.picks:
        picks.delete()
    assert run.picks == []
    assert CopickRootFS(run.config).runs[0].picks == []


@pytest.mark.parametrize("cold", [True, False])
def test_deleting_by_filter_updates_the_list(run: CopickRunFS, cold: bool) -> None:
    if not cold:
        assert len(run.picks) == 2
    run.delete_picks(session_id="0")
    assert [picks.session_id for picks in run.picks] == ["1"]
    run.delete_meshes()
    run.delete_segmentations()
    run.delete_filaments("actin")
    run.voxel_spacings[0].tomograms[0].delete_features()
    run.delete_voxel_spacings(10.0)
    assert [len(getattr(run, noun)) for noun in NOUNS] == [0, 1, 0, 0, 0]
    run.delete()
    assert run.root.runs == []


# --- factories --------------------------------------------------------------------------------------------------------


class MyPicksMeta(CopickPicksFile):
    lab: str = "ours"


class MyPicks(CopickPicksFS):
    def mean(self) -> Any:
        return self.numpy()[0].mean(axis=0)


class MyTomogram(CopickTomogramFS):
    pass


class MySpacing(aiocopick.CopickVoxelSpacingFS):
    def _tomogram_factory(self) -> Any:
        return MyTomogram, super()._tomogram_factory()[1]


class MyRunMeta(CopickRunMeta):
    lamella: int = 0


class MyRun(CopickRunFS):
    def _picks_factory(self) -> Any:
        return MyPicks, MyPicksMeta

    def _mesh_factory(self) -> Any:
        # The form of copick's own factories of picks and filaments.
        return type("MyMesh", (aiocopick.CopickMeshFS,), {})

    def _voxel_spacing_factory(self) -> Any:
        return MySpacing, CopickVoxelSpacingMeta


class MyRoot(CopickRootFS):
    def _run_factory(self) -> Any:
        return MyRun, MyRunMeta


def test_every_door_wraps_through_the_factories(config: CopickConfigFS) -> None:
    root = MyRoot(config)
    made = root.new_run("TS_1", lamella=4)
    assert (type(made), made.meta.lamella) == (MyRun, 4)
    fill_run(made)
    root = MyRoot(config)
    run = root.get_run("TS_1")
    for found in (run, root.runs[0], root.query()[0], next(root.crawl()), root.resolve("ribosome:me/1")[0].run):
        assert type(found) is MyRun
        assert isinstance(found.meta, MyRunMeta)
    assert isinstance(run, MyRun)
    for picks in (
        run.picks[0],
        run.get_picks()[0],
        run.query_picks()[0],
        run.user_picks()[0],
        run.new_picks("ribosome", "5"),
    ):
        assert type(picks) is MyPicks
        assert picks.meta.lab == "ours"
    assert run.get_picks(session_id="1")[0].mean().shape == (3,)
    assert type(run.meshes[0]).__name__ == "MyMesh"
    assert type(run.get_voxel_spacing(10.0).tomograms[0]) is MyTomogram
    assert type(run.new_voxel_spacing(5.0).new_tomogram("x")) is MyTomogram


class Named(CopickPicksFS):
    def __init__(self, run: CopickRunFS, file: CopickPicksFile) -> None:
        super().__init__(run, file)
        self.label = f"{file.pickable_object_name} of {file.user_id}"


class Counting(CopickPicksFS):
    made: int

    def __new__(cls, run: CopickRunFS, file: CopickPicksFile) -> Any:
        picks = super().__new__(cls)
        picks.made = len(file.user_id)
        return picks


@pytest.mark.parametrize(("cls", "name", "value"), [(Named, "label", "ribosome of me"), (Counting, "made", 2)])
def test_a_constructor_of_a_subclass_is_called_with_the_names(
    config: CopickConfigFS, cls: type[CopickPicksFS], name: str, value: Any
) -> None:
    class Run(CopickRunFS):
        def _picks_factory(self) -> Any:
            return cls, CopickPicksFile

    class Root(CopickRootFS):
        def _run_factory(self) -> Any:
            return Run, CopickRunMeta

    fill_run(CopickRootFS(config).new_run("TS_1"))
    [picks] = Root(config).runs[0].get_picks(session_id="1")
    assert getattr(picks, name) == value


def test_a_listing_makes_no_metadata_that_nobody_looks_at(run: CopickRunFS) -> None:
    run = CopickRootFS(run.root.config).runs[0]
    children = [child for noun in NOUNS for child in getattr(run, noun)]
    assert children
    assert {child.aio._meta for child in (run, *children)} == {None}
    assert run.picks[0].meta.pickable_object_name == "ribosome"


def test_objects_that_nobody_has_are_forgotten(root: CopickRootFS) -> None:
    kept = root.new_run("TS_1")
    for number in range(300):
        root._wrap(AsyncRun(root.aio, CopickRunMeta(name=f"other_{number}")))
    assert root._known is not None
    assert len(root._known) <= 64
    assert root._wrap(kept.aio) is kept


def test_factories_give_the_class_and_the_class_of_its_metadata(run: CopickRunFS) -> None:
    tomogram = run.voxel_spacings[0].tomograms[0]
    factories = [
        run.root._run_factory(),
        run.root._object_factory(),
        run._voxel_spacing_factory(),
        run._picks_factory(),
        run._mesh_factory(),
        run._segmentation_factory(),
        run.voxel_spacings[0]._tomogram_factory(),
        tomogram._feature_factory(),
    ]
    assert all(len(pair) == 2 for pair in factories)


# --- constructed by names ---------------------------------------------------------------------------------------------


def test_entities_can_be_constructed_by_their_names(root: CopickRootFS) -> None:
    run = CopickRunFS(root=root, meta=CopickRunMeta(name="TS_1"))
    assert not run.ensure()
    assert run.ensure(create=True)
    spacing = aiocopick.CopickVoxelSpacingFS(run=run, meta=CopickVoxelSpacingMeta(voxel_size=10.0))
    assert spacing.ensure(True)
    tomogram = CopickTomogramFS(voxel_spacing=spacing, meta=aiocopick.CopickTomogramMeta(tomo_type="wbp"))
    tomogram.from_numpy(np.ones((2, 2, 2)))
    file = CopickPicksFile(
        pickable_object_name="ribosome", user_id="u", session_id="1", points=[{"location": {"x": 1, "y": 2, "z": 3}}]
    )
    CopickPicksFS(run=run, file=file).store()
    mesh = aiocopick.CopickMeshFS(
        run=run,
        meta=aiocopick.CopickMeshMeta(pickable_object_name="membrane", user_id="u", session_id="1"),
        mesh=trimesh.creation.box(),
    )
    mesh.store()
    found = CopickRootFS(root.config).runs[0]
    assert found.voxel_spacings[0].tomograms[0].numpy().sum() == 8
    assert len(found.picks[0].points) == 1
    assert found.meshes == [mesh]


def test_a_run_that_is_given_another_name_is_another_run(root: CopickRootFS) -> None:
    run = root.new_run("TS_1")
    run.name = "TS_2"
    assert run.meta.name == "TS_2"
    assert run.path.endswith("TS_2")
    assert root.get_run("TS_1") is not None


def test_the_loaders_of_the_specification_forgive_what_is_missing(root: CopickRootFS) -> None:
    run = root.new_run("TS_1")
    names = {"pickable_object_name": "ribosome", "user_id": "u", "session_id": "1"}
    assert CopickPicksFS(run, CopickPicksFile(**names))._load() == []
    assert aiocopick.CopickMeshFS(run, aiocopick.CopickMeshMeta(**names))._load().is_empty
    with pytest.raises(FileNotFoundError):
        CopickPicksFS(run, CopickPicksFile(**names)).load()
    assert run._load_metadata(f"{run.path}/nothing", root.fs) == {}
    run._store_metadata()
    assert run._load_metadata(run.path, root.fs)["name"] == "TS_1"


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_nothing_is_asked_for_what_is_shown(counted: Counted) -> None:
    run = counted.root.runs[0]
    picks, spacing = run.picks[0], run.voxel_spacings[0]
    kept = counted.root.pickable_objects[0]
    with counted.requests(0):
        assert repr(run).startswith("CopickRunFS(run='TS_1', voxel_spacings=1, picks=2")
        assert "=None" not in repr(run)
        assert "user_id='me'" in repr(picks)
        assert repr(kept).startswith("CopickObjectFS(name=")
        assert "=None" not in repr(spacing)
        assert "<th>picks</th><td>2</td>" in run._repr_html_()
        # What was listed with the picks is known, too.
        assert "<th>meshes</th><td>1</td>" in run._repr_html_()
        assert "runs=3" in repr(counted.root)
        for entity in (counted.root, run, picks, spacing):
            assert entity._repr_html_()
            str(entity.read_only), entity.path, entity.config


# --- threads, interrupts, processes -----------------------------------------------------------------------------------


def test_many_threads_share_one_root(counted: Counted) -> None:
    def look(index: int) -> Any:
        run = counted.root.runs[index % 3]
        return [run.picks[0], run.voxel_spacings[0].tomograms[0], len(run.picks[0].points)]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(look, range(48)))
    for index in range(3):
        mine = answers[index::3]
        assert all(answer[0] is mine[0][0] and answer[1] is mine[0][1] for answer in mine)
    assert counted.storage.count("list") < 48


def test_points_in_memory_are_read_where_they_are_asked_for(
    root: CopickRootFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    picks = root.new_run("TS_1").new_picks("ribosome", "1")
    picks.from_numpy(POSITIONS, instance_ids=[3, 4], scores=[0.5, 0.25])

    def refuse(*_: Any) -> Any:
        raise AssertionError("a turn of the loop")

    monkeypatch.setattr("aiocopick.sync.base.call", refuse)
    # As columns, and as objects once those were looked at.
    for look in (lambda: None, lambda: picks.points):
        look()
        positions, transforms = picks.numpy()
        np.testing.assert_array_equal(positions, POSITIONS)
        np.testing.assert_array_equal(transforms, [np.eye(4)] * 2)
        # They are the caller's own.
        positions[:], transforms[:] = 0, 0
        np.testing.assert_array_equal(picks.full_positions(), POSITIONS)
        assert (picks.instance_ids().tolist(), picks.scores().tolist()) == ([3, 4], [0.5, 0.25])


def test_threads_that_ask_for_arrays_and_points_of_one_file_do_not_meet(root: CopickRootFS) -> None:
    picks = root.new_run("TS_1").new_picks("ribosome", "1")
    positions = np.tile(POSITIONS, (50, 1))

    def look(index: int) -> int:
        return len(picks.points) if index % 2 else len(picks.numpy()[0])

    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            picks.from_numpy(positions, store=False)
            assert set(pool.map(look, range(16))) == {100}


def test_what_the_twin_was_given_is_called(run: CopickRunFS, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ensure(self: AsyncRun, create: bool = False) -> bool:
        return create and self is run.aio

    async def get_picks(self: AsyncRun, *args: Any, **kwargs: Any) -> Any:
        return (await self.picks())[:1]

    monkeypatch.setattr(AsyncRun, "ensure", ensure)
    monkeypatch.setattr(AsyncRun, "get_picks", get_picks)
    assert run.ensure(create=True)
    assert run.get_picks() == run.picks[:1]
    assert run.get_picks()[0] is run.picks[0]


def test_ctrl_c_stops_the_requests(config: CopickConfigFS) -> None:
    fill(CopickRootFS(config), ["TS_1"])

    def interrupt() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    storage = FaultStorage(open_storage(config), 3, cancel=interrupt)
    root = CopickRootFS._over(AsyncRoot._over(config, Stack([FilesystemLayer(config, storage)])))
    run = root.get_run("TS_1")
    assert run is not None
    assert storage.made < 3
    for _ in range(storage.made, 2):
        run.refresh_picks()
    with pytest.raises(KeyboardInterrupt):
        run.refresh_picks()
    assert storage.made == 3
    # Whatever was under way has ended, and the root goes on.
    assert len(run.picks) == 2


def test_a_closed_root_says_so(config: CopickConfigFS) -> None:
    with CopickRootFS(config) as root:
        run = root.new_run("TS_1")
        picks = run.new_picks("ribosome", "1")
    for ask in (run.query_picks, picks.numpy, picks.load):
        with pytest.raises(ClosedError, match="was closed"):
            ask()
    with pytest.raises(RuntimeError):
        _ = root.runs
    root.close()
    assert "TS_1" in repr(run)


@pytest.mark.asyncio
async def test_inside_a_running_loop_it_works_beside_the_async_twin(root: CopickRootFS) -> None:
    run = root.new_run("TS_1")
    assert [item.name for item in await root.aio.runs()] == ["TS_1"]
    assert await run.aio.picks() == []
    assert await anyio.to_thread.run_sync(lambda: root.runs) == [run]


def test_roots_and_entities_travel(disk_config: CopickConfigFS) -> None:
    root = CopickRootFS(disk_config)
    fill(root, ["TS_1"])
    picks = root.runs[0].picks[0]
    assert len(picks.points) == 2
    copy = pickle.loads(pickle.dumps(picks))
    assert copy == picks
    assert copy.run.root is not root
    assert copy.aio.run is copy.run.aio
    assert len(copy.points) == 2
    assert copy.run._picks is None
    assert len(copy.run.picks) == 2
    again = pickle.loads(pickle.dumps(root))
    assert again._runs is None
    assert again.runs == root.runs


def test_a_view_has_other_limits(root: CopickRootFS) -> None:
    root.new_run("TS_1")
    view = root.options(timeout=5, read_only=True)
    assert type(view) is CopickRootFS
    assert view.config.timeout == 5
    with pytest.raises(PermissionError):
        view.new_run("TS_2")
    root.reconnect()
    assert [run.name for run in root.runs] == ["TS_1"]


# --- layers -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def layered(tmp_path: Any) -> CopickRootFS:
    """An empty overlay over a static project with one run of everything."""
    fill(aiocopick.open_sync(tmp_path / "static", user_id="me"), ["TS_1"])
    return aiocopick.open_sync(
        {"overlay_root": str(tmp_path / "overlay"), "static_root": str(tmp_path / "static"), "user_id": "me"}
    )


def test_an_overlay_and_a_static_project_are_seen_as_one(layered: CopickRootFS) -> None:
    assert isinstance(layered, CopickRootMultilayer)
    [run] = layered.runs
    assert len(run.picks) == 2
    assert all(picks.read_only for picks in run.picks)
    with pytest.raises(ValueError, match="already exists"):
        run.new_picks("ribosome", "1")
    new = run.new_picks("ribosome", "2")
    assert not new.read_only
    assert "overlay" in new.path
    tomogram = run.voxel_spacings[0].new_tomogram("denoised")
    assert "overlay" in tomogram.path
    assert len(run.picks) == 3
    static = run.picks[0]
    static.load()
    for change in (static.delete, static.store, lambda: static.from_numpy(POSITIONS), lambda: static.update(list)):
        with pytest.raises(PermissionError, match="static"):
            change()
    static.from_numpy(POSITIONS[:1], store=False)
    assert len(static.points) == 1


def test_deleting_in_the_overlay_shows_the_static_entity_again(layered: CopickRootFS) -> None:
    [run] = layered.runs
    mine = run.new_picks("ribosome", "1", exist_ok=True)
    mine.from_numpy(POSITIONS[:1])
    assert not mine.read_only
    assert [picks.read_only for picks in run.picks] == [False, True]
    mine.delete()
    assert [picks.read_only for picks in run.picks] == [True, True]
    assert len(run.picks[0].points) == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"root": 3},
        {"root": " "},
        {"static_root": "memory://x"},
        {"root": "memory://x", "readonly": True},
        {"config_type": "x"},
    ],
    ids=repr,
)
def test_a_configuration_that_is_refused_is_named(tmp_path: Path, fields: dict[str, Any]) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(fields))
    for read in (aiocopick.from_file, aiocopick.open_sync, CopickRootFS.from_file):
        with pytest.raises(FormatError) as caught:
            read(path)
        assert str(path) in str(caught.value)
        assert caught.value.path == str(path)
