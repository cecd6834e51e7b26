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
    )
    from aiocopick.entities import (
        AsyncFilaments as AsyncFilaments,
    )
    from aiocopick.entities import (
        AsyncMesh as AsyncMesh,
    )
    from aiocopick.entities import (
        AsyncObject as AsyncObject,
    )
    from aiocopick.entities import (
        AsyncPicks as AsyncPicks,
    )
    from aiocopick.entities import (
        AsyncRoot as AsyncRoot,
    )
    from aiocopick.entities import (
        AsyncRun as AsyncRun,
    )
    from aiocopick.entities import (
        AsyncSegmentation as AsyncSegmentation,
    )
    from aiocopick.entities import (
        AsyncTomogram as AsyncTomogram,
    )
    from aiocopick.entities import (
        AsyncVoxelSpacing as AsyncVoxelSpacing,
    )
    from aiocopick.entities import (
        load as load,
    )
    from aiocopick.entities import (
        store as store,
    )
    from aiocopick.errors import (
        AccessDeniedError as AccessDeniedError,
    )
    from aiocopick.errors import (
        AlreadyExistsError as AlreadyExistsError,
    )
    from aiocopick.errors import (
        ClosedError as ClosedError,
    )
    from aiocopick.errors import (
        ConflictError as ConflictError,
    )
    from aiocopick.errors import (
        CopickError as CopickError,
    )
    from aiocopick.errors import (
        FormatError as FormatError,
    )
    from aiocopick.errors import (
        InvalidNameError as InvalidNameError,
    )
    from aiocopick.errors import (
        LayerError as LayerError,
    )
    from aiocopick.errors import (
        NotFoundError as NotFoundError,
    )
    from aiocopick.errors import (
        NotLoadedError as NotLoadedError,
    )
    from aiocopick.errors import (
        ReadOnlyError as ReadOnlyError,
    )
    from aiocopick.errors import (
        StorageError as StorageError,
    )
    from aiocopick.errors import (
        StorageTimeoutError as StorageTimeoutError,
    )
    from aiocopick.errors import (
        UnknownObjectError as UnknownObjectError,
    )
    from aiocopick.models import (
        CopickConfig as CopickConfig,
    )
    from aiocopick.models import (
        CopickConfigForeign as CopickConfigForeign,
    )
    from aiocopick.models import (
        CopickConfigFS as CopickConfigFS,
    )
    from aiocopick.models import (
        CopickConfigFSSpec as CopickConfigFSSpec,
    )
    from aiocopick.models import (
        CopickConfigMultilayer as CopickConfigMultilayer,
    )
    from aiocopick.models import (
        CopickFeatures as CopickFeatures,
    )
    from aiocopick.models import (
        CopickFeaturesMeta as CopickFeaturesMeta,
    )
    from aiocopick.models import (
        CopickFilament as CopickFilament,
    )
    from aiocopick.models import (
        CopickFilamentCurve as CopickFilamentCurve,
    )
    from aiocopick.models import (
        CopickFilaments as CopickFilaments,
    )
    from aiocopick.models import (
        CopickFilamentsFile as CopickFilamentsFile,
    )
    from aiocopick.models import (
        CopickLocation as CopickLocation,
    )
    from aiocopick.models import (
        CopickMesh as CopickMesh,
    )
    from aiocopick.models import (
        CopickMeshMeta as CopickMeshMeta,
    )
    from aiocopick.models import (
        CopickObject as CopickObject,
    )
    from aiocopick.models import (
        CopickPicks as CopickPicks,
    )
    from aiocopick.models import (
        CopickPicksFile as CopickPicksFile,
    )
    from aiocopick.models import (
        CopickPoint as CopickPoint,
    )
    from aiocopick.models import (
        CopickRoot as CopickRoot,
    )
    from aiocopick.models import (
        CopickRun as CopickRun,
    )
    from aiocopick.models import (
        CopickRunMeta as CopickRunMeta,
    )
    from aiocopick.models import (
        CopickSegmentation as CopickSegmentation,
    )
    from aiocopick.models import (
        CopickSegmentationMeta as CopickSegmentationMeta,
    )
    from aiocopick.models import (
        CopickTomogram as CopickTomogram,
    )
    from aiocopick.models import (
        CopickTomogramMeta as CopickTomogramMeta,
    )
    from aiocopick.models import (
        CopickVoxelSpacing as CopickVoxelSpacing,
    )
    from aiocopick.models import (
        CopickVoxelSpacingMeta as CopickVoxelSpacingMeta,
    )
    from aiocopick.models import (
        FilamentSpec as FilamentSpec,
    )
    from aiocopick.models import (
        PickableObject as PickableObject,
    )
    from aiocopick.opening import (
        open as open,
    )
    from aiocopick.opening import (
        open_sync as open_sync,
    )
    from aiocopick.sync import (
        CopickFeaturesFS as CopickFeaturesFS,
    )
    from aiocopick.sync import (
        CopickFilamentsFS as CopickFilamentsFS,
    )
    from aiocopick.sync import (
        CopickMeshFS as CopickMeshFS,
    )
    from aiocopick.sync import (
        CopickObjectFS as CopickObjectFS,
    )
    from aiocopick.sync import (
        CopickPicksFS as CopickPicksFS,
    )
    from aiocopick.sync import (
        CopickRootFS as CopickRootFS,
    )
    from aiocopick.sync import (
        CopickRootMultilayer as CopickRootMultilayer,
    )
    from aiocopick.sync import (
        CopickRunFS as CopickRunFS,
    )
    from aiocopick.sync import (
        CopickSegmentationFS as CopickSegmentationFS,
    )
    from aiocopick.sync import (
        CopickTomogramFS as CopickTomogramFS,
    )
    from aiocopick.sync import (
        CopickVoxelSpacingFS as CopickVoxelSpacingFS,
    )
    from aiocopick.sync import (
        from_file as from_file,
    )
    from aiocopick.sync import (
        from_string as from_string,
    )
    from aiocopick.sync import (
        new_config as new_config,
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
    "NotFoundError": "aiocopick.errors",
    "NotLoadedError": "aiocopick.errors",
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
