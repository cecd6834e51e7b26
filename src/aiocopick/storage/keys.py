"""Keys and roots as text: rules for keys, splitting and display of a root URL. No I/O."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

from aiocopick.errors import InvalidNameError
from aiocopick.models.protocols import CHAINED
from aiocopick.models.redaction import split_userinfo

# An empty, "." or ".." segment (so also a leading or trailing slash), a backslash or a NUL.
_REFUSED = re.compile(r"(?:^|/)\.{0,2}(?:/|\Z)|[\\\x00]")
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.\-]+)://")
_ALIASES = {
    "": "file",
    "local": "file",
    "s3a": "s3",
    "gcs": "gs",
    "azure": "az",
    "abfs": "az",
    "abfss": "az",
}


def check_key(key: str) -> str:
    """Return the key itself if it names an object below the root.

    Raises
    ------
    InvalidNameError
        It is empty or absolute, has empty, ``.`` or ``..`` segments, a backslash or a NUL, or is not valid text.
    """
    if not isinstance(key, str):
        raise InvalidNameError(f"A key is text, not {type(key).__name__}", path=repr(key))
    if _REFUSED.search(key):
        raise InvalidNameError(
            f"{key!r} is not a key below the root: it must be relative, without empty, '.' or '..' segments, "
            "backslash or NUL",
            path=key,
        )
    if not key.isascii():
        try:
            key.encode()
        except UnicodeEncodeError:
            raise InvalidNameError(f"{key!r} holds characters that no storage can keep", path=repr(key)) from None
    return key


# Device names of Windows, whatever follows a dot, and what Windows reads as a drive, a stream or a wildcard.
# https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_DEVICE = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])\s*(?:\.|\Z)", re.IGNORECASE
)
_NOT_WINDOWS = re.compile(r'[<>:"|?*\\\x00-\x1f]|[. ]\Z')


def path_below(root: str, key: str, separator: str = os.sep) -> str:
    """Return the path of a key below a root, built from its segments alone: none of them can name another place.

    Parameters
    ----------
    root : str
        An absolute path.
    key : str
        Accepted by :func:`check_key`.
    separator : str
        Of the system's paths; a backslash stands for Windows.

    Raises
    ------
    InvalidNameError
        Windows would read a segment as a drive, a stream, a device or another name.
    """
    segments = key.split("/")
    if separator == "\\":
        for segment in segments:
            if _NOT_WINDOWS.search(segment) or _DEVICE.match(segment):
                raise InvalidNameError(
                    f"{key!r} cannot be stored on Windows: {segment!r} stands for something else there", path=key
                )
    return (root if root.endswith(separator) else root + separator) + separator.join(segments)


def check_prefix(prefix: str) -> str:
    """The prefix without a trailing slash, when it is the root (empty) or a directory below it.

    Raises
    ------
    InvalidNameError
        As for :func:`check_key`.
    """
    if prefix == "":
        return prefix
    return check_key(prefix[:-1] if prefix.endswith("/") else prefix)


def is_key(key: str) -> bool:
    """Return True if a key that a server listed can be requested."""
    suspect = "/." in key or "//" in key or "\\" in key or "\0" in key or not key.isascii()
    if not suspect and key[:1] not in ("", "/", ".") and key[-1] != "/":
        # Most keys end here: the closer look would cost more than all else in a listing.
        return True
    return not _REFUSED.search(key) and (key.isascii() or key.isprintable() or _encodes(key))


def _encodes(key: str) -> bool:
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def display_key(key: str) -> str:
    """A key as text that can be printed anywhere: bytes of a local disk that are no UTF-8 are written as Python
    does.
    """
    if key.isascii() or _encodes(key):
        return key
    try:
        raw = key.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return key.encode(errors="backslashreplace").decode()
    return raw.decode(errors="backslashreplace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """The root of a storage, taken apart.

    Parameters
    ----------
    protocol : str
        fsspec's name of the protocol, aliases resolved (``file`` for a bare path, ``az`` for ``azure``).
    location : str
        What follows ``://``, without a trailing slash; an absolute path for local disk.
    url : str
        The whole, fit for display: without user, password and query.
    query : str
        What follows ``?``, which may be secret; only HTTP has a use for it.
    """

    protocol: str
    location: str
    url: str
    query: str = field(default="", repr=False)

    @property
    def container(self) -> str:
        """The bucket, container or host."""
        return self.location.partition("/")[0]

    @property
    def prefix(self) -> str:
        """Return the part after the bucket, container or host."""
        return self.location.partition("/")[2]


def parse_root(root: str | os.PathLike[str]) -> Root:
    """Take a root URL or path apart.

    Raises
    ------
    InvalidNameError
        The root is empty, or chains protocols (``a::b``), which would let a root reach into another one, or names
        credentials before a bucket.
    """
    text = os.fspath(root)
    if not text:
        raise InvalidNameError("The root of a project is empty; give a URL or a path", path=text)
    scheme = _SCHEME.match(text)
    if CHAINED.search(text):
        raise InvalidNameError(
            f"{text.partition('::')[0]}::... chains protocols, which is not supported; name one protocol", path=None
        )
    protocol = scheme.group(1).lower() if scheme else ""
    protocol = _ALIASES.get(protocol, protocol)
    if protocol == "file":
        path = text[scheme.end() :] if scheme else text
        path = os.path.expanduser(path)
        location = os.path.normpath(path if os.path.isabs(path) else os.path.join(os.getcwd(), path))
        return Root(protocol=protocol, location=location, url=location)
    assert scheme is not None
    rest = text[scheme.end() :]
    if protocol == "memory":
        location = rest.strip("/")
        return Root(protocol=protocol, location=location, url=f"memory://{location}")
    user, rest = split_userinfo(rest)
    if user and protocol in ("s3", "gs"):
        shown = display_url(text)
        raise InvalidNameError(
            f"{shown}: the URL of a bucket holds no credentials; give them in fs_args (key and secret for S3, token for "
            "Google Cloud)",
            path=shown,
        )
    location, _, query = rest.partition("?")
    location = f"{user}@{location}" if user else location
    return Root(protocol=protocol, location=location.rstrip("/"), url=display_url(text), query=query)


def display_url(url: str) -> str:
    """A URL without user, password, query and fragment, which may hold secrets; without a trailing slash."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url.rstrip("/")
    return f"{scheme.lower()}://{re.split('[?#]', split_userinfo(rest)[1], maxsplit=1)[0]}".rstrip("/")
