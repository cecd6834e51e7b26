"""Filaments files: bytes to CoPick's model and back."""

from __future__ import annotations

import logging
from typing import Any

from pydantic import BaseModel, ValidationError

from aiocopick.errors import FormatError
from aiocopick.formats.json_bytes import dump_json, parse_json
from aiocopick.models.filaments import CopickFilamentsFile
from aiocopick.models.points import FROM_FILE

logger = logging.getLogger(__name__)

_NULL_METADATA = f"{FROM_FILE} metadata: null"


def decode_filaments(data: bytes, *, path: str) -> CopickFilamentsFile:
    """Decode a filaments file, keeping keys that CoPick does not know.

    Parameters
    ----------
    data : bytes
        The file.
    path : str
        Path for error messages.

    Raises
    ------
    FormatError
        It is not JSON or not a filaments file; the message names the path and the field.
    """
    document = parse_json(data, path=path)
    if not isinstance(document, dict):
        raise FormatError(f"{path} is not a filaments file: a JSON object is expected.", path=path)
    try:
        file = CopickFilamentsFile.model_validate(document)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False, include_context=False)[0]
        place = ".".join(map(str, problem["loc"])) or "the file"
        raise FormatError(
            f"{path} is not a filaments file: {place}: {problem['msg']} ({error.error_count()} problems).", path=path
        ) from None
    except (RecursionError, OverflowError) as error:
        raise FormatError(f"{path} is not a filaments file: {error}.", path=path) from None
    curves = [filament.curve for filament in file.filaments if filament.curve is not None]
    for model in (file, *file.filaments, *curves):
        model.model_fields_set.add(FROM_FILE)
    for filament, said in zip(file.filaments, document.get("filaments", ()), strict=True):
        if said.get("metadata", "") is None:
            filament.model_fields_set.add(_NULL_METADATA)
        if filament.curve is not None and "alpha" not in said["curve"]:
            filament.curve.model_fields_set.discard("alpha")
    return file


def encode_filaments(file: CopickFilamentsFile) -> bytes:
    """Encode a filaments file, compactly.

    A curve that no longer describes the points of its filament is left out, with a warning in the log, as CoPick does,
    because a program would draw it in the wrong position. Curves of unknown kinds are kept.
    """
    stale = [
        filament.instance_id
        for filament in file.filaments
        if filament.curve is not None and filament.curve.is_known and not filament.curve_is_current()
    ]
    content = file.model_dump()
    _leave_out(file, content)
    for filament, written in zip(file.filaments, content["filaments"], strict=True):
        _leave_out(filament, written)
        if filament.curve is not None:
            _leave_out(filament.curve, written["curve"])
        if _NULL_METADATA in filament.model_fields_set and not filament.metadata:
            written["metadata"] = None
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


def _leave_out(model: BaseModel, content: dict[str, Any]) -> None:
    """Leave out the default values of keys that the file did not contain, unless they were changed since."""
    if FROM_FILE not in model.model_fields_set:
        return
    for name, field in type(model).model_fields.items():
        unchanged = content.get(name) == field.get_default(call_default_factory=True) or name == "alpha"
        if name != "filaments" and name not in model.model_fields_set and unchanged:
            content.pop(name, None)


__all__ = ["decode_filaments", "encode_filaments"]
