"""Write down, as JSON, everything that copick finds in a project: the oracle for our own listing and reading.

    COPICK_PYTHON describe_copick.py CONFIG OUTPUT [--no-data]

Run by the interpreter of an environment that has copick 1.31 or 2.0, so nothing of aiocopick is imported here. With
`--no-data` nothing is read, only listed.

    {"copick": version, "objects": [{..., "volume"}], "runs": [{
        "name",
        "voxel_spacings": [{"voxel_size",
                            "tomograms": [{"tomo_type", "volume", "features": [{"feature_type", "volume"}]}]}],
        "picks": [{"object_name", "user_id", "session_id", "run_name", "voxel_spacing", "unit", "trust_orientation",
                   "positions", "transforms", "instance_ids", "scores"}],
        "meshes": [{"object_name", "user_id", "session_id", "vertices", "faces"}],
        "segmentations": [{"voxel_size", "user_id", "session_id", "name", "type", "volume"}],
        "filaments": [{"object_name", "user_id", "session_id", "voxel_spacing", "filaments"}]}]}

"volume" is {"attributes", "levels": [{"path", "shape", "dtype", "chunks", "sha256"}]}; the checksum is of the level's
values, C-contiguous and little-endian. Lists are sorted by identity. Where copick itself fails, the place of a list or
the data has {"error": "..."}. For projects that are an overlay without a static part.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import warnings
from pathlib import Path

import copick
import numpy as np
import zarr


def describe(config: str, data: bool) -> dict:
    root = copick.from_file(config)
    return {
        "copick": importlib.metadata.version("copick"),
        "objects": [
            {
                "name": found.name,
                "is_particle": found.is_particle,
                "label": found.label,
                **(read(volume_of_object, found) if data else {}),
            }
            for found in root.pickable_objects
        ],
        "runs": [
            {
                "name": run.name,
                "voxel_spacings": listed(run.query_voxelspacings, describe_voxel_spacing, data),
                "picks": listed(run.query_picks, describe_picks, data),
                "meshes": listed(run.query_meshes, describe_mesh, data),
                "segmentations": listed(run.query_segmentations, describe_segmentation, data),
                "filaments": listed(run.query_filaments, describe_filaments, data),
            }
            for run in root.query()
        ],
    }


def listed(query, describe_one, data):
    """What a query finds, described and sorted; copick's failure in its place."""
    try:
        found = query()
    except Exception as error:  # whatever copick raises is the answer
        return failure(error)
    return sorted((describe_one(entity, data) for entity in found), key=identity)


def read(reader, entity) -> dict:
    try:
        return reader(entity)
    except Exception as error:  # whatever copick raises is the answer
        return failure(error)


def failure(error) -> dict:
    return {"error": f"{type(error).__name__}: {error}"[:300]}


def identity(description) -> list:
    """The fields that name an entity, in the order they stand; they come before all data."""
    names = ("voxel_size", "tomo_type", "feature_type", "user_id", "session_id", "object_name", "name", "type")
    return [str(description[name]) for name in names if name in description]


def authored(entity) -> dict:
    return {
        "object_name": entity.pickable_object_name,
        "user_id": entity.user_id,
        "session_id": entity.session_id,
    }


def describe_voxel_spacing(spacing, data) -> dict:
    return {
        "voxel_size": spacing.voxel_size,
        "tomograms": listed(spacing.query_tomograms, describe_tomogram, data),
    }


def describe_tomogram(tomogram, data) -> dict:
    return {
        "tomo_type": tomogram.tomo_type,
        "features": listed(tomogram.query_features, describe_features, data),
        **(read(volume, tomogram) if data else {}),
    }


def describe_features(features, data) -> dict:
    return {"feature_type": features.feature_type, **(read(volume, features) if data else {})}


def describe_segmentation(segmentation, data) -> dict:
    return {
        "voxel_size": segmentation.voxel_size,
        "user_id": segmentation.user_id,
        "session_id": segmentation.session_id,
        "name": segmentation.name,
        "type": segmentation.segmentation_type,
        **(read(volume, segmentation) if data else {}),
    }


def describe_picks(picks, data) -> dict:
    return {**authored(picks), **(read(read_picks, picks) if data else {})}


def read_picks(picks) -> dict:
    file = picks.load()
    # numpy() of picks without points would load again, and again.
    positions, transforms = picks.numpy() if file.points else (np.zeros((0, 3)), np.zeros((0, 4, 4)))
    return {
        "run_name": file.run_name,
        "voxel_spacing": file.voxel_spacing,
        "unit": file.unit,
        "trust_orientation": file.trust_orientation,
        "positions": positions.tolist(),
        "transforms": transforms.tolist(),
        "instance_ids": [point.instance_id for point in file.points or ()],
        "scores": [point.score for point in file.points or ()],
    }


def describe_mesh(mesh, data) -> dict:
    return {**authored(mesh), **(read(read_mesh, mesh) if data else {})}


def read_mesh(mesh) -> dict:
    import trimesh

    geometry = mesh.load()
    if isinstance(geometry, trimesh.Scene):
        geometry = geometry.to_mesh()
    return {"vertices": geometry.vertices.tolist(), "faces": geometry.faces.tolist()}


def describe_filaments(filaments, data) -> dict:
    return {**authored(filaments), **(read(read_filaments, filaments) if data else {})}


def read_filaments(filaments) -> dict:
    file = filaments.load()
    return {
        "voxel_spacing": file.voxel_spacing,
        "filaments": [filament.model_dump(mode="json") for filament in file.filaments],
    }


def volume_of_object(found) -> dict:
    if not found.is_particle or not found.fs_overlay.exists(found.overlay_path):
        return {"volume": None}
    return volume(found)


def volume(entity) -> dict:
    # copick 1.31 makes the folder of a store that is asked for and not there; describing a project must not change it.
    fs, path = (entity.fs, entity.path) if hasattr(entity, "path") else (entity.fs_overlay, entity.overlay_path)
    if not fs.exists(path):
        raise FileNotFoundError(path)
    group = zarr.open(entity.zarr(), mode="r")
    attributes = dict(group.attrs)
    # OME-Zarr 0.5 keeps its metadata under a key of its own.
    multiscales = attributes.get("ome", attributes).get("multiscales")
    paths = [level["path"] for level in multiscales[0]["datasets"]] if multiscales else sorted(group.array_keys())
    return {"volume": {"attributes": attributes, "levels": [level(group, path) for path in paths]}}


def level(group, path) -> dict:
    array = group[path]
    values = np.ascontiguousarray(array[...])
    little_endian = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return {
        "path": path,
        "shape": list(array.shape),
        "dtype": values.dtype.name,
        "chunks": list(array.chunks),
        "sha256": hashlib.sha256(little_endian.tobytes()).hexdigest(),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="copick's config JSON")
    # Not standard output: copick's log goes there.
    parser.add_argument("output", help="file for the description", type=Path)
    parser.add_argument("--no-data", action="store_true", help="list only, read nothing")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    arguments.output.write_text(json.dumps(describe(arguments.config, data=not arguments.no_data)))
