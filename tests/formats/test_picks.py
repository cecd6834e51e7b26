"""Picks files: what is read, what is kept, what is written."""

from __future__ import annotations

import contextlib
import json
import math
import struct
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from aiocopick.errors import FormatError
from aiocopick.formats.picks import PicksTable, decode_picks, encode_picks
from aiocopick.models import CopickPoint

HEADER = {
    "pickable_object_name": "ribosome",
    "user_id": "pytom",
    "session_id": "0",
    "run_name": "TS_1",
    "voxel_spacing": 10.0,
    "unit": "angstrom",
    "trust_orientation": False,
}


def decode(document: object) -> PicksTable:
    return decode_picks(json.dumps(document).encode(), path="Picks/u_s_o.json")


def point(x: float = 1.0, **fields: Any) -> dict[str, Any]:
    return {"location": {"x": x, "y": 2.0, "z": 3.0}} | fields


def matrix(seed: int = 0) -> list[list[float]]:
    values = np.random.default_rng(seed).normal(size=(4, 4))
    values[3] = [0, 0, 0, 1]
    return values.tolist()


def test_the_envelope() -> None:
    table = decode(HEADER | {"points": [point(transformation_=matrix(), instance_id=7, score=0.5)]})
    assert table.positions.tolist() == [[1.0, 2.0, 3.0]]
    assert table.transforms is not None
    assert table.transforms.tolist() == [matrix()]
    assert table.ids().tolist() == [7]
    assert table.filled_scores().tolist() == [0.5]
    assert table.header == HEADER
    assert table.full_positions().tolist() == (table.positions + np.array(matrix())[None, :3, 3]).tolist()


@pytest.mark.parametrize(
    "document",
    [
        [point()],
        [{"x": 1.0, "y": 2, "z": 3}],
        {"points": [point()]},
        HEADER | {"points": [{"x": 1, "y": 2, "z": 3}]},
    ],
)
def test_defaults(document: object) -> None:
    table = decode(document)
    assert table.positions.tolist() == [[1.0, 2.0, 3.0]]
    assert table.transforms is None
    assert table.scores is None
    assert table.matrices().tolist() == [np.eye(4).tolist()]
    assert table.ids().tolist() == [0]
    assert table.filled_scores().tolist() == [1.0]


def test_some_points_have_what_others_lack() -> None:
    points = [point(), point(transformation_=matrix()), point(instance_id=4), {"x": 1, "y": 2, "z": 3, "score": 0.25}]
    table = decode(points)
    assert table.matrices()[1].tolist() == matrix()
    assert table.matrices()[0].tolist() == np.eye(4).tolist()
    assert table.ids().tolist() == [0, 0, 4, 0]
    assert table.filled_scores().tolist() == [1.0, 1.0, 1.0, 0.25]


@pytest.mark.parametrize("document", [[], {"points": None}, {"points": []}, HEADER | {"points": []}])
def test_no_points(document: Any) -> None:
    table = decode(document)
    assert len(table) == 0
    assert table.positions.shape == (0, 3)
    assert table.matrices().shape == (0, 4, 4)
    assert table.header == {key: value for key, value in dict(document or {}).items() if key != "points"}
    assert json.loads(encode_picks(table))["points"] == []


def test_bare_nan_and_infinity_are_numbers() -> None:
    text = b'{"points": [{"location": {"x": NaN, "y": Infinity, "z": -Infinity}, "score": NaN}]}'
    table = decode_picks(text, path="p")
    assert np.isnan(table.positions[0, 0])
    assert table.positions[0, 1:].tolist() == [math.inf, -math.inf]
    assert np.isnan(table.filled_scores()[0])


def test_nan_outside_locations_survives() -> None:
    table = decode_picks(b'[{"location":{"x":1,"y":2,"z":3},"score":NaN,"weight":-Infinity}]', path="p")
    written = encode_picks(table)
    assert b'"score":NaN' in written
    assert b'"weight":-Infinity' in written


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_locations_that_are_not_finite_are_refused_with_their_index(bad: float) -> None:
    positions = np.zeros((5, 3))
    positions[3, 1] = bad
    with pytest.raises(ValueError, match="point 3"):
        encode_picks(PicksTable.from_arrays(positions))


def test_unknown_keys_survive() -> None:
    document = HEADER | {
        "points": [
            point(colour="red"),
            point(location={"x": 1, "y": 2, "z": 3, "frame": 4}, tags=["a", None, {"b": 1.5}]),
            point(),
        ],
        "software": {"name": "pytom", "version": [1, 2]},
        "note": None,
    }
    table = decode(document)
    written = json.loads(encode_picks(table))
    assert written["software"] == {"name": "pytom", "version": [1, 2]}
    assert written["note"] is None
    assert [set(item) for item in written["points"]] == [
        {"location", "colour"},
        {"location", "tags"},
        {"location"},
    ]
    assert written["points"][1]["location"] == {"x": 1, "y": 2, "z": 3, "frame": 4}
    assert written["points"][1]["tags"] == ["a", None, {"b": 1.5}]
    again = decode_picks(encode_picks(table), path="p")
    assert (again.extras, again.header) == (table.extras, table.header)


def test_keys_that_have_a_column_are_not_kept_twice() -> None:
    flat = {"x": 1.0, "y": 2.0, "z": 3.0, "transformation_": matrix(), "instance_id": 4, "score": 0.5}
    nested = point(location={"x": 1.0, "y": 2.0, "z": 3.0, "frame": 4}, score=0.5)
    assert decode([flat]).extras == {}
    assert decode([flat | {"colour": "red"}, nested]).extras == {0: {"colour": "red"}, 1: {"location": {"frame": 4}}}


def test_points_are_read_behind_a_long_note() -> None:
    table = decode({"note": "x" * (1 << 17), "points": [point(), point(5.0, score=None)]})
    assert table.positions[:, 0].tolist() == [1.0, 5.0]


def test_poses_are_copies() -> None:
    table = decode([point(transformation_=matrix())])
    for copied in table.poses():
        copied[:] = 7.0
    assert table.positions.tolist() == [[1.0, 2.0, 3.0]]
    assert table.matrices().tolist() == [matrix()]


def test_the_header_of_an_existing_file_is_kept() -> None:
    table = decode(HEADER | {"points": [point()]})
    replaced = PicksTable.from_arrays([[4, 5, 6]], header=table.header)
    written = json.loads(encode_picks(replaced))
    assert {key: value for key, value in written.items() if key != "points"} == HEADER


def test_what_is_written() -> None:
    table = PicksTable.from_arrays([[1, 2, 3]], header={"pickable_object_name": "o", "user_id": "u", "session_id": "s"})
    assert encode_picks(table) == (
        b'{"pickable_object_name":"o","user_id":"u","session_id":"s","run_name":null,"voxel_spacing":null,'
        b'"unit":"angstrom","points":[{"location":{"x":1.0,"y":2.0,"z":3.0},"transformation_":[[1.0,0.0,0.0,0.0],'
        b'[0.0,1.0,0.0,0.0],[0.0,0.0,1.0,0.0],[0.0,0.0,0.0,1.0]],"instance_id":0,"score":1.0}],'
        b'"trust_orientation":true}'
    )


any_float = st.floats(allow_nan=False, allow_infinity=False)
tables = st.integers(0, 6).flatmap(
    lambda count: st.builds(
        PicksTable.from_arrays,
        st.lists(st.tuples(any_float, any_float, any_float), min_size=count, max_size=count),
        st.none() | st.lists(st.lists(any_float, min_size=12, max_size=12), min_size=count, max_size=count).map(affine),
        st.none() | st.lists(st.integers(0, 2**63 - 1), min_size=count, max_size=count),
        st.none() | st.lists(any_float, min_size=count, max_size=count),
    )
)


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, -(2**63), 3.0, -0.0])
def test_instance_ids_are_exact(number: float) -> None:
    assert decode([point(instance_id=number)]).ids().tolist() == [number]


def affine(rows: list[list[float]]) -> np.ndarray:
    result = np.zeros((len(rows), 4, 4))
    result[:, 3, 3] = 1
    for i, row in enumerate(rows):
        result[i, :3] = np.reshape(row, (3, 4))
    return result


def same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and one.tobytes() == other.tobytes()


@given(tables)
def test_every_number_round_trips_exactly(table: PicksTable) -> None:
    data = encode_picks(table)
    again = decode_picks(data, path="p")
    assert same_bits(again.positions, table.positions)
    assert same_bits(again.matrices(), table.matrices())
    assert again.ids().tolist() == table.ids().tolist()
    assert same_bits(again.filled_scores(), table.filled_scores())
    assert json.loads(data)["points"] == [item.model_dump() for item in table.to_points()]


@given(tables)
def test_points_and_columns_are_the_same(table: PicksTable) -> None:
    again = PicksTable.from_points(table.to_points(), table.header)
    assert same_bits(again.positions, table.positions)
    assert same_bits(again.matrices(), table.matrices())
    assert again.ids().tolist() == table.ids().tolist()


def test_points_carry_unknown_keys() -> None:
    table = decode([point(colour="red", location={"x": 1, "y": 2, "z": 3, "frame": 4})])
    points = table.to_points()
    assert points[0].model_extra == {"colour": "red"}
    assert points[0].location.model_extra == {"frame": 4}
    assert PicksTable.from_points(points).extras == table.extras
    points[0].location.x = 9.0
    points[0].score = None
    changed = PicksTable.from_points(points)
    assert changed.positions[0, 0] == 9.0
    assert np.isnan(changed.filled_scores()[0])


def test_points_from_dicts_and_objects() -> None:
    table = PicksTable.from_points([point(score=0.5), CopickPoint.model_validate(point(2.0))])
    assert table.positions[:, 0].tolist() == [1.0, 2.0]
    assert len(PicksTable.from_points(None)) == 0


def test_a_file_as_copicks_model() -> None:
    file = decode(HEADER | {"points": [point()], "software": "x"}).to_file(session_id="17")
    assert file.session_id == "17"
    assert file.run_name == "TS_1"
    assert file.trust_orientation is False
    assert file.model_extra == {"software": "x"}
    assert file.points is not None
    assert file.points[0].location.x == 1.0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"meta",
        b"{",
        b'"text"',
        b"3",
        b"null",
        b"\xff\xfe",
        b'{"points": 3}',
        b'{"points": {"x": 1}}',
        b'{"points": [3]}',
        b'{"points": [null]}',
        b'{"points": [{}]}',
        b'{"points": [{"location": null}]}',
        b'{"points": [{"location": [1, 2, 3]}]}',
        b'{"points": [{"location": {"x": 1, "y": 2}}]}',
        b'{"points": [{"location": {"x": "1,5", "y": 2, "z": 3}}]}',
        b'{"points": [{"location": {"x": null, "y": 2, "z": 3}}]}',
        b'{"points": [{"location": {"x": 1%s, "y": 2, "z": 3}}]}' % (b"0" * 400),
        b'[{"x":1,"y":2,"z":3,"instance_id":0.5}]',
        b'[{"x":1,"y":2,"z":3,"instance_id":NaN}]',
        b'[{"x":1,"y":2,"z":3,"instance_id":9223372036854775808}]',
        b'[{"x":1,"y":2,"z":3,"instance_id":"1.5"}]',
        b'[{"x":1,"y":2,"z":3,"score":[]}]',
        b'[{"x":1,"y":2,"z":3,"transformation_":[]}]',
        b'[{"x":1,"y":2,"z":3,"transformation_":[[1,0,0],[0,1,0],[0,0,1]]}]',
        b'[{"x":1,"y":2,"z":3,"transformation_":[[1,0,0,0],[0,1,0,0],[0,0,1,0],[0,0,1,1]]}]',
        b'[{"x":1,"y":2,"z":3,"transformation_":[[1,0,0,"a"],[0,1,0,0],[0,0,1,0],[0,0,0,1]]}]',
    ],
)
def test_what_is_no_picks_file(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"some/path\.json") as caught:
        decode_picks(data, path="some/path.json")
    assert caught.value.path == "some/path.json"


def test_an_error_names_the_point() -> None:
    with pytest.raises(FormatError, match="point 2"):
        decode([point(), point(), {"location": {}}])
    with pytest.raises(FormatError, match="point 1"):
        decode([point(), point(transformation_=[[1]]), point(transformation_=matrix())])


@pytest.mark.parametrize(
    "bomb",
    [
        b'{"points": [' + b"{}," * 1_000_000 + b"{}]}",
        b'{"points": [' + b"[]," * 1_000_000 + b"[]]}",
        b"[" * 1_500_000 + b"]" * 1_500_000,
        b'{"a":' * 500_000 + b"1" + b"}" * 500_000,
    ],
    ids=["objects", "lists", "deep lists", "deep objects"],
)
def test_bombs_are_refused(bomb: bytes) -> None:
    with pytest.raises(FormatError):
        decode_picks(bomb, path="p")


SIZE = 3_000_000
DENSE = {
    "empty objects": b"{},",
    "small objects": b'{"a":0},',
    "allowed objects": b'{"aaaaa":0},',
    "flat points": b'{"x":1,"y":2,"z":3},',
    "flat points with more": b'{"x":1,"y":2,"z":3,"w":0},',
    "nested points": b'{"location":{"x":1,"y":2,"z":3}},',
    "lists": b"[0,0,0],",
    "numbers": b"0.1,",
    "strings": b'"ab",',
}


@pytest.mark.slow
@pytest.mark.parametrize("unit", DENSE.values(), ids=DENSE.keys())
def test_memory_is_bounded_by_the_size_of_the_file(unit: bytes) -> None:
    data = b"[" + unit * (SIZE // len(unit)) + unit[:-1] + b"]"
    tracemalloc.start()
    try:
        with contextlib.suppress(FormatError):
            decode_picks(data, path="p")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= 32 * SIZE


CHARACTERS = st.sampled_from(list(b'0123456789.-+eE {}[]",:\\\n\x00\xff') + [ord(letter) for letter in "nulltruexyz_"])
REGULAR = json.dumps(
    HEADER | {"points": [point(i, transformation_=matrix(i), instance_id=i, score=i / 3) for i in range(3)]}, indent=4
).encode()


@settings(max_examples=500)
@given(st.lists(st.tuples(st.integers(0, len(REGULAR) - 1), st.integers(0, 2), CHARACTERS), min_size=1, max_size=3))
def test_a_mutated_file_is_read_as_json_says_or_refused(changes: list[tuple[int, int, int]]) -> None:
    data = bytearray(REGULAR)
    for place, removed, inserted in changes:
        data[place : place + removed] = bytes([inserted])
    try:
        table = decode_picks(bytes(data), path="p")
    except FormatError:
        return
    document = json.loads(data)
    points = (document.get("points") if isinstance(document, dict) else document) or []
    locations = [[float(p.get("location", p)[axis]) for axis in "xyz"] for p in points]
    assert np.array_equal(table.positions, np.array(locations).reshape(-1, 3), equal_nan=True)
    scores = [1.0 if p.get("score") is None else float(p["score"]) for p in points]
    assert np.array_equal(table.filled_scores(), scores, equal_nan=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"positions": [[1, 2]]}, r"positions must have shape \(N, 3\)"),
        ({"positions": [1, 2, 3]}, r"positions must have shape \(N, 3\)"),
        ({"transforms": np.eye(4)[None]}, "Number of positions and transforms must be the same"),
        ({"transforms": np.zeros((2, 3, 3))}, "transforms must have shape"),
        ({"transforms": np.zeros((2, 4, 4))}, "last row"),
        ({"instance_ids": [1]}, r"instance_ids must have shape \(2,\)"),
        ({"instance_ids": [[1], [2]]}, "instance_ids must have shape"),
        ({"instance_ids": [1, -1]}, "instance_ids must be >= 0"),
        ({"instance_ids": [1, 0.5]}, "instance_ids must be integers"),
        ({"instance_ids": [1, math.nan]}, "instance_ids must be integers"),
        ({"scores": [1]}, r"scores must have shape \(2,\)"),
        ({"scores": [1, math.inf]}, "scores must be finite"),
    ],
)
def test_arrays_that_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PicksTable.from_arrays(**({"positions": np.zeros((2, 3))} | arguments))


def test_integer_arrays_are_taken_and_copied() -> None:
    positions = np.arange(6).reshape(2, 3)
    ids = np.array([1.0, 2.0], dtype=np.float32)
    table = PicksTable.from_arrays(positions, np.stack([np.eye(4, dtype=int)] * 2), ids, np.array([1, 0]))
    positions[:] = 0
    assert table.positions.dtype == np.float64
    assert table.positions[1].tolist() == [3, 4, 5]
    assert table.ids().tolist() == [1, 2]
    assert table.ids().dtype == np.int64
    assert len(PicksTable.from_arrays([])) == 0


def test_denormals_and_signed_zeros_round_trip() -> None:
    values = [struct.unpack("<d", struct.pack("<Q", 1))[0], -0.0, 1e308]
    table = PicksTable.from_arrays([values], -np.eye(4)[None] * np.array([1, 1, 1, -1])[None, :, None])
    again = decode_picks(encode_picks(table), path="p")
    assert same_bits(again.positions, table.positions)
    assert same_bits(again.matrices(), table.matrices())
