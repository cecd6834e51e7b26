"""Configurations as blocking code gets them: a JSON text, or a JSON file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aiocopick.errors import FormatError, NotFoundError
from aiocopick.formats.json_bytes import parse_json
from aiocopick.models.config import CopickConfig, parse_config
from aiocopick.models.file_sizes import FileSizes, read_config_bytes
from aiocopick.models.place import Place, text_of
from aiocopick.models.protocols import check_protocols
from aiocopick.models.redaction import redact_url


def parse_text(
    text: str | bytes, *, path: str = "the configuration", allow_protocols: Iterable[str] = (), **options: Any
) -> CopickConfig:
    """The configuration in a JSON text, with the given fields replaced.

    Raises
    ------
    FormatError
        It is not JSON, or does not describe a project.
    """
    content = parse_json(text.encode() if isinstance(text, str) else text, path=path)
    if not isinstance(content, dict):
        raise FormatError(f"{path} is not a JSON object, so it does not describe a project.", path=path)
    check_protocols(content, allow_protocols, path=path)
    return parse_config({**content, **options})


def read_file(
    path: Place, allow_protocols: Iterable[str] = (), max_file_bytes: FileSizes | None = None
) -> CopickConfig:
    """The configuration in a JSON file; a limit that is given bounds the file, and replaces the one in it.

    Raises
    ------
    NotFoundError
        The file does not exist.
    FormatError
        It is not JSON, or does not describe a project.
    """
    name = text_of(path)
    try:
        content = read_config_bytes(name, max_file_bytes)
    except FileNotFoundError:
        shown = redact_url(name)
        remote = " A file on disk is expected here; open_sync() takes URLs, too." if "://" in name else ""
        raise NotFoundError(f"There is no configuration at {shown}; check the path.{remote}", path=shown) from None
    options = {} if max_file_bytes is None else {"max_file_bytes": max_file_bytes}
    return parse_text(content, path=name, allow_protocols=allow_protocols, **options)
