"""Which part of a project a catalogue was made of; it travels with the table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from aiocopick.entities.run_base import closed
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
        """From what a caller passed.

        Raises
        ------
        InvalidNameError
            A kind does not exist.
        """
        nouns = None if kinds is None else frozenset([kinds] if isinstance(kinds, str) else kinds)
        unknown = sorted((nouns or frozenset()) - set(NOUNS))
        if unknown:
            raise InvalidNameError(f"{unknown[0]!r} is no kind to list; use some of {', '.join(NOUNS)}.")
        names = runs if runs is None or isinstance(runs, str) else tuple(sorted(set(runs)))
        return cls(runs=names, nouns=nouns)

    @classmethod
    def of_metadata(cls, metadata: Mapping[str, Any]) -> Scope:
        """From the metadata of a table."""
        runs, nouns = metadata.get("runs"), metadata.get("kinds")
        return cls(
            runs=tuple(runs) if isinstance(runs, list) else runs,
            nouns=None if nouns is None else frozenset(nouns),
        )

    def whole(self) -> Scope:
        """With the kinds that those in it hang on, as a crawl lists them: a project is opened from a catalogue of both."""
        nouns = closed(self.nouns)
        # All kinds are still not the objects.
        return self if self.nouns is None else replace(self, nouns=frozenset(NOUNS) if nouns is None else nouns)

    def to_metadata(self) -> dict[str, Any]:
        """For the metadata of a table."""
        return {
            "runs": list(self.runs) if isinstance(self.runs, tuple) else self.runs,
            "kinds": None if self.nouns is None else sorted(self.nouns),
        }

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of the rows (singular); runs are always among them."""
        if self.nouns is None:
            return frozenset(KINDS)
        return frozenset({"run", *(NOUNS[noun] for noun in self.nouns)})

    def holds_run(self, name: str) -> bool:
        """Whether a run is in it."""
        if self.runs is None:
            return True
        patterns = (self.runs,) if isinstance(self.runs, str) else self.runs
        # As a crawl takes them: a name that looks like a glob is still the name of that run.
        return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)


__all__ = ["Scope"]
