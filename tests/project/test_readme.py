"""The README, the changelog and the package say the same."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_readme_opens_with_setup_and_tests() -> None:
    blocks = runpy.run_path(str(ROOT / "scripts" / "readme_command.py"))["bash_blocks"]
    commands = blocks((ROOT / "README.md").read_text(encoding="utf-8"))
    assert "aiocopick demo" in commands[0]
    # What tests need is a gigabyte, and the library alone shows that it works.
    assert "[dev]" not in commands[0]
    assert "[dev]" in commands[1]
    assert "pytest" in commands[1]


def test_every_file_the_readme_names_exists() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in re.findall(r"`((?:docs|scripts|benchmarks)/[\w./-]*|[A-Z]+\.md)`", text):
        assert (ROOT / name).exists(), name
