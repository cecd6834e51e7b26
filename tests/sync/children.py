"""Run a script in a fresh interpreter, with warnings as errors and asyncio's and malloc's checks on."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

# asyncio's remark on a slow machine.
SLOW = re.compile(r"^Executing <.* took \d+\.\d+ seconds\n", re.MULTILINE)


def run_child(script: str, *arguments: str | Path, warnings: str = "error") -> str:
    """What the script printed; its exit code must be 0 and it must leave nothing on stderr."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", warnings, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    errors = SLOW.sub("", done.stderr)
    assert errors == "", errors
    return done.stdout.strip()
