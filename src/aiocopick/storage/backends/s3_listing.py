"""Listings of S3, read by one pass of a regular expression: an XML parser takes ten times as long.

The expression knows the elements that servers send, each at its place. A document with anything else in it is not read
here: botocore's parser reads it.
"""

from __future__ import annotations

import re
from datetime import datetime
from itertools import compress
from typing import NamedTuple
from urllib.parse import unquote

from aiocopick.storage.backends.object_stores import Objects

_APART = "\x01"
"""Stands for an entry in what is left of a document; XML cannot contain it."""


def _any_of(*names: str) -> str:
    return "|".join(f"<{name}>[^<]*+</{name}>|<{name}/>" for name in names)


_OWNER = rf"<Owner>\s*+(?:(?:{_any_of('ID', 'DisplayName')})\s*+)*+</Owner>|<Owner/>"
_KNOWN = _any_of("StorageClass", "ChecksumAlgorithm", "ChecksumType", "Type", "Generation", "MetaGeneration")
_ASIDE = rf"(?:(?:{_KNOWN}|{_OWNER})\s*+)*+"
_QUOTE = r'(?:"|&quot;|&#34;)?+'
# Groups are not inside of possessive parts, which Python's expressions cannot always undo.
_SIZE = r"(?:<Size>(\d{1,19})</Size>\s*+)?"
_MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3}|\.\d{6})?+Z"
_ENTRY = re.compile(
    rf"<Contents>\s*+<Key>([^<]++)</Key>\s*+{_SIZE}{_ASIDE}(?:<LastModified>({_MOMENT})</LastModified>\s*+)?{_ASIDE}"
    rf'(?:<ETag>{_QUOTE}([^<&"]++){_QUOTE}</ETag>\s*+)?{_ASIDE}{_SIZE}{_ASIDE}</Contents>'
    r"|<CommonPrefixes>\s*+<Prefix>([^<]++)</Prefix>\s*+</CommonPrefixes>",
    re.ASCII,
)
_USUAL = re.compile(
    rf"<Contents><Key>([^<]++)</Key>(?:(\d)(?!))?<LastModified>({_MOMENT})</LastModified>"
    rf'<ETag>{_QUOTE}([^<&"]++){_QUOTE}</ETag>(?:{_any_of("ChecksumAlgorithm", "ChecksumType")})*+'
    rf"<Size>(\d{{1,19}})</Size>(?:{_OWNER})?+(?:<StorageClass>[^<]*+</StorageClass>)?+</Contents>"
    r"|<CommonPrefixes><Prefix>([^<]++)</Prefix></CommonPrefixes>",
    re.ASCII,
)
"""The entries that most servers send, with the same groups; found in two thirds of the time."""

_COLUMNS = 7
_TEXTS = (
    "Name", "Prefix", "Delimiter", "Marker", "StartAfter", "EncodingType", "IsTruncated", "ContinuationToken",
    "NextContinuationToken",
)  # fmt: skip
_FIELDS = "|".join(
    [f"<{name}>[^<{_APART}]*+</{name}>" for name in _TEXTS]
    + [rf"<{name}>\d++</{name}>" for name in ("KeyCount", "MaxKeys")]
)
_EMPTY = r"<(?:Prefix|Delimiter|Marker|StartAfter|ContinuationToken|NextContinuationToken)\s?/>"
_REST = re.compile(
    rf"\s*+(?:<\?xml version=[\"']1\.0[\"'](?: encoding=[\"'](?:UTF|utf)-8[\"'])?+\s*+\?>)?+\s*+"
    rf"<ListBucketResult(?: xmlns=[\"'][^\"'<>&]*+[\"'])?+>(?:[\s{_APART}]|{_FIELDS}|{_EMPTY})*+</ListBucketResult>\s*+",
    re.ASCII,
)
_TOLD = re.compile(r"<(\w+)>([^<]*)</")
_NOT_XML = bytes([*range(0x09), *range(0x0B, 0x20)])
_REPLACED = bytes.maketrans(_NOT_XML, b"?" * len(_NOT_XML))
"""Replaces characters that XML forbids, and the carriage return, which a parser changes. They are never part of another
one.
"""

_NOT_CHARACTERS = ("\ufffe".encode(), "\uffff".encode())
"""These are forbidden as well."""

_ENTITY = re.compile(r"&([^;]{0,8};?)")
_NAMED = {"amp;": "&", "lt;": "<", "gt;": ">", "quot;": '"', "apos;": "'"}
_NUMBER = re.compile(r"#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}));")


class _OtherError(Exception):
    """The document holds what is not read here."""


class Listing(NamedTuple):
    """The content of a page.

    Parameters
    ----------
    objects : Objects
        The objects.
    prefixes : list of str
        The common prefixes.
    token : str, optional
        Where the server goes on; None on the last page.
    """

    objects: Objects
    prefixes: list[str]
    token: str | None


def read_listing(body: bytes) -> Listing | None:
    """Return the content of an answer to ListObjectsV2; None if botocore's parser has to read it."""
    try:
        if body.translate(_REPLACED) != body:
            return None
        if not body.isascii() and any(part in body for part in _NOT_CHARACTERS):
            return None
        return _read(body.decode())
    except (UnicodeDecodeError, _OtherError):
        return None


def _read(text: str) -> Listing:
    for entry in (_USUAL, _ENTRY):
        pieces = entry.split(text)
        rest = _APART.join(pieces[::_COLUMNS])
        if _REST.fullmatch(rest):
            break
    else:
        raise _OtherError
    fields = _TOLD.findall(rest)
    told = {name: _unescaped(value) for name, value in fields}
    if len(told) < len(fields) or ("]" in text and "]]>" in text):
        raise _OtherError
    decoded = told.get("EncodingType") == "url"
    # Columns, not entries: what is done to a thousand values at once takes a third of the time.
    shown = pieces[1::_COLUMNS]
    names = _plain([*filter(None, shown)], decoded)
    early, moments, etags, late = [[*compress(pieces[at::_COLUMNS], shown)] for at in range(2, 6)]
    objects = Objects(names, _sizes(early, late), etags, _times(moments))
    prefixes = _plain([*filter(None, pieces[6::_COLUMNS])], decoded)
    token = None
    if told.get("IsTruncated") == "true":
        token = told.get("NextContinuationToken", "")
    return Listing(objects, prefixes, token)


def _plain(names: list[str], decoded: bool) -> list[str]:
    """Return names as they are, without entities and the encoding of URLs."""
    everything = "".join(names)
    if "&" in everything:
        names = [_unescaped(name) for name in names]
    if decoded and ("%" in everything or "+" in everything or "&" in everything):
        # As botocore does it.
        names = [unquote(name.replace("+", " ")) for name in names]
    return names


def _unescaped(text: str) -> str:
    return _ENTITY.sub(_character, text) if "&" in text else text


def _character(match: re.Match[str]) -> str:
    named = _NAMED.get(match[1])
    if named is not None:
        return named
    number = _NUMBER.fullmatch(match[1])
    code = 0 if number is None else int(number[1], 16) if number[1] else int(number[2])
    if code in (0x9, 0xA, 0xD) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF:
        return chr(code)
    raise _OtherError


def _sizes(early: list[str | None], late: list[str | None]) -> list[int | None]:
    """Return the size of each object, which stands in front of the other fields or behind them."""
    if not any(early) and None not in late:
        return [*map(int, late)]  # type: ignore[arg-type]
    if any(first and second for first, second in zip(early, late, strict=True)):
        raise _OtherError
    sizes = [first or second for first, second in zip(early, late, strict=True)]
    return [None if size is None else int(size) for size in sizes]


def _times(moments: list[str | None]) -> list[float | None]:
    """Return the time of each object in seconds."""
    try:
        # Files of one run are often of one second.
        seconds = {moment: datetime.fromisoformat(moment).timestamp() for moment in set(moments) if moment is not None}
    except ValueError:
        raise _OtherError from None
    return [None if moment is None else seconds[moment] for moment in moments]
