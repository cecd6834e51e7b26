"""Volumes of densities: tomograms and object maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from aiocopick.entities.volume import AsyncVolume
from aiocopick.volumes.data import array_like, cast_means, cast_numbers, stored_type
from aiocopick.volumes.pyramid import downsample_mean
from aiocopick.volumes.writing import Progress


class AsyncDensity(AsyncVolume):
    """A volume of densities with the axes z, y, x: a tomogram or an object map."""

    __slots__ = ()

    async def numpy(
        self,
        zarr_group: str | None = None,
        x: slice = slice(None),
        y: slice = slice(None),
        z: slice = slice(None),
    ) -> Any:
        """Read a level, or a region of it.

        The first time, 3 requests in 2 round trips learn format and level; then only chunks are asked for.

        Parameters
        ----------
        zarr_group : str, optional
            Path of the level (``"1"``); None is the finest one.
        x, y, z : slice or int
            Along the axis of that name: ``numpy(x=a, y=b, z=c)`` is ``array[c, b, a]``.

        Returns
        -------
        ndarray
            In zyx order, in the type of the volume.

        Raises
        ------
        NotFoundError
            There is no such level, or the volume is empty.
        FormatError
            The volume cannot be understood, or the region is larger than ``max_array_bytes``.
        IndexError
            An index outside the volume, or a step below 1.
        """
        return await self._read(zarr_group, await self._by_axis(zarr_group, x, y, z))

    async def set_region(
        self,
        data: Any,
        zarr_group: str | None = None,
        x: slice = slice(None),
        y: slice = slice(None),
        z: slice = slice(None),
        *,
        update_pyramid: bool = False,
    ) -> None:
        """Change a region of a level. Chunks that lie in it only in part are read, changed and written back.

        All that can be refused is refused before anything is written. A failure after that leaves some chunks changed and
        others not. Two calls at once must not touch one chunk.

        Parameters
        ----------
        data : array-like
            In zyx order, of the shape of the region, or a number.
        zarr_group : str, optional
            Path of the level; None is the finest one.
        x, y, z : slice or int
            Along the axis of that name.
        update_pyramid : bool
            Compute the coarser levels of the region anew, by the factors that their shapes and scales give along each
            axis; the other levels are not touched without.

        Raises
        ------
        NotFoundError
            There is no such level, or the volume is empty.
        ReadOnlyError
            No layer can be written to.
        ValueError
            The data does not fit the region.
        FormatError
            `update_pyramid`, and a level does not follow from the finer one by whole numbers of voxels.
        """
        await self._check_writable()
        items = await self._by_axis(zarr_group, x, y, z)
        await self._write_region(zarr_group, items, data, cast_numbers, downsample_mean, cast_means, update_pyramid)

    async def _write_density(
        self,
        data: Any,
        levels: int,
        dtype: Any,
        voxel_size: float,
        chunks: Sequence[int] | None,
        shards: Sequence[int] | None,
        progress: Progress | None,
    ) -> None:
        source = array_like(data)
        if len(source.shape) != 3:
            raise ValueError(f"A density volume is a (Z, Y, X) array, not {tuple(source.shape)}")
        kind = stored_type(source, dtype)
        await self._write(
            source,
            dtype=kind,
            cast=lambda block: cast_numbers(block, kind),
            levels=levels,
            downsample=downsample_mean,
            voxel_size=voxel_size,
            chunks=chunks,
            shards=shards,
            progress=progress,
        )


class AsyncTomogramVolume(AsyncDensity):
    """What a tomogram is as a volume."""

    __slots__ = ()

    async def from_numpy(
        self,
        data: Any,
        levels: int = 3,
        dtype: Any = np.float32,
        *,
        chunks: Sequence[int] | None = None,
        shards: Sequence[int] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Write the tomogram and its pyramid, in the place of whatever is there.

        One request per chunk and per metadata file. A volume that this entity did not just create is removed first: one
        listing and deletes. Until the last request has succeeded, whoever opens the tomogram finds it empty; arrays and
        stores that were opened before are not protected.

        Parameters
        ----------
        data : array-like, shape (Z, Y, X)
            A numpy array, or anything that slices to one (dask, zarr, memory map), which is then read block by block.
        levels : int
            Levels of the pyramid, each the local mean of the one before over 2 voxels along each axis.
        dtype : dtype, optional
            What is stored; None is the type of the data.
        chunks, shards : sequence of int, optional
            Voxels along z, y, x. Without: 256 in zarr 2; 128, in shards of 256, in zarr 3. Shards exist in zarr 3 only.
        progress : callable, optional
            Called with the number of chunks written, and of all that will be.

        Raises
        ------
        ReadOnlyError
            No layer can be written to.
        ValueError
            Data that is not 3D or holds no numbers, no levels, or chunks that cannot be. Nothing was changed.
        """
        await self._write_density(data, levels, dtype, self.voxel_size, chunks, shards, progress)
