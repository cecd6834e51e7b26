"""Data that can be written as a volume: any object that slices to arrays of numbers."""

from __future__ import annotations

from typing import Any

from aiocopick.concurrency.lazy import numpy as np
from aiocopick.concurrency.threads import in_thread

_NUMBERS = "biufc"


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


async def in_memory(data: Any) -> np.ndarray[Any, Any]:
    """The data as an array; what must be computed or read for that (dask, zarr) is so in a thread."""
    if isinstance(data, np.ndarray | np.generic | bool | int | float | complex):
        return np.asarray(data)
    return await in_thread(np.asarray, data)


def stored_type(source: Any, dtype: Any) -> np.dtype[Any]:
    """The type to store numbers in.

    Parameters
    ----------
    source : array-like
        As :func:`array_like` gives it.
    dtype : dtype, optional
        What the caller asks for; None is the type of the source.

    Raises
    ------
    ValueError
        One of the types is neither a number nor a boolean.
    """
    try:
        given = np.dtype(source.dtype)
    except TypeError:
        # Arrays of other libraries, with types of their own: what they slice to is looked at.
        if dtype is None:
            raise ValueError(f"{source.dtype} is not a numpy type; pass the dtype to store") from None
    else:
        _check_numbers(given)
    return number_type(source.dtype if dtype is None else dtype)


def _check_numbers(dtype: np.dtype[Any]) -> None:
    if dtype.kind not in _NUMBERS:
        raise ValueError(f"Volumes hold numbers or booleans, not {dtype}")


def number_type(dtype: Any) -> np.dtype[Any]:
    """A type that volumes can be stored in, in native byte order.

    Raises
    ------
    ValueError
        It is neither a number nor a boolean.
    """
    kind = np.dtype(dtype)
    _check_numbers(kind)
    if kind.itemsize > 16 or kind.name in ("float128", "longdouble"):
        raise ValueError(f"Volumes hold numbers or booleans, not {kind}")
    native: np.dtype[Any] = kind.newbyteorder("=")
    return native


def cast_numbers(data: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Return numbers as another type, converted as by numpy; no copy if the type is the same.

    Raises
    ------
    ValueError
        They are neither numbers nor booleans.
    """
    _check_numbers(data.dtype)
    return data.astype(dtype, copy=False)


def cast_means(data: np.ndarray[Any, Any], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Local means as the type of a coarser level, which others may have chosen otherwise than that of the finer one.

    Raises
    ------
    ValueError
        An integer type that cannot hold them.
    """
    if data.dtype == dtype:
        return data
    if dtype.kind in "iu" and data.size:
        data = np.rint(data) if data.dtype.kind == "f" else data
        limits, low, high = np.iinfo(dtype), data.min(), data.max()
        if not (np.isfinite(low) and np.isfinite(high) and limits.min <= int(low) and int(high) <= limits.max):
            raise ValueError(f"means in [{low}, {high}] do not fit {dtype}, the type of a coarser level")
    return data.astype(dtype)
