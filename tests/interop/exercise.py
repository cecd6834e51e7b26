"""What users do with a project, written against copick's API alone: run on copick itself and on the facade.

``python exercise.py copick write CONFIG`` prints what every step gave, as JSON. A step that raised gives the built-in
classes of `ERRORS` that the exception is an instance of.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

ERRORS = (FileExistsError, PermissionError, FileNotFoundError, ValueError, KeyError, AttributeError, TypeError)


class Record:
    """The outcomes of steps, by name."""

    def __init__(self) -> None:
        self.steps: dict[str, Any] = {}

    def __call__(self, name: str, function: Callable[[], Any]) -> Any:
        assert name not in self.steps, name
        try:
            result = function()
        except ERRORS as error:
            self.steps[name] = {"raised": [kind.__name__ for kind in ERRORS if isinstance(error, kind)]}
            return None
        self.steps[name] = plain(result)
        return result


def plain(value: Any) -> Any:
    """A result as something that JSON holds and both libraries give alike."""
    if isinstance(value, np.ndarray):
        return array_of(value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "model_dump"):
        return plain(value.model_dump())
    return identity(value)


def array_of(array: np.ndarray) -> list[Any]:
    # Means are sums in another order from one numpy to the next.
    content = array.round(4) + 0.0 if array.dtype.kind == "f" else array
    digest = hashlib.sha256(np.ascontiguousarray(content).tobytes()).hexdigest()[:16]
    return [str(array.dtype), list(array.shape), digest]


def identity(entity: Any) -> dict[str, Any]:
    """What an entity says of itself without I/O."""
    names = (
        "name pickable_object_name user_id session_id tomo_type feature_type is_multilabel is_instance is_panoptic "
        "segmentation_type from_tool from_user"
    )
    known = {name: getattr(entity, name) for name in names.split() if hasattr(entity, name)}
    # Ours have a voxel size where copick's do not.
    return known | ({"voxel_size": entity.voxel_size} if "voxel_size" in type(entity.meta).model_fields else {})


def ordered(entities: Any) -> list[dict[str, Any]]:
    return sorted((identity(entity) for entity in entities), key=json.dumps)


def geometry(mesh: Any) -> Any:
    if hasattr(mesh, "geometry"):
        mesh = mesh.to_geometry() if mesh.geometry else None
    if mesh is None or not len(mesh.vertices):
        return None
    return [np.asarray(mesh.vertices).round(5).tolist(), np.asarray(mesh.faces).tolist()]


def volume(seed: int, shape: tuple[int, ...] = (12, 10, 8)) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def write(root: Any, step: Record) -> None:
    """Fill an empty project."""
    import trimesh

    step("runs of an empty project", lambda: ordered(root.runs))
    step("get_run of an empty project", lambda: root.get_run("TS_1"))
    step("new_run", lambda: root.new_run("TS_1"))
    step("new_run again", lambda: root.new_run("TS_1"))
    step("new_run exist_ok", lambda: root.new_run("TS_1", True) is root.get_run("TS_1"))
    for name in ("TS_2", "empty run", "doomed"):
        step(f"new_run {name}", lambda name=name: root.new_run(name))
    run = root.get_run("TS_1")

    step("new_voxel_spacing", lambda: run.new_voxel_spacing(10.0))
    step("new_voxel_spacing again", lambda: run.new_voxel_spacing(10.0))
    step("new_voxel_spacing exist_ok", lambda: run.new_voxel_spacing(10.0, True))
    step("new_voxel_spacing 15", lambda: run.new_voxel_spacing(voxel_size=15.5, exist_ok=False))
    spacing = run.get_voxel_spacing(10.0)
    step("get_voxel_spacing missing", lambda: run.get_voxel_spacing(11.0))

    tomogram = step("new_tomogram", lambda: spacing.new_tomogram("wbp"))
    step("new_tomogram again", lambda: spacing.new_tomogram("wbp"))
    step("new_tomogram exist_ok", lambda: spacing.new_tomogram("wbp", exist_ok=True))
    step("tomogram from_numpy", lambda: tomogram.from_numpy(volume(1)))
    step(
        "tomogram set_region",
        lambda: tomogram.set_region(np.ones((2, 2, 2)), z=slice(0, 2), y=slice(1, 3), x=slice(2, 4)),
    )
    second = step("new_tomogram cleaned", lambda: spacing.new_tomogram(tomo_type="de noised_1"))
    step("one level", lambda: second.from_numpy(volume(2), levels=1))
    step("features none", lambda: tomogram.get_features("sobel"))
    features = step("new_features", lambda: tomogram.new_features("sobel", False))
    step("new_features again", lambda: tomogram.new_features("sobel"))
    step("features from_numpy", lambda: features.from_numpy(volume(3, (3, 12, 10, 8))))
    step(
        "features set_region",
        lambda: features.set_region(
            np.zeros((1, 2, 2, 2)), slices=(slice(0, 1), slice(0, 2), slice(0, 2), slice(0, 2))
        ),
    )
    step("features not empty", lambda: features.from_numpy(volume(3), overwrite=False))

    picks = step("new_picks", lambda: run.new_picks("ribosome", "s1", "alice"))
    step("new_picks again", lambda: run.new_picks("ribosome", "s1", "alice"))
    step("new_picks exist_ok", lambda: run.new_picks("ribosome", "s1", "alice", True))
    step("new_picks unknown object", lambda: run.new_picks("unicorn", "s1", "alice"))
    step("new_picks default user", lambda: run.new_picks(object_name="ribosome", session_id="0"))
    transforms = np.tile(np.eye(4), (4, 1, 1))
    transforms[:, :3, 3] = np.arange(12).reshape(4, 3)
    positions = np.arange(12.0).reshape(4, 3)
    step("picks from_numpy", lambda: picks.from_numpy(positions, transforms, np.arange(4), np.linspace(0, 1, 4)))
    step("picks from_numpy ints", lambda: run.get_picks(session_id="0")[0].from_numpy(np.arange(6).reshape(2, 3)))
    step("picks wrong lengths", lambda: picks.from_numpy(positions, transforms[:2]))
    step("picks negative ids", lambda: picks.from_numpy(positions, instance_ids=np.full(4, -1)))
    # NaN is a score that is not known to us; copick refuses it, as both refuse infinity.
    step("picks scores infinite", lambda: picks.from_numpy(positions, scores=np.full(4, np.inf)))
    step("picks full_positions", picks.full_positions)
    edited = step("picks to edit", lambda: run.new_picks("membrane", "s1", "bob"))
    step("picks edited", lambda: setattr(edited, "points", list(picks.points[:2])))
    step("picks edited stored", lambda: edited.store())

    mesh = step("new_mesh", lambda: run.new_mesh("membrane", "s1", "alice"))
    step("new_mesh again", lambda: run.new_mesh("membrane", "s1", "alice"))
    step("mesh set", lambda: setattr(mesh, "mesh", trimesh.creation.box((1.0, 2.0, 3.0))))
    step("mesh store", lambda: mesh.store())
    step("new_mesh empty", lambda: run.new_mesh("ribosome", "s1", "alice"))

    labels = (volume(4) > 0).astype(np.uint8)
    binary = step("new_segmentation", lambda: run.new_segmentation(10.0, "membrane", "s1", user_id="alice"))
    step("new_segmentation again", lambda: run.new_segmentation(10.0, "membrane", "s1", user_id="alice"))
    step("segmentation from_numpy", lambda: binary.from_numpy(labels))
    step("segmentation negative", lambda: binary.from_numpy(labels.astype(int) - 1))
    step("segmentation fraction", lambda: binary.from_numpy(labels + 0.5))
    step("segmentation does not fit", lambda: binary.from_numpy(labels.astype(int) + 300, dtype=np.uint8))
    step(
        "segmentation set_region",
        lambda: binary.set_region(np.full((1, 1, 1), 1), z=slice(3, 4), y=slice(0, 1), x=slice(0, 1)),
    )
    multi = step("new_segmentation multilabel", lambda: run.new_segmentation(10.0, "many", "s1", True, "alice"))
    step("multilabel from_numpy", lambda: multi.from_numpy(labels.astype(np.int64) * 70000, levels=2))
    instance = step(
        "new_segmentation instance",
        lambda: run.new_segmentation(10.0, "ribosome", "0", user_id="tool", is_instance=True),
    )
    step("instance from_numpy", lambda: instance.from_numpy(labels * 3))
    step("instance_ids", lambda: instance.instance_ids())
    panoptic = step(
        "new_segmentation panoptic", lambda: run.new_segmentation(10.0, "all", "0", user_id="tool", is_panoptic=True)
    )
    step("panoptic from_numpy", lambda: panoptic.from_numpy(np.stack([labels, labels * 5])))
    step("panoptic wrong label", lambda: panoptic.from_numpy(np.stack([labels * 99, labels])))
    step("segments", lambda: panoptic.segments())
    step("label_volume", lambda: panoptic.label_volume())
    step("instance_volume", lambda: panoptic.instance_volume("ribosome"))
    step("panoptic instance_ids", lambda: panoptic.instance_ids(object_name="ribosome"))
    step("binary instance_ids", lambda: binary.instance_ids())
    step("channel of a binary", lambda: binary.numpy(channel="label"))
    step("two types", lambda: run.new_segmentation(10.0, "all", "1", True, "tool", is_panoptic=True))

    filaments = step("new_filaments", lambda: run.new_filaments("actin", "s1", "alice"))
    step("new_filaments again", lambda: run.new_filaments("actin", "s1", "alice"))
    lines = [np.arange(9.0).reshape(3, 3), np.arange(6.0).reshape(2, 3) + 1]
    step(
        "filaments from_numpy",
        lambda: filaments.from_numpy(lines, instance_ids=[4, 7], radii=[2.0, None], voxel_spacing=10.0),
    )
    step("filaments double ids", lambda: filaments.from_numpy(lines, instance_ids=[4, 4]))

    step("new_object", lambda: root.new_object("proteasome", True, label=9, radius=40.0).label)
    step("new_object again", lambda: root.new_object("proteasome", True))
    step("new_object label taken", lambda: root.new_object("other", True, label=9))
    step("new_object next label", lambda: root.new_object("other", False).label)
    step("new_object update", lambda: root.new_object("other", False, color=(1, 2, 3, 4), exist_ok=True).color)
    step("new_object invalid", lambda: root.new_object("in valid", True))
    step("new_object label 0", lambda: root.new_object("zero", True, label=0))
    step("object without a map", lambda: root.get_object("other").zarr())
    ribosome = root.get_object("ribosome")
    step("no density map", lambda: ribosome.has_density_map())
    step("object from_numpy", lambda: ribosome.from_numpy(volume(5, (4, 4, 4)), 5.0))
    step("density map", lambda: ribosome.has_density_map())

    doomed = root.get_run("doomed")
    doomed.new_voxel_spacing(10.0).new_tomogram("wbp").from_numpy(volume(6))
    for session in ("1", "2", "3"):
        doomed.new_picks("ribosome", session, "alice").from_numpy(positions)
    doomed.new_segmentation(10.0, "membrane", "1", user_id="alice").from_numpy(labels)
    step("delete_picks one", lambda: doomed.delete_picks(session_id="2"))
    step("picks after delete", lambda: ordered(doomed.picks))
    step("delete_run", lambda: root.delete_run("doomed"))
    step("delete_run again", lambda: root.delete_run("doomed"))
    step("runs after delete", lambda: ordered(root.runs))


def read(root: Any, step: Record) -> None:
    """Look at everything."""
    step("runs", lambda: ordered(root.runs))
    step("objects", lambda: sorted((identity(item) for item in root.pickable_objects), key=json.dumps))
    step("missing run", lambda: root.get_run("nowhere"))
    for item in root.pickable_objects:
        step(f"map of {item.name}", lambda item=item: item.numpy() if item.has_density_map() else None)
    for run in sorted(root.runs, key=lambda run: run.name):
        here = run.name
        step(f"{here} voxel spacings", lambda run=run: ordered(run.voxel_spacings))
        for spacing in run.voxel_spacings:
            there = f"{here} {spacing.voxel_size}"
            step(f"{there} tomograms", lambda spacing=spacing: ordered(spacing.tomograms))
            for tomogram in spacing.tomograms:
                read_volume(step, f"{there} {tomogram.tomo_type}", tomogram)
                step(f"{there} {tomogram.tomo_type} features", lambda tomogram=tomogram: ordered(tomogram.features))
                for features in tomogram.features:
                    step(f"{there} {tomogram.tomo_type} {features.feature_type}", features.numpy)
        read_annotations(step, run)


def read_annotations(step: Record, run: Any) -> None:
    here = run.name
    for noun in ("picks", "meshes", "filaments"):
        step(f"{here} {noun}", lambda noun=noun: ordered(getattr(run, noun)))
    for picks in run.picks:
        what = f"{here} picks {picks.user_id} {picks.session_id} {picks.pickable_object_name}"
        step(f"{what} numpy", picks.numpy)
        step(f"{what} file", lambda picks=picks: picks.load())
        step(f"{what} ids", lambda picks=picks: [picks.instance_ids(), picks.scores(), picks.trust_orientation])
    for mesh in run.meshes:
        what = f"{here} mesh {mesh.user_id} {mesh.session_id} {mesh.pickable_object_name}"
        step(what, lambda mesh=mesh: geometry(mesh.mesh))
    for filaments in run.filaments:
        what = f"{here} filaments {filaments.user_id} {filaments.session_id}"
        step(f"{what} lines", filaments.numpy)
        step(f"{what} ids", filaments.instance_ids)
        step(f"{what} file", filaments.load)
    step(f"{here} segmentations", lambda: ordered(run.segmentations))
    for segmentation in run.segmentations:
        what = f"{here} {segmentation.segmentation_type} {segmentation.filename}"
        read_volume(step, what, segmentation)
        step(f"{what} names", lambda item=segmentation: [item.filename, item.directory, list(item.color)])
    for arguments in (
        {"user_id": "alice"},
        {"session_id": ["0", "s1"]},
        {"name": "membrane", "voxel_size": 10.0},
        {"is_multilabel": True},
        {"is_instance": True},
        {"is_instance": None, "is_panoptic": None},
        {"voxel_size": [10.0, 11.0]},
    ):
        step(
            f"{here} get_segmentations {arguments}",
            lambda arguments=arguments: ordered(run.get_segmentations(**arguments)),
        )
    for arguments in ({"object_name": "ribosome"}, {"user_id": ("alice", "bob")}, {"session_id": "0"}):
        step(f"{here} get_picks {arguments}", lambda arguments=arguments: ordered(run.get_picks(**arguments)))
        step(f"{here} get_meshes {arguments}", lambda arguments=arguments: ordered(run.get_meshes(**arguments)))
    for method in (
        "user_picks",
        "tool_picks",
        "user_meshes",
        "tool_meshes",
        "user_segmentations",
        "tool_segmentations",
    ):
        step(f"{here} {method}", lambda method=method: ordered(getattr(run, method)()))


def read_volume(step: Record, what: str, entity: Any) -> None:
    import zarr

    step(f"{what} numpy", entity.numpy)
    if not getattr(entity, "is_panoptic", False):
        part = {"x": slice(1, 3), "y": slice(0, 4), "z": slice(2, 9)}
        step(f"{what} part", lambda: entity.numpy(**part))
    step(f"{what} coarser", lambda: entity.numpy(zarr_group="1"))
    step(f"{what} through zarr", lambda: zarr.open(entity.zarr(), mode="r")["0"][:])


def delete(root: Any, step: Record) -> None:
    """Remove most of it again, and look at what is left."""
    run = root.get_run("TS_1")
    step("delete_meshes", lambda: run.delete_meshes(object_name="ribosome"))
    step("meshes left", lambda: ordered(run.meshes))
    step("delete_segmentations", lambda: run.delete_segmentations(is_multilabel=True))
    step("segmentations left", lambda: ordered(run.segmentations))
    step("delete_filaments", lambda: run.delete_filaments())
    step("filaments left", lambda: ordered(run.filaments))
    step("picks.delete", lambda: run.picks[0].delete())
    step("number of picks left", lambda: len(run.picks))
    spacing = run.get_voxel_spacing(10.0)
    step("delete_features", lambda: spacing.get_tomograms("wbp")[0].delete_features())
    step("delete_tomograms", lambda: spacing.delete_tomograms("wbp"))
    step("tomograms left", lambda: ordered(spacing.tomograms))
    step("delete_voxel_spacings", lambda: run.delete_voxel_spacings(15.5))
    step("voxel spacings left", lambda: ordered(run.voxel_spacings))
    step("refresh", lambda: run.refresh())
    step(
        "everything left",
        lambda: [ordered(getattr(run, noun)) for noun in ("voxel_spacings", "meshes", "segmentations", "filaments")],
    )
    step("run.delete", lambda: root.get_run("TS_2").delete())
    step("root.refresh", lambda: root.refresh())
    step("runs left", lambda: ordered(root.runs))


PHASES = {"write": write, "read": read, "delete": delete}


def exercise(library: str, phase: str, config: str) -> dict[str, Any]:
    """Run one phase on a project; what every step gave."""
    step = Record()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root = importlib.import_module(library).from_file(config)
        PHASES[phase](root, step)
        if phase == "write":
            root.save_config(config)
    return step.steps


if __name__ == "__main__":
    print(json.dumps(exercise(*sys.argv[1:])))
