"""Filaments files: bytes to CoPick's model and back."""

from __future__ import annotations

import logging
import re
import uuid
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from aiocopick.errors import FormatError
from aiocopick.formats.json_blocks import parse_in_blocks, parse_json_text, parse_numbers
from aiocopick.formats.json_bytes import check_brackets, dump_json, inflated, parse_json
from aiocopick.models.filaments import CheckedNumbers, CopickFilament, CopickFilamentsFile
from aiocopick.models.points import FROM_FILE

logger = logging.getLogger(__name__)

Kind = TypeVar("Kind", bound=BaseModel)

_NULL_METADATA = f"{FROM_FILE} metadata: null"
# Lists of numbers under the keys that have most of them.
_NUMBERS = re.compile(
    rb'(?<!\\)"(?:points|control_points|knots)"[ \t\r\n]*:[ \t\r\n]*(\[[][0-9eE+\-.NaInfity, \t\r\n]*\])(?=[ \t\r\n]*[,}])'
)
# A name that no file contains.
_PLACEHOLDER = f"numbers {uuid.uuid4().hex}"


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
    data = inflated(data, path=path)
    check_brackets(data, path=path)
    filaments = _Filaments(path)
    header: Any = None
    if not data[:64].lstrip().startswith(b"["):
        header = parse_in_blocks(data, "filaments", filaments.extend, filaments.parse)
    if header is None:
        filaments = _Filaments(path)
        header = parse_json(data, path=path, dense=True)
        if not isinstance(header, dict):
            raise FormatError(f"{path} is not a filaments file: a JSON object is expected.", path=path)
        if isinstance(header.get("filaments"), list):
            filaments.extend(header["filaments"])
    header = filaments.restored(header)
    if filaments.models:
        header["filaments"] = filaments.models
    file = _validated(CopickFilamentsFile, header, path, "")
    file.model_fields_set.add(FROM_FILE)
    return file


def _validated(kind: type[Kind], content: Any, path: str, place: str) -> Kind:
    """Return the model of a part of a file.

    Raises
    ------
    FormatError
        It is not such a part; the message names the path and the field.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_url=False, include_context=False)[0]
        field = ".".join([place, *map(str, problem["loc"])]).strip(".") or "the file"
        raise FormatError(
            f"{path} is not a filaments file: {field}: {problem['msg']} ({error.error_count()} problems).", path=path
        ) from None
    except (RecursionError, OverflowError) as error:
        raise FormatError(f"{path} is not a filaments file: {error}.", path=path) from None


class _Filaments:
    """The filaments that were read so far. Their numbers are parsed apart from the rest, straight into what is kept."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.models: list[CopickFilament] = []
        self._texts: dict[str, bytes] = {}

    def parse(self, text: bytes) -> Any:
        """Return the value of a text, with a placeholder for each list of numbers."""
        self._texts = {}
        parts, start = [], 0
        for found in _NUMBERS.finditer(text):
            name = f"{_PLACEHOLDER} {len(self._texts)}"
            parts += [text[start : found.start(1)], b'"%b"' % name.encode()]
            self._texts[name] = found[1]
            start = found.end(1)
        return parse_json_text(b"".join([*parts, text[start:]]))

    def extend(self, items: list[Any]) -> None:
        """Add filaments."""
        for item in items:
            if isinstance(item, dict):
                self._restore_numbers(item, "points")
                curve = item.get("curve")
                if isinstance(curve, dict):
                    self._restore_numbers(curve, "control_points")
                    self._restore_numbers(curve, "knots")
            self.models.append(self._filament(self.restored(item)))

    def _filament(self, said: Any) -> CopickFilament:
        filament = _validated(CopickFilament, said, self.path, f"filaments.{len(self.models)}")
        filament.model_fields_set.add(FROM_FILE)
        if said.get("metadata", "") is None:
            filament.model_fields_set.add(_NULL_METADATA)
        if filament.curve is not None:
            filament.curve.model_fields_set.add(FROM_FILE)
            if "alpha" not in said["curve"]:
                filament.curve.model_fields_set.discard("alpha")
        return filament

    def _restore_numbers(self, model: dict[str, Any], key: str) -> None:
        text = self._text(model.get(key))
        if text is not None:
            model[key] = parse_numbers(text, triples=key != "knots") or self._parsed(text)

    def restored(self, value: Any) -> Any:
        """Return a value with the lists whose placeholders are in it."""
        if isinstance(value, CheckedNumbers):
            return value
        if isinstance(value, dict):
            for key, child in value.items():
                value[key] = self.restored(child)
        elif isinstance(value, list):
            value[:] = map(self.restored, value)
        text = self._text(value)
        return value if text is None else self._parsed(text)

    def _text(self, value: Any) -> bytes | None:
        return self._texts.pop(value, None) if isinstance(value, str) else None

    def _parsed(self, text: bytes) -> Any:
        try:
            return parse_json_text(text)
        except ValueError as error:
            raise FormatError(f"{self.path} is not valid JSON ({error}).", path=self.path) from None


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
