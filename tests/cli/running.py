"""The command line, in this process or in one of its own, and what it said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from aiocopick.cli.app import program

TIMEOUT = 120

_APP = program()


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    def fails_with(self, *words: str) -> None:
        """The command failed with one line that says this, and without a traceback."""
        assert self.code == 1, (self.out, self.err)
        assert self.out == ""
        assert len(self.err.splitlines()) == 1, self.err
        assert self.err.startswith("aiocopick: ")
        for word in words:
            assert word in self.err, self.err


def aiocopick(*arguments: str | Path) -> Said:
    """Run the command line in this process."""
    result = CliRunner().invoke(_APP, [str(argument) for argument in arguments], env={"COLUMNS": "120"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


def aiocopick_child(*arguments: str | Path, **environment: str) -> Said:
    """Run the command line in a process of its own, with warnings as errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "aiocopick", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=os.environ | {"COLUMNS": "120"} | environment,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Said(done.returncode, done.stdout, done.stderr)
