"""The characters a CoPick name may hold: one rule, used by the models and by the layout."""

from __future__ import annotations

import re

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
