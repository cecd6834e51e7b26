"""Traced filaments, as CoPick (1.28 and later) writes them.

A filament is a polyline; it may carry the fitted curve that its points were made from. Curves are kept as they are and
never evaluated into new points here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
    model_serializer,
    model_validator,
)

from aiocopick.models.base import FIRST_ERROR, Model, null_is_empty
from aiocopick.models.curves import KNOWN_CURVES, all_finite, check_curve, curve_fits


class CheckedNumbers(list[Any]):
    """Floats, or triples of floats, that were checked while they were parsed: validation copies them into a plain list."""


def _unless_checked(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    return value.copy() if isinstance(value, CheckedNumbers) else handler(value)


Triples: TypeAlias = Annotated[list[tuple[float, float, float]], FIRST_ERROR, WrapValidator(_unless_checked)]
Floats: TypeAlias = Annotated[list[float], FIRST_ERROR, WrapValidator(_unless_checked)]


class CopickFilamentCurve(Model):
    """The curve that a filament's points were made from.

    Parameters
    ----------
    kind : str
        ``"catmull-rom"`` or ``"linear"`` (through their control points), ``"bspline"``, or another, which is kept.
    control_points : list of tuple of float
        (x, y, z) in angstrom; the coefficients of a B-spline.
    step : float
        Spacing of the points made from it, in angstrom.
    alpha : float, optional
        Parameter of a Catmull-Rom curve, 0 to 1; 0.5 when not given.
    degree : int, optional
        Degree of a B-spline, 1 to 5.
    knots : list of float, optional
        Knots of a B-spline, clamped.
    smoothing : float, optional
        Smoothing factor of the fit.
    """

    kind: str = Field(min_length=1)
    control_points: Triples
    step: float = Field(gt=0)
    alpha: float | None = None
    degree: int | None = None
    knots: Floats | None = None
    smoothing: float | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.kind == "catmull-rom" and self.alpha is None:
            self.alpha = 0.5
        if self.is_known:
            check_curve(self.kind, self.control_points, self.step, self.alpha, self.degree, self.knots)
        return self

    @model_serializer(mode="wrap")
    def _leave_out_unset(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None}

    @property
    def is_known(self) -> bool:
        """True if the kind is known, so that its fit to the points can be checked."""
        return self.kind in KNOWN_CURVES

    def is_current_for(self, points: Any) -> bool:
        """Return True if the curve still describes `points`, (N, 3) in angstrom; False for an unknown kind."""
        return self.is_known and curve_fits(
            points, self.kind, self.control_points, self.step, degree=self.degree, knots=self.knots
        )


class CopickFilament(Model):
    """One traced filament.

    Parameters
    ----------
    instance_id : int
        Its id, 1 or more, unique in its file.
    points : list of tuple of float
        (x, y, z) in angstrom, in order along it; at least two, finite.
    polarity_known : bool
        True if the order of the points follows the polarity.
    score : float
        Confidence.
    radius : float, optional
        Radius of the tube in angstrom.
    metadata : dict
        Anything else. Null is an empty dict.
    curve : CopickFilamentCurve, optional
        The curve the points were made from.
    """

    instance_id: int = Field(ge=1)
    points: Triples
    polarity_known: bool = False
    score: float = 1.0
    radius: float | None = Field(None, gt=0)
    metadata: dict[str, Any] = Field(default_factory=dict)
    curve: CopickFilamentCurve | None = None

    _no_metadata = field_validator("metadata", mode="before")(null_is_empty)

    @field_validator("points")
    @classmethod
    def _a_line(cls, value: list[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
        if len(value) < 2:
            raise ValueError("A filament needs at least two points.")
        if not all_finite(value):
            raise ValueError("Filament points must be finite.")
        return value

    def curve_is_current(self) -> bool:
        """True if there is a curve of a known kind that still describes the points."""
        return self.curve is not None and self.curve.is_current_for(self.points)


class CopickFilamentsFile(Model):
    """The content of a filaments file.

    Parameters
    ----------
    pickable_object_name : str
        Object that was traced.
    user_id : str
        User or tool that traced it.
    session_id : str
        Session it was traced in; ``"0"`` for tools.
    run_name : str, optional
        Run it belongs to.
    voxel_spacing : float, optional
        Voxel size of what it was traced in, in angstrom.
    unit : str
        Unit of the points.
    version : int
        Version of the file format.
    filaments : list of CopickFilament
        The filaments; no two share an id.
    """

    pickable_object_name: str
    user_id: str
    session_id: str | Literal["0"]
    run_name: str | None = None
    voxel_spacing: float | None = None
    unit: str = "angstrom"
    version: int = 1
    filaments: Annotated[list[CopickFilament], FIRST_ERROR] = Field(default_factory=list)

    @model_validator(mode="after")
    def _unique_ids(self) -> Self:
        ids = [filament.instance_id for filament in self.filaments]
        if len(ids) != len(set(ids)):
            raise ValueError("Filament instance IDs must be unique within a file.")
        return self


__all__ = ["CopickFilament", "CopickFilamentCurve", "CopickFilamentsFile"]
