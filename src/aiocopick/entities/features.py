"""A feature map of a tomogram: 3D, or 4D with the features first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from aiocopick.concurrency.lazy import numpy as np
from aiocopick.entities.volume import AsyncVolume
from aiocopick.errors import AlreadyExistsError, NotFoundError
from aiocopick.layout.refs import FeaturesRef
from aiocopick.models.metadata import CopickFeaturesMeta
from aiocopick.volumes.array import LevelArray
from aiocopick.volumes.data import array_like, cast_means, cast_numbers
from aiocopick.volumes.pyramid import downsample_mean
from aiocopick.volumes.regions import read_items
from aiocopick.volumes.writing import Progress

if TYPE_CHECKING:
    from aiocopick.entities.tomogram import AsyncTomogram


class NotEmptyError(AlreadyExistsError, FileExistsError):
    """Features exist already, and `overwrite` is not set."""


class AsyncFeatures(AsyncVolume):
    """A feature map: 3D, or 4D with the features first.

    Parameters
    ----------
    tomogram : AsyncTomogram
        The tomogram it was made from.
    meta : CopickFeaturesMeta
        Its type.
    """

    __slots__ = ("tomogram",)

    parent_slot: ClassVar[str] = "tomogram"
    _leading_axis: ClassVar[str] = "feature"
    tomogram: AsyncTomogram
    ref: FeaturesRef

    def __init__(self, tomogram: AsyncTomogram, meta: CopickFeaturesMeta) -> None:
        ref = FeaturesRef(
            run=tomogram.ref.run,
            voxel_size=tomogram.voxel_size,
            tomo_type=meta.tomo_type,
            feature_type=meta.feature_type,
        )
        self._begin(tomogram, ref, meta)

    def _make_meta(self) -> CopickFeaturesMeta:
        return CopickFeaturesMeta(tomo_type=self.tomo_type, feature_type=self.feature_type)

    @property
    def tomo_type(self) -> str:
        """Type of the tomogram."""
        return self.ref.tomo_type

    @property
    def feature_type(self) -> str:
        """Type of the features."""
        return self.ref.feature_type

    @property
    def voxel_size(self) -> float:
        """Angstrom per voxel of its finest level."""
        return self.ref.voxel_size

    async def numpy(
        self, zarr_group: str | None = None, slices: Sequence[slice | int] | None = None
    ) -> np.ndarray[Any, Any]:
        """Read a level, or a region of it.

        Parameters
        ----------
        zarr_group : str, optional
            Path of the level; None is the finest one.
        slices : sequence of slice or int, optional
            Along the axes of the array, in its order: (features,) z, y, x. Axes that are left out, or in the place of
            an ``...``, are read whole.

        Returns
        -------
        ndarray, shape (F, Z, Y, X) or (Z, Y, X)
            In the type of the volume.

        Raises
        ------
        NotFoundError
            The level does not exist, or the volume is empty.
        FormatError
            The volume cannot be read, or the region is larger than ``max_array_bytes``.
        IndexError
            An index outside the volume, or a step below 1.
        """
        level = await self._array(zarr_group)
        return await read_items(level, _in_order(level, slices), self._limits())

    async def set_region(
        self,
        data: Any,
        zarr_group: str | None = None,
        slices: Sequence[slice | int] | None = None,
        *,
        update_pyramid: bool = False,
    ) -> None:
        """Change a region of a level; as for tomograms.

        Parameters
        ----------
        data : array-like
            Of the shape of the region, or a number.
        zarr_group : str, optional
            Path of the level; None is the finest one.
        slices : sequence of slice or int, optional
            As for :meth:`numpy`.
        update_pyramid : bool
            Compute the coarser levels of the region again.

        Raises
        ------
        NotFoundError
            The level does not exist, or the volume is empty.
        ReadOnlyError
            No layer can be written to.
        ValueError
            The data does not fit the region.
        """
        level = await self._array_to_change(zarr_group)
        items = _in_order(level, slices)
        await self._write_region(level, items, data, cast_numbers, downsample_mean, cast_means, update_pyramid)

    async def from_numpy(
        self,
        data: Any,
        *,
        chunks: Sequence[int] | None = None,
        shards: Sequence[int] | None = None,
        dtype: Any = None,
        metadata: dict[str, Any] | None = None,
        overwrite: bool = True,
        levels: int = 1,
        progress: Progress | None = None,
    ) -> None:
        """Write the feature map, replacing an existing one; as for tomograms.

        Parameters
        ----------
        data : array-like, shape (F, Z, Y, X) or (Z, Y, X)
            A numpy array, or anything that slices to one.
        chunks, shards : sequence of int, optional
            Voxels along z, y, x, or along all axes. Each feature has chunks of its own unless all axes are given.
        dtype : dtype, optional
            What is stored; None is the type of the data.
        metadata : dict, optional
            Of what JSON can hold; kept in the multiscale metadata.
        overwrite : bool
            Whether features that are there may be replaced.
        levels : int
            Levels of the pyramid, by local mean.
        progress : callable, optional
            Called with the number of chunks written, and of all that will be.

        Raises
        ------
        AlreadyExistsError
            There are features already and `overwrite` is False; also a FileExistsError.
        ReadOnlyError
            No layer can be written to.
        ValueError
            Data that is neither 3D nor 4D, chunks that cannot be, or metadata that JSON cannot hold. Nothing was
            changed.
        """
        source = array_like(data)
        if len(source.shape) not in (3, 4):
            raise ValueError(f"Features are a (Z, Y, X) or (feature, Z, Y, X) array, not {tuple(source.shape)}")
        if not overwrite and await self._holds_data():
            raise NotEmptyError(f"{self.path} is not empty; the existing data was kept", path=self.path)
        await self._write_numbers(
            source,
            dtype,
            levels,
            self.voxel_size,
            chunks=chunks,
            shards=shards,
            metadata=metadata,
            progress=progress,
        )

    async def _holds_data(self) -> bool:
        # Another writer may have been there since it was made.
        self._volume = None
        try:
            await self._array()
        except NotFoundError:
            return False
        return True

    async def delete(self) -> None:
        """Delete the feature map."""
        await self._delete_data()
        self.tomogram._features.drop(self)


def _in_order(level: LevelArray, slices: Sequence[slice | int] | None) -> list[Any]:
    """Slices as given, one for each axis of the array."""
    ndim = level.metadata.ndim
    if slices is None:
        return [None] * ndim
    given: list[Any] = list(slices) if isinstance(slices, Sequence) else [slices]
    # As for numpy arrays, an ellipsis stands for the axes in its place, and is the last item where there is none.
    at = next((at for at, item in enumerate(given) if item is ...), len(given))
    return [*given[:at], *[None] * (ndim - len(given) + (at < len(given))), *given[at + 1 :]]
