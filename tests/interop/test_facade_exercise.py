"""One script of reads, writes, lookups and deletes, on copick and on the facade: equal answers, equal projects."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.interop import exercise
from tests.interop.deliberate import DIFFERENCES, LACKING_IN_1, unexplained

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "coming-from-copick.md"

OBJECTS = [
    {"name": "ribosome", "is_particle": True, "label": 1, "color": [10, 20, 30, 255]},
    {"name": "membrane", "is_particle": False, "label": 2, "color": [0, 255, 0, 255]},
    {
        "name": "actin",
        "is_particle": True,
        "label": 3,
        "color": [0, 0, 255, 255],
        "metadata": {"copick": {"filament": {"polar": True}}},
    },
]

Place = Callable[[], tuple[str, dict[str, Any]]]


def write_config(path: Path, root: str, fs_args: dict[str, Any]) -> str:
    content = {
        "config_type": "filesystem",
        "name": "exercise",
        "description": "the same steps for both",
        "version": "1",
        "pickable_objects": OBJECTS,
        "user_id": "me",
        "session_id": "now",
        "overlay_root": root,
        "overlay_fs_args": fs_args,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return str(path)


@pytest.fixture(params=["disk", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Makes roots of empty projects, and the arguments that reach them."""
    if request.param == "disk":
        names = iter(range(100))
        return lambda: (f"local://{tmp_path}/project-{next(names)}/", {"auto_mkdir": True})
    server = request.getfixturevalue("moto_server")
    return lambda: (f"s3://{server.new_bucket()}/project", server.fs_args())


def run_copick(python: Path, phase: str, config: str) -> dict[str, Any]:
    done = subprocess.run(
        [str(python), exercise.__file__, "copick", phase, config], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    steps: dict[str, Any] = json.loads(done.stdout)
    return steps


def run_facade(phase: str, config: str) -> dict[str, Any]:
    steps: dict[str, Any] = json.loads(json.dumps(exercise.exercise("aiocopick", phase, config)))
    return steps


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("version", "lacking"), [("copick1", LACKING_IN_1), ("copick2", ())])
def test_both_answer_alike_and_write_projects_that_both_read_alike(
    version: str, lacking: tuple[str, ...], place: Place, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    python = request.getfixturevalue(f"{version}_python")
    theirs, ours = (write_config(tmp_path / f"{name}.json", *place()) for name in ("theirs", "ours"))
    written = run_copick(python, "write", theirs), run_facade("write", ours)
    assert len(written[0]) > 80
    problems = unexplained(*written, "write: ", lacking=lacking)
    # Each reads its own project, and the other's.
    read = [run_copick(python, "read", theirs), run_facade("read", theirs)]
    read += [run_copick(python, "read", ours), run_facade("read", ours)]
    assert len(read[0]) > 120
    for index, what in enumerate(["copick's project read by us", "ours read by copick", "ours read by us"], 1):
        problems += unexplained(read[0], read[index], f"{what}: ", lacking=lacking)
    # What is in a project of ours is the same for both, whatever copick could not write itself.
    problems += unexplained(read[2], read[3], "ours read by both: ", lacking=lacking)
    deleted = run_copick(python, "delete", theirs), run_facade("delete", ours)
    problems += unexplained(*deleted, "delete: ", lacking=lacking)
    assert not problems, "\n".join(problems)


@pytest.mark.timeout(600)
def test_each_deletes_from_a_project_of_the_other(copick2_python: Path, tmp_path: Path) -> None:
    configs = [write_config(tmp_path / f"{name}.json", f"{tmp_path}/{name}", {}) for name in ("theirs", "ours")]
    run_copick(copick2_python, "write", configs[0])
    run_facade("write", configs[1])
    deleted = run_copick(copick2_python, "delete", configs[1]), run_facade("delete", configs[0])
    assert unexplained(*deleted) == []


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def test_what_is_on_disk_after_each_call_is_what_copick_leaves(copick2_python: Path, tmp_path: Path) -> None:
    # Volumes differ by their format, so only their folders count.
    folders = {}
    for name in ("theirs", "ours"):
        config = write_config(tmp_path / f"{name}.json", f"{tmp_path}/{name}", {})
        run_copick(copick2_python, "write", config) if name == "theirs" else run_facade("write", config)
        folders[name] = {re.sub(r"\.zarr/.*", ".zarr", path) for path in files_below(tmp_path / name)}
    assert folders["ours"] == folders["theirs"]


def test_every_deliberate_difference_is_documented() -> None:
    rows = [line.split("|")[1].strip() for line in DOCUMENT.read_text().splitlines() if line.startswith("| ")]
    assert {difference.title for difference in DIFFERENCES} <= set(rows)
