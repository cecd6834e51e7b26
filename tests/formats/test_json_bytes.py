"""JSON from outside: what is refused before any of it becomes objects, and what is read."""

from __future__ import annotations

import json

import pytest

from aiocopick.errors import FormatError
from aiocopick.formats import json_bytes
from aiocopick.formats.json_bytes import parse_json


def never(*args: object, **kwargs: object) -> object:
    raise AssertionError("it was parsed")


# What can be parsed must be refused as well, so that only the count of brackets can be the reason.
@pytest.mark.parametrize(
    "unit", [b"{}", b"[]", b"[{}]", b'{"a":0}', b"[[]]", b"[1]"], ids=lambda unit: unit.decode() or "none"
)
def test_many_small_containers_are_refused_before_they_are_parsed(unit: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"[" + b",".join([unit] * 200_000) + b"]"
    assert len(json.loads(data)) == 200_000
    monkeypatch.setattr(json_bytes, "from_json", never)
    with pytest.raises(FormatError, match=r"a/b\.json is refused: \d+ brackets in \d+ bytes") as caught:
        parse_json(data, path="a/b.json")
    assert caught.value.path == "a/b.json"


@pytest.mark.parametrize("unit", [b"{}", b"[]"])
def test_ten_thousand_of_them_are_read_however_small(unit: bytes) -> None:
    assert len(parse_json(b"[" + b",".join([unit] * 9_999) + b"]", path="p")) == 9_999


def test_the_densest_that_copick_means_is_read() -> None:
    point = b'{"x":1,"y":2,"z":3}'
    matrix = b"[[1,0,0,0],[0,1,0,0],[0,0,1,0],[0,0,0,1]]"
    for unit in (point, matrix):
        assert parse_json(b"[" + b",".join([unit] * 50_000) + b"]", path="p", dense=True) == [json.loads(unit)] * 50_000


def test_half_characters_are_read_as_python_writes_them_and_the_rest_is_still_checked() -> None:
    assert parse_json(rb'{"a": "\udce9"}', path="p") == {"a": "\udce9"}
    with pytest.raises(FormatError, match="p is not valid JSON"):
        parse_json(rb'{"a": "\udce9"', path="p")


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), {"a": ["\udce9"]}, {"é": [1, None, True]}])
def test_what_is_written_is_read_as_the_same(value: object) -> None:
    assert parse_json(json_bytes.dump_json(value), path="p") == value
    assert parse_json(b"\xef\xbb\xbf" + json_bytes.dump_json(value), path="p") == value
