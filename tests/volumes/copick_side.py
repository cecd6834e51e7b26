"""Runs in an environment with copick itself: writes a project of odd sizes, or says what copick reads in one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import copick
import numpy as np

SHAPE = (33, 50, 41)
OBJECTS = [{"name": "ribosome", "is_particle": True, "label": 1, "radius": 60, "color": [1, 2, 3, 255]}]


def open_project(folder: str) -> Any:
    config = Path(folder) / "copick.json"
    config.parent.mkdir(parents=True, exist_ok=True)
    settings = {
        "config_type": "filesystem",
        "name": "t",
        "description": "t",
        "version": "1",
        "pickable_objects": OBJECTS,
        "overlay_root": f"local://{folder}",
        "overlay_fs_args": {"auto_mkdir": True},
        "user_id": "user",
        "session_id": "1",
    }
    config.write_text(json.dumps(settings))
    return copick.from_file(str(config))


def write(folder: str) -> None:
    root = open_project(folder)
    run = root.new_run("TS_1")
    tomogram = run.new_voxel_spacing(10.0).new_tomogram("wbp")
    data = np.random.default_rng(0).normal(size=SHAPE).astype("f4")
    tomogram.from_numpy(data)
    run.new_segmentation(10.0, "ribosome", "1").from_numpy((data > 0).astype("u1"), levels=2)
    labels = (data > 0).astype("u2")
    panoptic = run.new_segmentation(10.0, "all", "1", is_panoptic=True)
    panoptic.from_numpy(np.stack([labels, 3 * labels]), levels=2)


def read(folder: str, out: str) -> None:
    [run] = open_project(folder).runs
    found = {}
    tomogram = run.voxel_spacings[0].tomograms[0]
    for level in "012":
        found[f"wbp-{level}"] = tomogram.numpy(zarr_group=level)
    for segmentation in run.get_segmentations(is_instance=None, is_panoptic=None):
        for level in "01":
            found[f"{segmentation.name}-{level}"] = segmentation.numpy(zarr_group=level)
    np.savez(out, **found)


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](*sys.argv[2:])
