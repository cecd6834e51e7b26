"""Async-first access to CoPick datasets on any fsspec filesystem.

Names are imported when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from aiocopick._version import __version__

if TYPE_CHECKING:
    from aiocopick.entities import (
        AsyncFeatures as AsyncFeatures,
        AsyncFilaments as AsyncFilaments,
        AsyncMesh as AsyncMesh,
        AsyncObject as AsyncObject,
        AsyncPicks as AsyncPicks,
        AsyncRoot as AsyncRoot,
        AsyncRun as AsyncRun,
        AsyncSegmentation as AsyncSegmentation,
        AsyncTomogram as AsyncTomogram,
        AsyncVoxelSpacing as AsyncVoxelSpacing,
        Level as Level,
        layer_data as layer_data,
        load as load,
        store as store,
    )
    from aiocopick.errors import (
        AccessDeniedError as AccessDeniedError,
        AlreadyExistsError as AlreadyExistsError,
        ClosedError as ClosedError,
        ConflictError as ConflictError,
        CopickError as CopickError,
        FormatError as FormatError,
        InvalidNameError as InvalidNameError,
        LayerError as LayerError,
        LayerSkippedWarning as LayerSkippedWarning,
        MissingPackageError as MissingPackageError,
        MissingProjectWarning as MissingProjectWarning,
        NotFoundError as NotFoundError,
        NotLoadedError as NotLoadedError,
        PointsOutsideWarning as PointsOutsideWarning,
        ReadOnlyError as ReadOnlyError,
        StorageError as StorageError,
        StorageTimeoutError as StorageTimeoutError,
        UnknownObjectError as UnknownObjectError,
    )
    from aiocopick.models import (
        CopickConfig as CopickConfig,
        CopickConfigForeign as CopickConfigForeign,
        CopickConfigFS as CopickConfigFS,
        CopickConfigFSSpec as CopickConfigFSSpec,
        CopickConfigMultilayer as CopickConfigMultilayer,
        CopickFeatures as CopickFeatures,
        CopickFeaturesMeta as CopickFeaturesMeta,
        CopickFilament as CopickFilament,
        CopickFilamentCurve as CopickFilamentCurve,
        CopickFilaments as CopickFilaments,
        CopickFilamentsFile as CopickFilamentsFile,
        CopickLocation as CopickLocation,
        CopickMesh as CopickMesh,
        CopickMeshMeta as CopickMeshMeta,
        CopickObject as CopickObject,
        CopickPicks as CopickPicks,
        CopickPicksFile as CopickPicksFile,
        CopickPoint as CopickPoint,
        CopickRoot as CopickRoot,
        CopickRun as CopickRun,
        CopickRunMeta as CopickRunMeta,
        CopickSegmentation as CopickSegmentation,
        CopickSegmentationMeta as CopickSegmentationMeta,
        CopickTomogram as CopickTomogram,
        CopickTomogramMeta as CopickTomogramMeta,
        CopickVoxelSpacing as CopickVoxelSpacing,
        CopickVoxelSpacingMeta as CopickVoxelSpacingMeta,
        FilamentSpec as FilamentSpec,
        PickableObject as PickableObject,
    )
    from aiocopick.opening import (
        open as open,
        open_sync as open_sync,
    )
    from aiocopick.sync import (
        CopickFeaturesFS as CopickFeaturesFS,
        CopickFilamentsFS as CopickFilamentsFS,
        CopickMeshFS as CopickMeshFS,
        CopickObjectFS as CopickObjectFS,
        CopickPicksFS as CopickPicksFS,
        CopickRootFS as CopickRootFS,
        CopickRootMultilayer as CopickRootMultilayer,
        CopickRunFS as CopickRunFS,
        CopickSegmentationFS as CopickSegmentationFS,
        CopickTomogramFS as CopickTomogramFS,
        CopickVoxelSpacingFS as CopickVoxelSpacingFS,
        from_file as from_file,
        from_string as from_string,
        new_config as new_config,
    )
    from aiocopick.tables import (
        Selection as Selection,
        catalog as catalog,
        changes as changes,
        load_table as load_table,
        points as points,
        select as select,
        store_table as store_table,
    )
    from aiocopick.training import (
        Batch as Batch,
        Boxes as Boxes,
        boxes as boxes,
        boxes_sync as boxes_sync,
        random_places as random_places,
    )

# Room by name, for __getattr__; a test compares it with the imports above and with __all__.
_ROOMS: dict[str, str] = {
    "AsyncFeatures": "aiocopick.entities",
    "AsyncFilaments": "aiocopick.entities",
    "AsyncMesh": "aiocopick.entities",
    "AsyncObject": "aiocopick.entities",
    "AsyncPicks": "aiocopick.entities",
    "AsyncRoot": "aiocopick.entities",
    "AsyncRun": "aiocopick.entities",
    "AsyncSegmentation": "aiocopick.entities",
    "AsyncTomogram": "aiocopick.entities",
    "AsyncVoxelSpacing": "aiocopick.entities",
    "Level": "aiocopick.entities",
    "layer_data": "aiocopick.entities",
    "load": "aiocopick.entities",
    "store": "aiocopick.entities",
    "AccessDeniedError": "aiocopick.errors",
    "AlreadyExistsError": "aiocopick.errors",
    "ClosedError": "aiocopick.errors",
    "ConflictError": "aiocopick.errors",
    "CopickError": "aiocopick.errors",
    "FormatError": "aiocopick.errors",
    "InvalidNameError": "aiocopick.errors",
    "LayerError": "aiocopick.errors",
    "LayerSkippedWarning": "aiocopick.errors",
    "MissingPackageError": "aiocopick.errors",
    "MissingProjectWarning": "aiocopick.errors",
    "NotFoundError": "aiocopick.errors",
    "NotLoadedError": "aiocopick.errors",
    "PointsOutsideWarning": "aiocopick.errors",
    "ReadOnlyError": "aiocopick.errors",
    "StorageError": "aiocopick.errors",
    "StorageTimeoutError": "aiocopick.errors",
    "UnknownObjectError": "aiocopick.errors",
    "CopickConfig": "aiocopick.models",
    "CopickConfigFS": "aiocopick.models",
    "CopickConfigFSSpec": "aiocopick.models",
    "CopickConfigForeign": "aiocopick.models",
    "CopickConfigMultilayer": "aiocopick.models",
    "CopickFeatures": "aiocopick.models",
    "CopickFeaturesMeta": "aiocopick.models",
    "CopickFilament": "aiocopick.models",
    "CopickFilamentCurve": "aiocopick.models",
    "CopickFilaments": "aiocopick.models",
    "CopickFilamentsFile": "aiocopick.models",
    "CopickLocation": "aiocopick.models",
    "CopickMesh": "aiocopick.models",
    "CopickMeshMeta": "aiocopick.models",
    "CopickObject": "aiocopick.models",
    "CopickPicks": "aiocopick.models",
    "CopickPicksFile": "aiocopick.models",
    "CopickPoint": "aiocopick.models",
    "CopickRoot": "aiocopick.models",
    "CopickRun": "aiocopick.models",
    "CopickRunMeta": "aiocopick.models",
    "CopickSegmentation": "aiocopick.models",
    "CopickSegmentationMeta": "aiocopick.models",
    "CopickTomogram": "aiocopick.models",
    "CopickTomogramMeta": "aiocopick.models",
    "CopickVoxelSpacing": "aiocopick.models",
    "CopickVoxelSpacingMeta": "aiocopick.models",
    "FilamentSpec": "aiocopick.models",
    "PickableObject": "aiocopick.models",
    "open": "aiocopick.opening",
    "open_sync": "aiocopick.opening",
    "CopickFeaturesFS": "aiocopick.sync",
    "CopickFilamentsFS": "aiocopick.sync",
    "CopickMeshFS": "aiocopick.sync",
    "CopickObjectFS": "aiocopick.sync",
    "CopickPicksFS": "aiocopick.sync",
    "CopickRootFS": "aiocopick.sync",
    "CopickRootMultilayer": "aiocopick.sync",
    "CopickRunFS": "aiocopick.sync",
    "CopickSegmentationFS": "aiocopick.sync",
    "CopickTomogramFS": "aiocopick.sync",
    "CopickVoxelSpacingFS": "aiocopick.sync",
    "from_file": "aiocopick.sync",
    "from_string": "aiocopick.sync",
    "new_config": "aiocopick.sync",
    "Selection": "aiocopick.tables",
    "catalog": "aiocopick.tables",
    "changes": "aiocopick.tables",
    "load_table": "aiocopick.tables",
    "points": "aiocopick.tables",
    "select": "aiocopick.tables",
    "store_table": "aiocopick.tables",
    "Batch": "aiocopick.training",
    "Boxes": "aiocopick.training",
    "boxes": "aiocopick.training",
    "boxes_sync": "aiocopick.training",
    "random_places": "aiocopick.training",
}

__all__ = ["__version__", *_ROOMS]


def __getattr__(name: str) -> Any:
    room = _ROOMS.get(name)
    if room is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(room), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_ROOMS})
