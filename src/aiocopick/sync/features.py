"""A feature map, blocking."""

# Lists of our classes are no lists of abstract ones to a type checker; the parity test compares the signatures.
# mypy: disable-error-code="override"

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from aiocopick.entities.features import AsyncFeatures
from aiocopick.models.entities import CopickFeatures
from aiocopick.sync.base import keeps_names
from aiocopick.sync.volume import Volume

if TYPE_CHECKING:
    import numpy as np
    from zarr.abc.store import Store

    from aiocopick.models.metadata import CopickFeaturesMeta
    from aiocopick.sync.tomogram import CopickTomogramFS
    from aiocopick.volumes.writing import Progress


class CopickFeaturesFS(Volume[AsyncFeatures], CopickFeatures):
    """A feature map: 3D, or 4D with the features first.

    Parameters
    ----------
    tomogram : CopickTomogramFS
        The tomogram it was made from.
    meta : CopickFeaturesMeta
        Its type.
    """

    parent_name: ClassVar[str] = "tomogram"

    tomogram: CopickTomogramFS

    @keeps_names
    def __init__(self, tomogram: CopickTomogramFS, meta: CopickFeaturesMeta) -> None:
        self._begin(tomogram, meta)

    def _make_twin(self) -> AsyncFeatures:
        return AsyncFeatures(self.tomogram.aio, self._given)

    @property
    def tomo_type(self) -> str:
        """Type of the tomogram."""
        return self.aio.tomo_type

    @property
    def feature_type(self) -> str:
        """Type of the features."""
        return self.aio.feature_type

    @property
    def voxel_size(self) -> float:
        """Angstrom per voxel of its finest level."""
        return self.aio.voxel_size

    def zarr(self) -> Store:
        """The volume as a zarr 3 store. Sends no request, works on any event loop, in threads and after pickling.

        See :meth:`aiocopick.AsyncFeatures.zarr`.
        """
        return self.aio.zarr()

    def numpy(self, zarr_group: str | None = None, slices: Sequence[slice | int] | None = None) -> np.ndarray[Any, Any]:
        """Read a level, or a region of it.

        See :meth:`aiocopick.AsyncFeatures.numpy`.
        """
        return self._call(self.aio.numpy, zarr_group, slices)

    def set_region(
        self,
        data: Any,
        zarr_group: str | None = None,
        slices: Sequence[slice | int] | None = None,
        *,
        update_pyramid: bool = False,
    ) -> None:
        """Change a region of a level; as for tomograms.

        See :meth:`aiocopick.AsyncFeatures.set_region`.
        """
        self._call(self.aio.set_region, data, zarr_group, slices, update_pyramid=update_pyramid)

    def from_numpy(
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
        """Write the feature map, in the place of whatever is there; as for tomograms.

        See :meth:`aiocopick.AsyncFeatures.from_numpy`.
        """
        self._call(
            self.aio.from_numpy,
            data,
            chunks=chunks,
            shards=self._shards(shards),
            dtype=dtype,
            metadata=metadata,
            overwrite=overwrite,
            levels=levels,
            progress=progress,
        )

    def delete(self) -> None:
        """Delete the feature map.

        See :meth:`aiocopick.AsyncFeatures.delete`.
        """
        self._call(self.aio.delete)
        self.tomogram._deleted("features")
