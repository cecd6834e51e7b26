"""Setting up is short: pip finds at once what fits together, and says so in a log that `.ci/run` keeps and reads."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
CONSTRAINTS = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PYTHONS = [name.rpartition(" ")[2] for name in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", name)]
SYSTEMS = ["linux", "darwin", "win32"]


def test_constraints_are_names_and_versions_and_nothing_else() -> None:
    for requirement in CONSTRAINTS:
        assert requirement.url is None, requirement
        assert [entry.operator for entry in requirement.specifier] == ["=="], requirement


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_constraints_hold_a_version_of_everything_the_project_asks_for(python: str, system: str) -> None:
    environment = {**default_environment(), "python_version": python, "python_full_version": f"{python}.9"}
    environment |= {"sys_platform": system}
    pinned: dict[str, str] = {}
    for requirement in CONSTRAINTS:
        if requirement.marker is None or requirement.marker.evaluate(environment):
            name = canonicalize_name(requirement.name)
            assert name not in pinned, f"{name} has two versions on Python {python}"
            pinned[name] = next(iter(requirement.specifier)).version
    extras = PROJECT["optional-dependencies"]
    asked = PROJECT["dependencies"] + [text for extra, texts in extras.items() if extra != "copick" for text in texts]
    for requirement in map(Requirement, asked):
        if requirement.name == PROJECT["name"]:
            continue
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement} is not in constraints.txt: run scripts/constraints.py"
        assert requirement.specifier.contains(version, prereleases=True), f"{requirement} is not {version}"


def test_every_pip_of_ours_uses_the_constraints() -> None:
    for name in ("README.md", "CONTRIBUTING.md", ".ci/run"):
        commands = re.findall(r"pip install [^`\n]*-e [^`\n]*", (ROOT / name).read_text(encoding="utf-8"))
        # `.ci/run` makes its other environments with arguments.
        assert [line for line in commands if "-c constraints.txt" not in line and '"${@:3}"' not in line] == []
        assert commands


@pytest.fixture
def pip_log(tmp_path: Path) -> Path:
    """What pip logs while it finds releases of `upper` that fit with the newest release of `lower`."""
    for name, version, needs in (
        ("lower", "1", ""),
        ("lower", "2", ""),
        ("upper", "1", ""),
        ("upper", "2", "lower==1"),
        ("upper", "3", "lower==1"),
    ):
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        metadata += f"Requires-Dist: {needs}\n" if needs else ""
        with zipfile.ZipFile(tmp_path / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}-{version}.dist-info/METADATA", metadata)
            wheel.writestr(f"{name}-{version}.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            wheel.writestr(f"{name}-{version}.dist-info/RECORD", "")
    return tmp_path / "pip.txt"


def _resolve(log: Path, *arguments: str) -> str:
    # An environment that uv made has no pip; the Python it stands on does.
    command = [getattr(sys, "_base_executable", sys.executable), "-m", "pip", "install", "--isolated", "--quiet"]
    command += ["--dry-run", "--no-index", "--find-links", str(log.parent), "--log", str(log), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return log.read_text(encoding="utf-8")


def test_the_log_is_read_for_steps_back(pip_log: Path, tmp_path: Path) -> None:
    reader = runpy.run_path(str(ROOT / "scripts" / "pip_log.py"))
    pinned = tmp_path / "constraints.txt"
    pinned.write_text("upper==1\n")
    asked = ("lower==2", "upper")
    assert reader["steps_back"](_resolve(pip_log, *asked, "-c", str(pinned))) == []
    assert reader["main"]([str(pip_log)]) == 0
    assert reader["steps_back"](_resolve(pip_log, *asked)) != []
    assert reader["main"]([str(pip_log)]) == 1
