"""Files that make a volume visible: without them it reads as empty, whatever other files exist.

Deleted chunks read as zeros, so these files are deleted before any chunk.
"""

from __future__ import annotations

from aiocopick.volumes.ome import GROUP_DOCUMENTS
from aiocopick.volumes.ome_arrays import ARRAY_DOCUMENT

FINEST = tuple(f"{level}/{name}" for level in ("0", "s0") for name in ARRAY_DOCUMENT.values())
"""Metadata of the finest level, by the names that it usually has."""

SHOWN_BY = ((*GROUP_DOCUMENTS, ".zarray"), FINEST)
"""All these files, relative to the volume, in steps: all of the first step are deleted before any of the second.

Remaining coarse levels are not a volume if the group does not name them; while it does, they are a part of one.
"""
