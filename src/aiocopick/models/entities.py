"""The abstract API of a CoPick project: signatures, no behaviour.

Every root implements it, ours and an installed copick's; the signatures are those of copick 2.0.0a6. What does not say
otherwise asks storage and blocks; nouns and loaded data are properties. Lookups give None, or an empty list, when there
is nothing. Lengths are in angstrom, arrays in zyx order, points in xyz. What each member does is documented on the
async method of the same name; it is one contract, and therefore one file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from aiocopick.concurrency.lazy import FLOAT32, numpy as np
from aiocopick.models.contract import contract

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from numpy.typing import DTypeLike, NDArray
    from trimesh.parent import Geometry
    from zarr.abc.store import Store

    from aiocopick.models.config import CopickConfig
    from aiocopick.models.filaments import CopickFilament, CopickFilamentsFile
    from aiocopick.models.metadata import (
        CopickFeaturesMeta,
        CopickMeshMeta,
        CopickRunMeta,
        CopickSegmentationMeta,
        CopickTomogramMeta,
        CopickVoxelSpacingMeta,
    )
    from aiocopick.models.objects import FilamentSpec, PickableObject
    from aiocopick.models.points import CopickPicksFile, CopickPoint

__all__ = [
    "CopickFeatures",
    "CopickFilaments",
    "CopickMesh",
    "CopickObject",
    "CopickPicks",
    "CopickRoot",
    "CopickRun",
    "CopickSegmentation",
    "CopickTomogram",
    "CopickVoxelSpacing",
]


@contract
class CopickRoot:
    """A project: its runs and its objects."""

    config: CopickConfig

    def __init__(self, config: CopickConfig) -> None:
        self.config = config

    @property
    def user_id(self) -> str | None: ...  # Default user id; settable, live.
    @user_id.setter
    def user_id(self, value: str | None) -> None: ...
    @property
    def session_id(self) -> str | None: ...  # Default session id; settable, live.
    @session_id.setter
    def session_id(self, value: str | None) -> None: ...
    @property
    def runs(self) -> list[CopickRun]: ...  # The runs, listed once and kept.
    @property
    def pickable_objects(self) -> list[CopickObject]: ...  # The objects of the configuration.
    def query(self) -> list[CopickRun]: ...  # List the runs again.
    def get_run(self, name: str, **kwargs: Any) -> CopickRun | None: ...  # The run of that name, or None.
    def new_run(self, name: str, exist_ok: bool = False, **kwargs: Any) -> CopickRun: ...  # Create a run.
    def delete_run(self, name: str) -> None: ...
    def get_object(self, name: str) -> CopickObject | None: ...  # The object of that name, or None.
    def new_object(
        self,
        name: str,
        is_particle: bool,
        label: int | None = None,
        color: tuple[int, int, int, int] | None = None,
        emdb_id: str | None = None,
        pdb_id: str | None = None,
        identifier: str | None = None,
        map_threshold: float | None = None,
        radius: float | None = None,
        metadata: dict[str, Any] | None = None,
        exist_ok: bool = False,
        filament: FilamentSpec | dict[str, Any] | None = None,
    ) -> CopickObject: ...
    def refresh(self) -> None: ...  # List the runs anew; the objects are created again on access.
    def reconnect(self) -> None: ...  # Connect to storage again, and forget what was listed.
    def save_config(self, config_path: str) -> None:
        """Write the configuration to a JSON file that opens this project again, secrets included."""

    # Factories name the classes that children, and their metadata, are made of; a subclass may give others.
    def _run_factory(self) -> tuple[type[CopickRun], type[CopickRunMeta]]: ...
    def _object_factory(self) -> tuple[type[CopickObject], type[PickableObject]]: ...
    def _query_objects(self) -> None: ...  # Make the objects of the configuration.
    def _invalidate_all_caches(self) -> None: ...  # Forget all that was listed.


@contract
class CopickRun:
    """A run: one place on a sample, with its tomograms and annotations."""

    root: CopickRoot
    meta: CopickRunMeta

    def __init__(self, root: CopickRoot, meta: CopickRunMeta, config: CopickConfig | None = None) -> None:
        self.root = root
        self.meta = meta

    @property
    def name(self) -> str: ...  # Name of the run; settable as in copick, which renames nothing that is stored.
    @name.setter
    def name(self, value: str) -> None: ...
    @property
    def split(self) -> str | None: ...
    def new_voxel_spacing(self, voxel_size: float, exist_ok: bool = False, **kwargs: Any) -> CopickVoxelSpacing: ...
    def new_picks(
        self, object_name: str, session_id: str, user_id: str | None = None, exist_ok: bool = False
    ) -> CopickPicks: ...
    def new_mesh(
        self, object_name: str, session_id: str, user_id: str | None = None, exist_ok: bool = False, **kwargs: Any
    ) -> CopickMesh: ...
    def new_filaments(
        self, object_name: str, session_id: str, user_id: str | None = None, exist_ok: bool = False
    ) -> CopickFilaments: ...
    def new_segmentation(
        self,
        voxel_size: float,
        name: str,
        session_id: str,
        is_multilabel: bool = False,
        user_id: str | None = None,
        exist_ok: bool = False,
        *,
        is_instance: bool = False,
        is_panoptic: bool = False,
        **kwargs: Any,
    ) -> CopickSegmentation: ...
    def delete_picks(
        self, object_name: str | None = None, user_id: str | None = None, session_id: str | None = None
    ) -> None: ...
    def delete_meshes(
        self, object_name: str | None = None, user_id: str | None = None, session_id: str | None = None
    ) -> None: ...
    def delete_filaments(
        self, object_name: str | None = None, user_id: str | None = None, session_id: str | None = None
    ) -> None: ...
    def delete_segmentations(
        self,
        user_id: str | None = None,
        session_id: str | None = None,
        is_multilabel: bool | None = None,
        name: str | None = None,
        voxel_size: float | None = None,
        *,
        is_instance: bool | None = False,
        is_panoptic: bool | None = False,
    ) -> None: ...
    def delete_voxel_spacings(self, voxel_size: float | None = None) -> None: ...
    def ensure(self, create: bool = False) -> bool: ...  # True if the run is stored; `create` makes it so.
    def delete(self) -> None: ...  # Delete the run and all that is in it.
    def _voxel_spacing_factory(self) -> tuple[type[CopickVoxelSpacing], type[CopickVoxelSpacingMeta]]: ...
    def _mesh_factory(self) -> tuple[type[CopickMesh], type[CopickMeshMeta]]: ...
    def _segmentation_factory(self) -> tuple[type[CopickSegmentation], type[CopickSegmentationMeta]]: ...
    def _picks_factory(self) -> type[CopickPicks]: ...
    def _filaments_factory(self) -> type[CopickFilaments]: ...
    def _delete_data(self) -> None: ...  # Delete the stored data.
    def _invalidate_caches(self) -> None: ...  # Clear the cached lists.
    @property
    def voxel_spacings(self) -> list[CopickVoxelSpacing]: ...  # The voxel spacings, listed once and kept.
    @property
    def picks(self) -> list[CopickPicks]: ...  # The picks, listed once and kept.
    @property
    def meshes(self) -> list[CopickMesh]: ...  # The meshes, listed once and kept.
    @property
    def segmentations(self) -> list[CopickSegmentation]: ...  # The segmentations of every type, listed once and kept.
    @property
    def filaments(self) -> list[CopickFilaments]: ...  # The filaments, listed once and kept.
    def query_voxelspacings(self) -> list[CopickVoxelSpacing]: ...  # List the voxel spacings again.
    def query_picks(self) -> list[CopickPicks]: ...  # List the picks again.
    def query_meshes(self) -> list[CopickMesh]: ...  # List the meshes again.
    def query_segmentations(self) -> list[CopickSegmentation]: ...  # List the segmentations of every type again.
    def query_filaments(self) -> list[CopickFilaments]: ...  # List the filaments again.
    def refresh_voxel_spacings(self) -> None: ...  # List the voxel spacings again.
    def refresh_picks(self) -> None: ...  # List the picks again.
    def refresh_meshes(self) -> None: ...  # List the meshes again.
    def refresh_segmentations(self) -> None: ...  # List the segmentations of every type again.
    def refresh_filaments(self) -> None: ...  # List the filaments again.
    def refresh(self) -> None: ...  # List everything in the run again.
    def user_picks(self) -> list[CopickPicks]: ...
    def tool_picks(self) -> list[CopickPicks]: ...  # The picks made by tools: those with session id "0".
    def user_meshes(self) -> list[CopickMesh]: ...
    def tool_meshes(self) -> list[CopickMesh]: ...  # The meshes made by tools: those with session id "0".
    def user_segmentations(self) -> list[CopickSegmentation]: ...
    def tool_segmentations(self) -> list[CopickSegmentation]: ...
    def get_voxel_spacing(self, voxel_size: float, **kwargs: Any) -> CopickVoxelSpacing | None: ...
    def get_picks(
        self,
        object_name: str | Iterable[str] | None = None,
        user_id: str | Iterable[str] | None = None,
        session_id: str | Iterable[str] | None = None,
        **kwargs: Any,
    ) -> list[CopickPicks]: ...
    def get_meshes(
        self,
        object_name: str | Iterable[str] | None = None,
        user_id: str | Iterable[str] | None = None,
        session_id: str | Iterable[str] | None = None,
    ) -> list[CopickMesh]: ...
    def get_filaments(
        self,
        object_name: str | Iterable[str] | None = None,
        user_id: str | Iterable[str] | None = None,
        session_id: str | Iterable[str] | None = None,
    ) -> list[CopickFilaments]: ...
    def get_segmentations(
        self,
        user_id: str | Iterable[str] | None = None,
        session_id: str | Iterable[str] | None = None,
        is_multilabel: bool | None = None,
        name: str | Iterable[str] | None = None,
        voxel_size: float | Iterable[float] | None = None,
        *,
        is_instance: bool | None = False,
        is_panoptic: bool | None = False,
        **kwargs: Any,
    ) -> list[CopickSegmentation]: ...


@contract
class CopickVoxelSpacing:
    """A voxel spacing of a run, with the tomograms of that voxel size."""

    run: CopickRun
    meta: CopickVoxelSpacingMeta

    def __init__(self, run: CopickRun, meta: CopickVoxelSpacingMeta, config: CopickConfig | None = None) -> None:
        self.run = run
        self.meta = meta

    @property
    def voxel_size(self) -> float: ...  # Angstrom per voxel.
    @property
    def tomograms(self) -> list[CopickTomogram]: ...  # The tomograms, listed once and kept.
    def query_tomograms(self) -> list[CopickTomogram]: ...  # List the tomograms again.
    def get_tomogram(self, tomo_type: str) -> CopickTomogram | None: ...  # The tomogram of that type, or None.
    def get_tomograms(self, tomo_type: str | None = None, **kwargs: Any) -> list[CopickTomogram]: ...
    def new_tomogram(self, tomo_type: str, exist_ok: bool = False, **kwargs: Any) -> CopickTomogram: ...
    def delete_tomograms(self, tomo_type: str | None = None) -> None: ...  # Delete the tomograms of that type, or all.
    def refresh_tomograms(self) -> None: ...  # List the tomograms again.
    def refresh(self) -> None: ...  # List the tomograms again.
    def ensure(self, create: bool = False) -> bool: ...  # True if the voxel spacing is stored; `create` makes it so.
    def delete(self) -> None: ...  # Delete the voxel spacing and all that is in it.
    def _tomogram_factory(self) -> tuple[type[CopickTomogram], type[CopickTomogramMeta]]: ...
    def _delete_data(self) -> None: ...  # Delete the stored data.
    def _invalidate_caches(self) -> None: ...  # Clear the cached lists.


@contract
class CopickTomogram:
    """A tomogram: an OME-Zarr volume, axes zyx."""

    voxel_spacing: CopickVoxelSpacing
    meta: CopickTomogramMeta

    def __init__(
        self, voxel_spacing: CopickVoxelSpacing, meta: CopickTomogramMeta, config: CopickConfig | None = None
    ) -> None:
        self.voxel_spacing = voxel_spacing
        self.meta = meta

    @property
    def tomo_type(self) -> str: ...  # Its type.
    @property
    def features(self) -> list[CopickFeatures]: ...  # The feature maps, listed once and kept; settable.
    @features.setter
    def features(self, value: list[CopickFeatures]) -> None: ...
    def query_features(self) -> list[CopickFeatures]: ...  # List the feature maps again.
    def get_features(self, feature_type: str) -> CopickFeatures | None: ...  # The feature map of that type, or None.
    def new_features(self, feature_type: str, exist_ok: bool = False, **kwargs: Any) -> CopickFeatures: ...
    def delete_features(self) -> None: ...  # Delete all feature maps.
    def refresh_features(self) -> None: ...  # List the feature maps again.
    def refresh(self) -> None: ...  # List the feature maps again.
    def delete(self) -> None: ...  # Delete the tomogram.
    def zarr(self) -> Store: ...  # The zarr 3 store of the volume; no I/O.
    def numpy(
        self, zarr_group: str | None = None, x: slice = slice(None), y: slice = slice(None), z: slice = slice(None)
    ) -> NDArray[Any]: ...
    def from_numpy(
        self,
        data: NDArray[Any],
        levels: int = 3,
        dtype: DTypeLike | None = FLOAT32,
        *,
        chunks: tuple[int, ...] | None = None,
        shards: tuple[int, ...] | None = None,
    ) -> None: ...
    def set_region(
        self,
        data: NDArray[Any],
        zarr_group: str | None = None,
        x: slice = slice(None),
        y: slice = slice(None),
        z: slice = slice(None),
    ) -> None: ...
    def _feature_factory(self) -> tuple[type[CopickFeatures], type[CopickFeaturesMeta]]: ...
    def _delete_data(self) -> None: ...  # Delete the stored data.
    def _invalidate_caches(self) -> None: ...  # Clear the cached lists.


@contract
class CopickFeatures:
    """A feature map of a tomogram: an OME-Zarr volume, axes zyx or feature first."""

    tomogram: CopickTomogram
    meta: CopickFeaturesMeta

    def __init__(self, tomogram: CopickTomogram, meta: CopickFeaturesMeta) -> None:
        self.tomogram = tomogram
        self.meta = meta

    @property
    def tomo_type(self) -> str: ...  # Type of the tomogram.
    @property
    def feature_type(self) -> str: ...  # Type of the features.
    def delete(self) -> None: ...  # Delete the feature map.
    def zarr(self) -> Store: ...  # The zarr 3 store of the volume; no I/O.
    def numpy(self, zarr_group: str | None = None, slices: tuple[slice, ...] | None = None) -> NDArray[Any]: ...
    def from_numpy(
        self,
        data: NDArray[Any],
        *,
        chunks: tuple[int, ...] | None = None,
        shards: tuple[int, ...] | None = None,
        dtype: DTypeLike | None = None,
        metadata: dict[str, Any] | None = None,
        overwrite: bool = True,
    ) -> None: ...
    def set_region(
        self, data: NDArray[Any], zarr_group: str | None = None, slices: tuple[slice, ...] | None = None
    ) -> None: ...
    def _delete_data(self) -> None: ...  # Delete the stored data.


@contract
class CopickSegmentation:
    """A segmentation: an OME-Zarr volume of labels, axes zyx (panoptic: channel first)."""

    run: CopickRun
    meta: CopickSegmentationMeta

    def __init__(self, run: CopickRun, meta: CopickSegmentationMeta) -> None:
        self.run = run
        self.meta = meta

    @property
    def user_id(self) -> str: ...  # User or tool that made it.
    @property
    def session_id(self) -> str: ...  # Session it was made in; ``"0"`` for tools.
    @property
    def from_tool(self) -> bool: ...  # True if a tool made it.
    @property
    def from_user(self) -> bool: ...  # True if a user made it.
    @property
    def is_multilabel(self) -> bool: ...  # True if each voxel holds the label of an object.
    @property
    def is_instance(self) -> bool: ...  # True if each voxel holds an instance id of one object.
    @property
    def is_panoptic(self) -> bool: ...  # True if there are two channels, label and instance id.
    @property
    def segmentation_type(self) -> Literal["binary", "multilabel", "instance", "panoptic"]: ...  # The type in one word.
    @property
    def directory(self) -> str: ...  # Name of the run's folder that holds segmentations of this type.
    @property
    def voxel_size(self) -> float: ...  # Angstrom per voxel.
    @property
    def name(self) -> str: ...  # Name of the object or of the segmentation.
    @property
    def color(self) -> tuple[int, ...] | list[int] | None: ...
    def delete(self) -> None: ...  # Delete the segmentation.
    def zarr(self) -> Store: ...  # The zarr 3 store of the volume; no I/O.
    def numpy(
        self,
        zarr_group: str | None = None,
        x: slice = slice(None),
        y: slice = slice(None),
        z: slice = slice(None),
        channel: str | int | None = None,
    ) -> NDArray[Any]: ...
    def from_numpy(
        self,
        data: NDArray[Any],
        levels: int = 1,
        dtype: DTypeLike | None = None,
        *,
        chunks: tuple[int, ...] | None = None,
        shards: tuple[int, ...] | None = None,
    ) -> None: ...
    def set_region(
        self,
        data: NDArray[Any],
        zarr_group: str | None = None,
        x: slice = slice(None),
        y: slice = slice(None),
        z: slice = slice(None),
        channel: str | int | None = None,
    ) -> None: ...
    def instance_ids(self, zarr_group: str | None = None, object_name: str | None = None) -> NDArray[Any]: ...
    def segments(self, zarr_group: str | None = None) -> list[tuple[str, int]]: ...
    def label_volume(self, zarr_group: str | None = None) -> NDArray[Any]: ...  # The labels, (Z, Y, X).
    def instance_volume(self, object_name: str, zarr_group: str | None = None) -> NDArray[Any]: ...
    def _object_labels(self) -> list[int]: ...  # Labels of the project's objects.
    def _object_label(self, object_name: str) -> int: ...  # Label of one object.
    def _delete_data(self) -> None: ...  # Delete the stored data.


@contract
class CopickObject:
    """An object that can be picked or segmented; a particle may have a density map."""

    root: CopickRoot
    meta: PickableObject

    def __init__(self, root: CopickRoot, meta: PickableObject) -> None:
        self.root = root
        self.meta = meta

    @property
    def name(self) -> str: ...  # Its name.
    @property
    def is_particle(self) -> bool: ...  # True if it is represented by points.
    @property
    def label(self) -> int | None: ...  # Its value in multilabel segmentations.
    @property
    def color(self) -> tuple[int, int, int, int] | None: ...  # RGBA.
    @property
    def emdb_id(self) -> str | None: ...  # Id in EMDB.
    @property
    def pdb_id(self) -> str | None: ...  # Id in PDB.
    @property
    def identifier(self) -> str | None: ...  # Id in an ontology.
    @property
    def map_threshold(self) -> float | None: ...  # Threshold at which its map is drawn.
    @property
    def radius(self) -> float | None: ...  # Radius in angstrom.
    @property
    def metadata(self) -> dict[str, Any]: ...  # Anything else.
    @property
    def filament(self) -> FilamentSpec | None: ...  # What declares it a filament; None when it is none.
    @property
    def is_filament(self) -> bool: ...  # True if it is a filament.
    def zarr(self) -> Store | None: ...
    def has_density_map(self) -> bool: ...  # True if a map is stored.
    def numpy(
        self, zarr_group: str | None = None, x: slice = slice(None), y: slice = slice(None), z: slice = slice(None)
    ) -> NDArray[Any] | None: ...
    def from_numpy(
        self,
        data: NDArray[Any],
        voxel_size: float,
        dtype: DTypeLike | None = FLOAT32,
        *,
        chunks: tuple[int, ...] | None = None,
        shards: tuple[int, ...] | None = None,
    ) -> None: ...
    def set_region(
        self,
        data: NDArray[Any],
        zarr_group: str | None = None,
        x: slice = slice(None),
        y: slice = slice(None),
        z: slice = slice(None),
    ) -> None: ...
    def delete(self) -> None: ...  # Delete the map, and the object's entry in the list of objects.
    def _delete_data(self) -> None: ...  # Delete the stored data.


@contract
class _Annotation:
    """Base of picks, meshes and filaments."""

    run: CopickRun

    @property
    def pickable_object_name(self) -> str: ...  # Object it is of.
    @property
    def user_id(self) -> str: ...  # User or tool that made it.
    @property
    def session_id(self) -> str: ...  # Session it was made in; ``"0"`` for tools.
    @property
    def from_tool(self) -> bool: ...  # True if a tool made it.
    @property
    def from_user(self) -> bool: ...  # True if a user made it.
    def store(self) -> None: ...  # Write what was loaded or set.
    def refresh(self) -> None: ...  # Read the file again.
    def delete(self) -> None: ...  # Delete the file.
    def _store(self) -> None: ...  # Write the file.
    def _delete_data(self) -> None: ...  # Delete the file.


@contract
class CopickPicks(_Annotation):
    """Picks: the points of one object, from one user or tool in one session."""

    meta: CopickPicksFile

    def __init__(self, run: CopickRun, file: CopickPicksFile) -> None:
        self.run = run
        self.meta = file

    @property
    def points(self) -> list[CopickPoint]: ...  # The points, read when they are first asked for; settable.
    @points.setter
    def points(self, value: list[CopickPoint]) -> None: ...
    @property
    def trust_orientation(self) -> bool: ...  # True if the orientations mean anything; True before the file is read.
    @property
    def color(self) -> tuple[int, int, int, int] | None: ...  # RGBA of the object.
    def load(self) -> CopickPicksFile: ...  # Read the file.
    def numpy(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
    def instance_ids(self) -> NDArray[np.int64]: ...  # The instance ids, (N,); 0 where a point has none.
    def scores(self) -> NDArray[np.float64]: ...
    def full_positions(self) -> NDArray[np.float64]: ...
    def from_numpy(
        self,
        positions: NDArray[Any],
        transforms: NDArray[Any] | None = None,
        instance_ids: NDArray[Any] | None = None,
        scores: NDArray[Any] | None = None,
        *,
        store: bool = True,
    ) -> None: ...
    def df(self, format: str = "relion", **kwargs: Any) -> pd.DataFrame: ...
    def from_df(self, df: pd.DataFrame, format: str = "relion", **kwargs: Any) -> None: ...
    def _load(self) -> CopickPicksFile: ...  # Read the file.


@contract
class CopickMesh(_Annotation):
    """A mesh of one object, from one user or tool in one session."""

    meta: CopickMeshMeta

    def __init__(self, run: CopickRun, meta: CopickMeshMeta, mesh: Geometry | None = None) -> None:
        self.run = run
        self.meta = meta
        self._mesh = mesh

    @property
    def mesh(self) -> Geometry: ...  # The geometry, coordinates in angstrom; read when it is first asked for; settable.
    @mesh.setter
    def mesh(self, value: Geometry) -> None: ...
    @property
    def color(self) -> tuple[int, int, int, int] | None: ...  # RGBA of the object.
    def load(self) -> Geometry: ...  # Read the file.
    def _load(self) -> Geometry: ...  # Read the file.


@contract
class CopickFilaments(_Annotation):
    """Filaments: traced lines of one object, from one user or tool in one session."""

    meta: CopickFilamentsFile

    def __init__(self, run: CopickRun, file: CopickFilamentsFile) -> None:
        self.run = run
        self.meta = file

    @property
    def voxel_spacing(self) -> float | None: ...  # Voxel size of what they were traced in, in angstrom.
    @property
    def filaments(self) -> list[CopickFilament]: ...  # The filaments, read when they are first asked for; settable.
    @filaments.setter
    def filaments(self, value: list[CopickFilament]) -> None: ...
    def load(self) -> CopickFilamentsFile: ...  # Read the file; errors as for :meth:`CopickPicks.load`.
    def get(self, instance_id: int) -> CopickFilament | None: ...  # The filament of that id, or None.
    def instance_ids(self) -> NDArray[np.int64]: ...  # The ids, (K,), in the order of the file.
    def numpy(self) -> list[NDArray[np.float64]]: ...  # The lines: an (M, 3) array of x, y, z in angstrom for each.
    def from_numpy(
        self,
        polylines: list[NDArray[Any]],
        instance_ids: list[int] | None = None,
        polarity_known: list[bool] | None = None,
        scores: list[float] | None = None,
        radii: list[float | None] | None = None,
        voxel_spacing: float | None = None,
        metadata: list[dict[str, Any] | None] | None = None,
        *,
        store: bool = True,
    ) -> None: ...
    def _load(self) -> CopickFilamentsFile: ...  # Read the file.
