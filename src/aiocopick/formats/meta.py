"""``.meta`` files: JSON objects, except where CoPick wrote the word ``meta`` to have a file at all."""

from __future__ import annotations

from typing import Any

from aiocopick.errors import FormatError
from aiocopick.formats.json_bytes import dump_json, inflated_document, parse_json

_PLACEHOLDER = b"meta"


def decode_meta(data: bytes | None, *, path: str) -> dict[str, Any]:
    """The metadata in a ``.meta`` file.

    Parameters
    ----------
    data : bytes, optional
        The file; None when there is none.
    path : str
        Where it came from, for messages.

    Returns
    -------
    dict
        Its keys, unknown ones included; empty when there is no file, or nothing or CoPick's placeholder in it.

    Raises
    ------
    FormatError
        It is broken JSON, or JSON but no object.
    """
    data = None if data is None else inflated_document(data, path=path)
    if data is None or data.strip() in (b"", _PLACEHOLDER):
        return {}
    value = parse_json(data, path=path)
    if not isinstance(value, dict):
        raise FormatError(f"{path} is no metadata: a JSON object is expected.", path=path)
    return value


def encode_meta(meta: dict[str, Any]) -> bytes:
    """The ``.meta`` file that holds these keys."""
    return dump_json(meta)


__all__ = ["decode_meta", "encode_meta"]
