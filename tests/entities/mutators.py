"""Every verb that changes a project, each with a call that succeeds on :func:`write_everything`.

What is no mutator is in :data:`READERS`, so that a new verb that is in neither is noticed.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pandas as pd
import trimesh

import aiocopick
from aiocopick import entities
from aiocopick.entities import (
    AsyncFeatures,
    AsyncFilaments,
    AsyncMesh,
    AsyncObject,
    AsyncPicks,
    AsyncRoot,
    AsyncRun,
    AsyncSegmentation,
    AsyncTomogram,
    AsyncVoxelSpacing,
)
from aiocopick.models import CopickFilament, PickableObject

OBJECTS = [
    PickableObject(name="ribosome", is_particle=True, label=1),
    PickableObject(name="membrane", is_particle=False, label=2),
]
CHUNKS = (4, 4, 4)


def numbers(*shape: int) -> np.ndarray[Any, Any]:
    """Numbers of which all are different."""
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


async def write_everything(root: AsyncRoot) -> None:
    """A run with one of each kind, none of them empty, and a density map."""
    root.config.pickable_objects = list(OBJECTS)
    root.config.user_id, root.config.session_id = "someone", "1"
    await root.store_meta({"name": "project"})
    run = await root.new_run("TS_1")
    await (await run.new_picks("ribosome")).from_numpy([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    mesh = await run.new_mesh("membrane")
    mesh.mesh = trimesh.creation.box()
    await mesh.store()
    await (await run.new_filaments("membrane")).from_numpy([[[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]])
    spacing = await run.new_voxel_spacing(10.0)
    tomogram = await spacing.new_tomogram("wbp")
    await tomogram.from_numpy(numbers(6, 4, 4), levels=2, chunks=CHUNKS)
    await (await tomogram.new_features("sobel")).from_numpy(numbers(1, 6, 4, 4), chunks=CHUNKS)
    await (await run.new_segmentation(10.0, "membrane")).from_numpy(numbers(6, 4, 4) > 9, levels=2, chunks=CHUNKS)
    ribosome = await root.get_object("ribosome")
    assert ribosome is not None
    await ribosome.from_numpy(numbers(6, 4, 4), 5.0, chunks=CHUNKS)


class Parts:
    """One entity of each kind, as a root lists them."""

    def __init__(self) -> None:
        self.run: AsyncRun
        self.spacing: AsyncVoxelSpacing
        self.tomogram: AsyncTomogram
        self.features: AsyncFeatures
        self.segmentation: AsyncSegmentation
        self.picks: AsyncPicks
        self.mesh: AsyncMesh
        self.filaments: AsyncFilaments
        self.object: AsyncObject

    @classmethod
    async def of(cls, root: AsyncRoot) -> Parts:
        parts = cls()
        [parts.run] = await root.query()
        [parts.spacing] = await parts.run.voxel_spacings()
        [parts.tomogram] = await parts.spacing.tomograms()
        [parts.features] = await parts.tomogram.features()
        [parts.segmentation] = await parts.run.segmentations()
        [parts.picks] = await parts.run.picks()
        [parts.mesh] = await parts.run.meshes()
        [parts.filaments] = await parts.run.filaments()
        found = await root.get_object("ribosome")
        assert found is not None
        parts.object = found
        await parts.mesh.load()
        await parts.filaments.load()
        parts.mesh.mesh = trimesh.creation.icosphere(subdivisions=1)
        parts.filaments.filaments = [CopickFilament(instance_id=7, points=[(0, 0, 0), (9, 9, 9)])]
        parts.run.meta.note = "changed"
        parts.spacing.meta.note = "changed"
        return parts


Call = Callable[[AsyncRoot, Parts], Awaitable[Any]]

POSITIONS = [[7.0, 8.0, 9.0]]
FRAME = pd.DataFrame({f"rlnCenteredCoordinate{axis}Angst": [1.0] for axis in "XYZ"})
SMALL = numbers(5, 4, 4) + 1


async def _store_picks(root: AsyncRoot, parts: Parts) -> None:
    await parts.picks.from_numpy(POSITIONS, store=False)
    await parts.picks.store()


async def _store_many(root: AsyncRoot, parts: Parts) -> None:
    await parts.picks.from_numpy(POSITIONS, store=False)
    await aiocopick.store([parts.picks, parts.mesh, parts.filaments])


MUTATORS: dict[str, Call] = {
    "AsyncRoot.new_run": lambda root, parts: root.new_run("TS_2"),
    "AsyncRoot.delete_run": lambda root, parts: root.delete_run("TS_1"),
    "AsyncRoot.store_meta": lambda root, parts: root.store_meta({"name": "changed"}),
    "AsyncRoot.ensure": lambda root, parts: root.ensure(create=True),
    "AsyncRun.ensure": lambda root, parts: parts.run.ensure(create=True),
    "AsyncRun.store_meta": lambda root, parts: parts.run.store_meta(),
    "AsyncRun.delete": lambda root, parts: parts.run.delete(),
    "AsyncRun.new_picks": lambda root, parts: parts.run.new_picks("ribosome", "2"),
    "AsyncRun.new_mesh": lambda root, parts: parts.run.new_mesh("membrane", "2"),
    "AsyncRun.new_filaments": lambda root, parts: parts.run.new_filaments("membrane", "2"),
    "AsyncRun.new_segmentation": lambda root, parts: parts.run.new_segmentation(10.0, "membrane", "2"),
    "AsyncRun.new_voxel_spacing": lambda root, parts: parts.run.new_voxel_spacing(20.0),
    "AsyncRun.delete_picks": lambda root, parts: parts.run.delete_picks(),
    "AsyncRun.delete_meshes": lambda root, parts: parts.run.delete_meshes(),
    "AsyncRun.delete_filaments": lambda root, parts: parts.run.delete_filaments(),
    "AsyncRun.delete_segmentations": lambda root, parts: parts.run.delete_segmentations(),
    "AsyncRun.delete_voxel_spacings": lambda root, parts: parts.run.delete_voxel_spacings(),
    "AsyncVoxelSpacing.ensure": lambda root, parts: parts.spacing.ensure(create=True),
    "AsyncVoxelSpacing.store_meta": lambda root, parts: parts.spacing.store_meta(),
    "AsyncVoxelSpacing.new_tomogram": lambda root, parts: parts.spacing.new_tomogram("denoised"),
    "AsyncVoxelSpacing.delete_tomograms": lambda root, parts: parts.spacing.delete_tomograms(),
    "AsyncVoxelSpacing.delete": lambda root, parts: parts.spacing.delete(),
    "AsyncTomogram.from_numpy": lambda root, parts: parts.tomogram.from_numpy(SMALL, levels=2, chunks=CHUNKS),
    "AsyncTomogram.set_region": lambda root, parts: parts.tomogram.set_region(-1, z=slice(0, 2), y=0, x=0),
    "AsyncTomogram.new_features": lambda root, parts: parts.tomogram.new_features("gabor"),
    "AsyncTomogram.delete_features": lambda root, parts: parts.tomogram.delete_features(),
    "AsyncTomogram.delete": lambda root, parts: parts.tomogram.delete(),
    "AsyncFeatures.from_numpy": lambda root, parts: parts.features.from_numpy(SMALL, chunks=CHUNKS),
    "AsyncFeatures.set_region": lambda root, parts: parts.features.set_region(-1, slices=(0, 0, 0, slice(0, 2))),
    "AsyncFeatures.delete": lambda root, parts: parts.features.delete(),
    "AsyncSegmentation.from_numpy": lambda root, parts: parts.segmentation.from_numpy(SMALL > 3, chunks=CHUNKS),
    "AsyncSegmentation.set_region": lambda root, parts: parts.segmentation.set_region(1, z=0, y=0, x=slice(0, 2)),
    "AsyncSegmentation.delete": lambda root, parts: parts.segmentation.delete(),
    "AsyncPicks.store": _store_picks,
    "AsyncPicks.from_numpy": lambda root, parts: parts.picks.from_numpy(POSITIONS),
    "AsyncPicks.from_df": lambda root, parts: parts.picks.from_df(FRAME),
    "AsyncPicks.update": lambda root, parts: parts.picks.update(lambda points: points[:1]),
    "AsyncPicks.delete": lambda root, parts: parts.picks.delete(),
    "AsyncMesh.store": lambda root, parts: parts.mesh.store(),
    "AsyncMesh.delete": lambda root, parts: parts.mesh.delete(),
    "AsyncFilaments.store": lambda root, parts: parts.filaments.store(),
    "AsyncFilaments.from_numpy": lambda root, parts: parts.filaments.from_numpy([[[1, 2, 3], [4, 5, 6]]]),
    "AsyncFilaments.update": lambda root, parts: parts.filaments.update(lambda lines: []),
    "AsyncFilaments.delete": lambda root, parts: parts.filaments.delete(),
    "AsyncObject.from_numpy": lambda root, parts: parts.object.from_numpy(SMALL, 5.0, chunks=CHUNKS),
    "AsyncObject.set_region": lambda root, parts: parts.object.set_region(-1, z=0, y=0, x=slice(0, 2)),
    "AsyncObject.delete": lambda root, parts: parts.object.delete(),
    "store": _store_many,
}
"""Calls by the name of the verb."""

READERS = {
    "AsyncRoot": {
        "aclose", "discover_objects", "get_object", "get_run", "load_meta", "pickable_objects", "prefetch", "query",
        "query_objects", "reconnect", "resolve", "runs",
        # The config in memory, not the project.
        "new_object",
    },
    "AsyncRun": {
        "filaments", "get_filaments", "get_meshes", "get_picks", "get_segmentations", "get_voxel_spacing", "load_meta",
        "meshes", "picks", "picture", "query_filaments", "query_meshes", "query_picks", "query_segmentations",
        "query_voxelspacings", "segmentations", "tool_meshes", "tool_picks", "tool_segmentations", "user_meshes",
        "user_picks", "user_segmentations", "voxel_spacings",
    },
    "AsyncVoxelSpacing": {"get_tomogram", "get_tomograms", "load_meta", "query_tomograms", "tomograms"},
    "AsyncTomogram": {"features", "get_features", "query_features", "thumbnail"},
    "AsyncSegmentation": {"instance_ids", "instance_volume", "label_volume", "segments"},
    "AsyncObject": {"has_density_map"},
    "AsyncPicks": {"df", "full_positions", "instance_ids", "load", "numpy", "scores", "to_numpy"},
    # One of them sets the mesh in memory.
    "AsyncMesh": {"from_napari", "load", "to_napari"},
    "AsyncFilaments": {"get", "instance_ids", "load", "numpy"},
}  # fmt: skip
"""Verbs by class that change nothing that is stored."""
VOLUME_READERS = {"extract", "level_for", "levels", "numpy", "open_array", "to_dask", "to_xarray"}


def verbs() -> set[str]:
    """Every public coroutine function of every entity, but those that are known to change nothing."""
    found = set()
    for name in entities.__all__:
        cls = getattr(entities, name)
        if not (inspect.isclass(cls) and name.startswith("Async")) or name in ("AsyncEntity", "AsyncVolume"):
            continue
        known = READERS.get(name, set()) | (VOLUME_READERS if issubclass(cls, entities.AsyncVolume) else set())
        found |= {
            f"{name}.{verb}"
            for verb in dir(cls)
            if not verb.startswith("_") and verb not in known and inspect.iscoroutinefunction(getattr(cls, verb))
        }
    return found | {"store"}
