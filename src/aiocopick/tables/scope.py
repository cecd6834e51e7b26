"""The part of a project that a catalogue covers; it is stored with the table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from aiocopick.entities.filters import with_parents
from aiocopick.errors import InvalidNameError
from aiocopick.layout.refs import KINDS, NOUNS


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """A restriction to runs and kinds.

    Parameters
    ----------
    runs : str or tuple of str, optional
        A glob or name, or several; None means all runs.
    nouns : frozenset of str, optional
        Plural nouns; None means everything, objects of the project included.
    """

    runs: str | tuple[str, ...] | None = None
    nouns: frozenset[str] | None = None

    @classmethod
    def of(cls, runs: str | Iterable[str] | None, kinds: Iterable[str] | None) -> Scope:
        """Return the scope of a caller's arguments.

        Raises
        ------
        InvalidNameError
            A kind does not exist.
        """
        nouns = None if kinds is None else frozenset([kinds] if isinstance(kinds, str) else kinds)
        unknown = sorted((nouns or frozenset()) - set(NOUNS))
        if unknown:
            raise InvalidNameError(f"{unknown[0]!r} is not a kind that can be listed; use some of {', '.join(NOUNS)}.")
        names = runs if runs is None or isinstance(runs, str) else tuple(sorted(set(runs)))
        return cls(runs=names, nouns=nouns)

    @classmethod
    def of_metadata(cls, metadata: Mapping[str, Any]) -> Scope:
        """Return the scope in the metadata of a table."""
        runs, nouns = metadata.get("runs"), metadata.get("kinds")
        return cls(
            runs=tuple(runs) if isinstance(runs, list) else runs,
            nouns=None if nouns is None else frozenset(nouns),
        )

    def whole(self) -> Scope:
        """Return the scope with parent kinds added, as a crawl lists them: a project is opened from a catalogue of
        both.
        """
        nouns = with_parents(self.nouns)
        # A list of all kinds still does not include the objects.
        return self if self.nouns is None else replace(self, nouns=frozenset(NOUNS) if nouns is None else nouns)

    def to_metadata(self) -> dict[str, Any]:
        """Return the scope for the metadata of a table."""
        return {
            "runs": list(self.runs) if isinstance(self.runs, tuple) else self.runs,
            "kinds": None if self.nouns is None else sorted(self.nouns),
        }

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of the rows (singular); runs are always included."""
        if self.nouns is None:
            return frozenset(KINDS)
        return frozenset({"run", *(NOUNS[noun] for noun in self.nouns)})

    def holds_run(self, name: str) -> bool:
        """Return True if a run is in the scope."""
        if self.runs is None:
            return True
        patterns = (self.runs,) if isinstance(self.runs, str) else self.runs
        # As in a crawl, a name that looks like a glob is still the name of that run.
        return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)


__all__ = ["Scope"]
