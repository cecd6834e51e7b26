"""The entities of a project: all behaviour, once, as coroutines.

Entities know layers, never storage. Whatever they hold was decided by pure functions over listings; nothing here is a
property that does I/O.
"""

from aiocopick.entities.base import AsyncEntity
from aiocopick.entities.bulk import load, store
from aiocopick.entities.crawl import Crawl
from aiocopick.entities.features import AsyncFeatures
from aiocopick.entities.filaments import AsyncFilaments
from aiocopick.entities.layer_data import LayerData, layer_data
from aiocopick.entities.mesh import AsyncMesh
from aiocopick.entities.object import AsyncObject
from aiocopick.entities.picks import AsyncPicks
from aiocopick.entities.root import AsyncRoot
from aiocopick.entities.run import AsyncRun
from aiocopick.entities.segmentation import AsyncSegmentation
from aiocopick.entities.tomogram import AsyncTomogram
from aiocopick.entities.volume import AsyncVolume
from aiocopick.entities.voxel_spacing import AsyncVoxelSpacing
from aiocopick.volumes.state import Level

__all__ = [
    "AsyncEntity",
    "AsyncFeatures",
    "AsyncFilaments",
    "AsyncMesh",
    "AsyncObject",
    "AsyncPicks",
    "AsyncRoot",
    "AsyncRun",
    "AsyncSegmentation",
    "AsyncTomogram",
    "AsyncVolume",
    "AsyncVoxelSpacing",
    "Crawl",
    "LayerData",
    "Level",
    "layer_data",
    "load",
    "store",
]
