"""A stand-in for the archive that copick's own tests read: the entities and sums that they assert, not its images.

Run by a Python with copick 2 in it, which writes the project: ``client_corpus.py FOLDER TESTS``. FOLDER is what the variable
``COPICK_TEST_DATA_CACHE`` of those tests names, and TESTS holds them. Prints the digest for ``COPICK_TEST_DATA_DIGEST``.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import copick
import numpy as np
import trimesh
import zarr

OBJECTS = [
    {
        "name": "proteasome",
        "is_particle": True,
        "label": 1,
        "color": [255, 0, 0, 255],
        "radius": 60,
        "map_threshold": 0.0418,
    },
    {
        "name": "ribosome",
        "is_particle": True,
        "label": 2,
        "color": [0, 255, 0, 255],
        "radius": 150,
        "map_threshold": 0.037,
    },
    {"name": "membrane", "is_particle": False, "label": 3, "color": [0, 0, 255, 255]},
]
Box = tuple[slice, slice, slice]


def cube(first: int, last: int) -> Box:
    return (slice(first, last),) * 3


def filled(shape: tuple[int, int, int], total: float, box: Box, inside: float, dtype: Any = np.float64) -> Any:
    """Numbers with this sum, and this one in a box."""
    data = np.zeros(shape, dtype)
    data[box].flat[:1] = inside
    data[-1, -1, -1] = total - inside
    return data


def labels(count: int, box: Box, inside: int) -> Any:
    """Ones: so many of them, and so many in a box."""
    part = np.zeros((64, 64, 64), np.uint8)
    outside = np.ones(part.shape, bool)
    outside[box] = False
    part[tuple(index[: count - inside] for index in np.nonzero(outside))] = 1
    view = part[box]
    view[tuple(index[:inside] for index in np.nonzero(np.ones(view.shape)))] = 1
    return part


def put(path: str, data: Any, size: float) -> None:
    """A pyramid of one level in zarr 2, as the archive holds them."""
    group = zarr.open_group(path, mode="w", zarr_format=2)
    array = group.create_array(
        "0",
        shape=data.shape,
        dtype=data.dtype,
        chunks=(32, 32, 32),
        chunk_key_encoding={"name": "v2", "separator": "/"},
    )
    array[:] = data
    axes = [{"name": name, "type": "space", "unit": "angstrom"} for name in "zyx"]
    scale = [{"type": "scale", "scale": [size] * 3}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    group.attrs["multiscales"] = [{"version": "0.4", "name": "/", "axes": axes, "datasets": datasets}]


def asserted(tests: Path, fixture: str) -> Any:
    """Numbers that a fixture of the tests gives."""
    tree = ast.parse((tests / "test_filesystem.py").read_text())
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == fixture]
    given = next(node.value for node in ast.walk(found[0]) if isinstance(node, ast.Return) and node.value)
    return eval(compile(ast.Expression(given), fixture, "eval"), {"np": np})


def add_typed_segmentations(root: Any, tests: Path) -> None:
    """Instances and panoptic labels, by the script in which copick makes them for its archive."""
    path = tests / "scripts" / "regenerate_sample_zip.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.add_segmentation_type_fixtures(root)


def write(folder: Path, tests: Path) -> None:
    config = {
        "config_type": "filesystem", "name": "test", "description": "A test project.", "version": "1.0.0",
        "pickable_objects": OBJECTS, "overlay_root": f"local://{folder}/sample_project",
        "overlay_fs_args": {"auto_mkdir": True},
    }  # fmt: skip
    (folder / "sample_overlay" / "ExperimentRuns").mkdir(parents=True)
    for name in ("filesystem", "filesystem_overlay_only"):
        (folder / f"{name}.json").write_text(json.dumps(config))
    root = copick.from_file(str(folder / "filesystem.json"))
    whole = filled((42, 36, 36), 1029.2904052734375, cube(10, 20), 168.116912842)
    put(f"{folder}/sample_project/Objects/proteasome.zarr", whole, 10)
    put(f"{folder}/sample_project/Objects/ribosome.zarr", whole, 10)
    shape = (64, 64, 64)
    points = asserted(tests, "ts_001_ribosome_gapstop_points")
    transformations = asserted(tests, "ts_001_ribosome_gapstop_transformations")
    for name in ("TS_001", "TS_002", "TS_003"):
        run = root.new_run(name)
        for user, session, kind in (
            ("pytom", "0", "proteasome"), ("gapstop", "0", "ribosome"), ("ArtiaX", "19", "proteasome"),
            ("test.user", "1234", "proteasome"), ("test.user", "1234", "ribosome"),
        ):  # fmt: skip
            run.new_picks(kind, session, user).from_numpy(points, transformations)
        for user, session, kind in (
            ("gapstop", "0", "ribosome"), ("membrain", "0", "membrane"), ("user.test", "321", "proteasome"),
        ):  # fmt: skip
            mesh = run.new_mesh(kind, session, user)
            mesh.mesh = trimesh.creation.box()
            mesh.store()
        where = f"{folder}/sample_project/ExperimentRuns/{name}"
        for size in (10.0, 20.0):
            run.new_voxel_spacing(size)
            tomograms = f"{where}/VoxelSpacing{size:.3f}"
            region = (slice(10, 40), slice(50, 60), slice(0, 30))
            for kind in ("denoised", "wbp"):
                put(f"{tomograms}/{kind}.zarr", filled(shape, 8192.0, region, 30.0), size)
            for kind in ("sobel", "edge"):
                data = filled(shape, 20619.8125, cube(20, 40), 563.36730957)
                put(f"{tomograms}/wbp_{kind}_features.zarr", data, size)
        ones = labels(24576, cube(20, 40), 426)
        for size, user, session, kind in (
            (10.0, "test.user", "123", "painting-multilabel"), (10.0, "cellcanvas", "0", "prediction-multilabel"),
            (20.0, "membrain", "0", "membrane"),
        ):  # fmt: skip
            put(f"{where}/Segmentations/{size:.3f}_{user}_{session}_{kind}.zarr", ones, size)
    root.refresh()
    add_typed_segmentations(root, tests)


def main(cache: Path, tests: Path) -> None:
    shutil.rmtree(cache, ignore_errors=True)
    write(cache / "sample_project", tests)
    archive = shutil.make_archive(str(cache / "sample_project"), "zip", cache / "sample_project")
    digest = f"md5:{hashlib.md5(Path(archive).read_bytes()).hexdigest()}"
    (cache / "sample_project" / ".archive-digest").write_text(digest)
    print(digest)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
