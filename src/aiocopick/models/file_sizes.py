"""Largest size of a file of each kind, checked before it is read: an endless answer must not fill the memory."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from aiocopick.errors import FormatError
from aiocopick.models.redaction import redact_url

FileKind: TypeAlias = Literal["metadata", "picks", "filaments", "meshes", "configs", "tables", "chunks"]
"""Kinds of files that have a limit: ``"metadata"`` is every ``.meta`` and what zarr says about its arrays;
``"chunks"`` are read under the limit of their array, and under this one where it is not known: while they are copied.
"""

FileSizes: TypeAlias = Annotated[int, Field(ge=1)] | dict[FileKind, Annotated[int, Field(ge=1)]]
"""One number for all kinds, or numbers for some."""

MIB = 1024 * 1024
_ZIP = b"PK\x03\x04"

# CoPick's indented points take 828 bytes each.
LARGEST: dict[FileKind, int] = {
    "metadata": 16 * MIB,
    "picks": 2048 * MIB,
    "filaments": 2048 * MIB,
    "meshes": 2048 * MIB,
    "configs": 16 * MIB,
    "tables": 2048 * MIB,
    "chunks": 2048 * MIB,
}
"""Default limits."""


def largest(kind: FileKind, chosen: int | Mapping[FileKind, int] | None) -> int:
    """Return the largest size of a file of a kind, in bytes.

    Parameters
    ----------
    kind : str
        Kind of file.
    chosen : int or mapping, optional
        The option ``max_file_bytes``; kinds that it does not name keep their defaults.
    """
    if isinstance(chosen, int):
        return chosen
    return (chosen or LARGEST).get(kind, LARGEST[kind])


_BYTES = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:([kmgt])(i?)b?|b)?\s*", re.IGNORECASE)


def parse_bytes(text: str) -> int:
    """Return the number of bytes that a text names: ``"50 GB"`` (powers of 1000), ``"2 GiB"`` (of 1024), ``"4096"``.

    Raises
    ------
    ValueError
        It names none.
    """
    found = _BYTES.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a number of bytes, such as '50 GB'")
    unit = (found[2] or "").lower()
    return int(float(found[1]) * (1024 if found[3] else 1000) ** ("kmgt".index(unit) + 1 if unit else 0))


def check_archive(data: bytes, *, path: str) -> None:
    """Refuse a ZIP archive, recognised by its first bytes.

    Raises
    ------
    FormatError
        The data is an archive; the message says how a project in an archive is opened.
    """
    if data.startswith(_ZIP):
        raise FormatError(
            f"{path} is a ZIP archive, not JSON; unpack it, or open a project in it with root 'zip://' and fs_args "
            f"{{'fo': {path!r}}}.",
            path=path,
        )


def read_config_bytes(path: str | os.PathLike[str], chosen: int | Mapping[FileKind, int] | None = None) -> bytes:
    """Return the content of a configuration file on disk; blocks.

    Parameters
    ----------
    path : str or path
        The file.
    chosen : int or mapping, optional
        The option ``max_file_bytes``.

    Raises
    ------
    FormatError
        The file is larger than the limit for configurations, or an archive.
    """
    most = largest("configs", chosen)
    with open(path, "rb") as file:
        content = file.read(most + 1)
    shown = redact_url(os.fspath(path))
    check_archive(content, path=shown)
    if len(content) > most:
        raise FormatError(
            f"{shown} is larger than the {most} bytes that max_file_bytes allows for configs; if "
            "that is what it should be, open it with max_file_bytes={'configs': ...}.",
            path=shown,
        )
    return content


__all__ = ["LARGEST", "FileKind", "FileSizes", "check_archive", "largest", "parse_bytes", "read_config_bytes"]
