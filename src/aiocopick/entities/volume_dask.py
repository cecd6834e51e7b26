"""A level as a dask array. Imports dask only when asked for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiocopick.entities.volume_array import LevelArray


def dask_array(level: LevelArray) -> Any:
    """A dask array with a block per chunk (or shard), whose tasks carry the store as a recipe.

    Parameters
    ----------
    level : LevelArray
        Opened already: tasks send no request but for their chunks.

    Raises
    ------
    ImportError
        dask is not installed.
    """
    import dask.array
    import zarr

    # zarr's synchronous array reads on zarr's own event loop, whichever thread or process the task runs in.
    array = zarr.Array(level.array)
    make: Any = dask.array.from_array
    return make(array, chunks=level.metadata.chunks, meta=_meta(level))


def _meta(level: LevelArray) -> Any:
    import numpy as np

    return np.empty((0,) * level.metadata.ndim, level.metadata.dtype)
