"""Figures: how they are condensed, kept and judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from benchmarks import report, results, summary, tables
from benchmarks.report import filled
from benchmarks.results import Cell, Results, Sample


def cell(subject: str, *samples: Sample, **changes: Any) -> Cell:
    about = {
        "experiment": "crawl",
        "work": "crawl",
        "parameters": {"runs": 60},
        "target": "minio",
        "latency": 20,
        "command": "python -m benchmarks.child",
    }
    return Cell(subject=subject, samples=samples, **{**about, **changes})


def sample(turn: int, wall: float, **more: Any) -> Sample:
    return Sample(round=turn, **{"wall": wall, "cpu": wall, "memory_peak": 2**20, "check": 1, **more})


def run(*cells: Cell) -> Results:
    return Results(
        command="python -m benchmarks",
        started="2026-01-01T00:00:00+00:00",
        finished="2026-01-01T00:01:00+00:00",
        commit="abc",
        machine={
            "processor": "P",
            "cores": 2,
            "memory_gib": 8,
            "system": "S",
            "load_average": 0.1,
            "load_average_after": 0.2,
        },
        environments={"aiocopick": {"python": "3.11.0"}},
        targets={"minio": "MinIO"},
        subjects={one.subject: "somebody" for one in cells},
        projects="ten entities a run",
        missing={},
        cells=cells,
    )


def test_a_ratio_is_the_median_of_the_ratios_within_rounds() -> None:
    ours = cell("aiocopick", sample(0, 1.0), sample(1, 10.0), sample(2, 1.0))
    theirs = cell("copick-2.0.0a6", sample(0, 3.0), sample(1, 20.0), sample(2, 4.0))
    assert summary.ratio(theirs, ours) == summary.Spread(3.0, 2.0, 4.0, 3)


def test_a_ratio_leaves_rounds_out_that_one_of_the_two_lacks() -> None:
    ours = cell("aiocopick", sample(0, 1.0), sample(1, 1.0))
    theirs = cell("copick-2.0.0a6", sample(1, 5.0))
    assert summary.ratio(theirs, ours) == summary.Spread(5.0, 5.0, 5.0, 1)


def test_results_survive_the_way_through_json(tmp_path: Path) -> None:
    found = run(cell("aiocopick", sample(0, 0.123456, requests={"GetObject": 2})))
    found.save(tmp_path / "run.json")
    assert results.load(tmp_path / "run.json") == found


def test_a_sample_that_failed_is_an_error_and_no_figure() -> None:
    found = run(cell("aiocopick", Sample(round=0, error="NotFoundError: gone")))
    assert found.errors == ["aiocopick: crawl {'runs': 60} on minio: NotFoundError: gone"]
    assert "failed" in tables.everything(found)


def test_subjects_that_found_different_things_are_an_error() -> None:
    [line] = run(cell("aiocopick", sample(0, 1.0)), cell("s3fs-flat", sample(0, 1.0, check=2))).errors
    assert "disagree" in line
    assert "s3fs-flat: 2" in line


def test_subjects_at_different_sizes_may_find_different_things() -> None:
    other = cell("s3fs-flat", sample(0, 1.0, check=2), parameters={"runs": 61})
    assert run(cell("aiocopick", sample(0, 1.0)), other).errors == []


@pytest.mark.parametrize(
    ("value", "shown"), [(123.4, "123 s"), (1.234, "1.23 s"), (0.01234, "12.3 ms"), (0.00001234, "12.3 µs")]
)
def test_seconds_are_shown_in_the_unit_that_reads_best(value: float, shown: str) -> None:
    assert tables.seconds(value) == shown


def test_a_page_keeps_its_words_and_gets_its_figures() -> None:
    page = "Words.\n\n<!-- generated: experiment crawl -->\nold\n<!-- end -->\n\nMore words.\n"
    now = filled(page, run(cell("aiocopick", sample(0, 1.5, requests={"ListObjectsV2": 61}))))
    assert now.startswith("Words.\n")
    assert now.endswith("\nMore words.\n")
    assert "old" not in now
    assert "| `aiocopick` | 1.5 s, 61 req. |" in now
    assert filled(now, run(cell("aiocopick", sample(0, 1.5, requests={"ListObjectsV2": 61})))) == now


def test_figures_of_two_commits_are_told_apart() -> None:
    old = cell("aiocopick", sample(0, 1.0), commit="abc", taken="2026-01-01T00:00:00+00:00")
    new = cell("aiocopick", sample(0, 1.0), commit="def", taken="2026-01-02T00:00:00+00:00", experiment="loop")
    shown = report.machine(run(old, new), "")
    assert "commit `abc` on 2026-01-01: crawl; `def` on 2026-01-02: loop" in shown
    assert "commit `abc`\n" in report.machine(run(old), "")


def test_a_subject_is_described_as_it_was_when_it_was_measured() -> None:
    assert report.subjects(run(cell("somebody-of-then", sample(0, 1.0))), "") == "- `somebody-of-then`: somebody"


def test_a_block_that_nobody_makes_is_refused() -> None:
    with pytest.raises(KeyError, match="nonsense"):
        filled("<!-- generated: nonsense -->\n<!-- end -->", run())
