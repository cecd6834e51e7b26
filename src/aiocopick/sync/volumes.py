"""Voxel spacings, and what is a zarr volume: tomograms, feature maps, segmentations and objects; blocking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from aiocopick.concurrency.caller import warn
from aiocopick.entities.features import AsyncFeatures
from aiocopick.entities.metadata import read_metadata
from aiocopick.entities.object import AsyncObject
from aiocopick.entities.segmentation import AsyncSegmentation
from aiocopick.entities.tomogram import AsyncTomogram
from aiocopick.entities.volume import AsyncVolume
from aiocopick.entities.voxel_spacing import AsyncVoxelSpacing
from aiocopick.models.entities import (
    CopickFeatures,
    CopickObject,
    CopickSegmentation,
    CopickTomogram,
    CopickVoxelSpacing,
)
from aiocopick.models.metadata import CopickFeaturesMeta, CopickTomogramMeta
from aiocopick.sync.base import BlockingEntity, trivial_init
from aiocopick.sync.places import InBothLayers
from aiocopick.sync.verbs import Attribute, attribute, calls, deletes, gives, listed, makes, passes, queries, writes

if TYPE_CHECKING:
    import numpy as np
    from zarr import Array

    from aiocopick.models.metadata import CopickSegmentationMeta, CopickVoxelSpacingMeta
    from aiocopick.models.objects import FilamentSpec, PickableObject
    from aiocopick.sync.root import CopickRootFS
    from aiocopick.sync.run import CopickRunFS

Zarr = TypeVar("Zarr", bound=AsyncVolume)


class Volume(BlockingEntity[Zarr]):
    """A facade object that is a zarr volume."""

    ignores_shards: ClassVar[bool] = False
    """True if shards are left out, with a warning, in new zarr 2 volumes; ``aiocopick.compat`` sets it."""

    @calls(AsyncVolume.levels)
    def levels(self) -> Any: ...
    @calls(AsyncVolume.level_for)
    def level_for(self) -> Any: ...
    @calls(AsyncVolume.extract)
    def extract(self) -> Any: ...
    @calls(AsyncVolume.to_dask)
    def to_dask(self) -> Any: ...
    @calls(AsyncVolume.to_xarray)
    def to_xarray(self) -> Any: ...

    @property
    def layer_type(self) -> str:
        """Type of its napari layer: ``"image"`` or ``"labels"``."""
        return self.aio.layer_type

    def open_array(self, zarr_group: str | None = None) -> Array[Any]:
        """One level as zarr's array; the requests of the async twin the first time, then none.

        What is read from it goes over zarr's own event loop.
        """
        from zarr import Array

        return Array(self._call(self.aio.open_array, zarr_group))

    def slabs(
        self, axis: str | int = "z", thickness: int | None = None, zarr_group: str | None = None
    ) -> Iterator[np.ndarray[Any, Any]]:
        """Go through the volume in slabs, with one slab of chunks in memory at a time, each chunk being read once.

        See :meth:`aiocopick.AsyncTomogram.slabs`.
        """
        return self._iterate(self.aio.slabs(axis, thickness, zarr_group))

    def refresh(self) -> None:
        """Forget what was listed and learnt, so that the next look asks the storage.

        See :meth:`aiocopick.AsyncTomogram.refresh`.
        """
        self.aio.refresh()

    def _fitting(self, shards: Sequence[int]) -> Sequence[int] | None:
        """Shards, where they can be written."""
        if not Volume.ignores_shards or getattr(self.root.layer.config, "zarr_format", 2) != 2:
            return shards
        warn(f"shards exist in zarr 3 only, and {self.path} is written as zarr 2: left out")
        return None


class CopickFeaturesFS(Volume[AsyncFeatures], CopickFeatures, twin=AsyncFeatures):
    """A feature map: 3D, or 4D with the features first."""

    parent_name: ClassVar[str] = "tomogram"
    noun: ClassVar[str] = "features"
    tomogram: CopickTomogramFS

    @trivial_init
    def __init__(self, tomogram: CopickTomogramFS, meta: CopickFeaturesMeta) -> None:
        self._begin(tomogram, meta)

    tomo_type: Attribute[str] = attribute(AsyncFeatures)
    feature_type: Attribute[str] = attribute(AsyncFeatures)
    voxel_size: Attribute[float] = attribute(AsyncFeatures)

    @passes(AsyncFeatures.zarr)
    def zarr(self) -> Any: ...
    @calls(AsyncFeatures.numpy)
    def numpy(self) -> Any: ...
    @calls(AsyncFeatures.set_region)
    def set_region(self) -> Any: ...
    @writes(AsyncFeatures.from_numpy)
    def from_numpy(self) -> Any: ...
    @deletes(AsyncFeatures.delete)
    def delete(self) -> Any: ...


class CopickTomogramFS(InBothLayers, Volume[AsyncTomogram], CopickTomogram, twin=AsyncTomogram):
    """A tomogram."""

    parent_name: ClassVar[str] = "voxel_spacing"
    noun: ClassVar[str] = "tomograms"
    lists: ClassVar[tuple[str, ...]] = ("features",)

    voxel_spacing: CopickVoxelSpacingFS
    _features: list[CopickFeaturesFS] | None

    @trivial_init
    def __init__(self, voxel_spacing: CopickVoxelSpacingFS, meta: CopickTomogramMeta, config: Any = None) -> None:
        self._begin(voxel_spacing, meta)

    tomo_type: Attribute[str] = attribute(AsyncTomogram)
    voxel_size: Attribute[float] = attribute(AsyncTomogram)

    @passes(AsyncTomogram.zarr)
    def zarr(self) -> Any: ...
    @calls(AsyncTomogram.numpy)
    def numpy(self) -> Any: ...
    @calls(AsyncTomogram.set_region)
    def set_region(self) -> Any: ...
    @writes(AsyncTomogram.from_numpy)
    def from_numpy(self) -> Any: ...
    @calls(AsyncTomogram.thumbnail)
    def thumbnail(self) -> Any: ...
    @queries(AsyncTomogram.query_features, CopickFeaturesFS)
    def query_features(self) -> Any: ...
    @gives(AsyncTomogram.get_features, CopickFeaturesFS)
    def get_features(self) -> Any: ...
    @makes(AsyncTomogram.new_features, CopickFeaturesFS)
    def new_features(self) -> Any: ...
    @deletes(AsyncTomogram.delete_features, CopickFeaturesFS)
    def delete_features(self) -> Any: ...
    @deletes(AsyncTomogram.delete)
    def delete(self) -> Any: ...

    @property
    def overlay_stem(self) -> str:
        """Its :attr:`overlay_path` without ``.zarr``: names of feature maps begin so."""
        return self.overlay_path.removesuffix(".zarr")

    @property
    def static_stem(self) -> str:
        """Its :attr:`static_path` without ``.zarr``: names of feature maps begin so."""
        return self.static_path.removesuffix(".zarr")

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

    def refresh_features(self) -> None:
        """Ask for the feature maps again, at once."""
        self.aio.refresh_features()
        self.query_features()

    def refresh(self) -> None:
        """Ask for the feature maps again, at once; format and levels are asked for when they are needed."""
        self.aio.refresh()
        self.query_features()


class CopickVoxelSpacingFS(InBothLayers, BlockingEntity[AsyncVoxelSpacing], CopickVoxelSpacing, twin=AsyncVoxelSpacing):
    """A voxel spacing at which tomograms of a run exist."""

    parent_name: ClassVar[str] = "run"
    noun: ClassVar[str] = "voxel_spacings"
    lists: ClassVar[tuple[str, ...]] = ("tomograms",)

    run: CopickRunFS
    _tomograms: list[CopickTomogramFS] | None

    @trivial_init
    def __init__(self, run: CopickRunFS, meta: CopickVoxelSpacingMeta, config: Any = None) -> None:
        self._begin(run, meta)

    voxel_size: Attribute[float] = attribute(AsyncVoxelSpacing)
    _load_metadata = staticmethod(read_metadata)

    @listed(AsyncVoxelSpacing.tomograms, CopickTomogramFS)
    def tomograms(self) -> Any: ...
    @queries(AsyncVoxelSpacing.query_tomograms, CopickTomogramFS)
    def query_tomograms(self) -> Any: ...
    @gives(AsyncVoxelSpacing.get_tomograms, CopickTomogramFS)
    def get_tomograms(self) -> Any: ...
    @gives(AsyncVoxelSpacing.get_tomogram, CopickTomogramFS)
    def get_tomogram(self) -> Any: ...
    @makes(AsyncVoxelSpacing.new_tomogram, CopickTomogramFS)
    def new_tomogram(self) -> Any: ...
    @deletes(AsyncVoxelSpacing.delete_tomograms, CopickTomogramFS)
    def delete_tomograms(self) -> Any: ...
    @deletes(AsyncVoxelSpacing.delete)
    def delete(self) -> Any: ...
    @calls(AsyncVoxelSpacing.ensure)
    def ensure(self) -> Any: ...
    @calls(AsyncVoxelSpacing.load_meta)
    def load_meta(self) -> Any: ...
    @calls(AsyncVoxelSpacing.store_meta)
    def store_meta(self) -> Any: ...
    @calls(AsyncVoxelSpacing._store_metadata)
    def _store_metadata(self) -> Any: ...

    def _tomogram_factory(self) -> tuple[type[CopickTomogramFS], type[CopickTomogramMeta]]:
        return CopickTomogramFS, CopickTomogramMeta

    def refresh_tomograms(self) -> None:
        """Ask for the tomograms again, at once."""
        self.aio.refresh_tomograms()
        self.query_tomograms()

    def refresh(self) -> None:
        """Ask for the tomograms again, at once."""
        self.refresh_tomograms()


class CopickSegmentationFS(Volume[AsyncSegmentation], CopickSegmentation, twin=AsyncSegmentation):
    """A segmentation: binary, multilabel, instance or panoptic."""

    parent_name: ClassVar[str] = "run"
    noun: ClassVar[str] = "segmentations"
    run: CopickRunFS

    @trivial_init
    def __init__(self, run: CopickRunFS, meta: CopickSegmentationMeta) -> None:
        self._begin(run, meta)

    name: Attribute[str] = attribute(AsyncSegmentation)
    user_id: Attribute[str] = attribute(AsyncSegmentation)
    session_id: Attribute[str] = attribute(AsyncSegmentation)
    from_tool: Attribute[bool] = attribute(AsyncSegmentation)
    from_user: Attribute[bool] = attribute(AsyncSegmentation)
    voxel_size: Attribute[float] = attribute(AsyncSegmentation)
    is_multilabel: Attribute[bool] = attribute(AsyncSegmentation)
    is_instance: Attribute[bool] = attribute(AsyncSegmentation)
    is_panoptic: Attribute[bool] = attribute(AsyncSegmentation)
    segmentation_type: Attribute[str] = attribute(AsyncSegmentation)  # type: ignore[assignment]
    directory: Attribute[str] = attribute(AsyncSegmentation)
    filename: Attribute[str] = attribute(AsyncSegmentation)
    color: Attribute[Any] = attribute(AsyncSegmentation)

    @passes(AsyncSegmentation._object_labels)
    def _object_labels(self) -> Any: ...
    @passes(AsyncSegmentation._object_label)
    def _object_label(self) -> Any: ...
    @passes(AsyncSegmentation.zarr)
    def zarr(self) -> Any: ...
    @calls(AsyncSegmentation.numpy)
    def numpy(self) -> Any: ...
    @calls(AsyncSegmentation.set_region)
    def set_region(self) -> Any: ...
    @writes(AsyncSegmentation.from_numpy)
    def from_numpy(self) -> Any: ...
    @calls(AsyncSegmentation.instance_ids)
    def instance_ids(self) -> Any: ...
    @calls(AsyncSegmentation.segments)
    def segments(self) -> Any: ...
    @calls(AsyncSegmentation.label_volume)
    def label_volume(self) -> Any: ...
    @calls(AsyncSegmentation.instance_volume)
    def instance_volume(self) -> Any: ...
    @deletes(AsyncSegmentation.delete)
    def delete(self) -> Any: ...


class CopickObjectFS(InBothLayers, Volume[AsyncObject], CopickObject, twin=AsyncObject):
    """A pickable object."""

    parent_name: ClassVar[str] = "root"
    noun: ClassVar[str] = "objects"

    @trivial_init
    def __init__(self, root: CopickRootFS, meta: PickableObject) -> None:
        self._begin(root, meta)

    @property
    def root(self) -> CopickRootFS:
        """The project."""
        return self._root

    name: Attribute[str] = attribute(AsyncObject)
    is_particle: Attribute[bool] = attribute(AsyncObject)
    label: Attribute[int | None] = attribute(AsyncObject)
    color: Attribute[tuple[int, int, int, int] | None] = attribute(AsyncObject)
    emdb_id: Attribute[str | None] = attribute(AsyncObject)
    pdb_id: Attribute[str | None] = attribute(AsyncObject)
    identifier: Attribute[str | None] = attribute(AsyncObject)
    map_threshold: Attribute[float | None] = attribute(AsyncObject)
    radius: Attribute[float | None] = attribute(AsyncObject)
    metadata: Attribute[dict[str, Any]] = attribute(AsyncObject)
    filament: Attribute[FilamentSpec | None] = attribute(AsyncObject)
    is_filament: Attribute[bool] = attribute(AsyncObject)
    voxel_size: Attribute[float] = attribute(AsyncObject)

    @calls(AsyncObject.has_density_map)
    def has_density_map(self) -> Any: ...
    @passes(AsyncObject.zarr)
    def zarr(self) -> Any: ...
    @calls(AsyncObject.numpy)
    def numpy(self) -> Any: ...
    @calls(AsyncObject.set_region)
    def set_region(self) -> Any: ...
    @writes(AsyncObject.from_numpy)
    def from_numpy(self) -> Any: ...
    @deletes(AsyncObject.delete)
    def delete(self) -> Any: ...
