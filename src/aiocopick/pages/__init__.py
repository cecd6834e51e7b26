"""Web pages of a project: a gallery in one file, and a server that only reads.

Needs the extra ``pictures``, the server also ``serve``.
"""

from aiocopick.pages.gallery import Written, write_gallery
from aiocopick.pages.server import serving

__all__ = ["Written", "serving", "write_gallery"]
