"""Names that may be written, and hostile ones (the table of reliability row R19)."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given, strategies as st

from aiocopick.errors import InvalidNameError
from aiocopick.layout.names import check_name, check_run_name, check_segmentation_name, clean_name
from aiocopick.layout.paths import key_of, parse_key, run_key
from aiocopick.layout.refs import ObjectRef, PicksRef, RunRef

HOSTILE = [
    "..",
    ".",
    "../../etc/passwd",
    "/etc/passwd",
    "a/../../b",
    "..\\..\\b",
    "C:\\b",
    "s3://other/bucket",
    "file:///etc/passwd",
    "simplecache::file:///etc/passwd",
    "a\0b",
    "a\nb",
    "a\rb",
    "\x1b[31m",
    "a b",
    " a ",
    "a_b",
    "%2e%2e%2f",
    "a?b#c",
    "*",
    "con",
    ".hidden",
    "~",
    "$HOME",
    "\u202egpj",
    "e\u0301",
    "\ud800",
    "",
    "-",
    "___",
    "x" * 300,
    "\u00e9" * 200,
    "a.zarr",
    "a.json",
    "a-multilabel",
    "\u2028",
    "\u00a0",
    "\x85",
]


def cleaned_or_refused(name: str) -> str | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return clean_name(name, "object name")
        except InvalidNameError:
            return None


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_object_names_stay_in_their_folder(name: str) -> None:
    clean = cleaned_or_refused(name)
    if clean is None:
        return
    ref = PicksRef(run="r", user_id=clean, session_id=clean, object_name=clean)
    try:
        key = key_of(ref)
    except InvalidNameError:
        return
    assert key.split("/")[:3] == ["ExperimentRuns", "r", "Picks"]
    assert len(key.split("/")) == 4
    assert parse_key(key) == ref


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_run_names_are_one_segment_or_refused(name: str) -> None:
    try:
        check_run_name(name)
    except InvalidNameError:
        return
    key = run_key(name)
    assert key.split("/") == ["ExperimentRuns", name]
    assert parse_key(key) == RunRef(run=name)


@given(st.text(st.characters()))
def test_any_name_is_cleaned_once_and_for_all_or_refused(name: str) -> None:
    clean = cleaned_or_refused(name)
    if clean is None:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert clean_name(clean, "object name") == clean
        assert check_name(clean, "object name") == clean


@given(st.text(st.characters()), st.text(st.characters()))
def test_names_collide_only_by_documented_cleaning(one: str, other: str) -> None:
    if one == other:
        return
    warned = []
    for name in (one, other):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                clean_name(name, "object name")
            except InvalidNameError:
                return
        warned.append(bool(caught))
    assert cleaned_or_refused(one) != cleaned_or_refused(other) or any(warned)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a_b", "a-b"), ("a b", "a-b"), ("-a-", "a"), ('a<>:"/\\|?*b', "a---------b"), ("a\tb\x7f", "a-b"), ("_a", "a")],
)
def test_cleaning_warns_and_says_what_it_did(name: str, expected: str) -> None:
    with pytest.warns(UserWarning, match="has been sanitized"):
        assert clean_name(name, "object name") == expected


@pytest.mark.parametrize("name", ["", "-", "___", " ", "/", ".", "..", ".a", "_.a"])
def test_nothing_left_and_leading_dots_are_refused(name: str) -> None:
    assert cleaned_or_refused(name) is None


@pytest.mark.parametrize("value", [None, 3, b"a"])
def test_a_name_is_a_string(value: object) -> None:
    for check in (clean_name, check_name):
        with pytest.raises(InvalidNameError, match="must be a string"):
            check(value, "user id")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a_b", "a b", "-a", "a-", "", "a/b"])
def test_names_of_a_config_must_be_clean(name: str) -> None:
    with pytest.raises(InvalidNameError, match="invalid characters"):
        check_name(name, "user id")


def test_refusals_name_the_character() -> None:
    with pytest.raises(InvalidNameError, match="':'"):
        check_name("a:b", "user id")
    with pytest.raises(InvalidNameError, match="'/'"):
        check_run_name("a/b")


@pytest.mark.parametrize("name", ["a/b", "a\\b", ".", "..", ".a", "", "a\nb", "\x7f", "\x9b", "x" * 256, "é" * 128])
def test_run_names_that_cannot_be_directories(name: str) -> None:
    with pytest.raises(InvalidNameError):
        check_run_name(name)


@pytest.mark.parametrize("name", ["TS_001", "a b", "x.zarr", "é" * 127, "x" * 255, "a:b", "a?b", "-"])
def test_run_names_are_kept_as_they_are(name: str) -> None:
    assert check_run_name(name) == name
    assert parse_key(run_key(name)) == RunRef(run=name)


def test_a_single_label_segmentation_cannot_look_like_a_multilabel_one() -> None:
    with pytest.raises(InvalidNameError, match="segmentation type suffix"):
        check_segmentation_name("a-multilabel", is_multilabel=False)
    assert check_segmentation_name("a-multilabel", is_multilabel=True) == "a-multilabel"
    assert check_segmentation_name("a-multilabels", is_multilabel=False) == "a-multilabels"


def test_errors_show_no_run_name_of_other_projects() -> None:
    with pytest.raises(InvalidNameError) as caught:
        key_of(ObjectRef(name="a/b"))
    assert caught.value.path == "a/b.zarr"
