"""`aiocopick crawl`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from aiocopick.cli.options import LOADABLE, NOUNS
from aiocopick.entities.crawl import LOADABLE as CRAWL_LOADABLE
from aiocopick.layout.refs import NOUNS as LAYOUT_NOUNS
from tests.cli.running import aiocopick, aiocopick_child
from tests.servers.fixtures import MakeWebServer
from tests.servers.s3 import MinioServer, MotoServer

EVERYTHING = {
    "voxel_spacings": 3,
    "tomograms": 3,
    "features": 3,
    "picks": 12,
    "meshes": 3,
    "segmentations": 6,
    "filaments": 3,
}


_SUFFIXES = {"picks": "json", "meshes": "glb"}


def config_of(server: MotoServer | MinioServer, root: str, **fields: object) -> str:
    """A config JSON of a project on a server, as a file's text."""
    return json.dumps({"config_type": "filesystem", "root": root, "fs_args": server.fs_args()} | fields)


def test_the_options_know_what_the_library_knows() -> None:
    assert tuple(LAYOUT_NOUNS) == NOUNS
    assert frozenset(LOADABLE) == CRAWL_LOADABLE


def test_a_crawl_counts_everything(sample_folder: Path) -> None:
    found = aiocopick("crawl", sample_folder, "--json").json
    assert (found["runs"], found["entities"], found["errors"]) == (3, EVERYTHING, [])
    assert found["source"] == str(sample_folder)
    # One to see whether there is a project, one for the runs, one for what is in all of them.
    assert found["requests"] == {"stat": 1, "list": 2}


def test_the_table_says_runs_entities_requests_and_seconds(sample_folder: Path) -> None:
    said = aiocopick_child("crawl", sample_folder)
    assert (said.code, said.err) == (0, "")
    for word in ("runs", *(noun.replace("_", " ") for noun in NOUNS), "requests", "seconds"):
        assert word in said.out


def test_runs_and_kinds_restrict_it(sample_folder: Path) -> None:
    said = aiocopick(
        "crawl", sample_folder, "--runs", "TS_00[12]", "--kinds", "picks,meshes", "--kinds", "filaments", "--json"
    )
    assert said.json["runs"] == 2
    assert said.json["entities"] == {"picks": 8, "meshes": 2, "filaments": 2}


def test_uris_restrict_it(own_sample: Path) -> None:
    found = aiocopick("crawl", own_sample, "ribosome:curator", "wbp@10", "--json").json
    assert (found["runs"], found["entities"], found["errors"]) == (3, {"tomograms": 3, "picks": 3}, [])
    for noun in ("picks", "meshes"):
        (own_sample / f"ExperimentRuns/TS_002/{noun.title()}").joinpath(
            f"curator_9_membrane.{_SUFFIXES[noun]}"
        ).write_text("{")
    loading = ("--load", "picks,meta", "--runs", "TS_00[12]", "--json")
    found = aiocopick("crawl", own_sample, "ribosome:curator", *loading).json
    # What else there is of the kind is not read: two files of picks, and what is said of two runs.
    assert (found["entities"], set(found["points"]), found["errors"]) == ({"picks": 2}, {"ribosome"}, [])
    assert found["requests"]["read"] == 4
    said = aiocopick("crawl", own_sample, "membrane", *loading)
    assert (said.code, [error["run"] for error in said.json["errors"]]) == (3, ["TS_002"])
    refused = aiocopick("crawl", own_sample, "ribosome", "--out", "catalog.parquet")
    assert refused.code == 2
    assert "--kinds" in refused.err


def test_loading_picks_counts_points(sample_folder: Path) -> None:
    found = aiocopick("crawl", sample_folder, "--load", "picks", "--json").json
    assert found["requests"]["read"] == 12
    assert set(found["points"]) == {"ribosome", "apo-ferritin"}


def test_a_broken_file_is_reported_and_the_rest_counted(own_sample: Path) -> None:
    broken = own_sample / "ExperimentRuns" / "TS_002" / "Picks" / "curator_1_ribosome.json"
    broken.write_text("{")
    said = aiocopick("crawl", own_sample, "--load", "picks", "--json")
    assert said.code == 3
    assert said.json["entities"] == EVERYTHING
    assert [error["run"] for error in said.json["errors"]] == ["TS_002"]
    assert "curator_1_ribosome.json" in said.json["errors"][0]["error"]
    whole = aiocopick("crawl", own_sample, "--runs", "TS_00[13]", "--load", "picks", "--json").json
    assert said.json["points"]["ribosome"] > whole["points"]["ribosome"], "the other picks of that run count"
    table = aiocopick("crawl", own_sample, "--load", "picks")
    assert table.code == 3
    assert "TS_002" in table.out
    broken.with_name("template-matching_0_ribosome.json").write_text("{")
    (error,) = aiocopick("crawl", own_sample, "--load", "picks", "--json").json["errors"]
    assert error["error"].endswith(" (and 1 more)")


def test_a_crawl_over_http_needs_nothing_else(own_sample: Path, web_server: MakeWebServer) -> None:
    server = web_server(own_sample)
    found = aiocopick("crawl", server.url, "--json").json
    assert found["entities"] == EVERYTHING


def test_a_crawl_on_s3_is_one_listing_per_run(sample_folder: Path, moto_server: MotoServer, tmp_path: Path) -> None:
    bucket = moto_server.new_bucket()
    moto_server.seed_folder(bucket, sample_folder, "project/")
    config = tmp_path / "config.json"
    config.write_text(config_of(moto_server, f"s3://{bucket}/project"))
    found = aiocopick("crawl", config, "--json").json
    assert found["entities"] == EVERYTHING
    assert found["requests"]["list"] <= 5


def test_tables_beside_a_project_are_reached_like_it(
    sample_folder: Path, moto_server: MotoServer, tmp_path: Path
) -> None:
    bucket, other = moto_server.new_bucket(), moto_server.new_bucket()
    moto_server.seed_folder(bucket, sample_folder, "project/")
    config = tmp_path / "config.json"
    config.write_text(config_of(moto_server, f"s3://{bucket}/project"))
    catalog, points = f"s3://{bucket}/tables/catalog.parquet", f"s3://{other}/points.parquet"
    assert aiocopick("crawl", config, "--out", catalog).code == 0
    again = aiocopick("crawl", config, "--out", f"s3://{other}/new.parquet", "--since", catalog, "--json")
    assert again.json["changes"] == {"added": 0, "changed": 0, "removed": 0}
    assert aiocopick("ls", config, "--catalog", catalog).out.split() == ["TS_001", "TS_002", "TS_003"]
    assert aiocopick("points", config, "--out", points).code == 0
    assert aiocopick("points", config, "--out", points, "--since", points).code == 0
    assert moto_server.keys(other) == ["new.parquet", "points.parquet"]


# --- sources that are none --------------------------------------------------------------------------------------------


def test_a_missing_source_is_one_line(tmp_path: Path) -> None:
    aiocopick_child("crawl", tmp_path / "nowhere").fails_with("nowhere", "no project")
    aiocopick("crawl", tmp_path / "nowhere.json").fails_with("nowhere.json", "no config")
    aiocopick("crawl", "memory://nothing").fails_with("memory://nothing", "no project")


def test_a_source_that_is_no_project_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\n")
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "other.json").write_text('{"config_type": "spreadsheet"}')
    aiocopick("crawl", tmp_path).fails_with("no ExperimentRuns")
    aiocopick("crawl", tmp_path / "picture.png").fails_with("picture.png")
    aiocopick("crawl", tmp_path / "list.json").fails_with("list.json")
    aiocopick("crawl", tmp_path / "other.json").fails_with("spreadsheet")


def test_a_missing_bucket_is_one_line(moto_server: MotoServer, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(config_of(moto_server, "s3://no-such-bucket-here/project"))
    said = aiocopick("crawl", config)
    said.fails_with("no-such-bucket-here")
    assert moto_server.secret_key not in said.err


def test_a_denied_bucket_is_one_line(minio_server: MinioServer, tmp_path: Path) -> None:
    bucket = minio_server.new_bucket()
    arguments = minio_server.fs_args() | {"secret": "wrong-secret-canary"}
    config = tmp_path / "config.json"
    config.write_text(config_of(minio_server, f"s3://{bucket}/project", fs_args=arguments))
    said = aiocopick_child("crawl", config)
    said.fails_with(bucket)
    assert "wrong-secret-canary" not in said.err


def test_an_unreachable_endpoint_is_one_line() -> None:
    aiocopick("crawl", "http://127.0.0.1:9/project").fails_with("http://127.0.0.1:9/project")


def test_an_unknown_protocol_is_one_line() -> None:
    aiocopick("crawl", "nothing://bucket/project").fails_with("nothing://bucket/project", "protocol 'nothing'")


# --- calling it wrongly -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["--kinds", "planets"],
        ["--load", "tomograms"],
        ["--fs-args", "{"],
        ["--fs-args", "[]"],
        ["--nonsense"],
    ],
)
def test_wrong_options_are_exit_code_2(sample_folder: Path, arguments: list[str]) -> None:
    said = aiocopick("crawl", sample_folder, *arguments)
    assert said.code == 2
    assert said.out == ""


def test_a_reader_that_leaves_early_is_no_error(sample_folder: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -m aiocopick crawl "{sample_folder}" | true; echo ${{PIPESTATUS[0]}}'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.strip() == "0"


def test_help_is_quick_to_import() -> None:
    heavy = ["numpy", "pydantic", "zarr", "trimesh", "s3fs", "pyarrow", "dask", "aiohttp"]
    code = (
        "import sys\nfrom aiocopick.cli import main\nsys.argv = ['aiocopick', '--help']\n"
        f"try: main()\nexcept SystemExit: print('loaded', [name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "loaded []" in done.stdout


def test_completion_knows_the_kinds() -> None:
    from aiocopick.cli.options import complete_kinds

    assert complete_kinds("pi") == ["picks"]
    assert complete_kinds("picks,me") == ["picks,meshes"]
    for typed, completed in (
        ("--kinds pi", ["picks"]),
        ("--kinds picks,se", ["picks,segmentations"]),
        ("--load me", ["meshes", "meta"]),
        ("--load picks,f", ["picks,filaments"]),
    ):
        words = {"COMP_WORDS": f"aiocopick crawl {typed}", "COMP_CWORD": "3"}
        said = aiocopick_child(_AIOCOPICK_COMPLETE="complete_bash", **words)
        assert (said.code, said.out.split()) == (0, completed)
