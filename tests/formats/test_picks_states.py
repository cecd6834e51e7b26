"""What a file says, what it says to be null and what it does not say: three things, and three again when it is stored."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from aiocopick.errors import FormatError
from aiocopick.formats.filaments import decode_filaments, encode_filaments
from aiocopick.formats.mesh import decode_mesh, encode_mesh
from aiocopick.formats.meta import decode_meta
from aiocopick.formats.picks import PicksTable, decode_picks, encode_picks
from aiocopick.formats.picks_table import bad_transform
from aiocopick.models import CopickLocation, CopickPoint

NAMES = {"pickable_object_name": "o", "user_id": "u", "session_id": "0"}
PLACE = {"location": {"x": 1.0, "y": 2.0, "z": 3.0}}
MATRIX = [[0.0, -1.0, 0.0, 5.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]


def decode(document: object) -> PicksTable:
    return decode_picks(json.dumps(document).encode(), path="Picks/u_0_o.json")


DOCUMENTS: dict[str, dict[str, Any]] = {
    "a score that is null": NAMES | {"points": [PLACE | {"score": None}, PLACE | {"score": 0.5}]},
    "nothing but places": NAMES | {"points": [PLACE, PLACE]},
    "all that can be null": NAMES | {"points": [PLACE | {"transformation_": None, "instance_id": None, "score": None}]},
    "every point otherwise": NAMES
    | {
        "points": [
            PLACE | {"transformation_": MATRIX},
            PLACE | {"instance_id": 4},
            PLACE | {"score": 0.25, "note": "own"},
            PLACE | {"instance_id": None, "note": None},
            PLACE | {"transformation_": None, "instance_id": 0, "score": 1.0},
        ]
    },
    "an envelope with nulls": NAMES
    | {"run_name": None, "voxel_spacing": None, "trust_orientation": None, "points": [PLACE]},
    "an envelope with some": NAMES | {"unit": "nm", "points": [], "trust_orientation": False},
}


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_a_file_is_stored_as_it_was(document: dict[str, Any]) -> None:
    table = decode(document)
    assert json.loads(encode_picks(table)) == document
    again = PicksTable.from_points(table.to_points(), table.header)
    again.exact = True
    assert json.loads(encode_picks(again)) == document


def test_accessors() -> None:
    table = decode([PLACE, PLACE | {"score": None, "instance_id": None}, PLACE | {"score": 0.5, "instance_id": 3}])
    assert np.array_equal(table.filled_scores(), [1.0, np.nan, 0.5], equal_nan=True)
    assert table.ids().tolist() == [0, 0, 3]
    assert [(point.score, point.instance_id) for point in table.to_points()] == [(1.0, 0), (None, None), (0.5, 3)]
    assert np.isnan(decode([PLACE | {"score": None}]).filled_scores()).all()


def test_scores_are_had_where_one_is_set() -> None:
    assert not decode([PLACE, PLACE]).has_scores()
    assert not decode([PLACE | {"score": None}]).has_scores()
    assert decode([PLACE, PLACE | {"score": 0.5}]).has_scores()
    places = np.ones((2, 3))
    assert not PicksTable.from_arrays(places).has_scores()
    assert not PicksTable(places).has_scores()
    assert PicksTable(places, scores=np.ones(2)).has_scores()
    assert PicksTable.from_arrays(places, scores=[1.0, np.nan]).has_scores()
    assert not PicksTable.from_arrays([], scores=[]).has_scores()


def test_what_is_set_is_written() -> None:
    points = decode([PLACE, PLACE, PLACE]).to_points()
    points[0].score = 1.0
    points[1].transformation = np.array(MATRIX)
    assert points[2].transformation_ is not None
    points[2].transformation_[0][3] = 7.0
    table = PicksTable.from_points(points)
    first, second, third = json.loads(encode_picks(table))["points"]
    assert first == PLACE | {"score": 1.0}
    assert second == PLACE | {"transformation_": MATRIX}
    assert third["transformation_"][0] == [1.0, 0.0, 0.0, 7.0]


def test_a_null_transformation_is_the_identity() -> None:
    (point,) = decode([PLACE | {"transformation_": None}]).to_points()
    assert point.transformation_ is None
    assert point.transformation.tolist() == np.eye(4).tolist()


def test_points_of_ones_own_are_written_in_full() -> None:
    table = PicksTable.from_points([CopickPoint(location=CopickLocation(x=1, y=2, z=3))])
    assert set(json.loads(encode_picks(table))["points"][0]) == {"location", "transformation_", "instance_id", "score"}


def test_arrays_round_trip_with_nan_as_null() -> None:
    document = NAMES | {"points": [PLACE | {"score": None, "instance_id": 2}, PLACE | {"score": 0.5, "instance_id": 0}]}
    table = decode(document)
    again = PicksTable.from_arrays(*table.poses(), instance_ids=table.ids(), scores=table.filled_scores())
    assert [point["score"] for point in json.loads(encode_picks(again))["points"]] == [None, 0.5]
    assert np.array_equal(again.filled_scores(), table.filled_scores(), equal_nan=True)
    with pytest.raises(ValueError, match="finite"):
        PicksTable.from_arrays([[1, 2, 3]], scores=[-np.inf])


FILAMENT = {"instance_id": 1, "points": [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]}
CURVE = {"kind": "catmull-rom", "control_points": FILAMENT["points"], "step": 1.0}
FILAMENTS: dict[str, dict[str, Any]] = {
    "only what is needed": NAMES | {"filaments": [FILAMENT]},
    "nulls": NAMES
    | {"run_name": None, "voxel_spacing": None, "filaments": [FILAMENT | {"radius": None, "metadata": None}]},
    "some": NAMES
    | {"version": 1, "filaments": [FILAMENT | {"score": 1.0}, FILAMENT | {"instance_id": 2, "metadata": {}}]},
    "a curve": NAMES | {"filaments": [FILAMENT | {"curve": CURVE}]},
}


@pytest.mark.parametrize("document", FILAMENTS.values(), ids=FILAMENTS.keys())
def test_filaments_are_stored_as_they_were(document: dict[str, Any]) -> None:
    file = decode_filaments(json.dumps(document).encode(), path="p")
    assert json.loads(encode_filaments(file)) == document
    file.filaments[0].score = 0.5
    file.filaments[0].metadata["note"] = "own"
    written = json.loads(encode_filaments(file))["filaments"][0]
    assert (written["score"], written["metadata"]) == (0.5, {"note": "own"})


NUMBERS: list[tuple[Any, float]] = [("100.5", 100.5), (" 7 ", 7.0), ("1e3", 1000.0), ("-0.5", -0.5), (True, 1.0)]


@pytest.mark.parametrize(("said", "meant"), NUMBERS)
def test_numbers_as_text_and_booleans(said: Any, meant: float) -> None:
    table = decode([{"location": {"x": said, "y": 2, "z": 3}, "score": said}, {"x": 1, "y": said, "z": "3"}])
    assert table.positions.tolist() == [[meant, 2.0, 3.0], [1.0, meant, 3.0]]
    assert table.filled_scores().tolist() == [meant, 1.0]


@pytest.mark.parametrize(("said", "meant"), [("3", 3), ("3.0", 3), (True, 1), ("9007199254740993", 2**53 + 1)])
def test_ids_as_text_and_booleans(said: Any, meant: int) -> None:
    assert decode([PLACE | {"instance_id": said}]).ids().tolist() == [meant]


def test_transformations_as_text() -> None:
    text = [[str(value) for value in row] for row in MATRIX]
    assert decode([PLACE | {"transformation_": text}]).matrices()[0].tolist() == MATRIX


@pytest.mark.parametrize("said", ["", "1,5", "1.5.2", "ten", "12 Å", [1], {"value": 1}, None])
@pytest.mark.parametrize("field", ["x", "score", "instance_id"])
def test_what_is_no_number_is_refused(said: Any, field: str) -> None:
    if said is None and field != "x":
        return
    point = PLACE | {field: said} if field != "x" else {"location": {"x": said, "y": 2, "z": 3}}
    with pytest.raises(FormatError, match=field):
        decode([point])


def test_null_in_a_transformation_is_refused() -> None:
    with pytest.raises(FormatError, match="point 0"):
        decode([PLACE | {"transformation_": [[None, 0, 0, 0], *MATRIX[1:]]}])


def test_nan_in_a_transformation_is_kept() -> None:
    shift = [[1.0, 0.0, 0.0, float("nan")], *MATRIX[1:]]
    [matrix] = decode([PLACE | {"transformation_": shift}]).matrices()
    assert np.array_equal(matrix, shift, equal_nan=True)


@pytest.mark.parametrize("least", [0.0, 1e-8, -1e-8, 1.1e-8, 1e-6])
def test_the_last_row_of_a_transformation_is_as_exact_as_for_copick(least: float) -> None:
    matrices = np.array([np.eye(4), [*MATRIX[:3], [0.0, least, 0.0, 1.0]]])
    assert (bad_transform(matrices) is None) == np.allclose(matrices[1, 3], [0, 0, 0, 1])
    assert bad_transform(matrices) in (None, 1)


@pytest.mark.parametrize("given", [2**63 - 1, -(2**63), 2**63, -(2**63) - 1])
def test_ids_have_64_bits(given: int) -> None:
    point = PLACE | {"instance_id": given, "note": "read by the general parser"}
    if -(2**63) <= given < 2**63:
        assert decode([point]).ids().tolist() == [given]
    else:
        with pytest.raises(FormatError, match="64-bit"):
            decode([point])


@pytest.mark.parametrize("document", [{}, NAMES, {"Points": []}, {"filaments": []}])
def test_an_object_without_points_is_no_picks_file(document: dict[str, Any]) -> None:
    with pytest.raises(FormatError, match="'points'"):
        decode(document)


def test_gzip_is_decoded() -> None:
    content = json.dumps(NAMES | {"points": [PLACE]}).encode()
    assert decode_picks(gzip.compress(content), path="p").positions.tolist() == [[1.0, 2.0, 3.0]]
    assert decode_meta(gzip.compress(b'{"name": "x"}'), path="p") == {"name": "x"}
    assert decode_meta(gzip.compress(b"meta"), path="p") == {}
    file = gzip.compress(json.dumps(NAMES | {"filaments": [FILAMENT]}).encode())
    assert len(decode_filaments(file, path="p").filaments) == 1
    assert len(decode_mesh(gzip.compress(encode_mesh(None)), path="p").geometry) == 0


def test_many_points_in_gzip_are_no_bomb() -> None:
    points = json.dumps(NAMES | {"points": [PLACE] * 20_000}, indent=4).encode()
    assert len(decode_picks(gzip.compress(points, 9), path="p")) == 20_000


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gzip.compress(bytes(1 << 28)), "is refused"),
        (lambda: gzip.compress(b"[]")[:-4], "truncated"),
        (lambda: b"\x1f\x8b\x08 and so on", "broken gzip"),
        (lambda: b"PK\x03\x04 and so on", "ZIP archive"),
    ],
    ids=["bomb", "cut", "no gzip", "zip"],
)
def test_what_is_packed_otherwise_is_named(make: Callable[[], bytes], message: str) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        decode_picks(make(), path="some/path.json")
    assert caught.value.path == "some/path.json"
