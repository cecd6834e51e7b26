"""What shows a volume: without these files it reads as empty, whatever else is there.

Chunks that are gone read as zeros, so these go before any chunk does.
"""

from __future__ import annotations

from aiocopick.formats.ome import GROUP_DOCUMENTS, PLAIN_LEVELS
from aiocopick.formats.ome_arrays import ARRAY_DOCUMENT

FINEST = tuple(f"{level}/{name}" for level in PLAIN_LEVELS for name in ARRAY_DOCUMENT.values())
"""Metadata of the finest level, by every name that it may have."""

SHOWN_BY = (*FINEST, *GROUP_DOCUMENTS)
"""All of them, relative to the volume, in the order in which they are removed."""
