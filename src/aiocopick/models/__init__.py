"""The data model: configurations, metadata, points, filaments, and the abstract API that every root implements."""

from __future__ import annotations

from aiocopick.models.config import (
    CopickConfig,
    CopickConfigForeign,
    CopickConfigFS,
    CopickConfigFSSpec,
    CopickConfigMultilayer,
    parse_config,
)
from aiocopick.models.filaments import CopickFilament, CopickFilamentCurve, CopickFilamentsFile
from aiocopick.models.metadata import (
    CopickFeaturesMeta,
    CopickMeshMeta,
    CopickRunMeta,
    CopickSegmentationMeta,
    CopickTomogramMeta,
    CopickVoxelSpacingMeta,
)
from aiocopick.models.objects import FilamentSpec, PickableObject
from aiocopick.models.points import CopickLocation, CopickPicksFile, CopickPoint

__all__ = [
    "CopickConfig",
    "CopickConfigFS",
    "CopickConfigFSSpec",
    "CopickConfigForeign",
    "CopickConfigMultilayer",
    "CopickFeaturesMeta",
    "CopickFilament",
    "CopickFilamentCurve",
    "CopickFilamentsFile",
    "CopickLocation",
    "CopickMeshMeta",
    "CopickPicksFile",
    "CopickPoint",
    "CopickRunMeta",
    "CopickSegmentationMeta",
    "CopickTomogramMeta",
    "CopickVoxelSpacingMeta",
    "FilamentSpec",
    "PickableObject",
    "parse_config",
]
