"""Points and picks files, as CoPick writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import ConfigDict, Field, field_validator

from aiocopick.concurrency.lazy import numpy as np
from aiocopick.models.base import FIRST_ERROR, Model

if TYPE_CHECKING:
    from numpy.typing import NDArray

IDENTITY: tuple[tuple[float, ...], ...] = (
    (1.0, 0.0, 0.0, 0.0),
    (0.0, 1.0, 0.0, 0.0),
    (0.0, 0.0, 1.0, 0.0),
    (0.0, 0.0, 0.0, 1.0),
)
"""The default transformation of a point."""


FROM_FILE = "(as in the file)"
"""A mark among the set fields of a model that was read from a file: fields that the file lacks are not written."""


def _identity() -> list[list[float]]:
    return [list(row) for row in IDENTITY]


def check_transformation(matrix: NDArray[np.float64]) -> None:
    """Refuse a matrix that is not an affine transformation.

    Raises
    ------
    ValueError
        It is not 4x4, or its last row is not [0, 0, 0, 1].
    """
    if matrix.shape != (4, 4):
        raise ValueError("transformation must be a 4x4 matrix.")
    if matrix[3, 3] != 1.0:
        raise ValueError("Last element of transformation matrix must be 1.0.")
    if not np.allclose(matrix[3, :], [0.0, 0.0, 0.0, 1.0]):
        raise ValueError("Last row of transformation matrix must be [0, 0, 0, 1].")


class CopickLocation(Model):
    """Position of a point, in angstrom.

    Parameters
    ----------
    x, y, z : float
        Coordinates in the tomogram.
    """

    x: float
    y: float
    z: float


class CopickPoint(Model):
    """A point with an orientation, a score and an instance id.

    Parameters
    ----------
    location : CopickLocation
        Position, in angstrom.
    transformation_ : list of list of float
        4x4, from object space to the tomogram; its translation (angstrom) is added to the location. Null is identity.
        The trailing underscore is the key in the file.
    instance_id : int, optional
        For points of a filament, the id of the filament; 0 is none.
    score : float, optional
        Confidence. A null in the file is None, and stored as null again; a missing key is read as the
        default, and left out again unless it is set.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    location: CopickLocation
    transformation_: list[list[float]] | None = Field(default_factory=_identity)
    instance_id: int | None = 0
    score: float | None = 1.0

    @field_validator("transformation_", mode="before")
    @classmethod
    def _default(cls, value: Any) -> Any:
        return _identity() if value is None else value

    @field_validator("transformation_")
    @classmethod
    def _affine(cls, value: list[list[float]] | None) -> list[list[float]] | None:
        check_transformation(np.array(value))
        return value

    @property
    def transformation(self) -> NDArray[np.float64]:
        """The transformation as a (4, 4) array; assign an array to change it."""
        return np.array(IDENTITY if self.transformation_ is None else self.transformation_, dtype=np.float64)

    @transformation.setter
    def transformation(self, value: NDArray[np.float64]) -> None:
        matrix = np.asarray(value, dtype=np.float64)
        check_transformation(matrix)
        self.transformation_ = matrix.tolist()


class CopickPicksFile(Model):
    """The content of a picks file.

    Parameters
    ----------
    pickable_object_name : str
        Object that was picked.
    user_id : str
        User or tool that picked it.
    session_id : str
        Session it was picked in; ``"0"`` for tools.
    run_name : str, optional
        Run it belongs to.
    voxel_spacing : float, optional
        Voxel size of the tomogram it was picked in, in angstrom.
    unit : str
        Unit of the locations.
    points : list of CopickPoint, optional
        The points.
    trust_orientation : bool, optional
        True if the orientations are meaningful.
    """

    pickable_object_name: str
    user_id: str
    session_id: str | Literal["0"]
    run_name: str | None = None
    voxel_spacing: float | None = None
    unit: str = "angstrom"
    points: Annotated[list[CopickPoint], FIRST_ERROR] | None = Field(default_factory=list)
    trust_orientation: bool | None = True


__all__ = ["FROM_FILE", "IDENTITY", "CopickLocation", "CopickPicksFile", "CopickPoint", "check_transformation"]
