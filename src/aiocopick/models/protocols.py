"""Protocols that a configuration file may name.

A configuration comes with a project, often from another person: ``zip://`` or ``reference://`` in it, with a target
among the arguments, would open any file of this machine. A program may name any protocol.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from aiocopick.errors import FormatError

PLAIN = frozenset(
    {
        "file", "local", "memory", "s3", "s3a", "gs", "gcs", "az", "azure", "abfs", "abfss", "http", "https", "ssh",
        "sftp", "smb",
    }
)  # fmt: skip
"""Protocols that access one location, named by their URL; those of CoPick's documentation and ours."""

# fsspec's names for a filesystem inside another one.
_NESTED = frozenset(
    {
        "cache_storage", "fo", "fs", "ref_storage_args", "remote_options", "remote_protocol", "storage_options",
        "target_fs", "target_options", "target_protocol",
    }
)  # fmt: skip
_PLACE = re.compile(r"(?:^|_)root$|^croissant_.*url$")
_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.\-]*)://")
_CHAINED = re.compile(r"^[\w+.\-]+::|::[\w+.\-]+://")
_LAYERS = "layers"


def check_protocols(document: Mapping[str, Any], allowed: Iterable[str] = (), *, path: str) -> None:
    """Refuse a configuration file that names a protocol that files may not name.

    Parameters
    ----------
    document : mapping
        Content of the file.
    allowed : iterable of str
        Further protocols that the caller accepts, targets of chained filesystems included.
    path : str
        The file, for messages.

    Raises
    ------
    FormatError
        A root names another protocol, chains protocols, or its arguments name a target inside another filesystem.
    """
    known = PLAIN | {name.lower() for name in ([allowed] if isinstance(allowed, str) else allowed)}
    for field, what in _strangers(document, known, nested=known > PLAIN):
        raise FormatError(
            f"{path}: {field} names {what}, which a configuration file may only do when the caller allows it: pass "
            "allow_protocols= (--allow-protocol on the command line) with the protocols that are trusted.",
            path=path,
        )


def _strangers(document: Mapping[str, Any], known: frozenset[str], *, nested: bool) -> Iterator[tuple[str, str]]:
    for name, value in document.items():
        if isinstance(value, str) and _PLACE.search(name):
            yield from _of_place(name, value, known)
        elif name.endswith("fs_args") and isinstance(value, Mapping):
            yield from _of_arguments(name, value, known, nested=nested)
        elif name == _LAYERS and isinstance(value, list | tuple):
            for index, layer in enumerate(value):
                place = f"{_LAYERS}.{index}"
                if isinstance(layer, str):
                    yield from _of_place(place, layer, known)
                elif isinstance(layer, Mapping):
                    for field, what in _strangers(layer, known, nested=nested):
                        yield f"{place}.{field}", what


def _of_place(field: str, text: str, known: frozenset[str]) -> Iterator[tuple[str, str]]:
    if _CHAINED.search(text):
        yield field, "chained protocols"
    elif (scheme := _SCHEME.match(text)) and scheme.group(1).lower() not in known:
        yield field, f"the protocol {scheme.group(1)!r}"


def _of_arguments(
    field: str, arguments: Mapping[str, Any], known: frozenset[str], *, nested: bool
) -> Iterator[tuple[str, str]]:
    for name, value in arguments.items():
        place = f"{field}.{name}"
        if name in _NESTED:
            if not nested:
                yield place, "a target inside another filesystem"
            elif name.endswith("protocol") and isinstance(value, str) and value.lower() not in known:
                yield place, f"the protocol {value!r}"
            elif isinstance(value, str):
                yield from _of_place(place, value, known)
        if isinstance(value, Mapping):
            yield from _of_arguments(place, value, known, nested=nested)
