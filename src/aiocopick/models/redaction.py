"""Removal of secrets and credentials from what is shown: configurations, URLs, messages, tracebacks and logs."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Iterator, Mapping
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


_PLAIN = frozenset(
    {"endpoint_url", "region_name", "project", "account_name", "host", "port", "protocol", "account_host"}
)


def secrets_of(arguments: Any, name: str = "") -> Iterator[str]:
    """Yield every text in the user's arguments that a message must not contain."""
    if isinstance(arguments, Mapping):
        for key, value in arguments.items():
            yield from secrets_of(value, str(key))
    elif isinstance(arguments, (list, tuple, set)):
        for value in arguments:
            yield from secrets_of(value, name)
    elif isinstance(arguments, bytes):
        yield from secrets_of(arguments.decode(errors="replace"), name)
    elif isinstance(arguments, str) and len(arguments) >= 4 and name not in _PLAIN:
        yield arguments


def scrub(text: str, secrets: tuple[str, ...]) -> str:
    """Return a message without the secrets, and without user and secret query of its URLs."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return redact_text(text)


def shows_secret(error: BaseException, secrets: tuple[str, ...]) -> bool:
    """Return True if a traceback that ends in this exception would show a secret."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        text = "\n".join([str(link), repr(link), *getattr(link, "__notes__", ())])
        if scrub(text, secrets) != text:
            return True
        link = link.__cause__ or link.__context__
    return False


# In requests to S3: session tokens and keys of customers (SSE-C), as headers and as arguments, bytes and text, quoted or not.
_NAMED = re.compile(
    r"""((?:x-amz-security-token|x-amz-(?:copy-source-)?server-side-encryption-customer-key(?:-md5)?"""
    r"""|(?:CopySource)?SSECustomerKey(?:MD5)?|aws_secret_access_key|aws_session_token)['"]?\s*+[:=]\s*+)"""
    r"""(?:b?'(?:[^'\\]|\\.)*+'|b?"(?:[^"\\]|\\.)*+"|[^\s,;&'"}]++)""",
    re.IGNORECASE,
)
_IN_SIGNATURES = re.compile(r"""(Credential=|Signature=|X-Amz-\w++=)[^'"\s,;&/]++""", re.IGNORECASE)
# S3 sends a refused token back.
_IN_ANSWERS = re.compile(r"(<Token-\d+>)[^<]*+", re.IGNORECASE)


class _Redacting(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        """Let the record pass, without its secrets."""
        text = record.getMessage()
        if (redacted := _redact_log(text)) != text:
            record.msg, record.args = redacted, ()
        if record.exc_info and record.exc_info[0] is not None:
            text = logging.Formatter().formatException(record.exc_info)
            if (redacted := _redact_log(text)) != text:
                record.exc_info, record.exc_text = None, redacted
        return True


def _redact_log(text: str) -> str:
    for pattern in (_NAMED, _IN_SIGNATURES, _IN_ANSWERS):
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text


@functools.cache
def redact_logs(*loggers: str) -> None:
    """Filter the loggers of these names, to which requests are written, once in a process."""
    for name in loggers:
        logging.getLogger(name).addFilter(_Redacting())
