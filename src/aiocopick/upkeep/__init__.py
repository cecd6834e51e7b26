"""Looking after projects: what is wrong in one, copying into another, deleting.

Nothing is repaired here, and nothing deleted that was not named.
"""

from aiocopick.upkeep.copy import CopyReport, copy
from aiocopick.upkeep.examine import examine
from aiocopick.upkeep.finding import Finding
from aiocopick.upkeep.remove import matching, remove

__all__ = ["CopyReport", "Finding", "copy", "examine", "matching", "remove"]
