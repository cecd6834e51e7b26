"""A tomogram, blocking."""

# Lists of our classes are no lists of abstract ones to a type checker; the parity test compares the signatures.
# mypy: disable-error-code="override"

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from aiocopick.entities.tomogram import AsyncTomogram
from aiocopick.models.entities import CopickTomogram
from aiocopick.models.metadata import CopickFeaturesMeta
from aiocopick.sync.base import keeps_names
from aiocopick.sync.features import CopickFeaturesFS
from aiocopick.sync.places import InBothLayers
from aiocopick.sync.volume import Volume

if TYPE_CHECKING:
    from zarr.abc.store import Store

    from aiocopick.entities.filters import OneOrMany
    from aiocopick.models.metadata import CopickTomogramMeta
    from aiocopick.sync.voxel_spacing import CopickVoxelSpacingFS
    from aiocopick.volumes.writing import Progress


class CopickTomogramFS(InBothLayers, Volume[AsyncTomogram], CopickTomogram):
    """A tomogram.

    Parameters
    ----------
    voxel_spacing : CopickVoxelSpacingFS
        The voxel spacing it was reconstructed at.
    meta : CopickTomogramMeta
        Its type.
    config : object, optional
        Accepted as CoPick does; unused.
    """

    parent_name: ClassVar[str] = "voxel_spacing"
    lists: ClassVar[tuple[str, ...]] = ("features",)

    voxel_spacing: CopickVoxelSpacingFS
    _features: list[CopickFeaturesFS] | None

    @keeps_names
    def __init__(self, voxel_spacing: CopickVoxelSpacingFS, meta: CopickTomogramMeta, config: Any = None) -> None:
        self._begin(voxel_spacing, meta)

    def _make_twin(self) -> AsyncTomogram:
        return AsyncTomogram(self.voxel_spacing.aio, self._given)

    @property
    def overlay_stem(self) -> str:
        """Its :attr:`overlay_path` without ``.zarr``: names of feature maps begin so."""
        return self.overlay_path.removesuffix(".zarr")

    @property
    def static_stem(self) -> str:
        """Its :attr:`static_path` without ``.zarr``: names of feature maps begin so."""
        return self.static_path.removesuffix(".zarr")

    @property
    def tomo_type(self) -> str:
        """Its type ("wbp")."""
        return self.aio.tomo_type

    @property
    def voxel_size(self) -> float:
        """Angstrom per voxel of its finest level."""
        return self.aio.voxel_size

    # --- feature maps -------------------------------------------------------------------------------------------------

    def _feature_factory(self) -> tuple[type[CopickFeaturesFS], type[CopickFeaturesMeta]]:
        return CopickFeaturesFS, CopickFeaturesMeta

    @property
    def features(self) -> list[CopickFeaturesFS]:
        """The feature maps, as last queried; the first time, the run is listed as a whole.

        See :meth:`aiocopick.AsyncTomogram.features`.
        """
        return self._listed("features", self.aio.features)

    @features.setter
    def features(self, value: list[CopickFeaturesFS]) -> None:
        self._features = value

    def query_features(self, *, layers: Iterable[str] | None = None) -> list[CopickFeaturesFS]:
        """Ask the storage for the feature maps: one request per layer.

        See :meth:`aiocopick.AsyncTomogram.query_features`.
        """
        return self._queried("features", self._call(self.aio.query_features, layers=layers), layers)

    def refresh_features(self) -> None:
        """Ask for the feature maps again, at once."""
        self.aio.refresh_features()
        self.query_features()

    def refresh(self) -> None:
        """Ask for the feature maps again, at once; format and levels are asked for when they are needed."""
        self.aio.refresh()
        self.query_features()

    def _invalidate_caches(self) -> None:
        self.aio.refresh()
        self._features = None

    def get_features(self, feature_type: OneOrMany[str] = None) -> Any:
        """The feature map of a type, or None; the list of those of several types, or of all, when asked so.

        See :meth:`aiocopick.AsyncTomogram.get_features`.
        """
        found = self._call(self.aio.get_features, feature_type)
        return self._wrap_all(found) if isinstance(found, list) else self._wrap(found)

    def new_features(self, feature_type: str, exist_ok: bool = False, **kwargs: Any) -> CopickFeaturesFS:
        """Create an empty feature map: a group without levels.

        See :meth:`aiocopick.AsyncTomogram.new_features`.
        """
        twin = self._call(self.aio.new_features, feature_type, exist_ok, **kwargs)
        features: CopickFeaturesFS = self._created("features", twin)
        return features

    def delete_features(self, feature_type: OneOrMany[str] = None) -> None:
        """Delete the feature maps of a type, or all.

        See :meth:`aiocopick.AsyncTomogram.delete_features`.
        """
        self._call(self.aio.delete_features, feature_type)
        self._deleted("features")

    def delete(self) -> None:
        """Delete the tomogram and its feature maps.

        See :meth:`aiocopick.AsyncTomogram.delete`.
        """
        self._call(self.aio.delete)
        self._deleted("features")
        self.voxel_spacing._deleted("tomograms")

    # --- the volume ---------------------------------------------------------------------------------------------------

    def zarr(self) -> Store:
        """The volume as a zarr 3 store. Sends no request, works on any event loop, in threads and after pickling.

        See :meth:`aiocopick.AsyncTomogram.zarr`.
        """
        return self.aio.zarr()

    def numpy(
        self,
        zarr_group: str | None = None,
        x: slice = slice(None),
        y: slice = slice(None),
        z: slice = slice(None),
    ) -> Any:
        """Read a level, or a region of it.

        See :meth:`aiocopick.AsyncTomogram.numpy`.
        """
        return self._call(self.aio.numpy, zarr_group, x, y, z)

    def set_region(
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

        See :meth:`aiocopick.AsyncTomogram.set_region`.
        """
        self._call(self.aio.set_region, data, zarr_group, x, y, z, update_pyramid=update_pyramid)

    def from_numpy(
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

        See :meth:`aiocopick.AsyncTomogram.from_numpy`.
        """
        self._call(
            self.aio.from_numpy, data, levels, dtype, chunks=chunks, shards=self._shards(shards), progress=progress
        )
