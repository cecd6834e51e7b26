"""JSON documents of a zarr hierarchy: bytes <-> dict, with the checks that hold for all of them."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from aiocopick.errors import FormatError
from aiocopick.formats.json_bytes import parse_json

MAX_DOCUMENT_BYTES = 32 * 1024 * 1024
"""Zarr metadata is a few hundred bytes; consolidated metadata of a large hierarchy a few megabytes."""


_MAX_REASON = 400


def refuse(path: str, reason: str) -> NoReturn:
    """Raise the FormatError of a document. What it quotes is cut: it may be as long as the document."""
    if len(reason) > _MAX_REASON:
        reason = f"{reason[: _MAX_REASON // 2]} ... {reason[-_MAX_REASON // 2 :]}"
    raise FormatError(f"{path}: {reason}", path=path)


def parse_document(data: bytes, *, path: str) -> dict[str, Any]:
    """The JSON object in a metadata file.

    Raises
    ------
    FormatError
        It is no JSON, no object, nested too deeply or larger than any metadata.
    """
    if len(data) > MAX_DOCUMENT_BYTES:
        refuse(path, f"zarr metadata of {len(data)} bytes; at most {MAX_DOCUMENT_BYTES} are read")
    document = parse_json(data, path=path)
    if not isinstance(document, dict):
        refuse(path, f"zarr metadata is a JSON {type(document).__name__}, not an object")
    return document


def encode_document(document: dict[str, Any]) -> bytes:
    """A metadata file, compact."""
    return json.dumps(document, separators=(",", ":")).encode()
