"""A relative path means the folder that a project is opened in, whatever the working directory becomes later."""

from __future__ import annotations

from pathlib import Path

import pytest

import aiocopick


def test_it_means_the_folder_it_was_opened_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roots = {}
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        roots[name] = aiocopick.open_sync("project")
        roots[name].new_run(name)
        assert [run.name for run in roots[name].runs] == [name]
    for name, root in roots.items():
        root.refresh()
        assert [run.name for run in root.runs] == [name]
        assert (tmp_path / name / "project" / "ExperimentRuns" / name).is_dir()


def test_it_is_kept_before_the_first_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    root = aiocopick.open_sync("project")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    root.new_run("TS_1")
    assert (tmp_path / "project" / "ExperimentRuns" / "TS_1").is_dir()
