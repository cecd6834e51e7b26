"""The blocking form of the entities, with copick's names: call, wrap, return. All behaviour is in `entities`."""

from aiocopick.sync.annotations import CopickFilamentsFS, CopickMeshFS, CopickPicksFS
from aiocopick.sync.root import (
    CopickRootFS,
    CopickRootMultilayer,
    from_config,
    from_file,
    from_string,
    new_config,
)
from aiocopick.sync.run import CopickRunFS
from aiocopick.sync.volumes import (
    CopickFeaturesFS,
    CopickObjectFS,
    CopickSegmentationFS,
    CopickTomogramFS,
    CopickVoxelSpacingFS,
)

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
