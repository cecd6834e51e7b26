"""Filaments files: unknown keys and curves are kept, curves that no longer fit are not."""

from __future__ import annotations

import json
import logging
import tracemalloc
from typing import Any

import pytest

from aiocopick.errors import FormatError
from aiocopick.formats.filaments import decode_filaments, encode_filaments

LINE = [[0.0, 0.0, 0.0], [5.0, 0.0, 0.0], [10.0, 0.0, 0.0]]
CURVE = {"kind": "linear", "control_points": [[0.0, 0.0, 0.0], [10.0, 0.0, 0.0]], "step": 5.0}


def document(**filament: Any) -> dict[str, Any]:
    return {
        "pickable_object_name": "microtubule",
        "user_id": "u",
        "session_id": "0",
        "run_name": "TS_1",
        "voxel_spacing": 10.0,
        "unit": "angstrom",
        "version": 1,
        "filaments": [
            {
                "instance_id": 1,
                "points": LINE,
                "polarity_known": False,
                "score": 1.0,
                "radius": None,
                "metadata": {},
                "curve": None,
            }
            | filament
        ],
    }


def decode(content: object) -> Any:
    return decode_filaments(json.dumps(content).encode(), path="p")


def rewritten(content: object) -> Any:
    return json.loads(encode_filaments(decode(content)))


@pytest.mark.parametrize(
    "filament",
    [
        {},
        {"curve": CURVE},
        {"curve": CURVE | {"colour": "red"}},
        {"curve": {"kind": "spiral", "control_points": [[0.0, 0.0, 0.0]], "step": 1.0, "turns": 3}},
        {"radius": 120.0, "metadata": {"a": [1, None]}, "tracer": "x"},
    ],
)
def test_a_file_is_kept_as_it_is(filament: dict[str, Any]) -> None:
    content = document(**filament) | {"software": {"name": "x"}}
    assert rewritten(content) == content


def test_defaults_are_read_and_not_written() -> None:
    content = {
        "pickable_object_name": "o",
        "user_id": "u",
        "session_id": "s",
        "filaments": [{"instance_id": 3, "points": LINE, "metadata": None}],
    }
    file = decode(content)
    assert (file.version, file.unit, file.run_name) == (1, "angstrom", None)
    assert (file.filaments[0].metadata, file.filaments[0].score) == ({}, 1.0)
    assert json.loads(encode_filaments(file)) == content


def test_a_curve_that_no_longer_fits_is_dropped_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    file = decode(document(curve=CURVE))
    file.filaments[0].points = [(0.0, 0.0, 0.0), (5.0, 1.0, 0.0), (10.0, 3.0, 0.0)]
    with caplog.at_level(logging.WARNING, logger="aiocopick"):
        written = json.loads(encode_filaments(file))
    assert written["filaments"][0]["curve"] is None
    assert "Dropping the curves of filaments [1]" in caplog.text
    assert file.filaments[0].curve is not None


@pytest.mark.parametrize(
    "content",
    [
        [],
        3,
        {},
        document(instance_id=0),
        document(points=[[0, 0, 0]]),
        document(points=[[0, 0, 0], [1, 1]]),
        document(points="abc"),
        document(radius=-1),
        document(curve={"kind": "linear", "control_points": [[0, 0, 0]], "step": 1}),
        document(curve={"kind": "", "control_points": [], "step": 1}),
        document() | {"filaments": document()["filaments"] * 2},
    ],
)
def test_what_is_no_filaments_file(content: object) -> None:
    with pytest.raises(FormatError, match="some/path") as caught:
        decode_filaments(json.dumps(content).encode(), path="some/path")
    assert caught.value.path == "some/path"


@pytest.mark.parametrize("data", [b"", b"{", b'{"filaments": [{"points": [[NaN, 0, 0], [1, 1, 1]]}]}', b"[" * 10**6])
def test_broken_files(data: bytes) -> None:
    with pytest.raises(FormatError):
        decode_filaments(data, path="p")


@pytest.mark.parametrize("unit", [b"0,", b'"ab",', b"[0,0],", b'{"aaaaa":0},'])
@pytest.mark.parametrize(
    "place", [b"%s", b'[{"instance_id": 1, "points": %s}]', b'[{"instance_id": 1, "curve": {"knots": %s}}]']
)
def test_a_file_of_many_wrong_things_takes_no_more_memory_than_one(place: bytes, unit: bytes) -> None:
    items = b"[" + unit * (1_000_000 // len(unit)) + b"null]"
    data = b'{"pickable_object_name": "o", "user_id": "u", "session_id": "s", "filaments": ' + place % items + b"}"
    tracemalloc.start()
    try:
        with pytest.raises(FormatError):
            decode_filaments(data, path="p")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= 20 * 2**20
