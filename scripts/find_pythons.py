"""Print every interpreter from 3.11 to 3.13 on this machine that really starts: version and path, one a line."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
from pathlib import Path

MINORS = (11, 12, 13)


def candidates(minor: int) -> list[str]:
    """Where an interpreter of that version may lie: on PATH, or beside other versions in pyenv's folder."""
    found = [shutil.which(f"python3.{minor}") or ""]
    pyenv = os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))
    found += sorted(glob.glob(f"{pyenv}/versions/3.{minor}.*/bin/python3.{minor}"), reverse=True)
    return [path for path in found if path]


def starts(path: str, minor: int) -> bool:
    """Whether the path is that version (a shim may exist for a version that is switched off)."""
    probe = [path, "-c", "import ensurepip, sys, venv; print(sys.version_info.minor)"]
    try:
        done = subprocess.run(probe, capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.stdout.strip() == str(minor)


if __name__ == "__main__":
    for minor in MINORS:
        for path in candidates(minor):
            if starts(path, minor):
                print(f"3.{minor} {path}")
                break
