"""Picks files: bytes to columns and back.

The format is CoPick's: an envelope with ``points``, each with ``location``, ``transformation_``, ``instance_id`` and
``score``. Also read: the list of points of the specification, nested or flat, nulls, and NaN.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from pydantic_core import from_json

from aiocopick.concurrency.lazy import numpy as np
from aiocopick.errors import FormatError
from aiocopick.formats.json_blocks import parse_in_blocks
from aiocopick.formats.json_bytes import check_brackets, dump_json, inflated, parse_json
from aiocopick.formats.picks_regular import read_regular
from aiocopick.formats.picks_table import ABSENT, NULL, OPTIONAL, POINT_KEYS, SET, PicksTable, bad_transform
from aiocopick.models.points import IDENTITY

if TYPE_CHECKING:
    from numpy.typing import NDArray

_POINTS = b'"points"'
# The envelope before the points is short. If it is long, for example because of notes, the general parser reads it.
_LONGEST_HEAD = 1 << 16
_FLAT_KEYS = frozenset({"x", "y", "z"})
# Points written at once; their text fits a core's cache.
_BLOCK = 1024

# Keys of every envelope, in CoPick's order; the points come before trust_orientation.
# Numbers that other programs wrote as text or booleans, read as CoPick does.
_FLOAT = TypeAdapter(float)
_INTEGER = TypeAdapter(int)

_DEFAULT_HEADER: dict[str, Any] = {"run_name": None, "voxel_spacing": None, "unit": "angstrom"}


def decode_picks(data: bytes, *, path: str) -> PicksTable:
    """Decode a picks file.

    Parameters
    ----------
    data : bytes
        The file.
    path : str
        Path for error messages.

    Raises
    ------
    FormatError
        It is not JSON or not a picks file; the message names the path and the point.
    """
    data = inflated(data, path=path)
    table = _decode_regular(data, path)
    if table is not None:
        return table
    check_brackets(data, path=path)
    columns = _Columns(path)
    header = parse_in_blocks(data, "points", columns.extend)
    if header is None:
        columns = _Columns(path)
        header, points = _parse_whole(data, path)
        columns.extend(points)
    return columns.table(header)


def _parse_whole(data: bytes, path: str) -> tuple[dict[str, Any], list[Any]]:
    document = parse_json(data, path=path, dense=True)
    header: dict[str, Any] = {}
    points: Any = document
    if isinstance(document, dict):
        if "points" not in document:
            raise FormatError(f"{path} is not a picks file: it has no 'points'.", path=path)
        points = document.pop("points")
        points = [] if points is None else points
        header = document
    if not isinstance(points, list):
        raise FormatError(f"{path} is not a picks file: it has no list of points.", path=path)
    return header, points


def _decode_regular(data: bytes, path: str) -> PicksTable | None:
    key = data.find(_POINTS, 0, _LONGEST_HEAD)
    opening = data.find(b"[", key + len(_POINTS), key + len(_POINTS) + 8)
    closing = data.rfind(b"]")
    if key < 0 or opening < 0 or closing < opening or data[key + len(_POINTS) : opening].strip() != b":":
        return None
    # The rest of the document has to be an envelope whose points are the list that was cut out.
    envelope = data[: opening + 1] + data[closing:]
    if envelope.count(_POINTS) != 1 or len(envelope) > 2 * _LONGEST_HEAD:
        return None
    try:
        header = parse_json(envelope, path=path)
    except FormatError:
        return None
    if not isinstance(header, dict) or header.pop("points", None) != []:
        return None
    columns = read_regular(data, opening + 1, closing)
    if columns is None or bad_transform(columns.transforms) is not None:
        return None
    return PicksTable(
        columns.positions, columns.transforms, columns.instance_ids, columns.scores, header=header, exact=True
    )


class _Columns:
    """The columns of the points that were read so far: bytes, which grow in place."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.count = 0
        self.positions = bytearray()
        self.states = bytearray()
        # Empty as long as no point has a value.
        self.matrices = bytearray()
        self.ids = bytearray()
        self.scores = bytearray()
        self.extras: dict[int, dict[str, Any]] = {}

    def extend(self, points: list[Any]) -> None:
        """Add points; removes them from the list, so that their objects do not outlast the columns made of them."""
        first, count = self.count, len(points)
        positions = np.empty((count, 3))
        matrices: dict[int, Any] = {}
        ids: dict[int, int] = {}
        scores: dict[int, float] = {}
        states = np.full((count, len(OPTIONAL)), ABSENT, dtype=np.uint8)
        for i, point in enumerate(points):
            try:
                extra = _decode_point(i, point, positions, matrices, ids, scores)
                states[i] = [ABSENT if name not in point else NULL if point[name] is None else SET for name in OPTIONAL]
            except (TypeError, ValueError, KeyError, OverflowError) as error:
                raise FormatError(f"{self.path}: point {first + i} cannot be read ({error}).", path=self.path) from None
            if extra:
                self.extras[first + i] = extra
        # The objects must not outlast the columns that are made of them.
        points.clear()
        if matrices or self.matrices:
            _extend(self.matrices, first, np.array(IDENTITY), _stack_transforms(matrices, count, first, self.path))
        if ids or self.ids:
            _extend(self.ids, first, np.int64(0), _column(ids, np.zeros(count, dtype=np.int64)))
        if scores or self.scores:
            if not self.scores:
                self.scores += _default_scores(np.frombuffer(self.states, dtype=np.uint8)).tobytes()
            self.scores += _column(scores, _default_scores(states)).tobytes()
        self.positions += positions.tobytes()
        self.states += states.tobytes()
        self.count += count

    def table(self, header: dict[str, Any]) -> PicksTable:
        """Return the table of all points."""
        transforms, scores = np.frombuffer(self.matrices), np.frombuffer(self.scores)
        return PicksTable(
            np.frombuffer(self.positions).reshape(-1, 3),
            transforms.reshape(-1, 4, 4) if self.matrices else None,
            np.frombuffer(self.ids, dtype=np.int64) if self.ids else None,
            scores if self.scores else None,
            self.extras,
            header,
            np.frombuffer(self.states, dtype=np.uint8).reshape(-1, len(OPTIONAL)),
            exact=True,
        )


def _extend(column: bytearray, count: int, default: Any, values: NDArray[Any]) -> None:
    """Add values to a column; it begins with the default of `count` points if none had a value so far."""
    if not column:
        column += default.tobytes() * count
    column += values.tobytes()


def _default_scores(states: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.where(states.reshape(-1, len(OPTIONAL))[:, OPTIONAL.index("score")] == NULL, np.nan, 1.0)


def _column(values: dict[int, Any], filled: NDArray[Any]) -> NDArray[Any]:
    filled[list(values)] = list(values.values())
    return filled


def _decode_point(
    i: int,
    point: Any,
    positions: NDArray[np.float64],
    matrices: dict[int, Any],
    ids: dict[int, int],
    scores: dict[int, float],
) -> dict[str, Any]:
    """Put one point into the columns; return the keys that have no column."""
    if not isinstance(point, dict):
        raise TypeError("it is not an object")
    flat = "location" not in point
    place = point if flat else point["location"]
    if not isinstance(place, dict):
        raise TypeError("its location is not an object")
    positions[i] = _number(place, "x"), _number(place, "y"), _number(place, "z")
    if point.get("transformation_") is not None:
        matrices[i] = point["transformation_"]
    if point.get("instance_id") is not None:
        ids[i] = _integer(point, "instance_id")
    if point.get("score") is not None:
        scores[i] = _number(point, "score")
    if flat:
        return {name: value for name, value in point.items() if name not in POINT_KEYS and name not in _FLAT_KEYS}
    extra = {name: value for name, value in point.items() if name not in POINT_KEYS} if len(point) > 1 else {}
    if len(place) > 3:
        extra["location"] = {name: value for name, value in place.items() if name not in _FLAT_KEYS}
    return extra


def _number(source: dict[str, Any], name: str) -> float:
    value = source.get(name)
    if isinstance(value, str | bool):
        return float(_understood(_FLOAT, value, name))
    if not isinstance(value, int | float):
        raise TypeError(f"{name!r} is not a number")
    return float(value)


def _understood(adapter: TypeAdapter[Any], value: str | bool, name: str) -> Any:
    try:
        return adapter.validate_python(value)
    except ValueError:
        raise TypeError(f"{name!r} is not a number") from None


def _integer(source: dict[str, Any], name: str) -> int:
    value = source[name]
    if isinstance(value, str | bool):
        value = _understood(_INTEGER, value, name)
    # Integers are not converted: not every 64-bit integer is exact as a float.
    exact = value if isinstance(value, int) and not isinstance(value, bool) else int(_number(source, name))
    if exact != value or not -(2**63) <= exact < 2**63:
        raise ValueError(f"{name!r} is not a 64-bit integer")
    return exact


def _stack_transforms(matrices: dict[int, Any], count: int, first: int, path: str) -> NDArray[np.float64]:
    transforms = np.tile(np.array(IDENTITY), (count, 1, 1))
    if not matrices:
        return transforms
    try:
        given = np.array(list(matrices.values()), dtype=np.float64)
        # numpy converts null to NaN.
        if given.shape[1:] != (4, 4) or (np.isnan(given).any() and not all(map(_is_matrix, matrices.values()))):
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        wrong = first + next((i for i, matrix in matrices.items() if not _is_matrix(matrix)), 0)
        raise FormatError(f"{path}: the transformation of point {wrong} is not a 4x4 matrix.", path=path) from None
    transforms[list(matrices)] = given
    bad = bad_transform(transforms)
    if bad is not None:
        raise FormatError(
            f"{path}: the last row of the transformation of point {first + bad} is not [0, 0, 0, 1].", path=path
        )
    return transforms


def _is_matrix(value: Any) -> bool:
    try:
        return np.array(value, dtype=np.float64).shape == (4, 4) and not any(None in row for row in value)
    except (TypeError, ValueError, OverflowError):
        return False


def encode_picks(table: PicksTable) -> bytes:
    """Encode a picks file: CoPick's envelope, written compactly.

    Parameters
    ----------
    table : PicksTable
        Its header holds names and ids; keys that CoPick does not know are written back.

    Raises
    ------
    ValueError
        A location is not finite; the message gives the index of the point.
    """
    finite = np.isfinite(table.positions).all(axis=1)
    if not finite.all():
        raise ValueError(f"The location of point {int(np.argmin(finite))} is not finite; such points cannot be stored.")
    known = ("pickable_object_name", "user_id", "session_id", *_DEFAULT_HEADER)
    header = table.header if table.exact else _DEFAULT_HEADER | {"trust_orientation": True} | table.header
    first = {name: header[name] for name in known if name in header}
    rest = {name: header[name] for name in ("trust_orientation",) if name in header}
    rest |= {name: value for name, value in header.items() if name not in known and name != "points"}
    head, tail = dump_json(first)[:-1], dump_json(rest)[1:]
    parts = [head, b',"points":[' if first else b'"points":[', b",".join(_encode_points(table)), b"]"]
    return b"".join([*parts, b"," if rest else b"", tail])


@dataclass(slots=True)
class _Template:
    """The text of a point with ``%b`` for its values, and the values: floats by row, ids separately."""

    text: bytes
    floats: NDArray[np.float64]
    ids: NDArray[np.int64] | None
    id_slot: int


def _encode_points(table: PicksTable) -> Iterator[bytes]:
    count = len(table)
    special = sorted(i for i in table.extras if 0 <= i < count)
    templates: dict[tuple[int, ...], _Template] = {}
    for first, last, states in _alike(table):
        if states not in templates:
            templates[states] = _make_template(table, states)
        template = templates[states]
        inside = special[bisect_left(special, first) : bisect_left(special, last)]
        for begin, end in itertools.pairwise([first - 1, *inside, last]):
            for start in range(begin + 1, end, _BLOCK):
                stop = min(start + _BLOCK, end)
                yield b",".join([template.text] * (stop - start)) % tuple(_value_texts(template, start, stop))
            if end < last:
                plain = from_json(template.text % tuple(_value_texts(template, end, end + 1)))
                yield dump_json(_merge(plain, table.extras[end]))


def _alike(table: PicksTable) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Return the ranges of points with the same keys: begin, end, and the states of the keys."""
    if table.states is None or not len(table):
        yield 0, len(table), (SET,) * len(OPTIONAL)
        return
    changes = np.flatnonzero((table.states[1:] != table.states[:-1]).any(axis=1)) + 1
    for first, last in itertools.pairwise([0, *changes.tolist(), len(table)]):
        yield first, last, tuple(table.states[first].tolist())


def _make_template(table: PicksTable, states: tuple[int, ...]) -> _Template:
    columns = [table.positions[:, 0], table.positions[:, 1], table.positions[:, 2]]
    ids = table.instance_ids if table.instance_ids is not None and table.instance_ids.any() else None
    id_slot = 0
    text = [b'{"location":{"x":%b,"y":%b,"z":%b}']
    for name, state in zip(OPTIONAL, states, strict=True):
        if name == "instance_id":
            id_slot = len(columns)
            ids = ids if state == SET else None
        if state == ABSENT:
            continue
        text.append(b',"%b":' % name.encode())
        if state == NULL:
            text.append(b"null")
        elif name == "transformation_":
            text.append(_matrix_text(table, columns))
        elif name == "instance_id":
            text.append(b"0" if ids is None else b"%b")
        else:
            text.append(_slot(table.scores, 1.0, columns))
    return _Template(b"".join([*text, b"}"]), np.stack(columns, axis=1), ids, id_slot)


def _matrix_text(table: PicksTable, columns: list[NDArray[np.float64]]) -> bytes:
    text = [b"[["]
    for row, column in itertools.product(range(4), range(4)):
        values = None if table.transforms is None else table.transforms[:, row, column]
        text.append(_slot(values, IDENTITY[row][column], columns))
        text.append((b"," if column < 3 else b"],[") if (row, column) != (3, 3) else b"]]")
    return b"".join(text)


def _slot(values: NDArray[np.float64] | None, default: float, columns: list[NDArray[np.float64]]) -> bytes:
    """Return the text of a column in the template: the default if all values have it, else a placeholder."""
    # -0.0 equals 0.0 but is written differently.
    if values is None or (bool((values == default).all()) and not bool(np.signbit(values).any())):
        return dump_json(default)
    columns.append(values)
    return b"%b"


def _value_texts(template: _Template, start: int, stop: int) -> list[bytes]:
    floats = template.floats[start:stop]
    texts = dump_json(floats.ravel().tolist())[1:-1].split(b",")
    if template.ids is None:
        return texts
    width = floats.shape[1]
    merged = [b""] * (len(texts) + len(floats))
    for i in range(width):
        merged[i + (i >= template.id_slot) :: width + 1] = texts[i::width]
    merged[template.id_slot :: width + 1] = dump_json(template.ids[start:stop].tolist())[1:-1].split(b",")
    return merged


def _merge(point: dict[str, Any], extra: dict[str, Any]) -> dict[str, Any]:
    place = extra.get("location", {})
    return (
        point
        | {name: value for name, value in extra.items() if name != "location"}
        | {"location": point["location"] | place}
    )


__all__ = ["PicksTable", "decode_picks", "encode_picks"]
