"""What shows a volume: without these files it reads as empty, whatever else is there.

Chunks that are gone read as zeros, so these go before any chunk does.
"""

from __future__ import annotations

from aiocopick.volumes.ome import GROUP_DOCUMENTS
from aiocopick.volumes.ome_arrays import ARRAY_DOCUMENT

FINEST = tuple(f"{level}/{name}" for level in ("0", "s0") for name in ARRAY_DOCUMENT.values())
"""Metadata of the finest level, by the names that it usually has."""

SHOWN_BY = ((*GROUP_DOCUMENTS, ".zarray"), FINEST)
"""All of them, relative to the volume, in steps: those of the first go before any of the second.

Coarse levels that are left are no volume once the group does not name them; while it does, they are a part of one.
"""
