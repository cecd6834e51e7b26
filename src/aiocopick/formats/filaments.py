"""Filaments files: bytes to CoPick's model and back."""

from __future__ import annotations

import logging

from pydantic import ValidationError

from aiocopick.errors import FormatError
from aiocopick.formats.json_bytes import dump_json, parse_json
from aiocopick.models.filaments import CopickFilamentsFile

logger = logging.getLogger(__name__)


def decode_filaments(data: bytes, *, path: str) -> CopickFilamentsFile:
    """The filaments that a file holds, keys that CoPick does not know included.

    Parameters
    ----------
    data : bytes
        The file.
    path : str
        Where it came from, for messages.

    Raises
    ------
    FormatError
        It is no JSON, or no filaments file; the message names the path and the field.
    """
    document = parse_json(data, path=path)
    if not isinstance(document, dict):
        raise FormatError(f"{path} is no filaments file: a JSON object is expected.", path=path)
    try:
        return CopickFilamentsFile.model_validate(document)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(map(str, problem["loc"])) or "the file"
        raise FormatError(
            f"{path} is no filaments file: {place}: {problem['msg']} ({error.error_count()} problems).", path=path
        ) from None
    except (RecursionError, OverflowError) as error:
        raise FormatError(f"{path} is no filaments file: {error}.", path=path) from None


def encode_filaments(file: CopickFilamentsFile) -> bytes:
    """The file that holds these filaments, written compactly.

    A curve that no longer describes the points of its filament is left out, with a warning in the log, as CoPick does:
    what reads it would draw another line than the points. Curves of kinds that are not known are kept.
    """
    stale = [
        filament.instance_id
        for filament in file.filaments
        if filament.curve is not None and filament.curve.is_known and not filament.curve_is_current()
    ]
    content = file.model_dump()
    if stale:
        logger.warning(
            "Dropping the curves of filaments %s of %s (%s/%s): their points changed without them.",
            stale,
            file.pickable_object_name,
            file.user_id,
            file.session_id,
        )
        for filament in content["filaments"]:
            if filament["instance_id"] in stale:
                filament["curve"] = None
    return dump_json(content)


__all__ = ["decode_filaments", "encode_filaments"]
