"""JSON takes at most 12 times its size in memory, the file itself not counted; and blocks change nothing in what is read."""

from __future__ import annotations

import contextlib
import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from aiocopick.errors import FormatError
from aiocopick.formats import json_blocks
from aiocopick.formats.filaments import decode_filaments, encode_filaments
from aiocopick.formats.meta import decode_meta
from aiocopick.formats.picks import decode_picks

SIZE = 1_500_000
MATRIX = b'"transformation_":[[1,0,0,0],[0,1,0,0],[0,0,1,0],[0,0,0,1]]'
FULL = b'"polarity_known":false,"score":1.0,"radius":null,"metadata":{},"curve":null'


def many(unit: bytes, size: int = SIZE) -> bytes:
    return b",".join([unit] * (size // len(unit)))


def picks(unit: bytes) -> bytes:
    return b'{"user_id":"u","points":[%b],"trust_orientation":true}' % many(unit)


def filaments(content: bytes) -> bytes:
    return b'{"pickable_object_name":"o","user_id":"u","session_id":"0","filaments":[%b]}' % content


def filament(points: bytes, more: bytes = b"") -> bytes:
    return filaments(b'{"instance_id":1,"points":[%b]%b}' % (points, more))


def curve(content: bytes) -> bytes:
    return filament(b"[0,0,0],[1,1,1]", b',"curve":{"step":1,%b}' % content)


# Made by the tests that use them: to make all of them takes a second.
PICKS: dict[str, Callable[[], bytes]] = {
    "flat points": lambda: picks(b'{"x":1,"y":2,"z":3}'),
    "nested points": lambda: picks(b'{"location":{"x":1,"y":2,"z":3}}'),
    "a list of points": lambda: b"[%b]" % many(b'{"x":1,"y":2,"z":3}'),
    "indented points": lambda: picks(b'{"location": {"x": 1.5, "y": 2.5, "z": 3.5}}\n'),
    "an unknown number": lambda: picks(b'{"x":1,"y":2,"z":3,"w":0}'),
    "an unknown text": lambda: picks(b'{"x":1,"y":2,"z":3,"w":"ab"}'),
    "an unknown number, nested": lambda: picks(b'{"location":{"x":1,"y":2,"z":3},"a":1}'),
    "NaN and a null": lambda: picks(b'{"x":1,"y":2,"z":NaN,"score":null}'),
    "whole matrices": lambda: picks(b'{"x":1,"y":2,"z":3,%b}' % MATRIX),
    "CoPick's points and a key": lambda: picks(
        b'{"location":{"x":1,"y":2,"z":3},%b,"instance_id":0,"score":1,"k":1}' % MATRIX
    ),
}
FILAMENTS: dict[str, Callable[[], bytes]] = {
    "one of zeros": lambda: filament(many(b"[0,0,0]")),
    "one of whole numbers": lambda: filament(many(b"[12,345,6]")),
    "one of short fractions": lambda: filament(many(b"[0.5,1.5,2.5]")),
    "one of both": lambda: filament(many(b"[1,1,0.5]")),
    "many of whole numbers": lambda: filaments(
        b",".join(
            b'{"instance_id":%d,"points":[%b],%b}' % (i, many(b"[12,40,33]", 600), FULL) for i in range(1, SIZE // 700)
        )
    ),
    "many of two points": lambda: filaments(
        b",".join(
            b'{"instance_id":%d,"points":[[0.0,0.0,0.0],[1.5,1.5,1.5]],%b}' % (i, FULL) for i in range(1, SIZE // 140)
        )
    ),
    "a curve of an unknown kind": lambda: curve(b'"kind":"a","control_points":[%b]' % many(b"[0,0,0]")),
    "a curve of a known kind": lambda: curve(b'"kind":"linear","control_points":[%b]' % many(b"[0,0,0],[0,0,1]")),
    "knots": lambda: curve(b'"kind":"a","control_points":[[0,0,0]],"knots":[%b]' % many(b"0")),
    "not finite": lambda: filament(many(b"[0,0,0]") + b",[NaN,0,0]"),
}
META: dict[str, Callable[[], bytes]] = {
    "objects": lambda: b'{"a":[%b]}' % many(b'{"aaaaa":0}'),
    "objects of other keys": lambda: b'{"a":[%b]}' % b",".join(b'{"a%06d":0}' % i for i in range(SIZE // 14)),
    "longer objects": lambda: b'{"a":[%b]}' % many(b'{"aaaaaaaaaaaaaaa":0}'),
    "lists": lambda: b'{"a":[%b]}' % many(b"[1000]"),
    "pairs": lambda: b'{"a":[%b]}' % many(b"[1000,2000]"),
    "numbers": lambda: b'{"a":[%b]}' % many(b"1000"),
    "texts": lambda: b'{"a":[%b]}' % many(b'"ab"'),
    "letters": lambda: b'{"a":[%b]}' % many('"Ā"'.encode()),
    "keys": lambda: b"{%b}" % b",".join(b'"%x":0' % i for i in range(SIZE // 9)),
}  # fmt: skip
# One of each kind for every run; the others show the same of other contents, and each is decoded under tracemalloc.
QUICK = ("nested points", "many of two points", "objects of other keys")
CASES: list[Any] = [
    pytest.param(decode, make, id=f"{kind}: {name}", marks=() if name in QUICK else pytest.mark.slow)
    for kind, decode, cases in (
        ("picks", decode_picks, PICKS),
        ("filaments", decode_filaments, FILAMENTS),
        ("meta", decode_meta, META),
    )
    for name, make in cases.items()
]


@pytest.mark.parametrize(("decode", "make"), CASES)
def test_json_takes_at_most_twelve_times_its_size(decode: Callable[..., Any], make: Callable[[], bytes]) -> None:
    data = make()
    tracemalloc.start()
    try:
        with contextlib.suppress(FormatError):
            decode(data, path="p")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 12 * len(data), peak / len(data)


POINTS = [
    {"x": 1, "y": 2.5, "z": 3},
    {"location": {"x": 1, "y": 2, "z": 3, "q": [{"a": 1}, {"b": '},{"'}]}, "score": None},
    {"x": 1, "y": 2, "z": 3, "tags": [{"points": [{}, {}]}, {}], "instance_id": 2**62},
    {"x": 0, "y": 0, "z": 0, "score": 0.5, "note": "},{ \"points\": [", "transformation_": None},
    {"x": 0, "y": 0, "z": 0, "transformation_": [[0, 1, 0, 5], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]},
]  # fmt: skip


@pytest.mark.parametrize("indent", [None, 4])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda points: points,
        lambda points: {"points": points},
        lambda points: {"x": {"points": [1]}, "points": points, "after": [{"points": [2]}, {"a": [{}, {}]}]},
        lambda points: {'a"points': [1], "t": '"points": [', "points": points},
    ],
)
def test_blocks_read_the_same_points(wrap: Any, indent: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    data = json.dumps(wrap(POINTS * 20), indent=indent).encode()
    monkeypatch.setattr(json_blocks, "_BLOCK", len(data) * 2)
    whole = decode_picks(data, path="p")
    for size in (1, 40, 300):
        monkeypatch.setattr(json_blocks, "_BLOCK", size)
        blocks = decode_picks(data, path="p")
        for name in ("positions", "transforms", "instance_ids", "scores", "states"):
            assert getattr(blocks, name).tobytes() == getattr(whole, name).tobytes()
        assert (blocks.extras, blocks.header) == (whole.extras, whole.header)
    assert len(whole) == 100
    assert whole.header == {k: v for k, v in wrap([]).items() if k != "points"} if isinstance(wrap([]), dict) else True
    broken = wrap([*POINTS * 20, {"x": "north", "y": 0, "z": 0}])
    with pytest.raises(FormatError, match="p: point 100 cannot be read"):
        decode_picks(json.dumps(broken).encode(), path="p")


@pytest.mark.parametrize("size", [1, 50, 1 << 15])
def test_blocks_read_the_same_filaments(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_blocks, "_BLOCK", size)
    odd = {"points": [[1, 2], []], "knots": [1, "a"], "control_points": [1], "text": '"points": [[1,2,3]]'}
    content = {
        "pickable_object_name": "o",
        "user_id": "u",
        "session_id": "0",
        "points": [[1, 2, 3], [4]],
        "filaments": [
            {"instance_id": 1, "points": [[0, -0.0, 999], [-999, 1e3, -1.0]], "metadata": odd},
            {"instance_id": 2, "points": [[0.1, 2, 3], [4, 5, 6]] * 40, "knots": [1, 2.5], "more": [odd, {}]},
            {
                "instance_id": 3,
                "points": [[0, 0, 0], [1, 1, 1]],
                "curve": {
                    "kind": "spiral", "step": 1, "control_points": [[1, 2, 3]], "knots": [0, 1.5], "points": [[1], 2],
                },
            },
        ],
    }  # fmt: skip
    file = decode_filaments(json.dumps(content).encode(), path="p")
    assert json.loads(encode_filaments(file)) == content
    assert repr(file.filaments[0].points) == "[(0.0, -0.0, 999.0), (-999.0, 1000.0, -1.0)]"
    assert type(file.filaments[0].points) is type(file.filaments[2].curve.knots) is list  # type: ignore[union-attr]
    assert repr(file.filaments[0].metadata) == repr(odd)
    for wrong in ([[1, 2]], [["a", 2, 3]], [[None, 2, 3]], [[1, 2, 3], 4], [1, 2, 3]):
        content["filaments"][1]["points"] = wrong * 2  # type: ignore[index]
        with pytest.raises(FormatError, match=r"filaments\.1\.points"):
            decode_filaments(json.dumps(content).encode(), path="p")
