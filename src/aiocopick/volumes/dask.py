"""A level as a dask array, or as an xarray array over one. Imports dask and xarray only when asked for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.fan_out import unwrap
from aiocopick.concurrency.lazy import numpy as np
from aiocopick.errors import CopickError, FormatError
from aiocopick.extras import optional
from aiocopick.volumes.ome import SPATIAL

if TYPE_CHECKING:
    import zarr

    from aiocopick.volumes.array import LevelArray
    from aiocopick.volumes.state import Level


_MAX_BLOCKS = 2**20
"""Along one axis; dask lists them all."""


def dask_array(level: LevelArray) -> Any:
    """A dask array with a block per chunk (or shard), whose tasks carry the store as a recipe.

    Parameters
    ----------
    level : LevelArray
        Opened already: tasks send no request but for their chunks.

    Raises
    ------
    MissingPackageError
        dask is not installed.
    FormatError
        The metadata claims more chunks along an axis than dask could list.
    """
    import zarr

    from_array = optional("dask.array", "A dask array").from_array

    metadata = level.metadata
    longest = max((-(-size // edge) for size, edge in zip(metadata.shape, metadata.chunks, strict=True)), default=0)
    if longest > _MAX_BLOCKS:
        path = f"{level.where}/{level.path}"
        raise FormatError(f"{path}: {longest} chunks along one axis are too many for dask", path=path)

    # zarr's synchronous array reads on zarr's own event loop, whichever thread or process the task runs in.
    array = _Blocks(zarr.Array(level.array), f"{level.where}/{level.path}")
    return from_array(array, chunks=level.metadata.chunks, meta=_meta(level))


class _Blocks:
    """The source of dask's blocks: zarr's array, with the path added to its errors."""

    def __init__(self, array: zarr.Array[Any], where: str) -> None:
        self.array = array
        self.where = where
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, block: Any) -> Any:
        try:
            with unwrap():
                return self.array[block]
        except (CopickError, MemoryError):
            raise
        except Exception as error:
            raise FormatError(
                f"{self.where}: the block {block} cannot be read ({type(error).__name__}: {error})", path=self.where
            ) from error


def _meta(level: LevelArray) -> Any:
    import numpy as np

    return np.empty((0,) * level.metadata.ndim, level.metadata.dtype)


# --- xarray -----------------------------------------------------------------------------------------------------------


def data_array(
    level: LevelArray,
    record: Level,
    *,
    leading: str,
    labels: Sequence[str] | None,
    name: str,
    attributes: Mapping[str, Any],
) -> Any:
    """Return a level as an xarray.DataArray over a dask array, with coordinates in angstrom.

    Parameters
    ----------
    level : LevelArray
        Opened already.
    record : Level
        Of the same level.
    leading : str
        Name of an axis before z, y and x.
    labels : sequence of str, optional
        Coordinates along that axis; without, its indices.
    name : str
        Of the array.
    attributes : mapping
        Of the array.

    Raises
    ------
    MissingPackageError
        xarray or dask is not installed.
    """
    xarray = optional("xarray", "to_xarray()")
    data = dask_array(level)
    spatial = dict(zip(level.spatial_axes, SPATIAL, strict=True))
    others = [axis for axis in range(data.ndim) if axis not in spatial]
    names = {axis: leading if len(others) == 1 else f"{leading}_{axis}" for axis in others} | spatial
    coordinates: dict[str, Any] = {}
    for axis, size in zip(SPATIAL, record.voxel_size, strict=True):
        length = data.shape[next(at for at, known in spatial.items() if known == axis)]
        # As positions of picks count: the voxel nearest to 0 is the first one.
        coordinates[axis] = xarray.Variable((axis,), np.arange(length) * size, {"units": "angstrom"})
    if labels is not None and len(others) == 1:
        coordinates[leading] = list(labels)
    dims = [names[axis] for axis in range(data.ndim)]
    return xarray.DataArray(data, coordinates, dims, name, dict(attributes) | {"voxel_size": list(record.voxel_size)})
