"""Tests are marked by what they use, so that leaving a mark out leaves out its servers and environments."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import pytest_configure

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
DEFAULT = next(option.removeprefix("-m=") for option in OPTIONS["addopts"] if option.startswith("-m="))


def test_what_is_left_out_by_default_is_run_by_a_later_stage() -> None:
    left_out = set(re.findall(r"\w+", DEFAULT)) - {"not", "or"}
    assert left_out <= {mark.partition(":")[0] for mark in OPTIONS["markers"]}
    commands = re.findall(
        r"^\S*python -m pytest (.*)$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE
    )
    # The full numbers of repetitions are for whoever has hours.
    named = {mark for mark in left_out for command in commands if re.search(rf"\b{mark}\b", command)}
    assert named == left_out - {"reliability_full"}


@pytest.mark.parametrize(
    ("expression", "arguments", "left_out"),
    [
        (DEFAULT, ["tests"], True),
        (DEFAULT, ["tests/reliability", "tests/layout"], True),
        (DEFAULT, ["tests/reliability"], False),
        (DEFAULT, ["tests/reliability/test_r18_read_only.py::test_no_verb_changes_anything"], False),
        ("not reliability or reliability_full", ["tests/reliability"], True),
    ],
)
def test_the_scoreboard_is_run_where_it_is_asked_for(expression: str, arguments: list[str], left_out: bool) -> None:
    option = SimpleNamespace(markexpr=expression)
    config: Any = SimpleNamespace(option=option, args=arguments, getini=lambda name: OPTIONS[name])
    pytest_configure(config)
    assert ("reliability" in re.findall(r"\w+", option.markexpr)) is left_out


@pytest.mark.slow
def test_without_interop_no_environment_of_copick_is_made() -> None:
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "not interop", "tests/interop"]
    done = subprocess.run(collect, cwd=ROOT, capture_output=True, text=True, check=False)
    tests = [line for line in done.stdout.splitlines() if "::" in line]
    assert tests, done.stdout + done.stderr
    assert [line for line in tests if "copick1" in line or "copick2" in line or "test_both_answer" in line] == []
