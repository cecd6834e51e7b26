"""Scales and translations of OME-Zarr levels. They only describe voxels: nonsense in them is noted, never raised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

Triple: TypeAlias = tuple[float, float, float]

_LEAST, _MOST = 1e-100, 1e100
"""Far beyond any length, in any unit; beyond them, positions and their ratios overflow."""
_MAX_QUOTED = 100


@dataclass(frozen=True, slots=True)
class Transform:
    """The position of a level's voxels, along z, y, x, in the units of the axes.

    Parameters
    ----------
    scale : tuple of float, optional
        Size of a voxel; None if the file does not give a usable one.
    translation : tuple of float, optional
        Position of the first voxel; None if the file does not give a usable one.
    """

    scale: Triple | None = None
    translation: Triple | None = None

    def within(self, outer: Transform) -> Transform:
        """Return this transformation followed by that of the whole image."""
        translation = outer.translation
        if self.translation is not None:
            moved = tuple(a * b for a, b in zip(self.translation, outer.scale or (1.0, 1.0, 1.0), strict=True))
            z, y, x = (a + b for a, b in zip(moved, outer.translation or (0.0, 0.0, 0.0), strict=True))
            translation = (z, y, x)
        return Transform(_product(self.scale, outer.scale) if self.scale else None, translation)


UNKNOWN = Transform()
"""The transformation of a level of which the file says nothing."""


def parse_transforms(
    transformations: Any, positions: tuple[int, int, int] | None, length: int, *, of: str, notes: list[str]
) -> Transform:
    """Read a list of transformations.

    Parameters
    ----------
    transformations : object
        The JSON value of ``coordinateTransformations``.
    positions : tuple of int, optional
        Positions of z, y and x among the axes; None if the file does not name axes: the last three numbers.
    length : int
        Number of axes that the file names; 0 if it names none.
    of : str
        The level, for notes.
    notes : list of str
        Extended by a sentence for each value that is not usable.
    """
    if transformations is None:
        return UNKNOWN
    if not isinstance(transformations, list):
        notes.append(f"the transformations of {of} are {_quoted(transformations)}, not a list")
        return UNKNOWN
    result = UNKNOWN
    usable = {"scale": True, "translation": True}
    for item in transformations:
        if not isinstance(item, dict):
            notes.append(f"a transformation of {of} is {_quoted(item)}, not an object")
            continue
        kind = item.get("type")
        if kind not in ("scale", "translation") or kind not in item:
            continue
        numbers = _numbers(item[kind], positions, length, positive=kind == "scale")
        if numbers is None:
            notes.append(f"the {kind} of {of} is {_quoted(item[kind])}, not {_WANTED[kind]}, one per axis")
            usable[kind] = False
        elif kind == "scale":
            result = Transform(_product(result.scale, numbers), _product(result.translation, numbers, None))
        else:
            result = Transform(result.scale, _sum(result.translation, numbers))
    return Transform(
        result.scale if usable["scale"] else None,
        result.translation if usable["translation"] and usable["scale"] else None,
    )


_WANTED = {"scale": "positive numbers", "translation": "numbers"}


def _numbers(value: Any, positions: tuple[int, int, int] | None, length: int, *, positive: bool) -> Triple | None:
    if not isinstance(value, list) or len(value) < 3 or (length and len(value) != length):
        return None
    z, y, x = (value[at] for at in positions) if positions is not None else value[-3:]
    for number in (z, y, x):
        # Comparisons with NaN are false.
        if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) <= _MOST:
            return None
        if positive and not number >= _LEAST:
            return None
    return float(z), float(y), float(x)


def _product(first: Triple | None, second: Triple | None, default: Triple | None = (1.0, 1.0, 1.0)) -> Triple | None:
    first = first or default
    if first is None:
        return None
    z, y, x = (a * b for a, b in zip(first, second or (1.0, 1.0, 1.0), strict=True))
    return z, y, x


def _sum(first: Triple | None, second: Triple) -> Triple:
    z, y, x = (a + b for a, b in zip(first or (0.0, 0.0, 0.0), second, strict=True))
    return z, y, x


def _quoted(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_QUOTED else f"{text[:_MAX_QUOTED]} ..."
