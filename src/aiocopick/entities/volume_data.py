"""What can be written as a volume: anything that slices to arrays of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np


def array_like(data: Any) -> Any:
    """The data itself when it can be sliced block by block (dask, zarr, memory maps), else as an array.

    Raises
    ------
    ValueError
        It holds no voxels.
    """
    if not all(hasattr(data, name) for name in ("shape", "dtype", "__getitem__")):
        data = np.asarray(data)
    if 0 in tuple(data.shape):
        raise ValueError(f"An array of shape {tuple(data.shape)} holds no voxels")
    return data


def number_type(dtype: Any) -> np.dtype[Any]:
    """A type that volumes can be stored in, in native byte order.

    Raises
    ------
    ValueError
        It is no number and no boolean.
    """
    kind = np.dtype(dtype)
    if kind.kind not in "biufc" or kind.itemsize > 16 or kind.name in ("float128", "longdouble"):
        raise ValueError(f"Volumes hold numbers or booleans, not {kind}")
    native: np.dtype[Any] = kind.newbyteorder("=")
    return native


def cast_numbers(data: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Numbers as another type, as numpy assigns them; no copy when it is theirs already."""
    return data.astype(dtype, copy=False)
