"""Programs that tests run in processes of their own."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# asyncio's remark on a slow machine.
SLOW = re.compile(r"^Executing <.* took \d+\.\d+ seconds\n", re.MULTILINE)


def run_child(script: str, *arguments: str | Path, warnings: str = "error") -> str:
    """Run a script in a fresh interpreter, with warnings as errors and asyncio's and malloc's checks on.

    Returns
    -------
    str
        What it printed, without the last line's end; its exit code must be 0 and it must leave nothing on stderr.
    """
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", warnings, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    errors = SLOW.sub("", done.stderr)
    assert errors == "", errors
    return done.stdout.strip()


@contextmanager
def child(command: Sequence[str | Path], **settings: Any) -> Iterator[subprocess.Popen[str]]:
    """Start a program that may never end by itself; it is killed on the way out, so that a test fails and never hangs.

    Parameters
    ----------
    command : sequence of str or Path
        The program and its arguments; its standard output is a pipe of text.
    **settings
        Of ``subprocess.Popen``.
    """
    with subprocess.Popen(command, **{"stdout": subprocess.PIPE, "text": True} | settings) as process:
        try:
            yield process
        finally:
            process.kill()
