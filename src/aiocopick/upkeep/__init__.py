"""Maintenance of projects: examine one, copy into another, delete.

Nothing is repaired, and only named entities are deleted.
"""

from aiocopick.upkeep.copy import CopyReport, copy
from aiocopick.upkeep.examine import Finding, examine
from aiocopick.upkeep.remove import matching, remove

__all__ = ["CopyReport", "Finding", "copy", "examine", "matching", "remove"]
