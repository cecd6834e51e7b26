"""Programs that tests run in an interpreter of their own."""

from __future__ import annotations

import subprocess
import sys
import textwrap

# Told by asyncio's debug mode, which the development mode turns on; a shared machine is slow at times.
_SLOW = ("Executing <",)


def run_child(program: str, *arguments: str) -> str:
    """Run a program in development mode, warnings as errors; it must end well and complain of nothing.

    Returns
    -------
    str
        What it printed.
    """
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", textwrap.dedent(program), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if line and not line.startswith(_SLOW)]
    assert (done.returncode, complaints) == (0, []), done.stderr
    return done.stdout
