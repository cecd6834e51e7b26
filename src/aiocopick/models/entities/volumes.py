"""Voxel spacings, tomograms and feature maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray
    from zarr.abc.store import Store

    from aiocopick.models.config import CopickConfig
    from aiocopick.models.entities.run import CopickRun
    from aiocopick.models.metadata import CopickFeaturesMeta, CopickTomogramMeta, CopickVoxelSpacingMeta


class CopickVoxelSpacing:
    """A voxel spacing of a run, with the tomograms of that voxel size.

    Parameters
    ----------
    run : CopickRun
        The run.
    meta : CopickVoxelSpacingMeta
        Its voxel size.
    config : CopickConfig, optional
        Configuration of the project.
    """

    run: CopickRun
    meta: CopickVoxelSpacingMeta

    def __init__(self, run: CopickRun, meta: CopickVoxelSpacingMeta, config: CopickConfig | None = None) -> None:
        self.run = run
        self.meta = meta

    @property
    def voxel_size(self) -> float:
        """Angstrom per voxel."""
        raise NotImplementedError

    @property
    def tomograms(self) -> list[CopickTomogram]:
        """The tomograms, listed once and kept."""
        raise NotImplementedError

    def query_tomograms(self) -> list[CopickTomogram]:
        """List the tomograms anew."""
        raise NotImplementedError

    def get_tomogram(self, tomo_type: str) -> CopickTomogram | None:
        """The tomogram of that type, or None."""
        raise NotImplementedError

    def get_tomograms(self, tomo_type: str | None = None, **kwargs: Any) -> list[CopickTomogram]:
        """The tomograms of that type, or all."""
        raise NotImplementedError

    def new_tomogram(self, tomo_type: str, exist_ok: bool = False, **kwargs: Any) -> CopickTomogram:
        """Create a tomogram, as an empty group.

        Parameters
        ----------
        tomo_type : str
            Its type.
        exist_ok : bool
            Give the one that exists.
        **kwargs
            Further metadata.

        Raises
        ------
        AlreadyExistsError
            There is one, and `exist_ok` is not set.
        InvalidNameError
            The type cannot be stored. Characters that CoPick does not allow are replaced, with a warning.
        ReadOnlyError
            The project is read-only.
        """
        raise NotImplementedError

    def delete_tomograms(self, tomo_type: str | None = None) -> None:
        """Delete the tomograms of that type, or all."""
        raise NotImplementedError

    def refresh_tomograms(self) -> None:
        """List the tomograms anew."""
        raise NotImplementedError

    def refresh(self) -> None:
        """List the tomograms anew."""
        raise NotImplementedError

    def ensure(self, create: bool = False) -> bool:
        """Whether the voxel spacing is stored; `create` makes it so."""
        raise NotImplementedError

    def delete(self) -> None:
        """Delete the voxel spacing and all that is in it."""
        raise NotImplementedError

    def _tomogram_factory(self) -> tuple[type[CopickTomogram], type[CopickTomogramMeta]]:
        """Classes that tomograms and their metadata are made of; a subclass may give others."""
        raise NotImplementedError

    def _delete_data(self) -> None:
        """Delete what is stored."""
        raise NotImplementedError

    def _invalidate_caches(self) -> None:
        """Forget what was listed."""
        raise NotImplementedError


class CopickTomogram:
    """A tomogram: an OME-Zarr volume, axes zyx.

    Parameters
    ----------
    voxel_spacing : CopickVoxelSpacing
        Its voxel spacing.
    meta : CopickTomogramMeta
        Its type.
    config : CopickConfig, optional
        Configuration of the project.
    """

    voxel_spacing: CopickVoxelSpacing
    meta: CopickTomogramMeta

    def __init__(
        self, voxel_spacing: CopickVoxelSpacing, meta: CopickTomogramMeta, config: CopickConfig | None = None
    ) -> None:
        self.voxel_spacing = voxel_spacing
        self.meta = meta

    @property
    def tomo_type(self) -> str:
        """Its type."""
        raise NotImplementedError

    @property
    def features(self) -> list[CopickFeatures]:
        """The feature maps, listed once and kept; settable."""
        raise NotImplementedError

    @features.setter
    def features(self, value: list[CopickFeatures]) -> None:
        raise NotImplementedError

    def query_features(self) -> list[CopickFeatures]:
        """List the feature maps anew."""
        raise NotImplementedError

    def get_features(self, feature_type: str) -> CopickFeatures | None:
        """The feature map of that type, or None."""
        raise NotImplementedError

    def new_features(self, feature_type: str, exist_ok: bool = False, **kwargs: Any) -> CopickFeatures:
        """Create a feature map, as an empty group; errors as for :meth:`CopickVoxelSpacing.new_tomogram`."""
        raise NotImplementedError

    def delete_features(self) -> None:
        """Delete all feature maps."""
        raise NotImplementedError

    def refresh_features(self) -> None:
        """List the feature maps anew."""
        raise NotImplementedError

    def refresh(self) -> None:
        """List the feature maps anew."""
        raise NotImplementedError

    def delete(self) -> None:
        """Delete the tomogram."""
        raise NotImplementedError

    def zarr(self) -> Store:
        """The zarr 3 store of the volume; no I/O."""
        raise NotImplementedError

    def numpy(
        self,
        zarr_group: str | None = None,
        x: slice = slice(None, None),
        y: slice = slice(None, None),
        z: slice = slice(None, None),
    ) -> NDArray[Any]:
        """A region of a level.

        Parameters
        ----------
        zarr_group : str, optional
            Name of the level; None is the finest.
        x, y, z : slice
            Along the axes of these names, in voxels of the level.

        Returns
        -------
        ndarray
            (Z, Y, X).

        Raises
        ------
        NotFoundError
            There is no such level.
        """
        raise NotImplementedError

    def from_numpy(
        self,
        data: NDArray[Any],
        levels: int = 3,
        dtype: DTypeLike | None = np.float32,
        *,
        chunks: tuple[int, ...] | None = None,
        shards: tuple[int, ...] | None = None,
    ) -> None:
        """Replace the volume by a pyramid of an array.

        Parameters
        ----------
        data : ndarray
            (Z, Y, X), the finest level.
        levels : int
            How many levels are written, each half the size of the one before.
        dtype : dtype, optional
            What is written; None is the array's own.
        chunks, shards : tuple of int, optional
            (Z, Y, X) voxels of a chunk and of a shard.
        """
        raise NotImplementedError

    def set_region(
        self,
        data: NDArray[Any],
        zarr_group: str | None = None,
        x: slice = slice(None, None),
        y: slice = slice(None, None),
        z: slice = slice(None, None),
    ) -> None:
        """Write an array, (Z, Y, X), into a region of a level; parameters as for :meth:`numpy`."""
        raise NotImplementedError

    def _feature_factory(self) -> tuple[type[CopickFeatures], type[CopickFeaturesMeta]]:
        """Classes that feature maps and their metadata are made of; a subclass may give others."""
        raise NotImplementedError

    def _delete_data(self) -> None:
        """Delete what is stored."""
        raise NotImplementedError

    def _invalidate_caches(self) -> None:
        """Forget what was listed."""
        raise NotImplementedError


class CopickFeatures:
    """A feature map of a tomogram: an OME-Zarr volume, axes zyx or feature first.

    Parameters
    ----------
    tomogram : CopickTomogram
        The tomogram.
    meta : CopickFeaturesMeta
        Type of the tomogram and of the features.
    """

    tomogram: CopickTomogram
    meta: CopickFeaturesMeta

    def __init__(self, tomogram: CopickTomogram, meta: CopickFeaturesMeta) -> None:
        self.tomogram = tomogram
        self.meta = meta

    @property
    def tomo_type(self) -> str:
        """Type of the tomogram."""
        raise NotImplementedError

    @property
    def feature_type(self) -> str:
        """Type of the features."""
        raise NotImplementedError

    def delete(self) -> None:
        """Delete the feature map."""
        raise NotImplementedError

    def zarr(self) -> Store:
        """The zarr 3 store of the volume; no I/O."""
        raise NotImplementedError

    def numpy(self, zarr_group: str | None = None, slices: tuple[slice, ...] | None = None) -> NDArray[Any]:
        """A region of a level.

        Parameters
        ----------
        zarr_group : str, optional
            Name of the level; None is the finest.
        slices : tuple of slice, optional
            In the order of the array's axes; None is everything.
        """
        raise NotImplementedError

    def from_numpy(
        self,
        data: NDArray[Any],
        *,
        chunks: tuple[int, ...] | None = None,
        shards: tuple[int, ...] | None = None,
        dtype: DTypeLike | None = None,
        metadata: dict[str, Any] | None = None,
        overwrite: bool = True,
    ) -> None:
        """Replace the feature map by an array.

        Parameters
        ----------
        data : ndarray
            (Z, Y, X) or (F, Z, Y, X).
        chunks, shards : tuple of int, optional
            Voxels of a chunk and of a shard.
        dtype : dtype, optional
            What is written; None is the array's own.
        metadata : dict, optional
            Written beside the OME metadata.
        overwrite : bool
            Whether what is there may be replaced.

        Raises
        ------
        FileExistsError
            The store is not empty, and `overwrite` is not set.
        """
        raise NotImplementedError

    def set_region(
        self, data: NDArray[Any], zarr_group: str | None = None, slices: tuple[slice, ...] | None = None
    ) -> None:
        """Write an array into a region of a level; parameters as for :meth:`numpy`."""
        raise NotImplementedError

    def _delete_data(self) -> None:
        """Delete what is stored."""
        raise NotImplementedError
