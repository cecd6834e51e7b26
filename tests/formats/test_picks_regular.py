"""The recogniser of regular picks files: it takes what programs write, and nothing that differs in meaning."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from aiocopick.formats import picks, picks_regular
from aiocopick.formats.picks import decode_picks, encode_picks
from aiocopick.formats.picks_regular import read_regular
from aiocopick.formats.picks_table import PicksTable


def points(count: int, seed: int = 0) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    result = []
    for i in range(count):
        matrix = np.eye(4)
        matrix[:3] = random.normal(size=(3, 4)) * 10.0 ** random.integers(-9, 9)
        x, y, z = random.uniform(-1e4, 1e4, size=3).tolist()
        result.append(
            {
                "location": {"x": x, "y": y, "z": z},
                "transformation_": matrix.tolist(),
                "instance_id": i,
                "score": float(random.uniform()),
            }
        )
    return result


def inner(text: str) -> bytes:
    return text.strip()[1:-1].encode()


def read(text: bytes) -> picks_regular.Columns | None:
    return read_regular(text, 0, len(text))


@pytest.mark.parametrize("indent", [4, 2, None, "\t"], ids=["copick", "two", "flat", "tabs"])
@pytest.mark.parametrize("count", [1, 2, 40])
def test_regular_writing_is_recognised(indent: int | str | None, count: int) -> None:
    expected = points(count)
    columns = read(inner(json.dumps(expected, indent=indent)))
    assert columns is not None
    assert columns.positions.tolist() == [[p["location"][axis] for axis in "xyz"] for p in expected]
    assert columns.transforms.tolist() == [p["transformation_"] for p in expected]
    assert columns.instance_ids.tolist() == [p["instance_id"] for p in expected]
    assert columns.scores.tolist() == [p["score"] for p in expected]


def test_our_own_writing_is_recognised() -> None:
    text = inner(json.dumps(points(3), separators=(",", ":")))
    assert read(text) is not None


@pytest.mark.parametrize("size", [1, 100, 1000, 5000])
def test_blocks_of_any_size_give_the_same(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text = inner(json.dumps(points(30), indent=4))
    whole = read(text)
    monkeypatch.setattr(picks_regular, "_BLOCK", size)
    parts = read(text)
    assert whole is not None
    assert parts is not None
    assert np.array_equal(whole.positions, parts.positions)
    assert np.array_equal(whole.transforms, parts.transforms)


REGULAR = json.dumps(points(2))


def same(column: np.ndarray, values: list[Any]) -> bool:
    """Whether a column holds these numbers, integers rounded to the nearest float."""
    return np.array_equal(column, np.array(values, dtype=np.float64))


# Each is either no JSON, or JSON that means something else than its numbers alone.
IRREGULAR = {
    "unknown key": REGULAR.replace('"score"', '"score2"', 1),
    "digit in a key": REGULAR.replace('"instance_id"', '"instance1_id"', 1),
    "e in a key": REGULAR.replace('"score"', '"scoree"', 1),
    "capital in a key": REGULAR.replace('"score"', '"scorE"', 1),
    "space in a key": REGULAR.replace('"score"', '"sco re"', 1),
    "space before a key": REGULAR.replace('"location"', '" location"', 1),
    "newline after a key": REGULAR.replace('"x"', '"x\n"', 1),
    "digit behind a bracket": REGULAR.replace("1.0]]", "1.0]0]", 1),
    "digit behind a brace": REGULAR.replace("}, {", "}1, {", 1),
    "digit before a bracket": REGULAR.replace("[[", "[1[", 1),
    "further key": REGULAR.replace('"instance_id"', '"a": 1, "instance_id"', 1),
    "numeric key": REGULAR.replace('"instance_id"', '"1": 1, "instance_id"', 1),
    "null": REGULAR.replace('"score": ', '"score": null, "x": ', 1),
    "NaN": REGULAR.replace('"x": ', '"x": NaN, "y": ', 1),
    "space in a number": REGULAR.replace("0.0, 1.0]", "0.0, 1. 0]", 1),
    "e before a number": REGULAR.replace('"x": ', '"x": e', 1),
    "e before a score": REGULAR.replace('"score": ', '"score": e', 1),
    "plus": REGULAR.replace("1.0]]", "+1.0]]", 1),
    "leading zero": REGULAR.replace("1.0]]", "01.0]]", 1),
    "no number": REGULAR.replace("1.0]]", "]]", 1),
    "other order": REGULAR.replace('"x"', '"q"').replace('"y"', '"x"').replace('"q"', '"y"'),
    "trailing comma": REGULAR[:-1] + ",]",
    "missing comma": REGULAR.replace("}, {", "} {", 1),
    "fractional id": REGULAR.replace('"instance_id": 1', '"instance_id": 1.5', 1),
    "large id": REGULAR.replace('"instance_id": 1', '"instance_id": 9007199254740993', 1),
    "empty": "[]",
    "blank": "[ ]",
}


@pytest.mark.parametrize("text", IRREGULAR.values(), ids=IRREGULAR.keys())
def test_what_differs_is_left_to_the_general_parser(text: str) -> None:
    assert text != REGULAR
    assert read(inner(text)) is None


@settings(max_examples=500)
@given(st.integers(0, len(REGULAR) - 2), st.integers(0, 3), st.text('0123456789.-+eE {}[]",:xyzscor_\n', max_size=3))
def test_what_is_recognised_is_what_json_says(place: int, removed: int, inserted: str) -> None:
    text = REGULAR[: place + 1] + inserted + REGULAR[place + 1 + removed :]
    columns = read(text.encode()[1:-1]) if text.endswith("]") else None
    if columns is not None:
        document = json.loads(text)
        assert same(columns.positions, [[p["location"][axis] for axis in "xyz"] for p in document])
        assert same(columns.transforms, [p["transformation_"] for p in document])
        assert same(columns.instance_ids, [p["instance_id"] for p in document])
        assert same(columns.scores, [p["score"] for p in document])


@pytest.mark.parametrize(
    "envelope",
    [
        '{"note": "a\\"points\\": [b", "points": %s}',
        '{"extra": {"points": %s}, "points": []}',
        '{"points": [], "extra": {"points": %s}}',
        '{"points": [], "points": %s}',
        '{"points": %s, "extra": [1, 2]}',
        '{"points": %s, "note": "]"}',
        '{"points" : %s}',
        '{"points":%s}',
    ],
)
def test_only_the_envelopes_own_list_is_read(envelope: str) -> None:
    text = envelope % json.dumps(points(2))
    document = json.loads(text)
    expected = document.get("points") or []
    table = decode_picks(text.encode(), path="p")
    assert table.positions.tolist() == [[p["location"][axis] for axis in "xyz"] for p in expected]
    assert table.header == {key: value for key, value in document.items() if key != "points"}


@pytest.mark.parametrize("indent", [4, None])
def test_what_copick_and_we_write_takes_the_quick_way(indent: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    table = PicksTable.from_points(points(3), {"pickable_object_name": "o", "user_id": "u", "session_id": "0"})
    data = encode_picks(table)
    monkeypatch.setattr(picks, "parse_in_blocks", None)
    again = decode_picks(json.dumps(json.loads(data), indent=indent).encode() if indent else data, path="p")
    assert np.array_equal(again.positions, table.positions)


def test_large_tables_round_trip_in_blocks() -> None:
    random = np.random.default_rng(1)
    transforms = np.tile(np.eye(4), (10_000, 1, 1))
    transforms[:, :3] = random.normal(size=(10_000, 3, 4))
    table = PicksTable.from_arrays(
        random.uniform(0, 6000, (10_000, 3)), transforms, np.arange(10_000), random.uniform(size=10_000)
    )
    table.extras = {0: {"a": 1}, 4999: {"b": 2}, 9999: {"c": 3}}
    again = decode_picks(encode_picks(table), path="p")
    assert np.array_equal(again.positions, table.positions)
    assert np.array_equal(again.matrices(), table.matrices())
    assert np.array_equal(again.ids(), table.ids())
    assert again.extras == table.extras
