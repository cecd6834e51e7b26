"""Index pages of web servers: HTML, and the JSON and XML that nginx, Caddy and others make instead. No I/O.

The time to read a page is proportional to its size, whatever its content: the readers only go forward. A page that is
not an index is refused, because it must not be taken for an empty folder.
"""

from __future__ import annotations

import html
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from aiocopick.storage.base import Entry
from aiocopick.storage.faults import AnswerError, not_a_listing

MOST_BYTES = 64 * 1024 * 1024
_MOST_JSON = 16 * 1024 * 1024

_HTML = frozenset({"text/html", "application/xhtml+xml"})
_XML = frozenset({"text/xml", "application/xml"})


def read_index(data: bytes, headers: Mapping[str, str], base: str, prefix: str) -> list[Entry]:
    """Return the entries of an index page, one level below itself.

    Parameters
    ----------
    data : bytes
        The page as it arrived.
    headers : mapping
        With lower-case names.
    base : str
        Its address, which ends in ``/``.
    prefix : str
        The key of the directory.

    Raises
    ------
    AnswerError
        It is not an index page.
    """
    data = _decompressed(data, headers.get("content-encoding", "").strip().lower())
    kind, _, parameters = headers.get("content-type", "").partition(";")
    kind = kind.strip().lower()
    if not data.strip():
        raise not_a_listing("an empty page")
    if kind in _HTML:
        names = _html_names(_text(data, parameters), base)
    elif kind == "application/json":
        names = _json_names(data)
    elif kind in _XML:
        # XHTML comes under these names, too.
        text = _text(data, parameters)
        names = _xml_names(text) if "<list" in text[:1000] else _html_names(text, base)
    else:
        raise not_a_listing(f"a page of {kind or 'an unknown type'}")
    start = f"{prefix}/" if prefix else ""
    found: dict[str, Entry] = {}
    for name, is_prefix in names:
        if name and "/" not in name and name not in (".", ".."):
            found.setdefault(name, Entry(start + name, is_prefix=is_prefix))
    return list(found.values())


def _decompressed(data: bytes, encoding: str) -> bytes:
    if encoding in ("", "identity"):
        return data
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise not_a_listing(f"a page that is compressed with {encoding}")
    # A zlib header or none: servers send both as deflate.
    raw = encoding == "deflate" and (len(data) < 2 or (data[0] & 15) != 8 or int.from_bytes(data[:2], "big") % 31)
    decoder = zlib.decompressobj(-zlib.MAX_WBITS if raw else zlib.MAX_WBITS | 32)
    try:
        page = decoder.decompress(data, MOST_BYTES + 1)
    except zlib.error:
        raise not_a_listing(f"a page that is not {encoding}, though it says so") from None
    if len(page) > MOST_BYTES:
        raise AnswerError(f"the index page has more than {MOST_BYTES} bytes")
    if not decoder.eof:
        raise AnswerError("the compressed index page was cut short")
    return page


def _text(data: bytes, parameters: str) -> str:
    told = re.search(r"""charset\s*=\s*["']?([\w.:-]{1,40})""", parameters, re.IGNORECASE)
    try:
        return data.decode(told[1] if told else "utf-8", errors="replace")
    except LookupError:
        return data.decode(errors="replace")


# --- JSON and XML -----------------------------------------------------------------------------------------------------

_LISTS = ("files", "paths", "items", "entries", "children", "contents")
_NAMES = ("name", "base", "filename")
_FOLDERS = frozenset({"directory", "dir", "folder", "symlinkdir"})
_FILES = frozenset({"file", "other", "symlinkfile"})


def _json_names(data: bytes) -> Iterator[tuple[str, bool]]:
    if len(data) > _MOST_JSON:
        raise AnswerError(f"the index page has more than {_MOST_JSON} bytes of JSON")
    try:
        # Names that are not UTF-8 stay what no key can be.
        page = json.loads(data.decode("utf-8", errors="surrogateescape"))
    except (ValueError, RecursionError):
        raise not_a_listing("text that is not JSON, though it says so") from None
    if isinstance(page, dict):
        page = next((page[name] for name in _LISTS if isinstance(page.get(name), list)), None)
    if not isinstance(page, list):
        raise not_a_listing("JSON that is not an index of files")
    return _json_items(page)


def _json_items(items: list[Any]) -> Iterator[tuple[str, bool]]:
    for item in items:
        name = next((item[key] for key in _NAMES if isinstance(item.get(key), str)), "") if type(item) is dict else ""
        is_prefix = _is_folder(item, name) if name else None
        if is_prefix is None:
            raise not_a_listing("JSON that is not an index of files")
        yield name.removesuffix("/"), is_prefix


def _is_folder(item: Mapping[str, Any], name: str) -> bool | None:
    """Return if an item is a folder; None if it does not say."""
    if name.endswith("/"):
        return True
    for key in ("is_dir", "isDir", "IsDir", "isDirectory", "is_directory"):
        if isinstance(item.get(key), bool):
            return bool(item[key])
    kind = next((item[key] for key in ("type", "path_type") if isinstance(item.get(key), str)), "").lower()
    return True if kind in _FOLDERS else False if kind in _FILES else None


def _xml_names(text: str) -> Iterator[tuple[str, bool]]:
    """Yield what nginx lists with ``autoindex_format xml``."""
    inside = None
    for tag, _, content in _tags(text):
        if inside is None:
            if tag != "list":
                raise not_a_listing("XML that is not an index of files")
            inside = True
        elif tag in ("directory", "file", "other"):
            yield html.unescape(content), tag == "directory"


# --- HTML -------------------------------------------------------------------------------------------------------------

_TITLE = re.compile(
    r"\b(?:index of|directory (?:listing|index)|listing (?:of|for)|contents of|files within|parent directory)\b"
)
# Headings of pages that say something else, with links of their own.
_NOTICE = re.compile(
    r"\b(?:[45]\d\d|error|not found|forbidden|denied|unauthori[sz]ed|(?:sign|log) ?(?:in|on|up)|maintenance|unavailable)\b"
)
_UP = frozenset({"..", "../", "./..", "./../"})


def _html_names(text: str, base: str) -> Iterable[tuple[str, bool]]:
    """Return what a page links to, one level below itself.

    An index page is known by its heading or by its link to the folder above; a page with neither must be nothing but
    links into itself, or empty but for a list. Others are pages for readers, such as those that some servers answer
    with whatever they are asked for.
    """
    here = urlsplit(base)
    found: list[tuple[str, bool]] = []
    is_index, only_links, listed = False, True, False
    for tag, attributes, content in _tags(text):
        if tag in ("title", "h1", "h2", "a") and not is_index:
            is_index = _TITLE.search(content[:1000].lower()) is not None
            if tag != "a" and _NOTICE.search(content[:1000].lower()):
                only_links = False
        if tag in ("pre", "ul", "table"):
            listed = True
        elif tag in ("script", "form", "iframe", "meta-refresh"):
            only_links = False
        if tag != "a":
            continue
        link = attributes.get("href", "")
        if link in _UP:
            is_index = True
        name = _name_below(link, base, here)
        if name is not None:
            found.append(name)
        elif link and not link.startswith(("?", "#")) and link not in _UP:
            only_links = False
    if is_index or (only_links and (found or (listed and not _words(text)))):
        return found
    raise not_a_listing("a page of HTML that is not an index of files")


def _name_below(link: str, base: str, here: Any) -> tuple[str, bool] | None:
    if not link:
        return None
    try:
        target = urlsplit(urljoin(base, link))
    except ValueError:
        return None
    # Links with a query sort the page, and others lead up or away.
    if target.query or target.netloc != here.netloc or not target.path.startswith(here.path):
        return None
    rest = target.path[len(here.path) :]
    # A name that is not UTF-8 must not be changed into another name: it stays an invalid key.
    name = unquote(rest.removesuffix("/"), errors="surrogateescape")
    return (name, rest.endswith("/")) if name and "/" not in name else None


def _words(text: str) -> bool:
    return any(content.strip() for _, _, content in _tags(text))


_TAG = re.compile(r"<(?:(!--)|(/?)([A-Za-z][^\s/>]{0,40})|[!?/])")
_ATTRIBUTE = re.compile(
    r"""[\s/]*+(?:(>)|([^\s/>=][^\s/>=]*+)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'>][^\s>]*+)))?+)"""
)
_RAW = re.compile(r"</(?:script|style)", re.IGNORECASE)


def _tags(text: str) -> Iterator[tuple[str, dict[str, str], str]]:
    """Yield the start tags of a page: lower-case name, attributes, and the text up to the next tag.

    As the HTML standard reads it, what is not closed goes to the end of the page.
    """
    position, size = 0, len(text)
    pending: tuple[str, dict[str, str], int] | None = None
    while position < size:
        start = text.find("<", position)
        tag = None if start < 0 else _TAG.match(text, start)
        if start >= 0 and tag is None:
            position = start + 1
            continue
        if pending is not None:
            name, attributes, begin = pending
            yield name, attributes, text[begin : size if start < 0 else start]
            pending = None
        if tag is None:
            return
        if tag[1]:
            end = text.find("-->", tag.end())
            position = size if end < 0 else end + 3
            continue
        name = (tag[3] or "").lower()
        attributes = {}
        position = tag.end()
        if tag[2] or not name:
            end = text.find(">", position)
            position = size if end < 0 else end + 1
            continue
        while (found := _ATTRIBUTE.match(text, position)) is not None:
            position = found.end()
            if found[1]:
                break
            value = next((part for part in found.groups()[2:] if part is not None), "")
            try:
                attributes.setdefault(found[2].lower(), html.unescape(value))
            except ValueError:
                # A character reference with thousands of digits.
                continue
        else:
            if position < size and text[position] in "\"'=":
                end = text.find(">", position)
                position = size if end < 0 else end + 1
            else:
                return
        pending = (name, attributes, position)
        if name in ("script", "style"):
            raw = _RAW.search(text, position)
            position = size if raw is None else raw.start()
