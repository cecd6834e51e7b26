"""The only room that moves bytes: keys in, bytes out, on any filesystem that fsspec knows.

Nothing here knows what a CoPick project is. See :mod:`aiocopick.storage.base` for what a storage can do.
"""

from aiocopick.storage.base import Capabilities, Entry, Range, Storage
from aiocopick.storage.factory import open_storage
from aiocopick.storage.stats import StorageStats

__all__ = ["Capabilities", "Entry", "Range", "Storage", "StorageStats", "open_storage"]
