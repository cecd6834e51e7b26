"""Listings as servers give them, with the faults that were seen in them; no server is needed."""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from aiocopick.storage.backends.base import Page
from aiocopick.storage.backends.object_stores import Objects, children_page


class ListingServer:
    """Answers listings of some keys, a page at a time.

    - ``good``: pages of collapsed entries; the token and start-after both work.
    - ``raw``: as MinIO: a page counts raw keys, its token does not get past a collapsed tree, prefixes come twice.
    - ``deaf``: ignores where to start, but its token works.
    - ``blind``: knows no delimiter of several characters and lists everything.
    - ``twice``: names everything twice.
    - ``cutting``: cuts a common prefix after the first character of the delimiter.
    - ``stuck``: gives its first page for ever, when it is asked to collapse more than directories.
    """

    def __init__(self, keys: Iterable[str], kind: str, size: int) -> None:
        self.keys = sorted(keys)
        self.kind = kind
        self.size = size
        self.requests = 0

    async def fetch(
        self, prefix: str, delimiter: str | None, start_after: str = "", token: object | None = None
    ) -> Page:
        """Get one page."""
        self.requests += 1
        start = f"{prefix}/" if prefix else ""
        if self.kind == "stuck" and delimiter != "/":
            start_after, token = "", None
        if self.kind == "deaf":
            start_after = ""
        low = max(start_after, "" if token is None else str(token))
        first = max(bisect_left(self.keys, start), bisect_right(self.keys, low))
        names = self.keys[first : bisect_left(self.keys, start + chr(sys.maxunicode)) if start else None]
        if self.kind == "blind" and delimiter != "/":
            delimiter = None
        found: dict[str, bool] = {}
        taken = 0
        for name in names:
            entry, is_prefix = self._collapsed(name, start, delimiter)
            if self.kind == "raw":
                if taken == self.size:
                    break
            elif entry not in found and len(found) == self.size:
                break
            found[entry] = is_prefix
            taken += 1
        last = names[taken - 1] if taken else ""
        prefixes = [entry for entry, is_prefix in found.items() if is_prefix]
        if self.kind == "raw" and prefixes and last.startswith(prefixes[-1]):
            # The token names the tree and not what follows it.
            last = prefixes[-1]
        listed = [(entry, 1, None, None) for entry, is_prefix in found.items() if not is_prefix]
        if self.kind == "twice":
            listed, prefixes = listed * 2, prefixes * 2
        return children_page("", start, Objects.of(listed), prefixes, delimiter, last if taken < len(names) else None)

    def _collapsed(self, name: str, start: str, delimiter: str | None) -> tuple[str, bool]:
        at = -1 if delimiter is None else name.find(delimiter, len(start))
        if at < 0 or delimiter is None:
            return name, False
        return name[: at + (1 if self.kind == "cutting" else len(delimiter))], True
