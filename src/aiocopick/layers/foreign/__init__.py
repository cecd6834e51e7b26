"""Somebody else's project as a layer: any object that implements CoPick's abstract API, copick's own roots first."""

from aiocopick.layers.foreign.layer import ForeignLayer

__all__ = ["ForeignLayer"]
