"""Picks as columns: arrays instead of an object per point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.lazy import numpy as np
from aiocopick.models.points import FROM_FILE, IDENTITY, CopickLocation, CopickPicksFile, CopickPoint

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

POINT_KEYS = frozenset({"location", "transformation_", "instance_id", "score"})
"""The keys of a point that have a column."""

OPTIONAL = ("transformation_", "instance_id", "score")
"""The keys that a point may lack, in the order of the columns of :attr:`PicksTable.states`."""
SET, NULL, ABSENT = range(3)
"""State of such a key in the file."""


class PicksTable:
    """The points of a picks file as arrays, and the rest of the file as a header.

    Columns that hold only default values may be None.

    Parameters
    ----------
    positions : ndarray
        (N, 3) float64: x, y, z in angstrom.
    transforms : ndarray, optional
        (N, 4, 4) float64, translations in angstrom; None is the identity for every point.
    instance_ids : ndarray, optional
        (N,) int64; None is 0 for every point.
    scores : ndarray, optional
        (N,) float64, NaN for null; None when no point has a score.
    extras : dict, optional
        By index of the point: keys that CoPick does not know, kept for writing.
    header : dict, optional
        The envelope without its points: names, ids, ``run_name``, ``voxel_spacing``, ``unit``, ``trust_orientation``
        and keys that CoPick does not know.
    states : ndarray, optional
        (N, 3) uint8: state of each key of :data:`OPTIONAL` (set, null or absent); None if all are set.
    exact : bool
        True if the header is written unchanged, without default values for missing keys.
    """

    __slots__ = ("exact", "extras", "header", "instance_ids", "positions", "scores", "states", "transforms")

    positions: NDArray[np.float64]
    transforms: NDArray[np.float64] | None
    instance_ids: NDArray[np.int64] | None
    scores: NDArray[np.float64] | None
    extras: dict[int, dict[str, Any]]
    header: dict[str, Any]
    states: NDArray[np.uint8] | None
    exact: bool

    def __init__(
        self,
        positions: NDArray[np.float64],
        transforms: NDArray[np.float64] | None = None,
        instance_ids: NDArray[np.int64] | None = None,
        scores: NDArray[np.float64] | None = None,
        extras: dict[int, dict[str, Any]] | None = None,
        header: dict[str, Any] | None = None,
        states: NDArray[np.uint8] | None = None,
        *,
        exact: bool = False,
    ) -> None:
        self.states = states if states is not None and states.any() else None
        self.exact = exact
        self.positions = positions
        self.transforms = transforms
        self.instance_ids = instance_ids
        self.scores = scores
        self.extras = {} if extras is None else extras
        self.header = {} if header is None else header

    def __len__(self) -> int:
        return len(self.positions)

    def __repr__(self) -> str:
        return f"PicksTable({len(self)} points)"

    @classmethod
    def empty(cls, header: dict[str, Any] | None = None) -> PicksTable:
        """Return a table without points."""
        return cls(np.zeros((0, 3)), header=header)

    @classmethod
    def from_arrays(
        cls,
        positions: ArrayLike,
        transforms: ArrayLike | None = None,
        instance_ids: ArrayLike | None = None,
        scores: ArrayLike | None = None,
        *,
        header: dict[str, Any] | None = None,
    ) -> PicksTable:
        """Return a table of the given columns, checked and copied.

        Parameters
        ----------
        positions : array_like
            (N, 3), angstrom, of any numeric type.
        transforms : array_like, optional
            (N, 4, 4); last rows are [0, 0, 0, 1].
        instance_ids : array_like, optional
            (N,), integers of 0 or more.
        scores : array_like, optional
            (N,), finite; NaN is null.
        header : dict, optional
            See the class.

        Raises
        ------
        ValueError
            A shape is wrong or a value is not allowed; the message begins with the name of the argument.
        """
        points = np.array(positions, dtype=np.float64)
        if points.size == 0 and points.ndim < 2:
            points = points.reshape(0, 3)
        if points.ndim != 2 or points.shape[1] != 3:
            raise ValueError(f"positions must have shape (N, 3), got {points.shape}.")
        count = len(points)
        checked = None if scores is None else _checked_scores(scores, count)
        states = np.zeros((count, len(OPTIONAL)), dtype=np.uint8)
        if checked is not None:
            states[np.isnan(checked), OPTIONAL.index("score")] = NULL
        return cls(
            points,
            None if transforms is None else _checked_transforms(transforms, count),
            None if instance_ids is None else _checked_ids(instance_ids, count),
            checked,
            header=header,
            states=states,
        )

    @classmethod
    def from_points(cls, points: Iterable[Any] | None, header: dict[str, Any] | None = None) -> PicksTable:
        """Return the table of CoPick points (ours, or an installed copick's), or of dicts of their fields.

        Raises
        ------
        ValueError
            A point has no location or another field that cannot be used.
        """
        items = [
            point if hasattr(point, "transformation_") else CopickPoint.model_validate(point) for point in points or ()
        ]
        count = len(items)
        positions = np.empty((count, 3))
        for i, point in enumerate(items):
            place = point.location
            positions[i] = place.x, place.y, place.z
        transforms = None
        if count:
            transforms = _checked_transforms(
                [IDENTITY if point.transformation_ is None else point.transformation_ for point in items], count
            )
        ids = np.array([point.instance_id or 0 for point in items], dtype=np.int64)
        scores = np.array([np.nan if point.score is None else point.score for point in items], dtype=np.float64)
        states = np.array([_states_of(point) for point in items], dtype=np.uint8).reshape(count, len(OPTIONAL))
        extras = {i: extra for i, point in enumerate(items) if (extra := _extra_keys(point))}
        return cls(positions, transforms, ids, scores, extras, header, states)

    def to_points(self) -> list[CopickPoint]:
        """Return the points as objects, including keys that CoPick does not know."""
        places = self.positions.tolist()
        transforms = None if self.transforms is None else self.transforms.tolist()
        ids = [0] * len(self) if self.instance_ids is None else self.instance_ids.tolist()
        scores = self.filled_scores().tolist()
        states: list[Any] = [None] * len(self) if self.states is None else self.states.tolist()
        points = []
        for i, (x, y, z) in enumerate(places):
            extra = dict(self.extras.get(i, {}))
            location = CopickLocation.model_construct(x=x, y=y, z=z, **extra.pop("location", {}))
            matrix = [list(row) for row in IDENTITY] if transforms is None else transforms[i]
            fields = {"location": location, "transformation_": matrix, "instance_id": ids[i], "score": scores[i]}
            said: set[str] | None = None
            if states[i] is not None:
                fields |= {name: None for name, state in zip(OPTIONAL, states[i], strict=True) if state == NULL}
                lacks = {name for name, state in zip(OPTIONAL, states[i], strict=True) if state == ABSENT}
                said = {*fields, *extra, FROM_FILE} - lacks if lacks else None
            points.append(CopickPoint.model_construct(said, **fields, **extra))
        return points

    def to_file(self, **identity: Any) -> CopickPicksFile:
        """Return the table as CoPick's model of the file.

        Parameters
        ----------
        **identity
            Fields of the header that replace those of the file: ``pickable_object_name``, ``user_id``, ``session_id``, ...

        Raises
        ------
        ValueError
            A field of the header is missing or of the wrong type.
        """
        file = CopickPicksFile.model_validate(self.header | identity | {"points": []})
        file.points = self.to_points()
        return file

    def poses(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return positions, (N, 3), and transforms, (N, 4, 4), both as copies."""
        transforms = self.matrices()
        return self.positions.copy(), transforms if self.transforms is None else transforms.copy()

    def matrices(self) -> NDArray[np.float64]:
        """Return the transforms, (N, 4, 4), also if they are all the identity."""
        if self.transforms is None:
            return np.tile(np.eye(4), (len(self), 1, 1))
        return self.transforms

    def ids(self) -> NDArray[np.int64]:
        """Return the instance ids, (N,), 0 if a point has none."""
        return np.zeros(len(self), dtype=np.int64) if self.instance_ids is None else self.instance_ids

    def filled_scores(self) -> NDArray[np.float64]:
        """Return the scores, (N,): 1 if the key is absent, NaN if it is null."""
        if self.scores is not None:
            return self.scores
        scores = np.ones(len(self))
        scores[self.are_null("score")] = np.nan
        return scores

    def are_null(self, name: str) -> NDArray[np.bool_]:
        """Return, for each point, True if a key of :data:`OPTIONAL` is null in the file."""
        if self.states is None:
            return np.zeros(len(self), dtype=bool)
        return np.asarray(self.states[:, OPTIONAL.index(name)] == NULL)

    def has_scores(self) -> bool:
        """True if any point has a score."""
        if self.scores is None or not len(self):
            return False
        return self.states is None or bool((self.states[:, OPTIONAL.index("score")] == SET).any())

    def full_positions(self) -> NDArray[np.float64]:
        """Return the centres of the particles, (N, 3) in angstrom: positions plus the translations of the
        transforms.
        """
        if self.transforms is None:
            return self.positions.copy()
        return self.positions + self.transforms[:, :3, 3]


def bad_transform(transforms: NDArray[np.float64]) -> int | None:
    """Return the index of the first matrix of (N, 4, 4) whose last row is not [0, 0, 0, 1]; None if there is none."""
    last = transforms[:, 3, :]
    # The tolerance is that of CoPick's own check (numpy.allclose).
    good = (last[:, 3] == 1.0) & (np.abs(last[:, :3]) <= 1e-8).all(axis=1)
    return None if good.all() else int(np.argmin(good))


def _checked_transforms(values: ArrayLike, count: int) -> NDArray[np.float64]:
    matrices = np.array(values, dtype=np.float64)
    if matrices.shape[:1] != (count,):
        raise ValueError("Number of positions and transforms must be the same.")
    if matrices.shape != (count, 4, 4) and count:
        raise ValueError(f"transforms must have shape ({count}, 4, 4), got {matrices.shape}.")
    matrices = matrices.reshape(count, 4, 4)
    bad = bad_transform(matrices)
    if bad is not None:
        raise ValueError(f"transforms: last row of transformation matrix {bad} must be [0, 0, 0, 1].")
    return matrices


def _checked_ids(values: ArrayLike, count: int) -> NDArray[np.int64]:
    ids = np.asarray(values)
    if ids.shape != (count,):
        raise ValueError(f"instance_ids must have shape ({count},), got {ids.shape}.")
    if ids.dtype.kind not in "iub":
        numbers = ids.astype(np.float64)
        if not (np.isfinite(numbers).all() and (numbers == np.floor(numbers)).all()):
            raise ValueError("instance_ids must be integers.")
    if count and ids.min() < 0:
        raise ValueError("instance_ids must be >= 0.")
    return ids.astype(np.int64)


def _checked_scores(values: ArrayLike, count: int) -> NDArray[np.float64]:
    scores = np.array(values, dtype=np.float64)
    if scores.shape != (count,):
        raise ValueError(f"scores must have shape ({count},), got {scores.shape}.")
    if np.isinf(scores).any():
        raise ValueError("scores must be finite, or NaN for a point without one.")
    return scores


def _states_of(point: Any) -> tuple[int, int, int]:
    values = (point.transformation_, point.instance_id, point.score)
    if None not in values and FROM_FILE not in point.model_fields_set:
        return (SET, SET, SET)
    transformation, instance_id, score = (
        NULL
        if value is None
        else SET
        if name in point.model_fields_set or FROM_FILE not in point.model_fields_set
        else ABSENT
        for name, value in zip(OPTIONAL, values, strict=True)
    )
    # A matrix may have been changed in place.
    if transformation == ABSENT and not np.array_equal(point.transformation_, IDENTITY):
        transformation = SET
    return (transformation, instance_id, score)


def _extra_keys(point: Any) -> dict[str, Any]:
    extra = dict(getattr(point, "model_extra", None) or {})
    place: Mapping[str, Any] | None = getattr(point.location, "model_extra", None)
    return extra | {"location": dict(place)} if place else extra


__all__ = ["ABSENT", "NULL", "OPTIONAL", "POINT_KEYS", "SET", "PicksTable", "bad_transform"]
