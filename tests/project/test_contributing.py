"""What contributors, users and services are told of the project exists, and is said once with the same words."""

from __future__ import annotations

import re
import runpy
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
VERSION = runpy.run_path(str(ROOT / "src" / "aiocopick" / "_version.py"))["__version__"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
YAML = [ROOT / ".pre-commit-config.yaml", ROOT / "CITATION.cff", *sorted((ROOT / ".github").rglob("*.yml"))]


def _load(path: Path) -> dict[str, Any]:
    loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict), path
    return loaded


def _steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def _commands() -> Iterator[tuple[str, str]]:
    for hook in (hook for repo in _load(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]):
        yield hook["id"], hook["entry"]
    for path in WORKFLOWS:
        for step in _steps(_load(path)):
            yield from ((path.name, line) for line in step.get("run", "").splitlines())


@pytest.mark.parametrize(("where", "command"), list(_commands()))
def test_every_command_is_one_that_exists(where: str, command: str) -> None:
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    programs = {"python", "bash", *PROJECT["scripts"], *re.findall(r"^([\w-]+)==", constraints, flags=re.MULTILINE)}
    words = command.split()
    assert words[0].removeprefix(".venv/bin/") in programs, where
    if "-m" in words[:3]:
        assert words[words.index("-m") + 1] in programs | {"pip"}
    for word in words[1:]:
        if re.search(r"\.(py|txt)$|^\.ci/", word):
            assert (ROOT / word).is_file(), f"{where}: {word}"
        for extra in re.findall(r"^\.\[(.*)\]$", word):
            assert extra in PROJECT["optional-dependencies"], where


def test_hooks_fetch_nothing() -> None:
    repositories = _load(ROOT / ".pre-commit-config.yaml")["repos"]
    assert [entry["repo"] for entry in repositories] == ["local"]
    assert {hook["language"] for hook in repositories[0]["hooks"]} == {"system"}


@pytest.mark.parametrize("path", YAML, ids=lambda path: path.name)
def test_no_file_names_an_address(path: Path) -> None:
    _load(path)
    assert "://" not in path.read_text(encoding="utf-8").replace("`abfs://`", "")


def test_workflows_run_on_every_system_and_python() -> None:
    workflow = _load(ROOT / ".github" / "workflows" / "tests.yml")
    systems = [workflow["jobs"]["check"]["runs-on"], *workflow["jobs"]["systems"]["strategy"]["matrix"]["system"]]
    assert [name.partition("-")[0] for name in systems] == ["ubuntu", "macos", "windows"]
    pythons = [name.rpartition(" ")[2] for name in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", name)]
    found = next(
        step["with"]["python-version"] for step in _steps(workflow) if "python-version" in step.get("with", {})
    )
    assert sorted(found.split()) == sorted(pythons)


def test_a_release_needs_a_tag_and_no_token() -> None:
    release = _load(ROOT / ".github" / "workflows" / "release.yml")
    # YAML reads the key `on` as true.
    assert release[True] == {"push": {"tags": ["v*"]}}
    assert release["jobs"]["publish"]["permissions"] == {"id-token": "write"}
    assert "secrets." not in (ROOT / ".github" / "workflows" / "release.yml").read_text(encoding="utf-8")


def test_the_version_is_the_same_everywhere() -> None:
    assert _load(ROOT / "CITATION.cff")["version"] == VERSION
    assert _load(ROOT / "conda" / "recipe.yaml")["context"]["version"] == VERSION


def test_the_conda_recipe_asks_for_what_the_package_asks_for() -> None:
    recipe = _load(ROOT / "conda" / "recipe.yaml")
    asked = [Requirement(text) for text in PROJECT["dependencies"]]
    run = [Requirement(text) for text in recipe["requirements"]["run"]]
    assert {(entry.name, entry.specifier) for entry in run} == {
        ("python", Requirement(f"python{PROJECT['requires-python']}").specifier),
        *((entry.name, entry.specifier) for entry in asked),
    }
    assert recipe["build"]["python"]["entry_points"] == [
        f"{name} = {call}" for name, call in PROJECT["scripts"].items()
    ]
    assert recipe["about"]["summary"] == PROJECT["description"]


def test_every_extra_says_what_it_is_for() -> None:
    text = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` \| \S", text, flags=re.MULTILINE) == [*PROJECT["optional-dependencies"]]
    for named in re.findall(r"aiocopick\[([\w,]+)\]", text):
        assert set(named.split(",")) <= PROJECT["optional-dependencies"].keys()
