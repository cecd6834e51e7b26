"""Tests are marked by what they use, so that leaving a mark out leaves out its servers and environments."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_without_interop_no_environment_of_copick_is_made() -> None:
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "not interop", "tests/interop"]
    done = subprocess.run(collect, cwd=ROOT, capture_output=True, text=True, check=False)
    tests = [line for line in done.stdout.splitlines() if "::" in line]
    assert tests, done.stdout + done.stderr
    assert [line for line in tests if "copick1" in line or "copick2" in line or "test_both_answer" in line] == []
