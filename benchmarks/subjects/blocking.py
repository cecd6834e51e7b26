"""Work written once for every blocking implementation of CoPick's API: copick's own, and the facade.

The functions are what a user writes in a notebook. What differs (opening, the way over many runs) is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import layouts
from benchmarks.subjects import picks as poses
from benchmarks.subjects.keys import KINDS, nothing

if TYPE_CHECKING:
    from benchmarks.child import Bench

Root = Any
Open = Callable[["Bench"], Root]
Spread = Callable[[Callable[[Any], Any], Iterable[Any]], Iterable[Any]]
"""``map`` or what a subject has in its place."""


def open_root(bench: Bench, open_project: Open) -> None:
    with bench.meter:
        open_project(bench)


def list_runs(bench: Bench, open_project: Open) -> dict[str, int]:
    with bench.meter:
        runs = open_project(bench).runs
    return {"runs": len(runs)}


def crawl(bench: Bench, open_project: Open, spread: Spread) -> dict[str, int]:
    with bench.meter:
        counts = list(spread(count_run, open_project(bench).runs))
    return total(counts)


def crawl_picks(bench: Bench, open_project: Open, spread: Spread) -> dict[str, int]:
    with bench.meter:
        counts = list(spread(count_run_and_points, open_project(bench).runs))
    return total(counts)


def one_run(bench: Bench, open_project: Open) -> dict[str, int]:
    with bench.meter:
        found = count_run(open_project(bench).get_run(bench.parameters["run"]))
    return found


def loop_picks(bench: Bench, open_project: Open) -> dict[str, int]:
    points = 0
    with bench.meter:
        root = open_project(bench)
        for run in root.runs:
            for picks in run.picks:
                points += len(picks.points)
    return {"points": points}


def load_picks(bench: Bench, open_project: Open, load: Callable[[Root, list[Any]], Iterable[int]]) -> dict[str, int]:
    root = open_project(bench)
    entities = [picks for run in root.runs for picks in run.picks]
    with bench.meter:
        points = sum(load(root, entities))
    return {"files": len(entities), "points": points}


def picks_load(bench: Bench, open_project: Open) -> dict[str, float]:
    [run] = open_project(bench).runs
    [picks] = run.picks
    with bench.meter:
        positions, _ = picks.numpy()
    return poses.summary(positions)


def picks_store(bench: Bench, open_project: Open) -> None:
    positions, transforms = poses.random_poses(bench.parameters["points"])
    run = open_project(bench).new_run("TS_0001")
    picks = run.new_picks(poses.OBJECT_NAME, poses.SESSION_ID, poses.USER_ID)
    with bench.meter:
        picks.from_numpy(positions, transforms)
    bench.note_stored()


def mesh_load(bench: Bench, open_project: Open) -> dict[str, int]:
    [run] = open_project(bench).runs
    [mesh] = run.meshes
    with bench.meter:
        geometry = mesh.load()
    return {"faces": sum(len(part.faces) for part in geometry.dump())}


def mesh_store(bench: Bench, open_project: Open) -> None:
    import trimesh

    geometry = trimesh.creation.icosphere(subdivisions=bench.parameters["subdivisions"])
    run = open_project(bench).new_run("TS_0001")
    mesh = run.new_mesh(poses.OBJECT_NAME, poses.SESSION_ID, poses.USER_ID)
    mesh.mesh = geometry
    with bench.meter:
        mesh.store()
    bench.note_stored()


def volume_read(bench: Bench, open_project: Open) -> dict[str, Any]:
    layout = layouts.layout_of(bench.parameters)
    region = bench.parameters["region"]
    [run] = open_project(bench).runs
    [spacing] = run.voxel_spacings
    [tomogram] = spacing.tomograms
    if bench.parameters.get("again"):
        tomogram.numpy("0", x=slice(0, 1), y=slice(0, 1), z=slice(0, 1))
    if region == "boxes":
        centres, edge = layouts.boxes_of(layout, bench.parameters)
        starts = centres - edge // 2
        with bench.meter:
            data = np.stack(
                [
                    tomogram.numpy("0", x=slice(x, x + edge), y=slice(y, y + edge), z=slice(z, z + edge))
                    for z, y, x in starts.tolist()
                ]
            )
    else:
        z, y, x = layouts.slices_of(layout, region)
        with bench.meter:
            data = tomogram.numpy("0", x=x, y=y, z=z)
    return {"shape": list(data.shape), "sum": layouts.total(data)}


def train_boxes(bench: Bench, open_project: Open) -> dict[str, Any]:
    _, edge = layouts.boxes_of(layouts.layout_of(bench.parameters), bench.parameters)
    count, sum_ = 0, 0.0
    with bench.meter:
        for run in open_project(bench).runs:
            [tomogram] = run.get_voxel_spacing(layouts.VOXEL_SIZE).tomograms
            for picks in run.get_picks(poses.OBJECT_NAME):
                positions, _ = picks.numpy()
                for x, y, z in (positions / layouts.VOXEL_SIZE - edge // 2).astype(int).tolist():
                    box = tomogram.numpy("0", x=slice(x, x + edge), y=slice(y, y + edge), z=slice(z, z + edge))
                    count, sum_ = count + 1, sum_ + layouts.total(box)
    return {"boxes": count, "sum": sum_}


def volume_write(bench: Bench, open_project: Open, **choices: Any) -> dict[str, Any]:
    layout = layouts.layout_of(bench.parameters)
    data = layouts.volume(layout)
    run = open_project(bench).new_run("TS_0001")
    tomogram = run.new_voxel_spacing(layouts.VOXEL_SIZE).new_tomogram("wbp")
    with bench.meter:
        tomogram.from_numpy(data, levels=bench.parameters["levels"], **choices)
    return {"sum": layouts.total(tomogram.numpy("0"))}


def create(bench: Bench, open_project: Open, spread: Spread) -> dict[str, int]:
    positions, transforms = poses.random_poses(10)

    def fill(run: Any) -> None:
        run.new_voxel_spacing(layouts.VOXEL_SIZE).new_tomogram("wbp")
        run.new_segmentation(layouts.VOXEL_SIZE, "membrane", poses.SESSION_ID, user_id=poses.USER_ID)
        picks = run.new_picks(poses.OBJECT_NAME, poses.SESSION_ID, poses.USER_ID)
        picks.from_numpy(positions, transforms)

    with bench.meter:
        root = open_project(bench)
        # One list of the root's grows by each: this much is not for several threads.
        runs = [root.new_run(f"TS_{number:05d}") for number in range(bench.parameters["runs"])]
        list(spread(fill, runs))
    return {"runs": len(open_project(bench).query())}


def delete(bench: Bench, open_project: Open, spread: Spread) -> dict[str, int]:
    with bench.meter:
        runs = list(open_project(bench).runs)
        list(spread(lambda run: run.delete(), runs))
    root = open_project(bench)
    root.reconnect()
    return {"deleted": len(runs), "left": len(root.query())}


def overlay(bench: Bench, open_project: Open, spread: Spread) -> dict[str, int]:
    return crawl(bench, open_project, spread)


def count_run(run: Any) -> dict[str, int]:
    """Entities of one run by kind."""
    found = nothing()
    found["runs"] = 1
    for spacing in run.voxel_spacings:
        found["voxel_spacings"] += 1
        for tomogram in spacing.tomograms:
            found["tomograms"] += 1
            found["features"] += len(tomogram.features)
    found["picks"] = len(run.picks)
    found["meshes"] = len(run.meshes)
    found["segmentations"] = len(run.segmentations)
    return found


def count_run_and_points(run: Any) -> dict[str, int]:
    """Entities of one run by kind, and the points of its picks, which it reads."""
    return {**count_run(run), "points": sum(len(picks.numpy()[0]) for picks in run.picks)}


def total(counts: list[dict[str, int]]) -> dict[str, int]:
    """Sum of counters by kind."""
    kinds = counts[0] if counts else dict.fromkeys(("runs", *KINDS))
    return {kind: sum(count[kind] for count in counts) for kind in kinds}
