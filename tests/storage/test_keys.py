"""Keys stay below the root, roots are taken apart and shown without secrets."""

from __future__ import annotations

import ntpath
import os
from pathlib import Path

import pytest
from hypothesis import example, given, strategies as st

from aiocopick.errors import InvalidNameError
from aiocopick.layout.listing import parse_runs
from aiocopick.storage.base import Entry
from aiocopick.storage.keys import check_key, check_prefix, display_key, display_url, is_key, parse_root, path_below
from aiocopick.testing import HOSTILE_KEYS

SEGMENT = st.text(st.characters(exclude_characters="/\\\0", exclude_categories=["Cs"]), min_size=1).filter(
    lambda text: text not in (".", "..")
)


@given(st.lists(SEGMENT, min_size=1, max_size=5).map("/".join))
@example("\n")
@example("a/..\n")
def test_what_is_below_the_root_is_a_key(key: str) -> None:
    assert check_key(key) == key
    assert check_prefix(key + "/") == check_prefix(key) == key
    assert is_key(key)


@given(st.text(st.sampled_from("./\\a\0 "), max_size=8))
def test_no_key_leads_out_of_the_root(key: str) -> None:
    root = Path("/a/b")
    try:
        check_key(key)
    except InvalidNameError:
        assert not is_key(key)
        return
    assert is_key(key)
    resolved = Path(f"{root}/{key}")
    assert ".." not in resolved.parts
    assert root in resolved.parents
    # Nothing is lost either: two keys are two files.
    assert str(resolved) == f"{root}/{key}"


@pytest.mark.parametrize("key", HOSTILE_KEYS)
def test_hostile_keys_are_refused_by_name(key: str) -> None:
    with pytest.raises(InvalidNameError):
        check_key(key)
    assert not is_key(key)


@given(st.text(st.sampled_from("./\\a\0ä\udcff\ud800"), min_size=1, max_size=8))
def test_listings_skip_the_names_that_no_key_can_hold(name: str) -> None:
    if "/" in name or name.startswith("."):
        return
    key = f"ExperimentRuns/{name}"
    listing = parse_runs([Entry(key, is_prefix=True)])
    assert [located.key for located in listing.located] == ([key] if is_key(key) else [])
    assert list(listing.skipped) == ([] if is_key(key) else [key])


def test_every_key_can_be_printed() -> None:
    assert display_key("a/ä") == "a/ä"
    assert display_key(os.fsdecode(b"\xc3\xa4/bad\xffname")) == "ä/bad\\xffname"
    assert display_key("ä\ud800") == "ä\\ud800"


@pytest.mark.parametrize("key", [None, 3, b"bytes", Path("a")])
def test_only_text_is_a_key(key: object) -> None:
    with pytest.raises(InvalidNameError):
        check_key(key)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("root", "protocol", "location", "url"),
    [
        ("s3://bucket/a/b/", "s3", "bucket/a/b", "s3://bucket/a/b"),
        ("s3a://bucket", "s3", "bucket", "s3a://bucket"),
        ("gs://bucket/a", "gs", "bucket/a", "gs://bucket/a"),
        ("gcs://bucket/a", "gs", "bucket/a", "gcs://bucket/a"),
        ("az://container/a", "az", "container/a", "az://container/a"),
        ("azure://container/a", "az", "container/a", "azure://container/a"),
        ("abfss://container@account.dfs.core.windows.net/a", "az", "container@account.dfs.core.windows.net/a", None),
        ("file:///data/project/", "file", "/data/project", "/data/project"),
        ("local:///data/project", "file", "/data/project", "/data/project"),
        ("/data/../data/project/", "file", "/data/project", "/data/project"),
        ("memory://a/b/", "memory", "a/b", "memory://a/b"),
        ("memory:///a/b", "memory", "a/b", "memory://a/b"),
        ("https://user:pass@host/a?token=x", "https", "user:pass@host/a", "https://host/a"),
        ("sftp://user:pass@host:22/a", "sftp", "user:pass@host:22/a", "sftp://host:22/a"),
    ],
)
def test_roots_are_taken_apart(root: str, protocol: str, location: str, url: str | None) -> None:
    found = parse_root(root)
    assert (found.protocol, found.location) == (protocol, location)
    if url is not None:
        assert found.url == url


def test_relative_roots_are_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert parse_root("project").location == str(tmp_path / "project")
    assert parse_root("~/project").location == "/home/somebody/project"
    assert parse_root(Path("project")).location == str(tmp_path / "project")


WINDOWS = [
    "C:evil", "C:", "a/C:evil", "a:b", "a/b:stream", "CON", "con.json", "a/NUL", "nul .txt", "COM1", "lpt9.x", "aux.", "a/b.",
    "a/b ", "CONIN$", "com\u00b9", "a*", "a?b", "<a>", 'a"b', "a|b", "a\nb", "a/\x01",
]  # fmt: skip


@pytest.mark.parametrize("key", WINDOWS)
def test_no_key_names_another_place_on_windows(key: str) -> None:
    assert check_key(key) == key
    with pytest.raises(InvalidNameError, match="Windows"):
        path_below("D:\\project", key, "\\")
    # Elsewhere these are names as any other.
    assert path_below("/project", key, "/") == f"/project/{key}"


@given(st.lists(SEGMENT, min_size=1, max_size=4).map("/".join))
def test_what_windows_can_store_stays_below_the_root(key: str) -> None:
    root = "D:\\project"
    try:
        path = path_below(root, key, "\\")
    except InvalidNameError:
        return
    assert ntpath.normpath(path) == path
    assert ntpath.commonpath([root, path]) == root
    assert ntpath.splitdrive(path)[0] == "D:"
    assert path_below("C:\\", key, "\\").startswith("C:\\")


@pytest.mark.parametrize("root", ["", "simplecache::s3://bucket", "zip://a::file:///etc/x.zip", "a::b"])
def test_roots_that_name_no_place_are_refused(root: str) -> None:
    with pytest.raises(InvalidNameError):
        parse_root(root)


@given(st.from_regex(r"https://[a-z]{1,5}:canary[a-z]{0,5}@[a-z]{1,5}/[a-z/]{0,8}\?x=canary#canary", fullmatch=True))
def test_no_secret_of_a_url_is_shown(url: str) -> None:
    assert "canary" not in display_url(url)
    assert "canary" not in repr(parse_root(url)).replace(parse_root(url).location, "")
