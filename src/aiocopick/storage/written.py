"""Number of changes that this process made to a storage: what was read before a change may be out of date."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache

from aiocopick.concurrency.forks import Lock
from aiocopick.storage.keys import parse_root

_counts: Counter[tuple[str, str]] = Counter()
_lock = Lock()

# One key is one object, so that roots can be told apart. Two paths of a disk may be one directory.
_BY_KEY = frozenset({"s3", "gs", "az", "memory"})


@lru_cache(maxsize=1024)
def _place(url: str) -> tuple[str, str]:
    if "://" not in url:
        # A path of a disk, or a storage without an address of its own (an archive).
        return "file", ""
    root = parse_root(url)
    return root.protocol, f"{root.location}/" if root.protocol in _BY_KEY else ""


def note_change(url: str) -> None:
    """Count the begin, or the end, of a change to the storage of a root."""
    place = _place(url)
    with _lock:
        _counts[place] += 1


def changes_of(url: str) -> int:
    """Return the number of changes so far to this root, to roots in it, and to roots that it is in."""
    protocol, location = _place(url)
    with _lock:
        return sum(
            count
            for (other, place), count in _counts.items()
            if other == protocol and (place.startswith(location) or location.startswith(place))
        )
