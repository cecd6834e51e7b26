"""Which project a table was made of."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from aiocopick.errors import InvalidNameError
from aiocopick.storage.keys import parse_root
from aiocopick.tables.schema import metadata_of

if TYPE_CHECKING:
    import pyarrow as pa


def warn_of_other_project(earlier: pa.Table, url: str, what: str) -> None:
    """Warn when an earlier table says that it is of a project at another URL.

    It is no error: a project may have moved, or be reached by another name, and what is taken from the table are only
    files of the same name and version. A table that does not say where it comes from is taken without a word.

    Parameters
    ----------
    earlier : pyarrow.Table
        What is given as `since`.
    url : str
        Of the project that is crawled.
    what : str
        How a message begins.
    """
    origin = metadata_of(earlier).get("url")
    if isinstance(origin, str) and origin != url and _place(origin) != _place(url):
        warnings.warn(
            f"{what} was made of {origin}, and this is {url}: files of the same name and version count as unchanged; "
            "leave it out unless both are the same project.",
            UserWarning,
            stacklevel=3,
        )


def _place(url: str) -> object:
    """What a URL names, however its protocol and its end are spelled."""
    try:
        root = parse_root(url)
    except InvalidNameError:
        return url
    return (root.protocol, root.location)


__all__ = ["warn_of_other_project"]
