"""Listings of S3, read by one pass of a regular expression; what it does not know is left to botocore's parser."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import compress
from urllib.parse import unquote

from aiocopick.storage.backends.listing_text import APART, DECLARATION, UnknownError, any_of, text_of, unescaped
from aiocopick.storage.backends.object_stores import Listing, Objects

_OWNER = rf"<Owner>\s*+(?:(?:{any_of('ID', 'DisplayName')})\s*+)*+</Owner>|<Owner/>"
_KNOWN = any_of("StorageClass", "ChecksumAlgorithm", "ChecksumType", "Type", "Generation", "MetaGeneration")
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
    rf'<ETag>{_QUOTE}([^<&"]++){_QUOTE}</ETag>(?:{any_of("ChecksumAlgorithm", "ChecksumType")})*+'
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
    [f"<{name}>[^<{APART}]*+</{name}>" for name in _TEXTS]
    + [rf"<{name}>\d++</{name}>" for name in ("KeyCount", "MaxKeys")]
)
_EMPTY = r"<(?:Prefix|Delimiter|Marker|StartAfter|ContinuationToken|NextContinuationToken)\s?/>"
_REST = re.compile(
    rf"\s*+{DECLARATION}\s*+"
    rf"<ListBucketResult(?: xmlns=[\"'][^\"'<>&]*+[\"'])?+>(?:[\s{APART}]|{_FIELDS}|{_EMPTY})*+</ListBucketResult>\s*+",
    re.ASCII,
)
_TOLD = re.compile(r"<(\w+)>([^<]*)</")


def read_listing(body: bytes) -> Listing | None:
    """Return the content of an answer to ListObjectsV2; None if botocore's parser has to read it."""
    try:
        return _read(text_of(body))
    except UnknownError:
        return None


def _read(text: str) -> Listing:
    for entry in (_USUAL, _ENTRY):
        pieces = entry.split(text)
        rest = APART.join(pieces[::_COLUMNS])
        if _REST.fullmatch(rest):
            break
    else:
        raise UnknownError
    fields = _TOLD.findall(rest)
    told = {name: unescaped(value) for name, value in fields}
    if len(told) < len(fields):
        raise UnknownError
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
        names = [unescaped(name) for name in names]
    if decoded and ("%" in everything or "+" in everything or "&" in everything):
        # As botocore does it.
        names = [unquote(name.replace("+", " ")) for name in names]
    return names


def _sizes(early: list[str | None], late: list[str | None]) -> list[int | None]:
    """Return the size of each object, which stands in front of the other fields or behind them."""
    if not any(early) and None not in late:
        return [*map(int, late)]  # type: ignore[arg-type]
    if any(first and second for first, second in zip(early, late, strict=True)):
        raise UnknownError
    sizes = [first or second for first, second in zip(early, late, strict=True)]
    return [None if size is None else int(size) for size in sizes]


def _times(moments: list[str | None]) -> list[float | None]:
    """Return the time of each object in seconds."""
    try:
        # Files of one run are often of one second.
        seconds = {moment: datetime.fromisoformat(moment).timestamp() for moment in set(moments) if moment is not None}
    except ValueError:
        raise UnknownError from None
    return [None if moment is None else seconds[moment] for moment in moments]
