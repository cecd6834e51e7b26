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
from aiocopick.models.entities import (
    CopickFeatures,
    CopickFilaments,
    CopickMesh,
    CopickObject,
    CopickPicks,
    CopickRoot,
    CopickRun,
    CopickSegmentation,
    CopickTomogram,
    CopickVoxelSpacing,
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
    "CopickFeatures",
    "CopickFeaturesMeta",
    "CopickFilament",
    "CopickFilamentCurve",
    "CopickFilaments",
    "CopickFilamentsFile",
    "CopickLocation",
    "CopickMesh",
    "CopickMeshMeta",
    "CopickObject",
    "CopickPicks",
    "CopickPicksFile",
    "CopickPoint",
    "CopickRoot",
    "CopickRun",
    "CopickRunMeta",
    "CopickSegmentation",
    "CopickSegmentationMeta",
    "CopickTomogram",
    "CopickTomogramMeta",
    "CopickVoxelSpacing",
    "CopickVoxelSpacingMeta",
    "FilamentSpec",
    "PickableObject",
    "parse_config",
]
