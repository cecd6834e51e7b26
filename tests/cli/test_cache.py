"""``aiocopick cache``: what is in the folder, checked and emptied."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiocopick.storage.cache_folder import CacheFolder
from tests.cli.running import aiocopick


@pytest.fixture
def folder(tmp_path: Path) -> CacheFolder:
    folder = CacheFolder(str(tmp_path / "cache"), 10**6)
    folder.prepare()
    for name in ("s3-a/one", "s3-a/two", "http-b/one"):
        folder.save(name, name, b"content", "etag")
    return folder


def test_info_counts_by_location(folder: CacheFolder) -> None:
    said = aiocopick("cache", "info", "--folder", folder.path, "--json")
    assert [(line["location"], line["entries"]) for line in said.lines] == [("http-b", 1), ("s3-a", 2)]
    assert said.lines[1]["bytes"] > 14
    assert folder.path in aiocopick("cache", "info", "--folder", folder.path).out.replace("\n", "")


def test_verify_drops_what_is_damaged(folder: CacheFolder) -> None:
    path = Path(folder.path, "s3-a", "two")
    path.write_bytes(path.read_bytes()[:-1])
    said = aiocopick("cache", "verify", "--folder", folder.path, "--json")
    assert said.code == 3
    assert [(line["location"], line["damaged"]) for line in said.lines] == [("http-b", 0), ("s3-a", 1)]
    assert aiocopick("cache", "verify", "--folder", folder.path).code == 0
    assert folder.load("s3-a/one", "s3-a/one") is not None


def test_clear_empties_the_folder(folder: CacheFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOCOPICK_CACHE", folder.path)
    assert aiocopick("cache", "clear").out.startswith("3 entries were removed")
    assert aiocopick("cache", "info", "--json").lines == []
    folder.save("s3-a/one", "key", b"content", "etag")
    assert folder.load("s3-a/one", "key") is not None


def test_a_folder_that_is_no_cache_is_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "thesis.tex").write_text("of years")
    for command in ("info", "verify", "clear"):
        aiocopick("cache", command, "--folder", tmp_path).fails_with("holds other files")
        assert aiocopick("cache", command, "--folder", tmp_path / "missing").code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
