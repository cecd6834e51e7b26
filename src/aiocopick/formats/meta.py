"""``.meta`` files: JSON objects, except for the text ``meta`` that CoPick writes as a placeholder."""

from __future__ import annotations

from typing import Any

from aiocopick.errors import FormatError
from aiocopick.formats.json_bytes import check_brackets, dump_json, inflated_document, parse_json

_PLACEHOLDER = b"meta"


def decode_meta(data: bytes | None, *, path: str) -> dict[str, Any]:
    """Decode the metadata in a ``.meta`` file.

    Parameters
    ----------
    data : bytes, optional
        The file; None if it does not exist.
    path : str
        Path for error messages.

    Returns
    -------
    dict
        Its keys, unknown ones included; empty if the file does not exist, is empty or holds CoPick's placeholder.

    Raises
    ------
    FormatError
        It is broken JSON, or JSON other than an object.
    """
    data = None if data is None else inflated_document(data, path=path)
    if data is None or data.strip() in (b"", _PLACEHOLDER):
        return {}
    value = parse_json(data, path=path)
    if not isinstance(value, dict):
        raise FormatError(f"{path} is not metadata: a JSON object is expected.", path=path)
    return value


def encode_meta(meta: dict[str, Any]) -> bytes:
    """Encode a ``.meta`` file.

    Raises
    ------
    FormatError
        :func:`decode_meta` would refuse it.
    """
    data = dump_json(meta)
    check_brackets(data, path=".meta", dense=False)
    return data


__all__ = ["decode_meta", "encode_meta"]
