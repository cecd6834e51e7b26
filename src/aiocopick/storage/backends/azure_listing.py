"""Listings of Azure Blob Storage, read by one pass of a regular expression where it knows all that a page holds.

The elements are those of https://learn.microsoft.com/rest/api/storageservices/list-blobs; a page with anything else, or
in another order, is read by an XML parser, which takes three times as long.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import unquote

from aiocopick.storage.backends.listing_text import APART, DECLARATION, UnknownError, any_of, text_of, unescaped
from aiocopick.storage.backends.object_stores import Listed, Listing, Objects
from aiocopick.storage.faults import not_a_listing

_KNOWN = any_of(
    "Content-Type", "Content-Encoding", "Content-Language", "Content-CRC64", "Content-MD5", "Cache-Control",
    "Content-Disposition", "BlobType", "AccessTier", "AccessTierInferred", "LeaseStatus", "LeaseState",
    "ServerEncrypted", "AccessTierChangeTime", "Creation-Time", "LeaseDuration", "CopyId", "CopyStatus", "CopySource",
    "CopyProgress", "CopyCompletionTime", "CopyStatusDescription", "IncrementalCopy", "CustomerProvidedKeySha256",
    "EncryptionContext", "EncryptionScope", "RehydratePriority", "TagCount", "Expiry-Time", "ResourceType", "Owner",
    "Group", "Permissions", "Acl", "Placeholder", "x-ms-blob-sequence-number", "LastAccessTime", "LegalHold", "Sealed",
    "ImmutabilityPolicyUntilDate", "ImmutabilityPolicyMode",
)  # fmt: skip
_ASIDE = f"(?:{_KNOWN})*+"
_MOMENT = r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} (?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d GMT"
_METADATA = (
    rf"(?:<Metadata>(?:{any_of('aiocopick_write', 'mtime')})*+</Metadata>|<Metadata\s?/>)?+(?:<OrMetadata\s?/>)?+"
)
_ENTRY = re.compile(
    rf"<Blob><Name>([^<]++)</Name><Properties>{_ASIDE}<Last-Modified>({_MOMENT})</Last-Modified><Etag>([^<&]++)</Etag>"
    rf"{_ASIDE}<Content-Length>(\d{{1,19}})</Content-Length>{_ASIDE}</Properties>{_METADATA}</Blob>"
    rf"|<BlobPrefix><Name>([^<]++)</Name>(?:<Properties>{_ASIDE}</Properties>)?+</BlobPrefix>",
    re.ASCII,
)
_COLUMNS = 6
_REST = re.compile(
    rf"\ufeff?{DECLARATION}\s*+<EnumerationResults(?: (?:ServiceEndpoint|ContainerName)=\"[^\"<>&]*+\")*+>"
    rf"(?:{any_of('Prefix', 'Marker', 'MaxResults', 'Delimiter')})*+<Blobs(?:>{APART}*+</Blobs>|\s?/>)"
    r"<NextMarker(?:>([^<]*+)</NextMarker>|\s?/>)</EnumerationResults>\s*+",
    re.ASCII,
)


def read_listing(page: bytes, status: int, headers: Mapping[str, str]) -> Listing:
    """Read a listing.

    Raises
    ------
    AnswerError
        The answer is not a listing.
    """
    if status == 200:
        with suppress(UnknownError):
            return _expressed(text_of(page))
    return _parsed(page, status, headers)


def _expressed(text: str) -> Listing:
    pieces = _ENTRY.split(text)
    rest = _REST.fullmatch(APART.join(pieces[::_COLUMNS]))
    # Accounts with a hierarchical namespace list directories as blobs of this kind.
    if rest is None or "hdi_isfolder" in text:
        raise UnknownError
    names, moments, etags, sizes, prefixes = ([*filter(None, pieces[at::_COLUMNS])] for at in range(1, _COLUMNS))
    objects = Objects([*map(unescaped, names)], [*map(int, sizes)], [*map(_bare, etags)], _times(moments))
    return Listing(objects, [*map(unescaped, prefixes)], unescaped(rest[1] or "") or None)


def _times(moments: list[str]) -> list[float]:
    """Return moments in seconds; only the day goes through a calendar."""
    day = slice(len("Mon, 27 Jan 2025 "))
    try:
        days = {
            text: parsedate_to_datetime(text + "00:00:00 GMT").timestamp() for text in {each[day] for each in moments}
        }
    except ValueError:
        raise UnknownError from None
    return [days[each[day]] + int(each[17:19]) * 3600 + int(each[20:22]) * 60 + int(each[23:25]) for each in moments]


def _parsed(page: bytes, status: int, headers: Mapping[str, str]) -> Listing:
    from xml.etree import ElementTree

    what = f"the status {status}" if status != 200 else "nothing" if not page.strip() else None
    try:
        root = ElementTree.fromstring(page) if what is None else None
    except ElementTree.ParseError:
        root = None
    if root is None or root.tag != "EnumerationResults":
        kind = headers.get("content-type", "an unknown type").partition(";")[0]
        raise not_a_listing(what or f"a page of {kind}")
    objects: list[Listed] = []
    try:
        for blob in root.iterfind("Blobs/Blob"):
            name = _name(blob)
            # Step by step: a path of two names takes longer.
            metadata, properties = blob.find("Metadata"), blob.find("Properties")
            if _text(metadata, "hdi_isfolder") == "true" and not name.endswith("/"):
                name += "/"
            size, modified, etag = (_text(properties, tag) for tag in ("Content-Length", "Last-Modified", "Etag"))
            objects.append(
                (
                    name,
                    int(size) if size else None,
                    None if etag is None else _bare(etag),
                    parsedate_to_datetime(modified).timestamp() if modified else None,
                )
            )
        prefixes = [_name(prefix) for prefix in root.iterfind("Blobs/BlobPrefix")]
    except ValueError:
        raise not_a_listing("XML that names no blobs") from None
    return Listing(Objects.of(objects), prefixes, root.findtext("NextMarker") or None)


def _text(item: Any, tag: str) -> str | None:
    return None if item is None else item.findtext(tag)


def _name(item: Any) -> str:
    name = item.find("Name")
    if name is None or not name.text:
        raise ValueError
    return unquote(name.text) if name.get("Encoded") == "true" else str(name.text)


def _bare(etag: str) -> str:
    return etag.strip('"')
