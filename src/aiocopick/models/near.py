"""Names that are nearly right: misspelt options and keys of configurations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any


def near(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a misspelt one is probably meant to be, or None.

    Case, hyphens and underscores make no difference; otherwise most of the characters must agree.
    """
    plain = {_plain(candidate): candidate for candidate in known}
    found = get_close_matches(_plain(name), plain, n=1, cutoff=0.75)
    return plain[found[0]] if found and abs(len(found[0]) - len(_plain(name))) <= 2 else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: a question, or nothing."""
    guess = near(name, known)
    return "" if guess is None else f" Did you mean {guess!r}?"


def refuse_misspelt(document: Mapping[Any, Any], known: Iterable[str], where: str = "") -> None:
    """Refuse unknown keys that look like known ones. Others belong to other programs.

    Raises
    ------
    ValueError
        A key is misspelt; the message names it, never its value.
    """
    fields = set(known)
    for name in document:
        if isinstance(name, str) and name not in fields and (guess := near(name, fields)) is not None:
            raise ValueError(f"there is no field {where + name!r}; did you mean {where + guess!r}?")


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


__all__ = ["did_you_mean", "near", "refuse_misspelt"]
