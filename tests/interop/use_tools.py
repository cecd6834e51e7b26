"""copick's own tools on a project: on copick's roots, or on ours through `aiocopick.compat`.

``python use_tools.py copick|aiocopick.compat FOLDER`` prints what each step gave, as JSON. FOLDER holds two configs
of empty projects, `source.json` and `target.json`.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import json
import logging
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import exercise
import numpy as np

LIBRARY, FOLDER = sys.argv[1], Path(sys.argv[2])
importlib.import_module(LIBRARY)

import copick  # noqa: E402
from copick.ops import add, export, get, manage, stats, sync  # noqa: E402

SOURCE, TARGET = str(FOLDER / "source.json"), str(FOLDER / "target.json")
CLI = ["-m", "aiocopick.compat"] if LIBRARY == "aiocopick.compat" else ["-c", "from copick.cli.cli import main; main()"]


def run_cli(*arguments: str) -> Any:
    done = subprocess.run([sys.executable, *CLI, *arguments], capture_output=True, text=True, check=False)
    return [done.returncode, "" if done.returncode == 0 else done.stderr[-2000:]]


def exported(name: str) -> Any:
    """Content of what was exported: of text without its comments, of arrays as numbers."""
    path = FOLDER / "out" / name
    if path.suffix in (".star", ".csv", ".tbl"):
        return [line.split() for line in path.read_text().splitlines() if not line.startswith("#")]
    if path.suffix == ".zarr":
        import zarr

        group = zarr.open_group(str(path), mode="r")
        return {key: exercise.array_of(array[:]) for key, array in group.arrays()}
    # An MRC header carries the time.
    return hashlib.sha256(path.read_bytes()[1024:]).hexdigest()[:16]


def names(entities: Any) -> Any:
    return exercise.ordered(entities)


def main(step: exercise.Record) -> None:
    (FOLDER / "out").mkdir()
    root = copick.from_file(SOURCE)
    exercise.write(root, exercise.Record())
    root.save_config(SOURCE)
    # copick writes an empty file where it copies an empty mesh.
    root.get_run("TS_1").delete_meshes(object_name="ribosome")
    root = copick.from_file(SOURCE)
    step("kinds", lambda: [isinstance(item, copick.COPICK_TYPES) for item in (root, *root.runs, *root.runs[0].picks)])

    for parallel in (False, True):
        quiet = {"parallel": parallel, "show_progress": False}
        what = "threads" if parallel else "one thread"
        step(f"get runs, {what}", lambda: names(get.get_runs(root)))
        step(f"get picks, {what}", lambda quiet=quiet: names(get.get_picks(root, object_name="ribosome", **quiet)))
        step(f"get meshes, {what}", lambda quiet=quiet: names(get.get_meshes(SOURCE, user_id="alice", **quiet)))
        step(f"get segmentations, {what}", lambda quiet=quiet: names(get.get_segmentations(root, **quiet)))
        step(f"get spacings, {what}", lambda quiet=quiet: names(get.get_voxelspacings(root, **quiet)))
        step(f"get tomograms, {what}", lambda quiet=quiet: names(get.get_tomograms(root, voxel_size=10.0, **quiet)))
        step(f"get features, {what}", lambda quiet=quiet: names(get.get_features(root, tomo_type="wbp", **quiet)))
        step(f"picks stats, {what}", lambda quiet=quiet: stats.picks_stats(root, **quiet))
        step(f"mesh stats, {what}", lambda quiet=quiet: stats.meshes_stats(root, **quiet))
        step(f"segmentation stats, {what}", lambda quiet=quiet: stats.segmentations_stats(root, **quiet))

    run = root.get_run("TS_1")
    picks = run.get_picks(object_name="ribosome", user_id="alice")[0]
    for kind, suffix in (("star", "star"), ("csv", "csv"), ("em", "em"), ("dynamo", "tbl")):
        name = f"picks.{suffix}"
        step(
            f"export picks {kind}",
            lambda kind=kind, name=name: bool(export.export_picks(picks, str(FOLDER / "out" / name), kind, 10.0)),
        )
        step(f"exported picks {kind}", lambda name=name: exported(name))
    tomogram = run.get_voxel_spacing(10.0).get_tomograms("wbp")[0]
    segmentation = run.get_segmentations(is_multilabel=True)[0]
    for kind in ("mrc", "zarr"):
        for what, entity, function in (
            ("tomogram", tomogram, export.export_tomogram),
            ("segmentation", segmentation, export.export_segmentation),
        ):
            name = f"{what}.{kind}"
            step(f"export {name}", lambda f=function, e=entity, n=name, k=kind: bool(f(e, str(FOLDER / "out" / n), k)))
            step(f"exported {name}", lambda name=name: exported(name))
    step(
        "export all",
        lambda: export.export(
            SOURCE, str(FOLDER / "out" / "all"), picks_uri="ribosome:*/*", output_format="csv", n_workers=4
        ),
    )
    step("exported all", lambda: sorted(path.name for path in (FOLDER / "out" / "all").rglob("*.csv")))

    target = copick.from_file(TARGET)
    for name in ("TS_1", "TS_2"):
        target.new_run(name)
    workers = {"source_runs": ["TS_1", "TS_2"], "max_workers": 4}
    step("sync picks", lambda: sync.sync_picks(root, target, **workers))
    step("sync meshes", lambda: sync.sync_meshes(root, target, exist_ok=True, **workers))
    step(
        "sync segmentations",
        lambda: sync.sync_segmentations(root, target, is_instance=None, is_panoptic=None, **workers),
    )
    step("sync tomograms", lambda: sync.sync_tomograms(root, target, source_tomo_types=["wbp"], **workers))

    step("copy", lambda: manage.copy_copick_objects(root, "picks", "ribosome:alice/s1", "ribosome:copy/1"))
    step(
        "copy many",
        lambda: manage.copy_copick_objects_batch(
            root, "mesh", "*:alice/*", "{object_name}:copy/{session_id}", workers=4
        ),
    )
    step(
        "copy segmentation",
        lambda: manage.copy_copick_objects(root, "segmentation", "membrane:alice/s1@10.0", "membrane:copy/1@10.0"),
    )
    step("move", lambda: manage.move_copick_objects(root, "picks", "membrane:bob/s1", "membrane:moved/1"))
    step("remove", lambda: manage.remove_copick_objects(root, "filaments", "actin:alice/*"))
    step("remove many", lambda: manage.remove_copick_objects_batch(root, "picks", "ribosome:me/*", workers=4))

    volume = exercise.volume(9)
    step("add run", lambda: add.add_run(root, "added").name)
    step("add tomogram", lambda: add.add_tomogram(root, "added", "raw", volume, 10.0, create_pyramid=True).tomo_type)
    step(
        "add tomogram again",
        lambda: add.add_tomogram(root, "added", "raw", volume, 10.0, exist_ok=True, overwrite=True).tomo_type,
    )
    step(
        "add features",
        lambda: add.add_features(root, "added", 10.0, "raw", "edges", np.stack([volume, volume])).feature_type,
    )
    step("add features again", lambda: add.add_features(root, "added", 10.0, "raw", "edges", volume, exist_ok=True))
    step(
        "add object",
        lambda: (
            add.add_object(root, "new", True, volume=volume, voxel_size=5.0, save_config=True, config_path=SOURCE).label
        ),
    )
    step("add object volume", lambda: add.add_object_volume(root, "actin", volume, 5.0).name)
    step(
        "add picks",
        lambda: (
            add.add_picks(
                root,
                "added",
                str(FOLDER / "out" / "picks.em"),
                "ribosome",
                "u",
                "1",
                10.0,
                tomogram_dimensions=(8, 10, 12),
            ).user_id
        ),
    )

    step("cli stats", lambda: run_cli("stats", "picks", "-c", SOURCE))
    step("cli new run", lambda: run_cli("new", "run", "-c", SOURCE, "by-cli"))
    step("cli cp", lambda: run_cli("cp", "picks", "ribosome:alice/s1", "ribosome:cli/1", "-c", SOURCE))
    step("cli mv", lambda: run_cli("mv", "picks", "ribosome:copy/1", "ribosome:cli/2", "-c", SOURCE))
    step("cli rm", lambda: run_cli("rm", "mesh", "--force", "*:copy/*", "-c", SOURCE))
    step("cli sync", lambda: run_cli("sync", "picks", "-c", SOURCE, "--target-config", TARGET, "--exist-ok"))
    step("cli missing project", lambda: run_cli("stats", "picks", "-c", str(FOLDER / "none.json"))[0] != 0)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    record = exercise.Record()
    with contextlib.redirect_stdout(io.StringIO()):
        main(record)
        for config in (SOURCE, TARGET):
            left = exercise.Record()
            exercise.read(copick.from_file(config), left)
            record.steps[Path(config).stem] = left.steps
    print(json.dumps(record.steps))
