"""JSON documents of a zarr hierarchy: bytes <-> dict, with the checks that hold for all of them."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from aiocopick.errors import FormatError
from aiocopick.formats.json_bytes import inflated_document, parse_json

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
        It is not JSON, not an object, or nested too deeply.
    """
    document = parse_json(inflated_document(data, path=path), path=path)
    if not isinstance(document, dict):
        refuse(path, f"zarr metadata is a JSON {type(document).__name__}, not an object")
    return document


def encode_document(document: dict[str, Any]) -> bytes:
    """A metadata file, compact."""
    return json.dumps(document, separators=(",", ":")).encode()
