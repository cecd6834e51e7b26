"""The characters a CoPick name may hold: one rule, used by the models and by the layout."""

from __future__ import annotations

import re

# CoPick's own set: what Windows refuses in a file name, control characters, whitespace, and `_`, which separates the
# parts of a file name.
_UNCLEAN = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f\s_]')


def cleaned(value: str) -> str:
    """The name with every character that CoPick does not allow replaced by ``-``, and ``-`` stripped from its ends.

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


def first_unclean(value: str) -> str | None:
    """The first character of a name that CoPick does not allow, or None."""
    found = _UNCLEAN.search(value)
    return found.group() if found else None
