"""Removal of secrets and credentials from a configuration before it is shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

HIDDEN = "***"

# A URL in a text, also one of several that are chained (simplecache::s3://key:secret@host/...).
_URL = re.compile(r"""(?<=://)[^\s'"<>]*""")
_HOST_AND_PORT = re.compile(r"(?:\[[^\]]*\]|[^:]*)(?::\d*)?")
_END_OF_HOST = re.compile(r"[/?#]")
# Names in a query behind which a secret stands, of signed URLs and SAS tokens too.
_TELLING = re.compile(r"sig|token|credential|key|pass|secret|auth", re.IGNORECASE)


def split_userinfo(rest: str) -> tuple[str, str]:
    """Return user and password, if there are any, and what follows them.

    Parameters
    ----------
    rest : str
        A URL after its ``://``. A password may hold ``/``, ``#``, ``?`` and ``@`` that should have been quoted: what
        cannot be a host and a port begins with credentials.
    """
    end = _END_OF_HOST.search(rest)
    head = rest[: end.start()] if end else rest
    if "@" in head:
        user, _, host = head.rpartition("@")
        return user, host + rest[len(head) :]
    if "@" in rest and not _HOST_AND_PORT.fullmatch(head):
        user, _, host = rest.rpartition("@")
        return user, host
    return "", rest


def redact_url(url: str) -> str:
    """Return a URL without its credentials and query; other text is unchanged."""
    return _URL.sub(lambda found: _without(found[0], every_query=True), url) if "://" in url else url


def redact_text(text: str) -> str:
    """Return a message without the credentials and the secret queries of its URLs."""
    return _URL.sub(lambda found: _without(found[0], every_query=False), text) if "://" in text else text


def _without(rest: str, *, every_query: bool) -> str:
    address, mark, query = split_userinfo(rest)[1].partition("?")
    if not mark:
        return address
    if every_query:
        return f"{address}?{HIDDEN}"
    return address if _TELLING.search(query) else f"{address}?{query}"


def secrets_in_url(url: str) -> set[str]:
    """Return every text in a URL that a message must not contain: its credentials and secret query, whole and in
    parts.
    """
    scheme, _, rest = url.partition("://")
    user, rest = split_userinfo(rest)
    query = rest.partition("?")[2]
    found: set[str] = set()
    name, colon, password = user.partition(":")
    # The container of az://container@account is not a secret, and a short name may be a word.
    if colon or not scheme.lower().startswith(("az", "abfs")):
        found |= {user, unquote(user), password, unquote(password), *re.split(r"[/?#@]", password)}
        found |= {name} if len(name) >= 8 else set()
    if _TELLING.search(query):
        found |= {query, *(value for pair in query.split("&") for value in pair.split("=", 1)[1:])}
        found |= {unquote(value) for value in found}
    return {text for text in found if len(text) >= 4}


def redact(value: Any, *, key: str = "") -> Any:
    """Return a copy of plain JSON data without secrets.

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
