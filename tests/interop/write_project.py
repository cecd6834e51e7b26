"""Write a project with copick itself: 30 runs, every kind of entity, the same values every time.

    COPICK_PYTHON write_project.py FOLDER

makes FOLDER/project and FOLDER/config.json (an overlay at FOLDER/project). Run by the interpreter of an environment
that has copick 1.31 (which writes zarr 2) or 2.0 (zarr 3), so nothing of aiocopick is imported here.

Every run has `wbp` at two voxel spacings; what else it has turns with its number, so that runs differ. Volumes are
small, with odd shapes; the run `TS_017` also has a tomogram `chunked` of 1,331 chunks.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

import copick
import numcodecs.blosc
import numpy as np
import trimesh
from copick.util.ome import write_ome_zarr_3d

SEED = 20240611
ZARR3 = not version("zarr").startswith("2.")
CHUNKED_RUN = "TS_017"

OBJECTS = [
    {"name": "ribosome", "is_particle": True, "label": 1, "color": [0, 255, 0, 255], "pdb_id": "4V9D", "radius": 150.0},
    {"name": "beta-amylase", "is_particle": True, "label": 2, "emdb_id": "EMD-30405", "map_threshold": 0.035},
    {"name": "membrane", "is_particle": False, "label": 3, "identifier": "GO:0016020"},
    {
        "name": "microtubule",
        "is_particle": True,
        "label": 4,
        "radius": 125.0,
        "metadata": {"copick": {"filament": {"polar": True}}, "source": "written for tests"},
    },
]
PARTICLES = ["ribosome", "beta-amylase", "microtubule"]

# Names that are legal and not the usual ones.
UNUSUAL_NAMES = ["position 7", "2024-06-11.tomo", "Krios-µ"]
RUN_NAMES = [f"TS_{number:03}" for number in range(1, 28)] + UNUSUAL_NAMES

# user or tool, session; session "0" says that a tool made it.
AUTHORS = [("alice", "17"), ("bob", "2024-06-11"), ("pytom", "0"), ("crYOLO.v1", "0"), ("alice", "manual-1")]


def main(folder: Path) -> None:
    # Blosc's threads put blocks down in the order they finish; without them the bytes are the same, too.
    numcodecs.blosc.use_threads = False
    project = folder / "project"
    project.mkdir(parents=True)
    config = {
        "config_type": "filesystem",
        "name": "written by copick",
        "description": "Every kind of entity, for tests",
        "pickable_objects": OBJECTS,
        "overlay_root": f"local://{project}",
        "overlay_fs_args": {"auto_mkdir": True},
    }
    (folder / "config.json").write_text(json.dumps(config, indent=4))
    root = copick.from_file(str(folder / "config.json"))
    for number, name in enumerate(["ribosome", "beta-amylase"]):
        density = np.random.default_rng([SEED, number, 1]).random((12, 12, 12)).astype(np.float32)
        root.get_object(name).from_numpy(density, voxel_size=4.5)
    for number, name in enumerate(RUN_NAMES):
        write_run(root.new_run(name), number, np.random.default_rng([SEED, number]))


def write_run(run, number, rng) -> None:
    size = 7.84 if number % 3 == 0 else 10.0
    shape = (17 + number % 5, 20, 23)
    write_volumes(run, number, rng, size, shape)
    write_segmentations(run, number, rng, size, shape)
    extent = np.array(shape[::-1]) * size
    for index, (user, session) in enumerate(AUTHORS[: 2 + number % 4]):
        for object_name in PARTICLES[: 1 + (number + index) % 3]:
            write_picks(run, object_name, user, session, rng, extent, size)
    # Picks that were made and never filled.
    run.new_picks("ribosome", session_id="empty", user_id="carol")
    for user, session in AUTHORS[: 1 + number % 2]:
        write_mesh(run, "membrane", user, session, rng, extent)
    if number % 2:
        write_filaments(run, rng, extent, size)


def write_volumes(run, number, rng, size, shape) -> None:
    fine = run.new_voxel_spacing(size)
    wbp = fine.new_tomogram("wbp")
    wbp.from_numpy(rng.normal(size=shape))
    half = tuple(-(-length // 2) for length in shape)
    run.new_voxel_spacing(2 * size).new_tomogram("wbp").from_numpy(rng.normal(size=half), levels=1)
    if number % 2 == 0:
        fine.new_tomogram("denoised").from_numpy(rng.normal(size=shape), levels=2, dtype=np.float16)
    if number % 5 == 0:
        write_features(wbp.new_features("edges"), rng.random(shape).astype(np.float32), size)
    if number % 4 == 0:
        write_features(wbp.new_features("embedding"), rng.random((3, *shape)).astype(np.float32), size)
    if run.name == CHUNKED_RUN:
        volume = rng.integers(-128, 127, size=(88, 88, 88), dtype=np.int8)
        # A file per chunk in zarr 3 as well, which would put them all into one.
        shards = {"shard_size": (8, 8, 8)} if ZARR3 else {}
        write_ome_zarr_3d(fine.new_tomogram("chunked").zarr(), {size: volume}, chunk_size=(8, 8, 8), **shards)


def write_features(features, data, size) -> None:
    if ZARR3:
        features.from_numpy(data)
    else:
        # copick 1.31 writes no features itself: tools take its store.
        write_ome_zarr_3d(features.zarr(), {size: data}, channel_axis=data.ndim == 4)


def write_segmentations(run, number, rng, size, shape) -> None:
    mask = (rng.random(shape) > 0.7).astype(np.uint8)
    run.new_segmentation(size, "membrane", session_id="0", user_id="membrain").from_numpy(mask)
    painted = run.new_segmentation(size, "painted", session_id="17", user_id="alice", is_multilabel=True)
    painted.from_numpy(rng.integers(0, 5, size=shape), levels=2)
    if number % 3 == 0:
        many = run.new_segmentation(size, "instances", session_id="0", user_id="tool", is_multilabel=True)
        many.from_numpy(rng.integers(0, 70_000, size=shape))
    if number % 6 == 1:
        ribosomes = run.new_segmentation(size, "ribosome", session_id="0", user_id="tool", is_instance=True)
        ribosomes.from_numpy(rng.integers(0, 300, size=shape))
    if number % 6 == 2:
        labels = rng.integers(0, 3, size=shape)
        ids = rng.integers(1, 9, size=shape) * (labels > 0)
        everything = run.new_segmentation(size, "everything", session_id="0", user_id="tool", is_panoptic=True)
        everything.from_numpy(np.stack([labels, ids]))


def write_picks(run, object_name, user, session, rng, extent, size) -> None:
    picks = run.new_picks(object_name, session_id=session, user_id=user)
    count = int(rng.integers(1, 40))
    transforms = np.zeros((count, 4, 4))
    transforms[:, :3, :3] = random_rotations(rng, count)
    transforms[:, 3, 3] = 1.0
    if session == "0":
        # Shifts as an averaging run leaves them.
        transforms[:, :3, 3] = rng.normal(scale=2.0, size=(count, 3))
        picks.meta.voxel_spacing = size
    else:
        picks.meta.trust_orientation = bool(rng.integers(0, 2))
    picks.from_numpy(
        rng.random((count, 3)) * extent,
        transforms,
        instance_ids=np.sort(rng.integers(0, 5, size=count)),
        scores=rng.random(count),
    )


def random_rotations(rng, count) -> np.ndarray:
    """Rotation matrices, uniform over all rotations, (count, 3, 3): from random unit quaternions."""
    w, x, y, z = (q := rng.normal(size=(4, count))) / np.linalg.norm(q, axis=0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), -1, 0)


def write_mesh(run, object_name, user, session, rng, extent) -> None:
    sphere = trimesh.creation.icosphere(subdivisions=int(rng.integers(1, 3)), radius=0.4)
    vertices = (sphere.vertices * rng.uniform(0.8, 1.0, size=(len(sphere.vertices), 1)) + 0.5) * extent
    mesh = run.new_mesh(object_name, session_id=session, user_id=user)
    mesh.mesh = trimesh.Trimesh(vertices=vertices, faces=sphere.faces, process=False)
    mesh.store()


def write_filaments(run, rng, extent, size) -> None:
    lines = [np.linspace(*(rng.random((2, 3)) * extent), 6) for _ in range(3)]
    polylines = run.new_filaments("microtubule", session_id="0", user_id="tool")
    polylines.from_numpy(lines, scores=[0.5, 0.7, 0.9], radii=[None, 120.0, 125.0], voxel_spacing=size)
    traced = run.new_filaments("microtubule", session_id="17", user_id="alice")
    traced.from_control_points(
        [line + rng.normal(scale=3 * size, size=line.shape) for line in lines[:2]],
        step=size,
        polarity_known=[True, False],
        metadata=[{"quality": "good"}, None],
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
