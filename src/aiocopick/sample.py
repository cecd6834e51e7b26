"""A small realistic project, written through the public API: for the demo, the documentation and tests.

Each run is a synthetic tomogram of 400 x 800 x 800 angstrom (zyx) with ribosomes, apo-ferritin, a vesicle and a
microtubule, as a person and as a program would have annotated it. The same seed gives the same content.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aiocopick.concurrency.fan_out import gather
from aiocopick.concurrency.threads import in_thread
from aiocopick.models import CopickConfigFS, FilamentSpec, PickableObject

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from trimesh import Trimesh

    from aiocopick.entities import AsyncRoot, AsyncRun

VOXEL_SIZE = 10.0
"""Angstrom per voxel."""

SHAPE = (40, 80, 80)
"""Voxels of a tomogram along z, y and x."""

_BOX = np.array(SHAPE[::-1]) * VOXEL_SIZE
_RUNS_AT_ONCE = 4
_COUNTS = {"ribosome": 4, "apo-ferritin": 9}
_VESICLE_RADIUS = 90.0
_MEMBRANE = 40.0
_MAP_SIZE = 32
_NOTHING = (np.empty(0, dtype=np.float32), np.empty(0, dtype=np.uint8))


def sample_objects() -> list[PickableObject]:
    """The pickable objects of the sample project; radii in angstrom."""
    microtubule = PickableObject(name="microtubule", is_particle=True, label=4, color=(255, 200, 0, 255), radius=125)
    microtubule.set_filament(FilamentSpec(polar=True))
    return [
        PickableObject(
            name="ribosome", is_particle=True, label=1, color=(0, 117, 220, 255), emdb_id="EMD-3883", radius=125
        ),
        PickableObject(
            name="apo-ferritin", is_particle=True, label=2, color=(153, 63, 0, 255), emdb_id="EMD-11638", radius=60
        ),
        PickableObject(name="membrane", is_particle=False, label=3, color=(76, 175, 80, 255)),
        microtubule,
    ]


def sample_config(root: str | os.PathLike[str], **fields: Any) -> CopickConfigFS:
    """A configuration with the sample's objects.

    Parameters
    ----------
    root : str or path
        URL or path of the project.
    **fields
        Other fields of :class:`~aiocopick.models.CopickConfigFS`.
    """
    fields.setdefault("name", "Sample project")
    fields.setdefault("description", "Synthetic tomograms written by aiocopick")
    return CopickConfigFS(root=os.fspath(root), pickable_objects=sample_objects(), **fields)


async def write_sample(
    root: AsyncRoot,
    *,
    runs: int = 4,
    seed: int = 0,
    volumes: bool = True,
    progress: Callable[[str], None] | None = None,
) -> None:
    """Write the sample into a project opened with :func:`sample_config`.

    Parameters
    ----------
    root : AsyncRoot
        An empty project; runs of the same name are overwritten.
    runs : int
        Number of runs, named ``TS_001``, ``TS_002``, ...
    seed : int
        Seed of the random numbers.
    volumes : bool
        Write tomograms, feature maps, segmentations and density maps; without them the project has a size of some
        kilobytes.
    progress : callable, optional
        Called with the name of each run that is done.

    Raises
    ------
    ReadOnlyError
        The root cannot be written to.
    """
    await root.ensure(create=True)

    async def write(index: int) -> None:
        name = f"TS_{index + 1:03d}"
        run = await root.new_run(name, exist_ok=True)
        await _write_run(run, await in_thread(_imagine, seed, index, volumes), volumes=volumes)
        if progress is not None:
            progress(name)

    await gather(write, range(runs), limit=_RUNS_AT_ONCE)
    if volumes:
        await _write_density_maps(root)


@dataclass(frozen=True, slots=True)
class _Scene:
    """The content of a tomogram; positions are (N, 3) xyz in angstrom."""

    particles: dict[str, NDArray[np.float64]]
    rotations: dict[str, NDArray[np.float64]]
    guesses: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    microtubule: NDArray[np.float64]
    vesicle: NDArray[np.float64]
    tomogram: NDArray[np.float32]
    labels: NDArray[np.uint8]


def _imagine(seed: int, index: int, volumes: bool) -> _Scene:
    random = np.random.default_rng([seed, index])
    radii = {item.name: item.radius or 0.0 for item in sample_objects()}
    vesicle = random.uniform(0.2, 0.35) * _BOX
    vesicle[2] = _BOX[2] / 2
    start, end = np.array([0.0, 0.85 * _BOX[1], 130.0]), np.array([_BOX[0], 0.75 * _BOX[1], 270.0])
    microtubule = start + np.linspace(0, 1, 33)[:, None] * (end - start)
    # New particles keep a distance from everything placed so far.
    taken = [(vesicle, _VESICLE_RADIUS + _MEMBRANE), *((point, radii["microtubule"]) for point in microtubule)]
    particles: dict[str, NDArray[np.float64]] = {}
    for name, count in _COUNTS.items():
        found: list[NDArray[np.float64]] = []
        for _ in range(2000):
            point = random.uniform(radii[name] * 0.7, _BOX - radii[name] * 0.7)
            if len(found) < count and all(np.linalg.norm(point - other) > radii[name] + size for other, size in taken):
                found.append(point)
                taken.append((point, radii[name]))
        particles[name] = np.array(found).reshape(-1, 3).round(3)
    # Separate random numbers, so that the picks are the same without volumes.
    noise = np.random.default_rng([seed, index, 1])
    tomogram, labels = _render(noise, particles, radii, microtubule, vesicle) if volumes else _NOTHING
    return _Scene(
        particles=particles,
        rotations={name: _rotations(random, len(points)) for name, points in particles.items()},
        guesses={name: _guess(random, points) for name, points in particles.items()},
        microtubule=microtubule.round(3),
        vesicle=vesicle,
        tomogram=tomogram,
        labels=labels,
    )


def _rotations(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Random rotations as (N, 4, 4)."""
    matrices, _ = np.linalg.qr(random.normal(size=(count, 3, 3)))
    # QR also gives reflections, which a particle cannot be.
    matrices *= np.sign(np.linalg.det(matrices))[:, None, None]
    transforms = np.tile(np.eye(4), (count, 1, 1))
    transforms[:, :3, :3] = matrices
    return transforms


def _guess(random: np.random.Generator, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return picks like those of a program: the particles, off by a voxel, and a few more with low scores."""
    near = np.clip(points + random.normal(scale=VOXEL_SIZE, size=points.shape), 0, _BOX)
    wrong = random.uniform(0, _BOX, size=(3, 3))
    scores = np.concatenate([random.uniform(0.6, 1, len(near)), random.uniform(0.1, 0.5, len(wrong))])
    return np.concatenate([near, wrong]).round(3), scores.round(4)


def _render(
    random: np.random.Generator,
    particles: dict[str, NDArray[np.float64]],
    radii: dict[str, float],
    microtubule: NDArray[np.float64],
    vesicle: NDArray[np.float64],
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """A noisy tomogram, density dark on light as microscopes show it, and its labels."""
    z, y, x = (np.arange(size) * VOXEL_SIZE for size in SHAPE)

    def distance(point: NDArray[np.float64]) -> NDArray[np.float64]:
        result: NDArray[np.float64] = np.sqrt(
            ((z - point[2]) ** 2)[:, None, None] + ((y - point[1]) ** 2)[:, None] + (x - point[0]) ** 2
        )
        return result

    density = np.zeros(SHAPE)
    labels = np.zeros(SHAPE, dtype=np.uint8)
    label = {item.name: item.label or 0 for item in sample_objects()}
    for name, points in particles.items():
        for point in points:
            away = distance(point)
            density += np.exp(-2 * (away / radii[name]) ** 2)
            labels[away <= radii[name]] = label[name]
    shell = np.abs(distance(vesicle) - _VESICLE_RADIUS)
    density += np.exp(-2 * (shell / _MEMBRANE) ** 2)
    labels[shell <= _MEMBRANE / 2] = label["membrane"]
    axis = np.min([distance(point) for point in microtubule], axis=0)
    density += np.exp(-2 * ((axis - 0.8 * radii["microtubule"]) / 40) ** 2)
    labels[axis <= radii["microtubule"]] = label["microtubule"]
    return (random.normal(scale=0.25, size=SHAPE) - density).astype(np.float32), labels


async def _write_run(run: AsyncRun, scene: _Scene, *, volumes: bool) -> None:
    spacing = await run.new_voxel_spacing(VOXEL_SIZE, exist_ok=True)
    for name, points in scene.particles.items():
        picks = await run.new_picks(name, user_id="curator", session_id="1", exist_ok=True)
        await picks.from_numpy(points, scene.rotations[name])
        picks = await run.new_picks(name, user_id="template-matching", session_id="0", exist_ok=True)
        guessed, scores = scene.guesses[name]
        await picks.from_numpy(guessed, scores=scores)
    filaments = await run.new_filaments("microtubule", user_id="curator", session_id="1", exist_ok=True)
    await filaments.from_numpy([scene.microtubule], polarity_known=[True], voxel_spacing=VOXEL_SIZE)
    mesh = await run.new_mesh("membrane", user_id="curator", session_id="1", exist_ok=True)
    mesh.mesh = await in_thread(_sphere, scene.vesicle)
    await mesh.store()
    if not volumes:
        return
    tomogram = await spacing.new_tomogram("wbp", exist_ok=True)
    await tomogram.from_numpy(scene.tomogram)
    features = await tomogram.new_features("gradient", exist_ok=True)
    await features.from_numpy(await in_thread(_gradient, scene.tomogram))
    segmentation = await run.new_segmentation(
        VOXEL_SIZE, "cell", user_id="curator", session_id="1", is_multilabel=True, exist_ok=True
    )
    await segmentation.from_numpy(scene.labels)
    membrane = await run.new_segmentation(VOXEL_SIZE, "membrane", user_id="membrain", session_id="0", exist_ok=True)
    await membrane.from_numpy((scene.labels == 3).astype(np.uint8))


def _sphere(centre: NDArray[np.float64]) -> Trimesh:
    import trimesh

    sphere: Trimesh = trimesh.creation.icosphere(subdivisions=3, radius=_VESICLE_RADIUS)
    sphere.apply_translation(centre)
    return sphere


def _gradient(tomogram: NDArray[np.float32]) -> NDArray[np.float32]:
    """The gradient of a tomogram as a feature map (3, Z, Y, X)."""
    return np.stack(list(np.gradient(tomogram))).astype(np.float32)


async def _write_density_maps(root: AsyncRoot) -> None:
    centre = (np.indices((_MAP_SIZE,) * 3) - (_MAP_SIZE - 1) / 2) * VOXEL_SIZE
    away = np.sqrt((centre**2).sum(axis=0))

    async def write(item: PickableObject) -> None:
        found = await root.get_object(item.name)
        if found is not None and item.radius:
            await found.from_numpy(np.exp(-2 * (away / item.radius) ** 2).astype(np.float32), VOXEL_SIZE)

    maps: Callable[[PickableObject], Awaitable[None]] = write
    await gather(maps, [item for item in sample_objects() if item.name in _COUNTS], limit=_RUNS_AT_ONCE)


__all__ = ["SHAPE", "VOXEL_SIZE", "sample_config", "sample_objects", "write_sample"]
