"""Names: the characters that they may hold, by one rule for models and layout, and names that are nearly right."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from aiocopick.errors import InvalidNameError

# CoPick's own set: what Windows refuses in a file name, control characters, whitespace, and `_`, which separates the
# parts of a file name.
_UNCLEAN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f\s_]')


def cleaned(value: str) -> str:
    """Return the name with every character that CoPick does not allow replaced by ``-``, and ``-`` stripped from its
    ends.

    Parameters
    ----------
    value : str
        A name of an object, user, session, tomogram type or feature type.

    Returns
    -------
    str
        The cleaned name; empty when nothing allowed is left.
    """
    return _UNCLEAN.sub("-", value).strip("-")


def require_clean(value: str, what: str) -> str:
    """Return a name that must already be clean.

    Parameters
    ----------
    value : str
        The name.
    what : str
        The kind of name, for the message.

    Raises
    ------
    InvalidNameError
        It contains invalid characters (the message names the first one), is empty, or has ``-`` at an end.
    """
    found = _UNCLEAN.search(value)
    if found is not None:
        advice = f"; use {cleaned(value)!r} instead" if cleaned(value) else ""
        raise InvalidNameError(
            f"The {what} {value!r} contains invalid characters ({found.group()!r}){advice}.", path=value
        )
    if not value or value != value.strip("-"):
        raise InvalidNameError(
            f"The {what} {value!r} contains invalid characters: it is empty, or has '-' at one of its ends.", path=value
        )
    return value


# --- names that are nearly right --------------------------------------------------------------------------------------


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
