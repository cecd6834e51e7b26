"""Write down what we find in a project, in the form of `describe_copick.py`, to be compared with what copick finds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from aiocopick import AsyncRoot, AsyncRun, CopickError

NAMES = ("voxel_size", "tomo_type", "feature_type", "user_id", "session_id", "object_name", "name", "type")

Description = dict[str, Any]


async def describe_ours(root: AsyncRoot, *, data: bool = True, volumes: bool = False) -> list[Description]:
    """The runs of a project, as `describe_copick.py` has them under "runs".

    Parameters
    ----------
    root : AsyncRoot
        The project.
    data : bool
        Whether to read picks, meshes and filaments.
    volumes : bool
        Whether to read volumes as well.
    """
    return [await describe_run(run, data=data, volumes=volumes) for run in await root.query()]


async def describe_run(run: AsyncRun, *, data: bool, volumes: bool) -> Description:
    return {
        "name": run.name,
        "voxel_spacings": ordered([await describe_spacing(item, volumes) for item in await run.voxel_spacings()]),
        "picks": ordered([authored(item) | await read(read_picks, item, data) for item in await run.picks()]),
        "meshes": ordered([authored(item) | await read(read_mesh, item, data) for item in await run.meshes()]),
        "segmentations": ordered(
            [
                {
                    "voxel_size": item.voxel_size,
                    "user_id": item.user_id,
                    "session_id": item.session_id,
                    "name": item.name,
                    "type": item.segmentation_type,
                    **await read(read_volume, item, volumes),
                }
                for item in await run.segmentations()
            ]
        ),
        "filaments": ordered(
            [authored(item) | await read(read_filaments, item, data) for item in await run.filaments()]
        ),
    }


def ordered(descriptions: list[Description]) -> list[Description]:
    """In the order of copick's description: by the names as text."""
    return sorted(descriptions, key=lambda found: [str(found[name]) for name in NAMES if name in found])


def without(description: Any, *keys: str) -> Any:
    """A description without these keys, at any depth."""
    if isinstance(description, dict):
        return {key: without(value, *keys) for key, value in description.items() if key not in keys}
    return [without(value, *keys) for value in description] if isinstance(description, list) else description


def names_only(runs: Sequence[Description]) -> dict[str, Description]:
    """Listed entities by run and kind, as short texts; copick's failure as it is."""

    def texts(found: Any) -> Any:
        if isinstance(found, dict):
            return found
        return [" ".join(str(item[name]) for name in NAMES if name in item) for item in found]

    return {
        run["name"]: {
            "voxel_spacings": {
                str(spacing["voxel_size"]): {
                    tomogram["tomo_type"]: [item["feature_type"] for item in tomogram["features"]]
                    for tomogram in spacing["tomograms"]
                }
                for spacing in run["voxel_spacings"]
            }
            if isinstance(run["voxel_spacings"], list)
            else run["voxel_spacings"],
            **{kind: texts(run[kind]) for kind in ("picks", "meshes", "segmentations", "filaments")},
        }
        for run in runs
    }


def authored(entity: Any) -> Description:
    return {
        "object_name": entity.pickable_object_name,
        "user_id": entity.user_id,
        "session_id": entity.session_id,
    }


async def read(reader: Any, entity: Any, wanted: bool) -> Description:
    if not wanted:
        return {}
    try:
        found: Description = await reader(entity)
    except CopickError as error:
        return {"error": type(error).__name__}
    return found


async def describe_spacing(spacing: Any, volumes: bool) -> Description:
    return {
        "voxel_size": spacing.voxel_size,
        "tomograms": ordered(
            [
                {
                    "tomo_type": tomogram.tomo_type,
                    "features": ordered(
                        [
                            {"feature_type": item.feature_type, **await read(read_volume, item, volumes)}
                            for item in await tomogram.features()
                        ]
                    ),
                    **await read(read_volume, tomogram, volumes),
                }
                for tomogram in await spacing.tomograms()
            ]
        ),
    }


async def read_picks(picks: Any) -> Description:
    file = await picks.load()
    positions, transforms = await picks.numpy()
    return {
        "run_name": file.run_name,
        "voxel_spacing": file.voxel_spacing,
        "unit": file.unit,
        "trust_orientation": file.trust_orientation,
        "positions": positions.tolist(),
        "transforms": transforms.tolist(),
        "instance_ids": (await picks.instance_ids()).tolist(),
        "scores": (await picks.scores()).tolist(),
    }


async def read_mesh(mesh: Any) -> Description:
    import trimesh

    geometry = await mesh.load()
    if isinstance(geometry, trimesh.Scene):
        geometry = geometry.to_mesh()
    return {"vertices": geometry.vertices.tolist(), "faces": geometry.faces.tolist()}


async def read_filaments(filaments: Any) -> Description:
    file = await filaments.load()
    return {
        "voxel_spacing": file.voxel_spacing,
        "filaments": [line.model_dump(mode="json") for line in file.filaments],
    }


async def read_volume(volume: Any) -> Description:
    levels = []
    for level in await volume.levels():
        data = np.ascontiguousarray(await volume.numpy(zarr_group=level.path))
        values = data.astype(data.dtype.newbyteorder("<"), copy=False)
        levels.append(
            {
                "path": level.path,
                "shape": list(level.shape),
                "dtype": values.dtype.name,
                "chunks": list(level.chunks),
                "sha256": hashlib.sha256(values.tobytes()).hexdigest(),
            }
        )
    return {"volume": {"levels": levels}}
