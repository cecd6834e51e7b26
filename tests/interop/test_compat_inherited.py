"""What our classes inherit from copick's writes the files that copick writes, and models of both compare equal."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.interop.test_facade_exercise import write_config

SOURCE = Path(__file__).resolve().parents[2] / "src"
SCRIPT = Path(__file__).with_name("use_inherited.py")

# All of these are called by the script; one that appears in a later copick is to be called there as well.
TRIED = {
    "CopickFilaments": [
        "_drop_stale_curves", "_set", "control_points", "editable_curve", "from_control_points", "from_curves",
    ],
    "CopickFilament": [
        "editable_control_points", "editable_curve", "from_control_points", "from_curve", "reversed",
        "with_control_points",
    ],
    "CopickFilamentCurve": ["anchors", "evaluate", "from_tck", "passes_through_control_points", "reversed"],
    # A hook that does nothing.
    "CopickObject": ["_on_density_map_written"],
}  # fmt: skip


@pytest.mark.timeout(600)
def test_inherited_methods_write_what_copick_writes(copick2_python: Path, tmp_path: Path) -> None:
    steps: dict[str, dict[str, Any]] = {}
    for library in ("copick", "aiocopick.compat"):
        root = f"local://{tmp_path}/{library}"
        config = write_config(tmp_path / f"{library}.json", root, {"auto_mkdir": True})
        done = subprocess.run(
            [str(copick2_python), str(SCRIPT), library, config],
            env=os.environ | {"PYTHONPATH": str(SOURCE)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        steps[library] = json.loads(done.stdout)
    ours, theirs = steps["aiocopick.compat"], steps["copick"]
    assert ours["inherited"] == TRIED
    assert [name for name, right in ours["models"].items() if not right] == []
    assert theirs["files"]["me_points_actin.json"]["voxel_spacing"] == 10.0
    assert ours["answers"] == theirs["answers"]
    assert ours["files"] == theirs["files"]
