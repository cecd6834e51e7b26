"""A level as an xarray array. Imports xarray and dask only when asked for one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.lazy import numpy as np
from aiocopick.extras import optional
from aiocopick.volumes.dask import dask_array
from aiocopick.volumes.ome import SPATIAL

if TYPE_CHECKING:
    from aiocopick.volumes.array import LevelArray
    from aiocopick.volumes.state import Level


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
