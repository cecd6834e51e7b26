"""The suite runs as continuous integration runs it, at its smallest."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.machine import REPOSITORY
from benchmarks.results import load

from tests.children import child

pytestmark = pytest.mark.slow


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", "--profile", "tiny", *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


def test_subjects_agree_and_their_requests_are_counted(tmp_path: Path) -> None:
    done = run(
        "--only",
        "crawl-moto",
        "--subjects",
        "s3fs-flat",
        "aiocopick",
        "--at-once",
        "1",
        "--out",
        str(tmp_path / "run.json"),
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "run.json").read_text())
    by_subject = {cell["subject"]: cell["samples"][0] for cell in found["cells"]}
    assert set(by_subject) == {"s3fs-flat", "aiocopick"}
    wanted = {
        "runs": 3,
        "voxel_spacings": 3,
        "tomograms": 6,
        "features": 3,
        "picks": 9,
        "meshes": 3,
        "segmentations": 6,
    }
    assert [one["check"] for one in by_subject.values()] == [wanted, wanted]
    assert by_subject["s3fs-flat"]["requests"] == {"ListObjectsV2": 4}
    assert set(by_subject["aiocopick"]["requests"]) == {"ListObjectsV2"}


def test_nothing_of_this_machine_is_published(tmp_path: Path) -> None:
    done = run("--only", "picks-load-disk", "--subjects", "json", "--out", str(tmp_path / "run.json"))
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "run.json").read_text()
    assert str(REPOSITORY) not in text
    assert str(tmp_path) not in text
    assert sys.prefix not in text


def test_an_interrupted_run_keeps_what_it_has(tmp_path: Path) -> None:
    kept = tmp_path / "run.json"
    command = [sys.executable, "-m", "benchmarks", "--profile", "tiny", "--targets", "disk", "--at-once", "1"]
    with child([*command, "--out", kept], cwd=REPOSITORY, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "first_use" in line:
                process.send_signal(signal.SIGINT)
                break
        process.stderr.read()
        assert process.stdout is not None
        assert "LEFT OUT the rest: the run was interrupted" in process.stdout.read()
    found = load(kept)
    assert {cell.work for cell in found.cells} == {"import_library"}
    # And is gone on with where it ended.
    done = run("--only", "import-library-disk", "picks-load-disk", "--subjects", "aiocopick", "json", "aiocopick-facade",
               "--continue", str(kept), "--out", str(kept))  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "import_library" not in done.stderr
    both = load(kept)
    assert both.cells[: len(found.cells)] == found.cells
    assert {cell.work for cell in both.cells} == {"import_library", "picks_load"}
    assert both.started == found.started
    assert "the rest" not in both.missing
    # Not on another machine.
    replace(both, machine={**both.machine, "cores": 0}).save(kept)
    refused = run("--continue", str(kept))
    assert refused.returncode == 2
    assert "another machine (cores)" in refused.stderr


def test_a_subject_that_fails_fails_the_run() -> None:
    done = run(
        "--only", "picks-load-disk", "--subjects", "copick-1.31.0", "--python", f"copick 1.31.0={sys.executable}"
    )
    assert done.returncode == 1
    assert "FAILED copick-1.31.0: picks_load" in done.stderr
    assert "No module named 'copick'" in done.stderr
