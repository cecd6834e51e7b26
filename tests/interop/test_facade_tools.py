"""copick's own tools run on our roots once `aiocopick.compat` is imported, and give what they give on copick's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.interop.deliberate import unexplained
from tests.interop.test_facade_exercise import write_config

SOURCE = Path(__file__).resolve().parents[2] / "src"

TOOLS = Path(__file__).with_name("use_tools.py")

Run = Callable[..., str]


@pytest.fixture
def run(copick2_python: Path) -> Run:
    """Runs copick's Python in a fresh process, with aiocopick beside copick."""

    def run(*arguments: str | Path) -> str:
        done = subprocess.run(
            [str(copick2_python), *map(str, arguments)],
            env=os.environ | {"PYTHONPATH": str(SOURCE)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.timeout(900)
def test_operations_and_commands_give_what_they_give_on_copicks_own_roots(run: Run, tmp_path: Path) -> None:
    steps: dict[str, dict[str, Any]] = {}
    for library in ("copick", "aiocopick.compat"):
        folder = tmp_path / library
        for name in ("source", "target"):
            write_config(folder / f"{name}.json", f"local://{folder}/{name}", {"auto_mkdir": True})
        steps[library] = json.loads(run(TOOLS, library, folder))
    theirs, ours = steps["copick"], steps["aiocopick.compat"]
    assert len(theirs) > 60
    problems = [item for name in ("source", "target") for item in unexplained(theirs.pop(name), ours.pop(name))]
    problems += unexplained(theirs, ours)
    assert not problems, "\n".join(problems)


COMPAT = """
import json, sys
import aiocopick
before = aiocopick.from_file(sys.argv[1])
import copick.ops.get, copick.ops.open, copick.models as models
originals = {name: getattr(copick.ops.open, name) for name in vars(copick.ops.open)}
"""


def test_importing_it_is_all_it_takes_also_for_what_exists(run: Run, tmp_path: Path) -> None:
    config = write_config(tmp_path / "config.json", str(tmp_path / "project"), {})
    script = (
        COMPAT
        + """
before.new_run("TS_1").new_picks("ribosome", "1").from_numpy([[1, 2, 3]])
import aiocopick.compat
root = copick.from_file(sys.argv[1])
assert type(root) is aiocopick.CopickRootFS
assert type(copick.from_string(open(sys.argv[1]).read())) is aiocopick.CopickRootFS
for entity in (before, root, *root.runs, *root.runs[0].picks, *root.pickable_objects):
    assert isinstance(entity, copick.COPICK_TYPES), entity
assert isinstance(before, models.CopickRoot) and isinstance(root.runs[0], models.CopickRun)
file = root.runs[0].picks[0].load()
assert isinstance(file, models.CopickPicksFile) and isinstance(file.points[0], models.CopickPoint)
# Ours go into copick's models, and copick's into ours.
again = models.CopickPicksFile(pickable_object_name="a", user_id="b", session_id="c", points=file.points)
root.runs[0].picks[0].points = [models.CopickPoint(location=models.CopickLocation(x=7, y=8, z=9))]
root.runs[0].picks[0].store()
assert before.runs[0].picks[0].load().points[0].location.x == 7
root.new_object("tubulin", True, filament=models.FilamentSpec(polar=True))
assert root.get_object("tubulin").is_filament
changed = {name for name, value in originals.items() if getattr(copick.ops.open, name) is not value}
assert changed == {"from_file", "from_string"}, changed
aiocopick.compat.disable()
assert type(copick.from_file(sys.argv[1])).__module__ == "copick.impl.filesystem"
print("done")
"""
    )
    assert run("-W", "error::DeprecationWarning:aiocopick", "-c", script, config).strip() == "done"


def test_configurations_that_only_copick_understands_are_left_to_it(run: Run, tmp_path: Path) -> None:
    script = """
import copick.ops.open as opening
seen = []
opening.from_string = lambda data: seen.append("string")
opening.from_file = lambda path: seen.append("file")
import sys, json, copick, aiocopick.compat
config = {"config_type": "cryoet_data_portal", "dataset_ids": [1], "overlay_root": "/nowhere", "pickable_objects": []}
copick.from_string(json.dumps(config))
open(sys.argv[1], "w").write(json.dumps(config))
copick.from_file(sys.argv[1])
print(seen)
"""
    assert run("-c", script, tmp_path / "config.json").strip() == "['string', 'file']"


def test_features_of_other_tools_are_written_also_where_zarr_2_has_no_shards(run: Run, tmp_path: Path) -> None:
    script = """
import sys, warnings
import copick, numpy as np
import aiocopick.compat
from copick.ops.add import add_features
data = np.arange(2 * 4**3, dtype=np.float32).reshape(2, 4, 4, 4)
for number, extra in enumerate(({"zarr_format": 3}, {})):
    root = copick.from_string(open(sys.argv[1]).read().replace('"user_id"', '"zarr_format": %d, "user_id"' % (3 - number)))
    root.new_run(f"TS_{number}").new_voxel_spacing(10.0).new_tomogram("wbp").from_numpy(np.ones((4, 4, 4)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            features = add_features(
                root, f"TS_{number}", 10.0, "wbp", "x", data, exist_ok=True, overwrite=True, chunks=(2, 2, 2),
                meta={"by": "me"}, shards=(1, 4, 4, 4),
            )
    assert sum("shards exist in zarr 3 only" in str(item.message) for item in caught) == 2 * number, caught
    assert np.array_equal(features.numpy(), data)
    array = features.open_array()
    assert (array.chunks, array.shards) == ((1, 2, 2, 2), None if number else (1, 4, 4, 4)), (array.chunks, array.shards)
    try:
        features.from_numpy(data, chunks=(2, 2, 2), shards=None, metadata=None, overwrite=False)
    except FileExistsError:
        pass
    else:
        raise AssertionError("overwrote")
aiocopick.compat.disable()
try:
    features.from_numpy(data, shards=(1, 4, 4, 4))
except ValueError as error:
    print(error)
"""
    config = write_config(tmp_path / "config.json", str(tmp_path / "project"), {})
    assert "shards exist in zarr 3 only" in run("-c", script, config)


def test_without_copick_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "copick", None)
    monkeypatch.delitem(sys.modules, "aiocopick.compat", raising=False)
    with pytest.raises(ImportError, match=r"pip install --pre 'aiocopick\[copick\]'"):
        import_module("aiocopick.compat")


@pytest.mark.parametrize(
    ("models", "problem"),
    [
        ("import a_module_that_is_missing", "a_module_that_is_missing"),
        ("from zarr.storage import NoSuchStore", "NoSuchStore"),
        ("FSStore = __import__('zarr').storage.FSStore", "FSStore"),
        ("class CopickRoot: pass", "lacks CopickRun, "),
    ],
)
def test_a_copick_that_cannot_be_used_is_one_clear_error(models: str, problem: str, tmp_path: Path) -> None:
    # Releases before 2.0 are like these beside zarr 3.
    for name, content in {"__init__": "", "models": models, "ops/__init__": "", "ops/open": OLD_OPEN}.items():
        path = tmp_path / "copick" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    done = subprocess.run(
        [sys.executable, "-c", "import aiocopick.compat"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(SOURCE)))},
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: aiocopick.compat puts aiocopick under an installed copick 2"), done.stderr
    assert problem in last
    assert "pip install --pre 'aiocopick[copick]'" in last


OLD_OPEN = "def from_file(path): ...\ndef from_string(data): ...\n"
