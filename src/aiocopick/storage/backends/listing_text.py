"""The text of listings in XML that expressions read: an XML parser takes several times as long.

Such an expression knows the elements that servers send, each at its place. A document with anything else in it is left
to a parser.
"""

from __future__ import annotations

import re

APART = "\x01"
"""Stands for an entry in what is left of a document; XML cannot contain it."""

DECLARATION = (
    r"(?:<\?xml version=[\"']1\.0[\"'](?: encoding=[\"'](?:UTF|utf)-8[\"'])?+(?: standalone=[\"']yes[\"'])?+\s*+\?>)?+"
)
"""The first line of a document, which may be missing."""

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


class UnknownError(Exception):
    """The document holds what no expression reads."""


def any_of(*names: str) -> str:
    """Return an expression for elements of these names that hold text or nothing."""
    return "|".join(rf"<{name}>[^<]*+</{name}>|<{name}\s?/>" for name in names)


def text_of(body: bytes) -> str:
    """Return a document as text.

    Raises
    ------
    UnknownError
        It holds characters that are not XML, or that a parser changes.
    """
    if body.translate(_REPLACED) != body:
        raise UnknownError
    if not body.isascii() and any(part in body for part in _NOT_CHARACTERS):
        raise UnknownError
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise UnknownError from None
    if "]" in text and "]]>" in text:
        raise UnknownError
    return text


def unescaped(text: str) -> str:
    """Return text as it was before it became XML.

    Raises
    ------
    UnknownError
        It holds an entity that XML does not know.
    """
    return _ENTITY.sub(_character, text) if "&" in text else text


def _character(match: re.Match[str]) -> str:
    named = _NAMED.get(match[1])
    if named is not None:
        return named
    number = _NUMBER.fullmatch(match[1])
    code = 0 if number is None else int(number[1], 16) if number[1] else int(number[2])
    if code in (0x9, 0xA, 0xD) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF:
        return chr(code)
    raise UnknownError
