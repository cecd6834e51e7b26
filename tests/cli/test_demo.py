"""`aiocopick demo`: the main job on an embedded default."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from aiocopick import sample
from tests.cli.running import aiocopick, aiocopick_child

ENTITIES = {
    "voxel_spacings": 2,
    "tomograms": 2,
    "features": 2,
    "picks": 8,
    "meshes": 2,
    "segmentations": 4,
    "filaments": 2,
}


def test_the_demo_writes_crawls_and_prints(tmp_path: Path) -> None:
    said = aiocopick_child("demo", TMPDIR=str(tmp_path))
    assert said.code == 0
    assert said.err == ""
    for word in ("runs", "tomograms", "ribosome", "curator/1", "wbp@10.0", "requests"):
        assert word in said.out
    assert list(tmp_path.iterdir()) == [], "the temporary project stays"


def test_the_demo_keeps_its_project_where_it_is_told(tmp_path: Path) -> None:
    said = aiocopick("demo", "--output", tmp_path / "new" / "project", "--runs", "2", "--json")
    assert said.code == 0
    found = said.json
    assert (found["runs"], found["entities"], found["errors"]) == (2, ENTITIES, [])
    assert len(found["picks"]) == 8
    assert sum(row["points"] for row in found["picks"]) == sum(found["points"].values())
    assert [row["voxels"] for row in found["volumes"]] == ["40 80 80", "40 80 80"]
    for row in found["volumes"]:
        assert row["density at ribosomes"] < row["density"] - 0.5, "picks and density do not match"
    again = aiocopick("crawl", tmp_path / "new" / "project" / "copick_config.json", "--load", "picks", "--json").json
    assert again["entities"] == ENTITIES
    assert again["points"] == found["points"]


def test_the_same_seed_gives_the_same_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Other tests imagine a scene once.
    monkeypatch.setattr(sample, "_imagine", inspect.unwrap(sample._imagine))
    for name in ("a", "b"):
        assert aiocopick("demo", "--output", tmp_path / name, "--runs", "1", "--seed", "5", "--json").code == 0
    key = "ExperimentRuns/TS_001/Picks/curator_1_ribosome.json"
    assert (tmp_path / "a" / key).read_bytes() == (tmp_path / "b" / key).read_bytes()
    assert aiocopick("demo", "--output", tmp_path / "c", "--runs", "1", "--seed", "6", "--json").code == 0
    assert (tmp_path / "a" / key).read_bytes() != (tmp_path / "c" / key).read_bytes()


def test_the_demo_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("x")
    said = aiocopick("demo", "--output", tmp_path)
    assert said.code == 2
    # The frame around the message breaks long paths, and so the words behind them.
    assert "not an empty folder" in " ".join(said.err.replace("│", " ").split())
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_a_place_that_cannot_be_written_is_a_wrong_option(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = aiocopick("demo", "--output", tmp_path / "file" / "inside")
    assert said.code == 2
    # The box that it is shown in breaks lines anywhere.
    assert "cannot be used" in " ".join(said.err.replace("│", " ").split())
