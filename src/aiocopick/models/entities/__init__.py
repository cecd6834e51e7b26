"""The abstract API of a CoPick project: signatures, no behaviour.

Every root implements it, ours and an installed copick's; the signatures are those of copick 2.0.0a6. What does not say
otherwise asks storage and blocks; nouns and loaded data are properties. Lookups give None, or an empty list, when there
is nothing. Lengths are in angstrom, arrays in zyx order, points in xyz.
"""

from __future__ import annotations

from aiocopick.models.entities.annotations import CopickFilaments, CopickMesh, CopickPicks
from aiocopick.models.entities.object import CopickObject
from aiocopick.models.entities.root import CopickRoot
from aiocopick.models.entities.run import CopickRun
from aiocopick.models.entities.segmentation import CopickSegmentation
from aiocopick.models.entities.volumes import CopickFeatures, CopickTomogram, CopickVoxelSpacing

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
