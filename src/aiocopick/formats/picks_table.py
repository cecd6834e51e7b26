"""Picks as columns: arrays instead of an object per point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aiocopick.models.points import IDENTITY, CopickLocation, CopickPicksFile, CopickPoint

POINT_KEYS = frozenset({"location", "transformation_", "instance_id", "score"})
"""The keys of a point that have a column."""


class PicksTable:
    """The points of a picks file as arrays, and the rest of the file beside them.

    Columns that hold nothing but defaults may be None.

    Parameters
    ----------
    positions : ndarray
        (N, 3) float64: x, y, z in angstrom.
    transforms : ndarray, optional
        (N, 4, 4) float64, translations in angstrom; None is the identity for every point.
    instance_ids : ndarray, optional
        (N,) int64; None is 0 for every point.
    scores : ndarray, optional
        (N,) float64; None when no point has a score, which counts as 1.
    extras : dict, optional
        By index of the point: keys that CoPick does not know, kept for writing.
    header : dict, optional
        The envelope without its points: names, ids, ``run_name``, ``voxel_spacing``, ``unit``, ``trust_orientation``
        and keys that CoPick does not know.
    """

    __slots__ = ("extras", "header", "instance_ids", "positions", "scores", "transforms")

    positions: NDArray[np.float64]
    transforms: NDArray[np.float64] | None
    instance_ids: NDArray[np.int64] | None
    scores: NDArray[np.float64] | None
    extras: dict[int, dict[str, Any]]
    header: dict[str, Any]

    def __init__(
        self,
        positions: NDArray[np.float64],
        transforms: NDArray[np.float64] | None = None,
        instance_ids: NDArray[np.int64] | None = None,
        scores: NDArray[np.float64] | None = None,
        extras: dict[int, dict[str, Any]] | None = None,
        header: dict[str, Any] | None = None,
    ) -> None:
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
        """A table without points."""
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
        """A table of the given columns, checked and copied.

        Parameters
        ----------
        positions : array_like
            (N, 3), angstrom, of any numeric type.
        transforms : array_like, optional
            (N, 4, 4); last rows are [0, 0, 0, 1].
        instance_ids : array_like, optional
            (N,), integers of 0 or more.
        scores : array_like, optional
            (N,), finite.
        header : dict, optional
            As for the class.

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
        return cls(
            points,
            None if transforms is None else _checked_transforms(transforms, count),
            None if instance_ids is None else _checked_ids(instance_ids, count),
            None if scores is None else _checked_scores(scores, count),
            header=header,
        )

    @classmethod
    def from_points(cls, points: Iterable[Any] | None, header: dict[str, Any] | None = None) -> PicksTable:
        """The table of CoPick points (ours, or an installed copick's), or of dicts of their fields.

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
        scores = np.array([1.0 if point.score is None else point.score for point in items], dtype=np.float64)
        extras = {i: extra for i, point in enumerate(items) if (extra := _extra_keys(point))}
        return cls(positions, transforms, ids, scores, extras, header)

    def to_points(self) -> list[CopickPoint]:
        """The points as objects, keys that CoPick does not know included."""
        places = self.positions.tolist()
        transforms = None if self.transforms is None else self.transforms.tolist()
        ids = [0] * len(self) if self.instance_ids is None else self.instance_ids.tolist()
        scores = [1.0] * len(self) if self.scores is None else self.scores.tolist()
        points = []
        for i, (x, y, z) in enumerate(places):
            extra = dict(self.extras.get(i, {}))
            location = CopickLocation.model_construct(x=x, y=y, z=z, **extra.pop("location", {}))
            matrix = [list(row) for row in IDENTITY] if transforms is None else transforms[i]
            points.append(
                CopickPoint.model_construct(
                    location=location, transformation_=matrix, instance_id=ids[i], score=scores[i], **extra
                )
            )
        return points

    def to_file(self, **identity: Any) -> CopickPicksFile:
        """The table as CoPick's model of the file.

        Parameters
        ----------
        **identity
            Fields of the header that win over the file's: ``pickable_object_name``, ``user_id``, ``session_id``, ...

        Raises
        ------
        ValueError
            A field of the header is missing or of the wrong type.
        """
        file = CopickPicksFile.model_validate(self.header | identity | {"points": []})
        file.points = self.to_points()
        return file

    def poses(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positions, (N, 3), and transforms, (N, 4, 4), both the caller's own."""
        transforms = self.matrices()
        return self.positions.copy(), transforms if self.transforms is None else transforms.copy()

    def matrices(self) -> NDArray[np.float64]:
        """The transforms, (N, 4, 4), also where they are all the identity."""
        if self.transforms is None:
            return np.tile(np.eye(4), (len(self), 1, 1))
        return self.transforms

    def ids(self) -> NDArray[np.int64]:
        """The instance ids, (N,), 0 where a point has none."""
        return np.zeros(len(self), dtype=np.int64) if self.instance_ids is None else self.instance_ids

    def filled_scores(self) -> NDArray[np.float64]:
        """The scores, (N,), 1 where a point has none."""
        return np.ones(len(self)) if self.scores is None else self.scores

    def full_positions(self) -> NDArray[np.float64]:
        """Centres of the particles, (N, 3) in angstrom: positions plus the translations of the transforms."""
        if self.transforms is None:
            return self.positions.copy()
        return self.positions + self.transforms[:, :3, 3]


def bad_transform(transforms: NDArray[np.float64]) -> int | None:
    """Index of the first of (N, 4, 4) matrices whose last row is not [0, 0, 0, 1]; None when there is none."""
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
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite.")
    return scores


def _extra_keys(point: Any) -> dict[str, Any]:
    extra = dict(getattr(point, "model_extra", None) or {})
    place: Mapping[str, Any] | None = getattr(point.location, "model_extra", None)
    return extra | {"location": dict(place)} if place else extra


__all__ = ["POINT_KEYS", "PicksTable", "bad_transform"]
