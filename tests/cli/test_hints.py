"""What the command line says about a mistake: nothing matched, advice for a shell, the format of a file."""

from __future__ import annotations

import ast
import csv
import re
from pathlib import Path

import pyarrow.parquet
import pytest
from typer.main import get_command

from aiocopick.cli.advice import for_shell
from aiocopick.cli.app import program
from tests.cli.running import aiocopick

SOURCE = Path(__file__).resolve().parents[2] / "src" / "aiocopick"

COMMANDS = ["ls", "tree", "info", "points", "doctor", "crawl"]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_misspelt_name_is_asked_for(sample_folder: Path, command: str) -> None:
    said = aiocopick(command, sample_folder, "ribosom")
    assert said.code == 0
    assert said.err == "aiocopick: nothing matched ribosom; did you mean ribosome (picks)?\n"
    as_json = aiocopick(command, sample_folder, "ribosom", "--json")
    assert as_json.err == said.err
    assert "nothing matched" not in as_json.out
    assert "nothing matched" not in aiocopick(command, sample_folder, "ribosome").err


def test_copies_and_deletions_say_it_too(own_sample: Path, tmp_path: Path) -> None:
    for arguments in (["cp", own_sample, tmp_path / "copy"], ["rm", "--yes", own_sample]):
        said = aiocopick(*arguments, "ribosom")
        assert said.err == "aiocopick: nothing matched ribosom; did you mean ribosome (picks)?\n"


def test_pictures_say_it_too(sample_folder: Path, tmp_path: Path) -> None:
    out = ["--out", tmp_path / "out.png"]
    for uri, hint in {
        "ribosom": "did you mean ribosome (picks)?",
        "wpb@10": "did you mean wbp",
        "xyzzy": "there are the names apo-ferritin",
        "membrane:curator/1": "there are",
    }.items():
        said = aiocopick("show", sample_folder, uri, *out)
        said.fails_with(uri, hint)
        assert "--kinds" not in said.err
    aiocopick("show", sample_folder, "wbp@10", "--runs", "TS_9*", *out).fails_with("no run is called TS_9*")
    page = ["--out", tmp_path / "out.html"]
    said = aiocopick("gallery", sample_folder, "ribosom", "apo-ferritin", *page)
    assert said.code == 0
    assert said.err == "aiocopick: nothing matched ribosom; did you mean ribosome (picks)?\n"
    assert aiocopick("gallery", sample_folder, "ribosome", *page, "--since", page[1]).err == ""
    assert "no run is called TS_9*" in aiocopick("gallery", sample_folder, "--runs", "TS_9*", *page).err
    assert "no run is called TS_9*" in aiocopick("gallery", sample_folder, "ribosome", "--runs", "TS_9*", *page).err


def test_other_kinds_other_runs_and_other_names(sample_folder: Path) -> None:
    assert "there are meshes and segmentations of that name; add --kinds meshes,segmentations" in (
        aiocopick("ls", sample_folder, "membrane").err
    )
    assert "did you mean ribosome:curator/1 (picks)" in aiocopick("ls", sample_folder, "ribosome:curatr/1").err
    assert "there are the names apo-ferritin" in aiocopick("ls", sample_folder, "xyzzy").err
    assert "no run is called TS_9*; there are the runs TS_001" in aiocopick("ls", sample_folder, "--runs", "TS_9*").err
    assert "no run is called TS_0O1*; did you mean TS_001" in aiocopick("crawl", sample_folder, "--runs", "TS_0O1*").err
    assert aiocopick("ls", sample_folder, "ribosome", "xyzzy").err == ""


def test_a_table_has_the_format_of_its_name(sample_folder: Path, tmp_path: Path) -> None:
    for command, columns in (("points", "run,object_name,"), ("crawl", "run,kind,")):
        for name in ("table.csv", "TABLE.CSV"):
            said = aiocopick(command, sample_folder, "--out", tmp_path / name)
            assert said.code == 0, said.err
            text = (tmp_path / name).read_text()
            assert text.startswith(columns)
            rows = list(csv.DictReader(text.splitlines()))
            assert rows[-1]["run"].startswith("TS_")
            assert None not in rows[0]
        for name in ("table.parquet", "table.pq", "table"):
            assert aiocopick(command, sample_folder, "--out", tmp_path / name).code == 0
            assert pyarrow.parquet.read_table(tmp_path / name).num_rows == len(rows)
        for name in ("table.json", "table.xlsx", "table.tsv", "table.star"):
            said = aiocopick(command, sample_folder, "--out", tmp_path / name)
            assert said.code == 2
            assert "Parquet (.parquet) or CSV" in " ".join(said.err.replace("│", " ").split())
            assert not (tmp_path / name).exists()
    aiocopick("ls", sample_folder, "--catalog", tmp_path / "table.csv").fails_with("is CSV", "name the Parquet file")
    aiocopick("crawl", sample_folder, "--since", tmp_path / "table.csv", "--out", tmp_path / "new.parquet").fails_with(
        "is CSV"
    )


def test_help_has_no_types_of_flags() -> None:
    names = list(get_command(program()).commands)  # type: ignore[attr-defined]
    for arguments in ([], *([name] for name in names)):
        said = aiocopick(*arguments, "--help")
        assert "--help" in said.out
        assert "bool" not in said.out.lower()


# --- advice -----------------------------------------------------------------------------------------------------------

_CALL = re.compile(
    r"\b[a-z_]+=(?:True|False|None|\d|'|\{)|\b(?:pass|give|set) [a-z_]+=|\b(?:ensure|new_object|open)\(|in fs_args\b"
)

NOT_REACHED = {
    # Of functions that no command calls with these arguments.
    "on_layer_error=", "on_error=", "verify=", "lazy=True", "update_pyramid=True", "filament=False", "options() takes",
    "dtype=None", "zarr_format=3", "engine='", "AsyncRoot.stack", "aiocopick.open(", "CopickConfigFS(root",
    "max_file_bytes={'configs'",
}  # fmt: skip


def messages() -> set[str]:
    """Texts of the errors that the library raises."""
    found: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        if (
            path.relative_to(SOURCE).parts[0] in ("testing", "sync", "distributed", "compat.py", "training")
            or path.name == "advice.py"
        ):
            continue
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        parts_of_others = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in nodes:
            if id(node) in parts_of_others:
                continue
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and "\n" not in node.value:
                found.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "x" for part in node.values]
                found.add("".join(map(str, parts)))
    return {text for text in found if " " in text}


def test_no_advice_is_for_python() -> None:
    wrong = {
        text for text in messages() if _CALL.search(for_shell(text)) and not any(known in text for known in NOT_REACHED)
    }
    assert not wrong


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("pass allow_protocols= (--allow-protocol on the command line) with the", "pass --allow-protocol with the"),
        ("leads out; set follow_symlinks=True to allow that", '"follow_symlinks": true in the configuration'),
        ("no credentials were found; give key and secret in fs_args, or anon=True for public data", "the environment"),
        ("set client_kwargs={'region_name': ...} in fs_args", "--fs-args '{"),
    ],
)
def test_advice_names_options_and_fields(message: str, said: str) -> None:
    assert said in for_shell(message)


def test_a_missing_project_is_explained_for_a_shell(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    aiocopick("ls", tmp_path).fails_with("There are the folders mine instead")
    aiocopick("ls", tmp_path / "mine").fails_with("Nothing is stored there: check the path.")
    assert "ensure" not in aiocopick("ls", tmp_path / "mine").err
    folder = tmp_path / "config.json"
    folder.write_text('{"root": "reference://a"}')
    aiocopick("ls", folder).fails_with("pass --allow-protocol with the protocols")
