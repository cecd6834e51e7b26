"""Names of unfinished writes: files next to their target that are renamed onto it, and are not data until then."""

from __future__ import annotations

import re
import uuid

_TEMPORARY = re.compile(r"\.aiocopick-[0-9a-f]{32}\.tmp")


def temporary_name() -> str:
    """A new name for an unfinished write."""
    return f".aiocopick-{uuid.uuid4().hex}.tmp"


def is_temporary(name: str) -> bool:
    """Return True if a file name is that of an unfinished write."""
    return name.startswith(".aiocopick-") and _TEMPORARY.fullmatch(name) is not None
