"""Projects of other implementations as layers: any object that implements CoPick's abstract API, such as copick's
roots.
"""

from aiocopick.layers.foreign.layer import ForeignLayer

__all__ = ["ForeignLayer"]
