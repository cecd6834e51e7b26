"""`aiocopick add` and `export`."""

from __future__ import annotations

from pathlib import Path

from tests.cli.running import aiocopick as command
from tests.convert.test_convert import voxels, write_mrc
from tests.training.projects import config


def test_commands_add_and_export(tmp_path: Path) -> None:
    project = tmp_path / "copick_config.json"
    project.write_text(config(str(tmp_path / "project")).to_json())
    files = [write_mrc(tmp_path / f"TS_{number}.mrc", voxels()) for number in range(2)]
    said = command("add", project, "wbp@12.5", *files)
    assert (said.code, said.err) == (0, "")
    assert f"{files[0]}: TS_0 wbp@12.5" in said.out
    said = command("add", project, "wbp@12.5", *files, tmp_path / "TS_3.mrc", "--json")
    assert said.code == 3
    assert len(said.json["errors"]) == 3
    said = command("add", project, "wbp@12.5", files[0])
    assert (said.code, said.out) == (3, "")
    assert "exists already" in said.err
    assert command("add", project, "wbp@12.5", files[0], "--overwrite").code == 0
    said = command("export", project, "wbp@12.5", "--out", tmp_path / "out", "--runs", "TS_1")
    assert said.code == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["TS_1_wbp_12.5.mrc"]
    command("add", project, "*@12.5", files[0]).fails_with("does not name one entity")
