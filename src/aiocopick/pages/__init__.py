"""Web pages of a project: a gallery in one file, and a server that only reads.

Needs the extras ``pictures`` and ``serve``.
"""

from aiocopick.pages.gallery import Written, write_gallery

__all__ = ["Written", "write_gallery"]
