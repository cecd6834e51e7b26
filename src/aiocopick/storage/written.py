"""Number of changes that this process made to a storage: what was read before a change may be out of date."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from aiocopick.concurrency.forks import Lock
from aiocopick.storage.keys import parse_root

# Of changes to a place itself, and to all in it: a process may have thousands of roots, and none is to look at the others.
_counts: Counter[tuple[str, str]] = Counter()
_inside: Counter[tuple[str, str]] = Counter()
_lock = Lock()

# One key is one object, so that roots can be told apart. Two paths of a disk may be one directory.
_BY_KEY = frozenset({"s3", "gs", "az", "memory"})


@lru_cache(maxsize=1024)
def _place(url: str) -> tuple[str, str]:
    if "://" not in url:
        # A path of a disk, or a storage without an address of its own (an archive).
        return "file", ""
    root = parse_root(url)
    return root.protocol, f"{root.location}/" if root.location and root.protocol in _BY_KEY else ""


def _around(place: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the places that a place is in, the outermost first."""
    protocol, location = place
    if location:
        yield protocol, ""
    for at, letter in enumerate(location[:-1]):
        if letter == "/":
            yield protocol, location[: at + 1]


def note_change(url: str) -> None:
    """Count the begin, or the end, of a change to the storage of a root."""
    place = _place(url)
    with _lock:
        _counts[place] += 1
        _inside.update([place, *_around(place)])


def changes_of(url: str) -> int:
    """Return the number of changes so far to this root, to roots in it, and to roots that it is in."""
    place = _place(url)
    with _lock:
        return _inside[place] + sum(_counts[outer] for outer in _around(place))
