"""Local disk by hand: scandir, open, json and trimesh, in one thread, without a check."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.subjects import picks as poses
from benchmarks.subjects.keys import count, is_picks

if TYPE_CHECKING:
    from benchmarks.child import Bench


def list_runs(bench: Bench) -> dict[str, int]:
    with bench.meter, os.scandir(f"{bench.url}/ExperimentRuns") as entries:
        runs = sum(entry.is_dir() for entry in entries)
    return {"runs": runs}


def crawl(bench: Bench) -> dict[str, int]:
    with bench.meter:
        keys = list(_walk(f"{bench.url}/ExperimentRuns", ""))
        found = count(_runs(keys), keys)
    return found


def crawl_picks(bench: Bench) -> dict[str, int]:
    with bench.meter:
        keys = list(_walk(f"{bench.url}/ExperimentRuns", ""))
        found = count(_runs(keys), keys)
        points = _points(bench, keys)
    return {**found, "points": points}


def load_picks(bench: Bench) -> dict[str, int]:
    keys = [key for key in _walk(f"{bench.url}/ExperimentRuns", "") if is_picks(key)]
    with bench.meter:
        points = _points(bench, keys)
    return {"files": len(keys), "points": points}


def picks_load(bench: Bench) -> dict[str, float]:
    [key] = filter(is_picks, _walk(f"{bench.url}/ExperimentRuns", ""))
    with bench.meter:
        positions, _ = poses.decode(Path(bench.url, "ExperimentRuns", key).read_bytes())
    return poses.summary(positions)


def picks_store(bench: Bench) -> None:
    positions, transforms = poses.random_poses(bench.parameters["points"])
    path = Path(bench.url, "picks.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    with bench.meter:
        path.write_bytes(poses.encode(positions, transforms))
    bench.note_stored()


def mesh_load(bench: Bench) -> dict[str, int]:
    import trimesh

    [path] = Path(bench.url).rglob("*.glb")
    with bench.meter, path.open("rb") as file:
        geometry: Any = trimesh.load(file, file_type="glb")
    return {"faces": sum(len(part.faces) for part in geometry.dump())}


def mesh_store(bench: Bench) -> None:
    import trimesh

    geometry = trimesh.creation.icosphere(subdivisions=bench.parameters["subdivisions"])
    path = Path(bench.url, "mesh.glb")
    path.parent.mkdir(parents=True, exist_ok=True)
    with bench.meter:
        path.write_bytes(geometry.export(file_type="glb"))
    bench.note_stored()


def _walk(folder: str, prefix: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir():
                yield prefix + entry.name
            elif entry.name.endswith(".zarr"):
                yield f"{prefix}{entry.name}/"
            else:
                yield from _walk(entry.path, f"{prefix}{entry.name}/")


def _runs(keys: list[str]) -> int:
    return len({key.partition("/")[0] for key in keys})


def _points(bench: Bench, keys: list[str]) -> int:
    folder = f"{bench.url}/ExperimentRuns/"
    points = 0
    for key in filter(is_picks, keys):
        with open(folder + key, "rb") as file:
            points += len(poses.decode(file.read())[0])
    return points
