"""What may be shown of a configuration: no secret, no credentials inside a URL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"

# Credentials before the host, also in chained URLs (simplecache::s3://key:secret@host/...).
_USERINFO = re.compile(r"(?<=://)[^/?#\s]*@")
# Signed URLs carry their secret in the query.
_QUERY = re.compile(r"(?<=\?)\S+")


def redact_url(url: str) -> str:
    """A URL without the credentials and the query in it; any other text unchanged."""
    if "://" not in url:
        return url
    return _QUERY.sub(HIDDEN, _USERINFO.sub("", url))


def redact(value: Any, *, key: str = "") -> Any:
    """A copy of plain JSON data that may be shown.

    Parameters
    ----------
    value : Any
        Dicts, lists, strings, numbers.
    key : str
        The key it is stored under; everything below a key that ends in ``fs_args`` is a secret, names excepted.

    Returns
    -------
    Any
        The same structure; secret values are ``"***"``, URLs have lost their credentials.
    """
    if key.endswith("fs_args"):
        return _names_only(value)
    if isinstance(value, Mapping):
        return {name: redact(item, key=str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact(item, key=key) for item in value]
    return redact_url(value) if isinstance(value, str) else value


def _names_only(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _names_only(item) for name, item in value.items()}
    return HIDDEN if value is not None else None
