"""From a coroutine to an exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer

from aiocopick.cli.running import execute, report_errors
from aiocopick.errors import NotFoundError
from tests.cli.running import TIMEOUT


async def interrupted() -> int:
    raise KeyboardInterrupt


async def failed() -> int:
    error = NotFoundError("There is no\nproject.", path="x")
    error.add_note("NotFoundError: another one")
    raise error


async def broken() -> int:
    raise ZeroDivisionError


async def problems() -> int:
    return report_errors({"TS_001": ValueError("a\nb"), "TS_002": "gone"})


def code_of(work: object) -> int:
    with pytest.raises(typer.Exit) as leaving:
        execute(work)  # type: ignore[arg-type]
    return int(leaving.value.exit_code)


def test_an_interrupt_is_130(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(interrupted) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_an_error_of_ours_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(failed) == 1
    assert capsys.readouterr().err == "aiocopick: There is no project. (and 1 more)\n"


def test_what_could_not_be_done_is_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(problems) == 3
    assert capsys.readouterr().err == "aiocopick: TS_001: a b\naiocopick: TS_002: gone\n"


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        execute(broken)


@pytest.mark.parametrize("command", ["ls", "crawl", "points"])
def test_a_full_disk_below_the_output_is_one_line(sample_folder: Path, command: str) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with full.open("w") as output:
        done = subprocess.run(
            [sys.executable, "-m", "aiocopick", command, str(sample_folder)],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "aiocopick: Cannot write: No space left on device\n")
