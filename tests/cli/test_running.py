"""From a coroutine to an exit code."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import typer

from aiocopick.cli.printing import print_json
from aiocopick.cli.running import execute, one_line, report_errors
from aiocopick.errors import NotFoundError
from aiocopick.progress import visible
from tests.cli.running import TIMEOUT, aiocopick


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


async def warned() -> int:
    warnings.warn("Layer 'x' is left out:\nno answer", UserWarning, stacklevel=1)
    logging.getLogger("aiocopick.layers").warning("%s is left out.", "a\x1b[2Jb")
    return 0


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


@pytest.mark.filterwarnings("default")
def test_what_the_library_warns_of_is_a_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    execute(warned)
    assert capsys.readouterr().err == (
        "aiocopick: Layer 'x' is left out: no answer\naiocopick: a\\x1b[2Jb is left out.\n"
    )


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        execute(broken)


@pytest.mark.slow
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


def test_nothing_in_a_name_reaches_the_terminal_as_a_command(tmp_path: Path) -> None:
    name = "evil\x1b[2J\u202e\ttwo\nlines 粒子"
    picks = tmp_path / "ExperimentRuns" / name / "Picks"
    picks.mkdir(parents=True)
    (picks / "user_1_ribosome.json").write_text("{")
    shown = r"evil\x1b[2J\u202e\ttwo\nlines 粒子"
    assert visible(name) == shown
    assert one_line(f"{name}\n") == r"evil\x1b[2J\u202e two lines 粒子"
    assert aiocopick("ls", tmp_path).out == f"{shown}\n"
    assert aiocopick("ls", tmp_path, "*").out == f"{shown}\tpicks\tribosome:user/1\n"
    assert aiocopick("ls", tmp_path, "--json").json["run"] == name
    for arguments in (("tree", tmp_path), ("crawl", tmp_path, "--load", "picks"), ("doctor", tmp_path)):
        said = aiocopick(*arguments)
        assert "\x1b[2J" not in said.out + said.err
        assert r"\x1b[2J" in said.out


def test_what_is_no_number_is_null_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"x": float("nan"), "rows": [1.5, float("-inf")], "name": "粒子"})
    said = capsys.readouterr().out
    assert json.loads(said, parse_constant=pytest.fail) == {"x": None, "rows": [1.5, None], "name": "粒子"}
