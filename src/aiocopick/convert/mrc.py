"""Volumes in MRC files: read as a memory map, written slab by slab."""

from __future__ import annotations

import math
import struct
import tempfile
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aiocopick.concurrency.threads import in_thread, in_thread_shielded
from aiocopick.errors import AlreadyExistsError, FormatError
from aiocopick.extras import optional
from aiocopick.storage.single_files import give_name

SUFFIXES = (".mrc", ".rec", ".map", ".st", ".ali")
PACKED = (".gz", ".bz2")

# https://bio3d.colorado.edu/imod/doc/mrc_format.txt: a mark of IMOD's, and flags, of which the first means signed bytes.
_IMOD_STAMP = 1146047817
_IMOD_STAMP_AT = 152 - 112

_EXACT = 2**24
"""Larger integers are not exact in the 32 bits of a float."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVolume:
    """A volume of another program.

    Parameters
    ----------
    data : array-like, shape (Z, Y, X)
        A memory map, if the file is not compressed.
    voxel_size : tuple of float, or None
        Along z, y, x in angstrom, as the file says; None if it does not.
    """

    data: Any
    voxel_size: tuple[float, float, float] | None


@contextmanager
def opened(path: Path) -> Iterator[StoredVolume]:
    """Open an MRC file; its data may be used inside of the block. It is read on access: use a thread.

    Raises
    ------
    FormatError
        It is not a volume.
    """
    mrcfile = optional("mrcfile", "An MRC file")
    with warnings.catch_warnings():
        # Deviations that do not matter for the voxels.
        warnings.simplefilter("ignore")
        packed = path.suffix.lower() in PACKED
        with mrcfile.open(path, "r") if packed else mrcfile.mmap(path, "r") as file:
            header, data = file.header, file.data
            if data is None or data.ndim != 3:
                shape = None if data is None else data.shape
                raise FormatError(f"{path}: it holds an array of shape {shape}, not one volume", path=str(path))
            if data.dtype.kind == "c":
                raise FormatError(f"{path}: it holds complex numbers (a transform), not a volume", path=str(path))
            if data.dtype == np.int8 and _are_unsigned(header):
                data = data.view(np.uint8)
            # Axes of columns, rows and sections: 1 is x.
            order = [int(header[name]) for name in ("maps", "mapr", "mapc")]
            if sorted(order) != [1, 2, 3]:
                order = [3, 2, 1]
            data = np.transpose(data, [order.index(axis) for axis in (3, 2, 1)])
            yield StoredVolume(data=data, voxel_size=_voxel_size(header, data.shape))


def _voxel_size(header: Any, shape: tuple[int, ...]) -> tuple[float, float, float] | None:
    sizes = []
    for axis, length in zip("zyx", shape, strict=True):
        extent, samples = float(header.cella[axis]), int(header[f"m{axis}"])
        # A stack of images has one section in its cell.
        samples = length if samples <= 1 < length and axis == "z" and extent > 0 else samples
        sizes.append(extent / samples if samples > 0 else 0.0)
    return stated(sizes)


def stated(sizes: list[float]) -> tuple[float, float, float] | None:
    """Return a voxel size along z, y, x; None if one of the numbers is not a length, which says nothing."""
    z, y, x = sizes
    return (z, y, x) if all(0 < size < math.inf for size in sizes) else None


def _are_unsigned(header: Any) -> bool:
    """Return True if IMOD wrote bytes from 0 to 255, for which MRC has no mode."""
    extra = header.extra2.tobytes()
    for order in "<>":
        stamp, flags = struct.unpack_from(f"{order}ii", extra, _IMOD_STAMP_AT)
        if stamp == _IMOD_STAMP:
            return not flags & 1
    return False


async def write(
    path: Path,
    slabs: AsyncIterator[np.ndarray[Any, Any]],
    shape: tuple[int, ...],
    dtype: Any,
    size: Any,
    overwrite: bool,
) -> None:
    """Write slabs along z to an MRC file, which is there under its name when it is complete.

    Parameters
    ----------
    path : Path
        Of the file.
    slabs : async iterator of ndarray
        Consecutive, in zyx order.
    shape : tuple of int
        Of the whole volume.
    dtype : dtype
        Of its values. Types that MRC lacks are written as 32-bit floats, 8 bits as 16.
    size : sequence of float
        Voxel size along z, y, x in angstrom.
    overwrite : bool
        Replace an existing file.

    Raises
    ------
    AlreadyExistsError
        There is a file of that name.
    FormatError
        Integers that are too large for MRC.
    """
    stored = mrc_type(np.dtype(dtype))
    folder, file = await in_thread(_begin, path, shape, stored, size, overwrite)
    try:
        start, statistics = 0, np.array([np.inf, -np.inf, 0.0, 0.0])
        async for slab in slabs:
            await in_thread(_put, file, start, slab, statistics, path)
            start += len(slab)
        await in_thread(_finish, file, folder, path, statistics, overwrite)
    finally:
        await in_thread_shielded(_clean_up, file, folder)


def mrc_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type that values are written as."""
    if dtype.kind == "b":
        return np.dtype(np.int8)
    if dtype == np.uint8:
        return np.dtype(np.uint16)
    known = ("int8", "int16", "uint16", "float16", "float32")
    return dtype.newbyteorder("=") if dtype.name in known else np.dtype(np.float32)


def _begin(
    path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], size: Any, overwrite: bool
) -> tuple[tempfile.TemporaryDirectory[str], Any]:
    mrcfile = optional("mrcfile", "An MRC file")
    refuse_existing(path, overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent)
    try:
        file = mrcfile.new_mmap(Path(folder.name, "volume.mrc"), shape, mrcfile.utils.mode_from_dtype(dtype))
        file.set_volume()
        file.voxel_size = tuple(float(edge) for edge in reversed(size))
    except BaseException:
        folder.cleanup()
        raise
    return folder, file


def _clean_up(file: Any, folder: tempfile.TemporaryDirectory[str]) -> None:
    file.close()
    folder.cleanup()


def refuse_existing(path: Path, overwrite: bool) -> None:
    """Refuse to replace a file.

    Raises
    ------
    AlreadyExistsError
        It exists.
    """
    if path.exists() and not overwrite:
        raise AlreadyExistsError(f"{path} exists already; choose another name.", path=str(path))


def refuse_special(path: Path) -> None:
    """Refuse to read a pipe or device, which could wait for ever, or have no end.

    Raises
    ------
    FormatError
        There is something that is not a file.
    """
    if path.exists() and not path.is_file():
        raise FormatError(f"{path} is not a file", path=str(path))


def _put(file: Any, start: int, slab: np.ndarray[Any, Any], statistics: np.ndarray[Any, Any], path: Path) -> None:
    low, high = float(slab.min()), float(slab.max())
    if file.data.dtype.kind == "f" and slab.dtype.kind in "iu" and max(-low, high) > _EXACT:
        raise FormatError(
            f"{path}: MRC has no type for {slab.dtype} up to {high:.0f}; only values up to {_EXACT} can be written",
            path=str(path),
        )
    file.data[start : start + len(slab)] = slab
    statistics[:] = (
        min(statistics[0], low),
        max(statistics[1], high),
        statistics[2] + slab.sum(dtype=np.float64),
        statistics[3] + np.square(slab, dtype=np.float64).sum(),
    )


def _finish(
    file: Any,
    folder: tempfile.TemporaryDirectory[str],
    path: Path,
    statistics: np.ndarray[Any, Any],
    overwrite: bool,
) -> None:
    low, high, total, squares = statistics
    mean = total / file.data.size
    file.header.dmin, file.header.dmax, file.header.dmean = low, high, mean
    file.header.rms = np.sqrt(max(0.0, squares / file.data.size - mean**2))
    file.flush()
    file.close()
    give_name(Path(folder.name, "volume.mrc"), path, overwrite=overwrite)
