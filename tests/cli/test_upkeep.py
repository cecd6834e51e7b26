"""`aiocopick doctor`, `cp` and `rm`."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.children import child
from tests.cli.running import TIMEOUT, aiocopick, aiocopick_child
from tests.servers.s3 import MotoServer


def test_doctor_finds_nothing_in_the_sample(sample_folder: Path) -> None:
    said = aiocopick("doctor", sample_folder / "copick_config.json")
    assert (said.code, said.out.strip()) == (0, "Nothing wrong was found.")
    assert aiocopick("doctor", sample_folder, "--json").out == ""


def test_doctor_names_what_is_wrong(own_sample: Path) -> None:
    (own_sample / "ExperimentRuns/TS_002/Picks/curator_1_ribosome.json").write_text("{")
    (own_sample / "ExperimentRuns/TS_002/Picks/odd.json").write_text("{}")
    said = aiocopick("doctor", own_sample, "--json")
    assert said.code == 3
    assert [(row["problem"], row["run"]) for row in said.lines] == [
        ("broken file", "TS_002"),
        ("unparsable name", "TS_002"),
    ]
    table = aiocopick("doctor", own_sample)
    assert table.code == 3
    assert "odd.json" in table.out


def test_doctor_looks_at_what_uris_name(own_sample: Path) -> None:
    (own_sample / "ExperimentRuns/TS_002/Picks/curator_1_ribosome.json").write_text("{")
    (own_sample / "ExperimentRuns/TS_002/Picks/odd.json").write_text("{}")
    (own_sample / "ExperimentRuns/TS_002/.meta").write_text("{")
    (own_sample / "ExperimentRuns/TS_001/VoxelSpacing10.000/wbp.zarr/.zattrs").write_text("{")
    assert [row["problem"] for row in aiocopick("doctor", own_sample, "ribosome:curator", "--json").lines] == [
        "broken file"
    ]
    assert [row["problem"] for row in aiocopick("doctor", own_sample, "wbp@10", "--json").lines] == ["broken volume"]
    assert aiocopick("doctor", own_sample, "wbp@10", "--runs", "TS_002").code == 0
    assert aiocopick("doctor", own_sample, "ribosome:nobody").code == 0
    aiocopick("doctor", own_sample, "a:b:c").fails_with("more than one ':'")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="this system has no file names that are not text")
def test_names_that_are_no_utf_8_are_told_by_every_command(own_sample: Path, tmp_path: Path) -> None:
    runs = os.fsencode(own_sample / "ExperimentRuns")
    shutil.copytree(runs + b"/TS_001", runs + b"/bad\xffname")
    shutil.copyfile(runs + b"/TS_001/Picks/curator_1_ribosome.json", runs + b"/TS_001/Picks/curator_1_bad\xff.json")
    strange = ["ExperimentRuns/bad\\xffname", "ExperimentRuns/TS_001/Picks/curator_1_bad\\xff.json"]
    target = tmp_path / "copy"
    for command in (("ls", own_sample), ("tree", own_sample), ("crawl", own_sample), ("cp", own_sample, target)):
        said = aiocopick_child(*command)
        assert said.code == 0, said
        # Runs alone are listed without what is in them.
        told = strange[:1] if command[0] == "ls" else strange
        assert [name in said.err for name in strange] == [name in told for name in strange]
    assert aiocopick("ls", target).out.split() == ["TS_001", "TS_002", "TS_003"]
    for output in ((), ("--json",)):
        said = aiocopick_child("doctor", own_sample, *output)
        assert said.code == 3
    assert [(row["problem"], row["path"]) for row in said.lines] == [
        ("unparsable name", f"{own_sample}/{name}") for name in strange
    ]


def test_cp_copies_and_goes_on(own_sample: Path, moto_server: MotoServer, tmp_path: Path) -> None:
    config = tmp_path / "target.json"
    root = f"s3://{moto_server.new_bucket()}/copy"
    config.write_text(json.dumps({"root": root, "fs_args": moto_server.fs_args()}))
    planned = aiocopick("cp", own_sample, config, "--dry-run", "--json").json
    assert "would be copied" in aiocopick("cp", own_sample, config, "--dry-run").out
    first = aiocopick("cp", own_sample, config, "--runs", "TS_001", "--json").json
    second = aiocopick("cp", own_sample, config, "--json").json
    assert first["files"] + second["files"] == planned["files"]
    assert second["skipped"] == first["files"]
    assert aiocopick("ls", config).out.split() == ["TS_001", "TS_002", "TS_003"]
    (own_sample / "ExperimentRuns/TS_001/Picks/curator_1_ribosome.json").write_text("[]")
    said = aiocopick("cp", own_sample, config, "ribosome:curator")
    assert said.code == 3
    assert "was kept" in said.err
    assert aiocopick("cp", own_sample, config, "ribosome:curator", "--overwrite").code == 0


def test_rm_deletes_what_is_named(own_sample: Path) -> None:
    said = aiocopick("rm", own_sample, "*:template-matching", "--dry-run")
    assert (said.code, len(said.out.splitlines())) == (0, 6)
    assert len(aiocopick("ls", own_sample, "*").out.splitlines()) == 12
    rows = aiocopick("rm", own_sample, "*:template-matching", "--yes", "--json").lines
    assert [row["deleted"] for row in rows] == [True] * 6
    assert len(aiocopick("ls", own_sample, "*").out.splitlines()) == 6
    assert aiocopick("rm", own_sample, "--runs", "TS_00[12]", "--yes").code == 0
    assert aiocopick("ls", own_sample).out.split() == ["TS_003"]


def test_rm_says_what_it_could_not_delete(own_sample: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"root": str(own_sample), "read_only": True}))
    said = aiocopick("rm", config, "ribosome:curator", "--yes")
    assert said.code == 3
    assert "read-only" in said.err
    assert len(aiocopick("ls", own_sample, "ribosome:curator").out.splitlines()) == 3


def test_an_interrupt_of_the_question_is_felt_at_once(own_sample: Path) -> None:
    terminal, keyboard = pty.openpty()
    command = [sys.executable, "-m", "aiocopick", "rm", own_sample, "ribosome:curator"]
    try:
        with child(command, stdin=keyboard, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            said = ""
            while "[y/N]" not in said and (letter := process.stdout.read(1)):
                said += letter
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=TIMEOUT)
    finally:
        os.close(terminal)
        os.close(keyboard)
    assert (process.returncode, errors) == (130, "interrupted\n")
    assert len(aiocopick("ls", own_sample, "ribosome:curator").out.splitlines()) == 3
