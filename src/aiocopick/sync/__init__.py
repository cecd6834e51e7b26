"""The blocking form of the entities, with copick's names: call, wrap, return. All behaviour is in `entities`."""

from aiocopick.sync.configs import from_config, from_file, from_string, new_config
from aiocopick.sync.features import CopickFeaturesFS
from aiocopick.sync.filaments import CopickFilamentsFS
from aiocopick.sync.mesh import CopickMeshFS
from aiocopick.sync.object import CopickObjectFS
from aiocopick.sync.picks import CopickPicksFS
from aiocopick.sync.root import CopickRootFS, CopickRootMultilayer
from aiocopick.sync.run import CopickRunFS
from aiocopick.sync.segmentation import CopickSegmentationFS
from aiocopick.sync.tomogram import CopickTomogramFS
from aiocopick.sync.voxel_spacing import CopickVoxelSpacingFS

__all__ = [
    "CopickFeaturesFS",
    "CopickFilamentsFS",
    "CopickMeshFS",
    "CopickObjectFS",
    "CopickPicksFS",
    "CopickRootFS",
    "CopickRootMultilayer",
    "CopickRunFS",
    "CopickSegmentationFS",
    "CopickTomogramFS",
    "CopickVoxelSpacingFS",
    "from_config",
    "from_file",
    "from_string",
    "new_config",
]
