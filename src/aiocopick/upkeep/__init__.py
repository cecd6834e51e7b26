"""Maintenance of projects: examine one, copy into another, delete.

Nothing is repaired, and only named entities are deleted.
"""

from aiocopick.upkeep.copy import CopyReport, copy
from aiocopick.upkeep.examine import examine
from aiocopick.upkeep.finding import Finding
from aiocopick.upkeep.remove import matching, remove

__all__ = ["CopyReport", "Finding", "copy", "examine", "matching", "remove"]
