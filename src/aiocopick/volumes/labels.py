"""Label volumes: data types that lose no label, and what the channels of a panoptic segmentation mean.

The messages are those of copick, which its tools match.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from aiocopick.concurrency.lazy import numpy as np

Array: TypeAlias = "np.ndarray[Any, Any]"

PANOPTIC_CHANNELS = ("label", "instance")
"""Channel 0 holds the label of the object at a voxel, channel 1 the instance within that object."""

PANOPTIC_METADATA = {"copick": {"segmentation_type": "panoptic", "channels": list(PANOPTIC_CHANNELS)}}
"""The multiscale metadata that marks a panoptic segmentation."""

_IN_PIECES: Any = ("external_loop", "buffered", "zerosize_ok")
_UNSIGNED = ("uint8", "uint16", "uint32", "uint64")


def value_range(data: Array) -> tuple[int, int]:
    """Smallest and largest label of an array; (0, 0) of an empty one.

    Raises
    ------
    ValueError
        Values that are not finite whole numbers.
    """
    if data.dtype.kind not in "biuf":
        raise ValueError(f"Segmentation data must be integers, booleans or whole floats, not {data.dtype}")
    if data.size == 0:
        return 0, 0
    low, high = data.min(), data.max()
    if data.dtype.kind == "f":
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ValueError("Segmentation values must be finite; found NaN or infinity")
        if not _is_whole(data):
            raise ValueError("Segmentation values must be integers; found fractions")
    return int(low), int(high)


def _is_whole(data: Array) -> bool:
    # A piece at a time: comparing all at once would hold two more arrays of the size of the data.
    return all(bool(np.all(part == np.floor(part))) for part in np.nditer(data, _IN_PIECES, buffersize=2**18))


def label_dtype(low: int, high: int, *, least: np.dtype[Any] | type | str = "uint8") -> np.dtype[Any]:
    """The smallest unsigned integer type for labels in a range.

    Parameters
    ----------
    low, high : int
        As :func:`value_range` gives them.
    least : dtype
        No narrower one is chosen (uint16 for instances).

    Raises
    ------
    ValueError
        Negative labels, or labels above 64 bits.
    """
    if low < 0:
        raise ValueError(
            f"Segmentation values must be non-negative, found {low}; pass a signed dtype to store negative labels"
        )
    for candidate in map(np.dtype, _UNSIGNED):
        if candidate.itemsize >= np.dtype(least).itemsize and high <= np.iinfo(candidate).max:
            return candidate
    raise ValueError(f"Segmentation value {high} does not fit any unsigned integer type")


def check_range(low: int, high: int, dtype: np.dtype[Any]) -> None:
    """Refuse labels that a type would change.

    Raises
    ------
    ValueError
        With copick's "do not fit uint8".
    """
    if dtype.kind == "f":
        exact = 2 ** (np.finfo(dtype).nmant + 1)
        if low < -exact or high > exact:
            raise ValueError(f"Segmentation values in [{low}, {high}] are not exact in {dtype} (up to {exact})")
        return
    if dtype.kind not in "biu":
        raise ValueError(f"Segmentations cannot be stored as {dtype}")
    least, most = (0, 1) if dtype.kind == "b" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    if low < least or high > most:
        raise ValueError(
            f"Segmentation values in [{low}, {high}] do not fit {dtype} ([{least}, {most}]); "
            "pass a wider dtype, or dtype=None to choose one"
        )


def cast_labels(data: Array, dtype: np.dtype[Any]) -> Array:
    """Labels as another type; no copy when it is theirs already.

    Raises
    ------
    ValueError
        A label would change.
    """
    if data.dtype == dtype:
        return data
    if data.dtype.kind == "f" and dtype.kind == "f" and dtype.itemsize >= data.dtype.itemsize:
        return data.astype(dtype)
    check_range(*value_range(data), dtype)
    return data.astype(dtype)


def channel_index(channel: str | int) -> int:
    """Position of a panoptic channel: ``"label"`` or 0, ``"instance"`` or 1.

    Raises
    ------
    ValueError
        It is not a channel.
    """
    if isinstance(channel, str) and channel in PANOPTIC_CHANNELS:
        return PANOPTIC_CHANNELS.index(channel)
    if isinstance(channel, int | np.integer) and not isinstance(channel, bool) and channel in (0, 1):
        return int(channel)
    raise ValueError(f"Unknown panoptic channel {channel!r}; use one of {PANOPTIC_CHANNELS} or 0 or 1")


def check_panoptic_shape(shape: tuple[int, ...]) -> None:
    """Refuse a shape that is not a pair of volumes.

    Raises
    ------
    ValueError
        Names the shape that is wanted.
    """
    if len(shape) != 4 or shape[0] != 2:
        raise ValueError(f"A panoptic segmentation is a (2, Z, Y, X) array (channels {PANOPTIC_CHANNELS}), not {shape}")


def check_panoptic(labels: Array, instances: Array, known: Iterable[int]) -> None:
    """Refuse panoptic values without a meaning.

    Parameters
    ----------
    labels, instances : ndarray
        The two channels, of the same shape.
    known : iterable of int
        Labels of the project's pickable objects.

    Raises
    ------
    ValueError
        A label that no object has, or an instance where there is no object.
    """
    unknown = sorted(set(np.unique(labels).tolist()) - {0} - set(known))
    if unknown:
        raise ValueError(f"Panoptic label channel holds {unknown}, which no pickable object has as its label")
    stray = int(np.count_nonzero((labels == 0) & (instances != 0)))
    if stray:
        raise ValueError(f"{stray} background voxels (label 0) carry an instance ID; instances belong to an object")
