"""A run in parts: what it takes, what it adds to an earlier one, and against which other checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from benchmarks import child, estimate, suite
from benchmarks.__main__ import main
from benchmarks.machine import REPOSITORY
from benchmarks.profiles import Experiment
from benchmarks.subjects import SUBJECTS, is_there

from tests.benchmarks.test_results import cell, run, sample

LOOK = Experiment(name="look", work="list_runs", subjects=("aiocopick", "scandir"), sizes_of={"runs": (1,)},
                  targets=("disk",), repeats=3)  # fmt: skip


def of(name: str, subject: str, commit: str, **more: Any) -> Any:
    return cell(subject, sample(0, 1.0), experiment=name, work="list_runs", parameters={"runs": 1}, target="disk",
                latency=0, commit=commit, taken="2026-01-01T00:00:00+00:00", **more)  # fmt: skip


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[Experiment]:
    """Experiments that were taken; nothing runs, and each is of the commit `new`."""
    taken = []

    def take(runner: object, experiment: Experiment) -> list[Any]:
        taken.append(experiment)
        return [of(experiment.name, "aiocopick", "new")]

    monkeypatch.setattr("benchmarks.runner.Runner.run", take)
    return taken


def settings() -> suite.Settings:
    return suite.Settings(targets=["disk"], make_environments=False)


def test_what_an_earlier_run_has_is_not_taken_again(measured: list[Experiment]) -> None:
    before = run(of("look", "aiocopick", "old"))
    found = suite.run([LOOK], settings(), "then", before=before)
    assert measured == []
    assert found.cells == before.cells
    assert found.commit == "old"


def test_a_part_taken_again_stands_in_the_place_of_the_whole_group(measured: list[Experiment]) -> None:
    before = run(of("other", "aiocopick", "old"), of("look", "aiocopick", "old"), of("look", "scandir", "old"))
    found = suite.run([LOOK], settings(), "then", before=before, again=True)
    assert [(one.experiment, one.subject, one.commit) for one in found.cells] == [
        ("other", "aiocopick", "old"),
        ("look", "aiocopick", "new"),
    ]
    assert found.commit == "old, then new"
    assert found.command == "python -m benchmarks; then then"
    # One of the two that are called so is of then.
    assert found.subjects["aiocopick"] == "somebody"
    assert found.environments["aiocopick"]["python"].startswith("3.11.0, then ")


def test_who_cannot_be_had_is_named(monkeypatch: pytest.MonkeyPatch, measured: list[Experiment]) -> None:
    monkeypatch.setattr("benchmarks.subjects.find_spec", lambda name: None)
    assert not is_there(SUBJECTS["tensorstore"])
    asked = Experiment(name="one", work="volume_read", subjects=("aiocopick", "tensorstore"), targets=("disk",))
    assert suite.run([asked], settings(), "").missing["tensorstore"] == "tensorstore is not installed"


def test_the_time_of_a_run_is_estimated_by_an_earlier_one() -> None:
    known = [cell("aiocopick", sample(0, 2.0, process=3.0), work="list_runs", parameters={"runs": 1}, target="disk",
                  latency=0)]  # fmt: skip
    lines = estimate.table([LOOK], ["disk", "url"], 120, known).splitlines()
    expected = 3 * (2.0 + 1.0) + 3 * (estimate.UNKNOWN + estimate.OVERHEAD)
    assert lines[0].split() == [f"{expected:.0f}", "s", "6", "samples", "look", "on", "disk"]
    assert lines[-1] == f"{expected / 60:6.1f} minutes in all"
    # Nobody is asked again who has used up the budget.
    assert " 3 samples" in estimate.table([LOOK], ["disk"], 1.6, known)


def test_another_checkout_is_the_one_that_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    child._is_of(None)
    child._is_of(str(REPOSITORY / "src"))
    with pytest.raises(SystemExit, match="not the one that Python imports"):
        child._is_of(str(tmp_path))
    assert main(["--against", str(tmp_path)]) == 2
    assert "no checkout of aiocopick" in capsys.readouterr().err
