"""The project that a table was made from."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from aiocopick.errors import InvalidNameError
from aiocopick.storage.keys import parse_root
from aiocopick.tables.schema import metadata_of

if TYPE_CHECKING:
    import pyarrow as pa


def warn_of_other_project(earlier: pa.Table, url: str, what: str) -> None:
    """Warn if an earlier table was made from a project at another URL.

    This is not an error: a project may have moved or have several names, and only files of the same name and version
    are taken from the table. A table without a known origin is accepted without a warning.

    Parameters
    ----------
    earlier : pyarrow.Table
        The table given as `since`.
    url : str
        URL of the project that is crawled.
    what : str
        The beginning of the message.
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
    """Return the location that a URL names, independent of the spelling of its protocol and its end."""
    try:
        root = parse_root(url)
    except InvalidNameError:
        return url
    return (root.protocol, root.location)


__all__ = ["warn_of_other_project"]
