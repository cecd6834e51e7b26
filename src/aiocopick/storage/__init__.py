"""Storage: the only room that reads and writes bytes, on any filesystem that fsspec supports.

Nothing here depends on CoPick. See :mod:`aiocopick.storage.base` for the operations of a storage.
"""

from aiocopick.storage.base import Capabilities, Entry, Range, Storage
from aiocopick.storage.factory import open_storage
from aiocopick.storage.stats import StorageStats

__all__ = ["Capabilities", "Entry", "Range", "Storage", "StorageStats", "open_storage"]
