"""Curves of filaments: which are well formed, and which still fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from aiocopick.models import CopickFilament, CopickFilamentCurve, CopickFilamentsFile

CONTROL = [(0.0, 0.0, 0.0), (10.0, 5.0, 0.0), (20.0, 0.0, 5.0), (30.0, 0.0, 0.0)]
BSPLINE = {"kind": "bspline", "control_points": CONTROL, "step": 1.0, "degree": 3, "knots": [0.0] * 4 + [1.0] * 4}


def curve(**fields: Any) -> CopickFilamentCurve:
    return CopickFilamentCurve.model_validate({"kind": "linear", "control_points": CONTROL, "step": 1.0} | fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"control_points": [(0, 0, 0)]}, "at least two"),
        ({"control_points": [(0, 0, 0), (0, 0, 0)]}, "coincide"),
        ({"control_points": [(0, 0, 0), (float("nan"), 0, 0)]}, "finite"),
        ({"step": 0}, "greater than 0"),
        ({"step": float("inf")}, "positive"),
        ({"kind": "catmull-rom", "alpha": 2}, "alpha"),
        ({"kind": ""}, "at least 1 character"),
        ({"smoothing": -1}, "greater than or equal"),
        ({"kind": "bspline"}, "degree and knots"),
        (BSPLINE | {"degree": 6}, "from 1 to 5"),
        (BSPLINE | {"degree": 4}, "at least 5"),
        (BSPLINE | {"knots": [0.0, 1.0]}, "needs 8 knots"),
        (BSPLINE | {"knots": [0, 0, 0, 0, 2, 1, 1, 1]}, "non-decreasing"),
        (BSPLINE | {"knots": [0, 0, 0, 1, 2, 3, 3, 3]}, "clamped"),
        (BSPLINE | {"knots": [0.0] * 8}, "clamped"),
        (
            {
                "kind": "bspline",
                "control_points": [(float(i), 0, 0) for i in range(5)],
                "degree": 1,
                "knots": [0, 0, 1, 1, 2, 3, 3],
            },
            "repeat at most",
        ),
    ],
)
def test_curves_that_are_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        curve(**fields)


def test_unknown_kinds_are_kept_and_never_current() -> None:
    spiral = curve(kind="spiral", control_points=[(0, 0, 0)], turns=3)
    assert spiral.model_dump() == {"kind": "spiral", "control_points": [(0.0, 0.0, 0.0)], "step": 1.0, "turns": 3}
    assert not spiral.is_known
    assert not spiral.is_current_for([(0, 0, 0), (1, 1, 1)])


def test_what_is_not_set_is_not_written() -> None:
    assert set(curve().model_dump()) == {"kind", "control_points", "step"}
    assert curve(kind="catmull-rom").model_dump()["alpha"] == 0.5


def test_a_linear_curve_fits_points_on_it() -> None:
    line = np.array(CONTROL)
    between = np.sort(np.concatenate([np.linspace(0, 1, 4), np.linspace(0, 1, 16)]))
    points = np.column_stack([np.interp(between, np.linspace(0, 1, 4), line[:, axis]) for axis in range(3)])
    assert curve().is_current_for(points)
    assert not curve().is_current_for(points[2:])
    assert not curve().is_current_for(points + 0.02)
    assert curve(step=100).is_current_for(points + 0.02)
    assert not curve().is_current_for(points[:1])


def bernstein(fraction: np.ndarray) -> np.ndarray:
    """Points of the Bezier curve that a cubic B-spline without inner knots is."""
    weights = [(1 - fraction) ** 3, 3 * fraction * (1 - fraction) ** 2, 3 * fraction**2 * (1 - fraction), fraction**3]
    return np.array(weights).T @ np.array(CONTROL)


def test_a_spline_is_checked_at_its_knots_not_at_its_coefficients() -> None:
    spline = CopickFilamentCurve.model_validate(BSPLINE)
    points = bernstein(np.linspace(0, 1, 30))
    assert spline.is_current_for(points)
    assert not spline.is_current_for(points[:-1])


def test_inner_knots_of_a_spline() -> None:
    # Two segments of a quadratic spline meet halfway between the inner coefficients.
    spline = curve(kind="bspline", degree=2, knots=[0, 0, 0, 1, 2, 2, 2])
    middle = (np.array(CONTROL[1]) + np.array(CONTROL[2])) / 2
    assert spline.is_current_for([CONTROL[0], middle, CONTROL[3]])
    assert not spline.is_current_for([CONTROL[0], middle + 0.02, CONTROL[3]])
    assert not spline.is_current_for([CONTROL[0], CONTROL[3]])


@pytest.mark.parametrize(
    "fields",
    [{"instance_id": 0}, {"points": [(0, 0, 0)]}, {"points": [(0, 0, 0), (float("inf"), 0, 0)]}, {"radius": 0}],
)
def test_filaments_that_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CopickFilament.model_validate({"instance_id": 1, "points": CONTROL} | fields)


def test_ids_are_unique_in_a_file() -> None:
    filament = CopickFilament(instance_id=1, points=CONTROL)
    assert not filament.curve_is_current()
    with pytest.raises(ValidationError, match="unique"):
        CopickFilamentsFile(
            pickable_object_name="o", user_id="u", session_id="0", filaments=[filament, filament.model_copy()]
        )
