"""Checks that a filament's curve is well formed, and that it still fits the filament's points.

The rules are those of CoPick's data model ("Filaments, Editable curves"): a curve is current while its anchors are
within a hundredth of its step from the points.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.lazy import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

KNOWN_CURVES = ("catmull-rom", "linear", "bspline")
"""The kinds of curve whose anchors are known."""

# Angstrom; consecutive control points of an interpolating curve are further apart.
_DISTINCT = 1e-6
_TOLERANCE = 0.01
_MAX_DEGREE = 5
# Elements of the intermediate array while distances are taken.
_BLOCK = 500_000
# Rows that are converted to an array at a time: a list of a file may be long.
_ROWS = 4096


def all_finite(values: Sequence[Any]) -> bool:
    """Return True if all numbers of a list, or of a list of rows, are finite."""
    return all(
        np.isfinite(np.asarray(values[start : start + _ROWS], dtype=float)).all()
        for start in range(0, len(values), _ROWS)
    )


def check_curve(
    kind: str,
    control_points: ArrayLike,
    step: float,
    alpha: float | None,
    degree: int | None,
    knots: Sequence[float] | None,
) -> None:
    """Refuse a curve of a known kind that cannot be evaluated.

    Parameters
    ----------
    kind : str
        One of :data:`KNOWN_CURVES`.
    control_points : array_like
        (N, 3), angstrom.
    step : float
        Angstrom.
    alpha, degree, knots
        See :class:`~aiocopick.models.CopickFilamentCurve`.

    Raises
    ------
    ValueError
        The curve breaks a rule of its kind.
    """
    points: Sequence[Any] = control_points if isinstance(control_points, list) else _lines(control_points)  # type: ignore[assignment]
    if not all_finite(points):
        raise ValueError("Curve control points must be finite.")
    if not np.isfinite(step):
        raise ValueError(f"Curve step must be a positive number of angstrom, not {step}.")
    if kind == "bspline":
        _check_bspline(len(points), degree, knots)
        return
    if len(points) < 2:
        raise ValueError(f"A {kind} curve needs at least two control points.")
    for start in range(0, len(points) - 1, _ROWS):
        apart = np.linalg.norm(np.diff(_lines(points[start : start + _ROWS + 1]), axis=0), axis=1)
        close = start + np.flatnonzero(apart <= _DISTINCT)
        if close.size:
            raise ValueError(
                f"Control points {close[0]} and {close[0] + 1} coincide; consecutive ones must be distinct."
            )
    if kind == "catmull-rom" and alpha is not None and not 0 <= alpha <= 1:
        raise ValueError(f"Catmull-Rom alpha must be between 0 and 1, not {alpha}.")


def _check_bspline(count: int, degree: int | None, knots: Sequence[float] | None) -> None:
    if degree is None or knots is None:
        raise ValueError("A bspline curve needs a degree and knots.")
    if not 1 <= degree <= _MAX_DEGREE:
        raise ValueError(f"B-spline degree must be from 1 to {_MAX_DEGREE}, not {degree}.")
    if count < degree + 1:
        raise ValueError(f"A degree {degree} B-spline needs at least {degree + 1} control points, got {count}.")
    values = np.asarray(knots, dtype=float)
    if len(values) != count + degree + 1:
        raise ValueError(
            f"A degree {degree} B-spline with {count} control points needs {count + degree + 1} knots, "
            f"got {len(values)}."
        )
    if not np.isfinite(values).all() or (np.diff(values) < 0).any():
        raise ValueError("B-spline knots must be finite and non-decreasing.")
    multiplicity = degree + 1
    unique, counts = np.unique(values, return_counts=True)
    if len(unique) < 2 or counts[0] != multiplicity or counts[-1] != multiplicity:
        raise ValueError(f"B-spline knots must be clamped: exactly {multiplicity} equal ones at each end.")
    if (counts[1:-1] > degree).any():
        raise ValueError(f"Interior B-spline knots may repeat at most {degree} times.")


def curve_fits(
    points: ArrayLike,
    kind: str,
    control_points: ArrayLike,
    step: float,
    *,
    degree: int | None = None,
    knots: Sequence[float] | None = None,
) -> bool:
    """Return True if a curve still describes a polyline.

    Parameters
    ----------
    points : array_like
        (M, 3), angstrom: the polyline.
    kind, control_points, step, degree, knots
        The curve, of a known kind.

    Returns
    -------
    bool
        True if the first and last anchors are at the ends of the polyline, and all anchors on it, within 0.01 step.
    """
    line = _lines(points)
    if len(line) < 2:
        return False
    anchors = _lines(control_points)
    if kind == "bspline":
        anchors = _bspline_at_knots(anchors, int(degree or 0), np.asarray(knots, dtype=float))
    tolerance = _TOLERANCE * float(step)
    ends = np.linalg.norm(line[[0, -1]] - anchors[[0, -1]], axis=1)
    return bool((ends <= tolerance).all() and (_distances(anchors, line) <= tolerance).all())


def _lines(points: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(points, dtype=np.float64).reshape(-1, 3)


def _bspline_at_knots(
    coefficients: NDArray[np.float64], degree: int, knots: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return a clamped B-spline at each distinct knot of its domain, by de Boor's algorithm (1972)."""
    count = len(coefficients)
    found = []
    for parameter in np.unique(knots[degree : count + 1]):
        # The span [knots[span], knots[span + 1]) that holds the parameter; the last one holds the end of the domain.
        span = min(int(np.searchsorted(knots, parameter, side="right")) - 1, count - 1)
        while knots[span] == knots[span + 1]:
            span -= 1
        work = coefficients[span - degree : span + 1].copy()
        for level in range(1, degree + 1):
            for i in range(degree, level - 1, -1):
                low, high = knots[span - degree + i], knots[span + 1 + i - level]
                weight = (parameter - low) / (high - low)
                work[i] = (1 - weight) * work[i - 1] + weight * work[i]
        found.append(work[degree])
    return np.array(found)


def _distances(queries: NDArray[np.float64], line: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance of each query point to the nearest segment of a polyline."""
    start, along = line[:-1], np.diff(line, axis=0)
    squared: Any = np.maximum((along**2).sum(axis=1), np.finfo(float).tiny)
    nearest = np.empty(len(queries))
    rows = max(1, _BLOCK // len(start))
    for first in range(0, len(queries), rows):
        offset = queries[first : first + rows, None, :] - start
        fraction = np.clip((offset * along).sum(axis=2) / squared, 0, 1)
        nearest[first : first + rows] = np.linalg.norm(offset - fraction[..., None] * along, axis=2).min(axis=1)
    return nearest


__all__ = ["KNOWN_CURVES", "check_curve", "curve_fits"]
