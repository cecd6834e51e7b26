"""`aiocopick ls`, `tree`, `info` and `points`."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.cli.running import aiocopick


def test_ls_lists_runs_then_entities(sample_folder: Path) -> None:
    assert aiocopick("ls", sample_folder).out.split() == ["TS_001", "TS_002", "TS_003"]
    assert aiocopick("ls", sample_folder, "--runs", "*2").out.split() == ["TS_002"]
    said = aiocopick("ls", sample_folder, "ribosome:curator/*", "wbp@10", "--runs", "TS_00[13]")
    assert said.out.splitlines() == [
        "TS_001\ttomogram\twbp@10.0",
        "TS_001\tpicks\tribosome:curator/1",
        "TS_003\ttomogram\twbp@10.0",
        "TS_003\tpicks\tribosome:curator/1",
    ]
    (line,) = aiocopick("ls", sample_folder, "*", "--kinds", "meshes", "--runs", "TS_001", "--long").out.splitlines()
    columns = line.split("\t")
    path = sample_folder / "ExperimentRuns/TS_001/Meshes/curator_1_membrane.glb"
    assert (int(columns[3]), columns[5]) == (path.stat().st_size, str(path))


def test_ls_of_a_missing_project_fails(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "ExperimentRuns").mkdir(parents=True)
    aiocopick("ls", tmp_path).fails_with("There is no project at", "elsewhere")
    aiocopick("ls", tmp_path, "--runs", "TS_*").fails_with("There is no project at", "elsewhere")
    aiocopick("ls", tmp_path / "missing").fails_with("There is no project at", "Nothing is stored there")
    aiocopick("ls", tmp_path / "missing", "ribosome").fails_with("There is no project at")


@pytest.mark.filterwarnings("default::aiocopick.errors.MissingProjectWarning")
def test_ls_says_that_a_layer_is_missing(tmp_path: Path) -> None:
    (tmp_path / "overlay" / "ExperimentRuns" / "TS_1").mkdir(parents=True)
    config = tmp_path / "config.json"
    roots = {"overlay_root": f"local://{tmp_path}/overlay", "static_root": f"local://{tmp_path}/gone"}
    config.write_text(json.dumps({"config_type": "filesystem", "pickable_objects": [], **roots}))
    said = aiocopick("ls", config)
    assert (said.code, said.out) == (0, "TS_1\n")
    assert said.err.startswith("aiocopick: There is no project at")
    assert "gone" in said.err


def test_ls_of_an_empty_project_is_empty(tmp_path: Path) -> None:
    (tmp_path / "ExperimentRuns").mkdir()
    said = aiocopick("ls", tmp_path)
    assert (said.code, said.out, said.err) == (0, "", "")


def test_ls_speaks_json(sample_folder: Path) -> None:
    rows = aiocopick("ls", sample_folder, "--kinds", "picks", "--json").lines
    assert len(rows) == 12
    assert rows[0]["key"] == "ExperimentRuns/TS_001/Picks/curator_1_apo-ferritin.json"
    assert rows[0]["uri"] == "apo-ferritin:curator/1"
    assert rows[0]["size"] > 0


def test_tree_shows_what_is_where(sample_folder: Path) -> None:
    said = aiocopick("tree", sample_folder, "--runs", "TS_002")
    assert said.out.startswith("TS_002")
    for word in ("wbp@10.0", "wbp@10.0:gradient", "ribosome:curator/1", "cell:curator/1@10.0?multilabel=true"):
        assert word in said.out
    rows = aiocopick("tree", sample_folder, "--kinds", "meshes", "--json").lines
    assert rows == [{"run": f"TS_00{n}", "entities": {"mesh": ["membrane:curator/1"]}} for n in (1, 2, 3)]


def test_info_shows_the_project(sample_folder: Path) -> None:
    found = aiocopick("info", sample_folder / "copick_config.json", "--json").json
    assert (found["name"], found["runs"]) == ("Sample project", 3)
    assert [layer["url"] for layer in found["layers"]] == [str(sample_folder)]
    assert {item["name"]: item["density_map"] for item in found["objects"]} == {
        "ribosome": True,
        "apo-ferritin": True,
        "membrane": False,
        "microtubule": False,
    }
    assert "Sample project" in aiocopick("info", sample_folder / "copick_config.json").out


def test_info_shows_entities(sample_folder: Path) -> None:
    rows = aiocopick("info", sample_folder, "wbp@10", "membrane:*@10", "--runs", "TS_001", "--json").lines
    assert [(row["uri"], row["shape"], row["levels"]) for row in rows] == [
        ("wbp@10.0", [40, 80, 80], 3),
        ("membrane:membrain/0@10.0", [40, 80, 80], 1),
    ]
    assert "1280" in aiocopick("info", sample_folder, "--kinds", "meshes", "--runs", "TS_001").out
    rows = aiocopick("info", sample_folder, "--runs", "TS_002", "--json").lines
    assert {row["run"] for row in rows} == {"TS_002"}
    assert len({row["kind"] for row in rows}) == 7


def test_info_says_what_cannot_be_read(own_sample: Path) -> None:
    (own_sample / "ExperimentRuns/TS_002/Picks/curator_1_ribosome.json").write_text("{")
    said = aiocopick("info", own_sample, "ribosome:curator", "--json")
    assert (said.code, [row["run"] for row in said.lines]) == (3, ["TS_001", "TS_003"])
    assert "TS_002" in said.err


def test_points_are_csv(sample_folder: Path) -> None:
    said = aiocopick("points", sample_folder, "ribosome:curator", "--runs", "TS_001", "--transforms")
    rows = list(csv.DictReader(io.StringIO(said.out)))
    assert {(row["run"], row["object_name"], row["user_id"], row["session_id"]) for row in rows} == {
        ("TS_001", "ribosome", "curator", "1")
    }
    assert all(0 <= float(row["x"]) <= 800 and 0 <= float(row["z"]) <= 400 for row in rows)
    assert all(len(row["transform"].split()) == 16 for row in rows)
    again = aiocopick("points", sample_folder, "ribosome:curator", "--runs", "TS_001", "--json").lines
    assert [row["x"] for row in again] == [float(row["x"]) for row in rows]


def test_points_go_to_parquet_and_are_read_once(own_sample: Path, tmp_path: Path) -> None:
    out = tmp_path / "points.parquet"
    found = aiocopick("points", own_sample, "--out", out, "--json").json
    assert found["files"] == 12
    again = aiocopick("points", own_sample, "--out", tmp_path / "b.parquet", "--since", out, "--json").json
    assert again["points"] == found["points"]
    (own_sample / "ExperimentRuns/TS_002/Picks/curator_1_ribosome.json").write_text("{")
    said = aiocopick("points", own_sample, "--out", tmp_path / "c.parquet", "--since", out, "--json")
    assert (said.code, said.json["files"]) == (3, 11)
    assert "curator_1_ribosome.json" in said.err


def test_a_catalogue_stands_in_for_listings(own_sample: Path, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.parquet"
    found = aiocopick("crawl", own_sample, "--out", catalog, "--stats", "--json").json
    assert found["points"]["ribosome"] > 0
    (own_sample / "ExperimentRuns" / "TS_004").mkdir()
    assert "TS_004" not in aiocopick("ls", own_sample, "--catalog", catalog).out
    path = own_sample / "ExperimentRuns/TS_002/Picks/curator_1_ribosome.json"
    path.unlink()
    again = aiocopick(
        "crawl", own_sample, "--out", tmp_path / "new.parquet", "--since", catalog, "--stats", "--json"
    ).json
    assert again["changes"] == {"added": 1, "changed": 0, "removed": 1}
    assert again["requests"]["read"] < found["requests"]["read"]
    assert "removed since" in aiocopick("crawl", own_sample, "--out", tmp_path / "x.parquet", "--since", catalog).out


def test_options_that_need_others_say_so(sample_folder: Path, tmp_path: Path) -> None:
    for arguments in (
        ["crawl", sample_folder, "--since", tmp_path / "x"],
        ["crawl", sample_folder, "--stats"],
        ["crawl", sample_folder, "--out", tmp_path / "x", "--load", "picks"],
        ["points", sample_folder, "--since", tmp_path / "x"],
        ["rm", sample_folder, "--yes"],
        ["rm", sample_folder, "*"],
    ):
        assert aiocopick(*arguments).code == 2
    aiocopick("points", sample_folder, "a:b:c").fails_with("a:b:c")
    aiocopick("ls", sample_folder, "--catalog", tmp_path / "missing.parquet").fails_with("missing.parquet")
