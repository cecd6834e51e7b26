"""Files that belong to no project: replaced as a whole, and never by mistake."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import aiocopick
from aiocopick.errors import AlreadyExistsError, StorageError
from aiocopick.storage.backends import disk, durability
from aiocopick.storage.single_files import give_name, replace_file
from aiocopick.tables import store_table

OBJECT = aiocopick.PickableObject(name="ribosome", is_particle=True, label=1)


def failing(*args: Any) -> None:
    raise OSError(28, "No space left on device")


def save_config(path: Path) -> None:
    aiocopick.open_sync({"root": "memory://saved", "name": "new"}).save_config(path)


def new_config(path: Path) -> None:
    aiocopick.new_config(path, overlay_root=path.parent / "project", proj_name="new")


@pytest.mark.parametrize("write", [save_config, new_config])
def test_a_config_stays_when_its_replacement_cannot_be_written(
    tmp_path: Path, write: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"root": "memory://old"}')
    with monkeypatch.context() as patched:
        patched.setattr(disk.os, "write", failing)
        with pytest.raises(OSError, match="No space left"):
            write(path)
    assert path.read_text() == '{"root": "memory://old"}'
    assert os.listdir(tmp_path) == ["config.json"]
    write(path)
    assert aiocopick.CopickConfig.model_validate_json(path.read_text()).name == "new"


@pytest.mark.parametrize("write", [save_config, new_config])
def test_a_config_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, write: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, steps = tmp_path / "config.json", list[str]()
    replace, sync = os.replace, durability.sync
    monkeypatch.setattr(disk.os, "replace", lambda *args: (steps.append("name"), replace(*args)))
    monkeypatch.setattr(durability, "sync", lambda handle: (steps.append("sync"), sync(handle)))
    write(path)
    assert steps[:3] == ["sync", "name", "sync"]


def test_a_config_keeps_its_permissions_and_the_link_that_leads_to_it(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_text("{}")
    real.chmod(0o600)
    link.symlink_to(real)
    save_config(link)
    assert link.is_symlink()
    assert "memory://saved" in real.read_text()
    assert real.stat().st_mode & 0o777 == 0o600


def test_a_config_makes_no_folder_and_may_go_into_a_pipe(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        save_config(tmp_path / "missing" / "config.json")
    pipe, read = tmp_path / "pipe", list[str]()
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    save_config(pipe)
    reader.join()
    assert "memory://saved" in read[0]
    assert not pipe.is_file()


@pytest.mark.parametrize("kind", ["file", "link", "pipe"])
def test_a_name_that_is_taken_is_refused(tmp_path: Path, kind: str) -> None:
    source, path, other = tmp_path / "new", tmp_path / "name", tmp_path / "other"
    source.write_text("new")
    other.write_text("old")
    if kind == "file":
        path.write_text("old")
    elif kind == "link":
        path.symlink_to(other)
    else:
        os.mkfifo(path)
    with pytest.raises(AlreadyExistsError, match="another name"):
        give_name(source, path, overwrite=False)
    if kind == "pipe":
        with pytest.raises(AlreadyExistsError, match="not a file"):
            give_name(source, path, overwrite=True)
        return
    assert path.read_text() == "old"
    give_name(source, path, overwrite=True)
    assert path.read_text() == "new"
    assert other.read_text() == "old"
    assert not source.exists()


def test_a_name_is_given_within_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("config.json", "again.json"):
        replace_file("new.json", b"{}")
        give_name("new.json", name, overwrite=False)
    assert sorted(os.listdir()) == ["again.json", "config.json"]


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
@pytest.mark.parametrize("by_link", [False, True])
def test_a_table_may_go_into_a_pipe(tmp_path: Path, suffix: str, by_link: bool) -> None:
    # As /dev/stdout, which is a link, and /dev/null are: neither may become a file.
    pipe, read = tmp_path / f"pipe{suffix}", list[bytes]()
    os.mkfifo(pipe)
    target = tmp_path / f"link{suffix}" if by_link else pipe
    if by_link:
        target.symlink_to(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    asyncio.run(store_table(pa.table({"a": [1]}), target))
    reader.join()
    assert read[0] == b"a\n1\n" if suffix == ".csv" else read[0].startswith(b"PAR1")
    assert pipe.is_fifo()
    assert target.is_symlink() == by_link


def test_a_table_beside_a_link_keeps_the_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.csv", tmp_path / "link.csv"
    real.write_text("old")
    link.symlink_to(real)
    asyncio.run(store_table(pa.table({"a": [1]}), link))
    assert (link.is_symlink(), real.read_text()) == (True, "a\n1\n")


def test_a_file_of_a_project_does_not_replace_a_pipe(tmp_path: Path) -> None:
    root = aiocopick.open_sync(tmp_path, user_id="someone", session_id="1", pickable_objects=[OBJECT])
    picks = root.new_run("TS_1").new_picks("ribosome")
    picks.from_numpy([[1, 2, 3]])
    path = Path(picks.path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StorageError, match="not a file"):
        picks.store(overwrite=True)
    assert path.is_fifo()
    assert [item.name for item in path.parent.iterdir()] == [path.name]
