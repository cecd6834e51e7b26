"""The public API as text: every public class and function with its members, signatures and first lines."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import aiocopick
from aiocopick import entities, models, sync
from aiocopick.concurrency.misuse import _Listing

SIDES = ("async", "facade", "abstract", "others")

_PUBLIC = {name: getattr(aiocopick, name) for name in aiocopick.__all__ if name != "__version__"}
_ROOMS = {"async": entities, "facade": sync, "abstract": models.entities}


def described(side: str) -> str:
    """One side of the API, a line for each member."""
    names = sorted(name for name in _PUBLIC if _side(name) == side)
    return "\n".join(line for name in names for line in _lines(name, _PUBLIC[name])) + "\n"


def _side(name: str) -> str:
    return next((side for side, room in _ROOMS.items() if name in room.__all__), "others")


def _lines(name: str, member: Any) -> Iterator[str]:
    if not isinstance(member, type):
        yield _line("", name, member)
        return
    public = [base.__name__ for base in member.__mro__[1:] if _PUBLIC.get(base.__name__) is base]
    yield ""
    yield f"class {name}({', '.join(public)}): {_summary(member)}"
    found: dict[str, Any] = {}
    # What the bases of other libraries bring along is theirs.
    for base in reversed([base for base in member.__mro__ if base.__module__.startswith("aiocopick")]):
        found |= {key: _Plain(value) for key, value in inspect.get_annotations(base).items()}
        found |= {key: value for key, value in vars(base).items() if not inspect.isdatadescriptor(value)}
        found |= {key: value for key, value in vars(base).items() if isinstance(value, property)}
        # Methods behind a descriptor of their own.
        found |= {key: getattr(base, key) for key, value in vars(base).items() if isinstance(value, _Listing)}
    for key, value in sorted(found.items()):
        if key == "__init__" or not key.startswith(("_", "model_config")):
            yield _line("  ", key, value)


class _Plain:
    """An annotation that is shown without quotes."""

    def __init__(self, annotation: Any) -> None:
        self.annotation = annotation

    def __repr__(self) -> str:
        return str(self.annotation)


def _line(indent: str, name: str, member: Any) -> str:
    if isinstance(member, _Plain):
        return f"{indent}{name}: {member}"
    if isinstance(member, property):
        returns = inspect.signature(member.fget).return_annotation  # type: ignore[arg-type]
        return f"{indent}{name} -> {returns}{', settable' if member.fset else ''}: {_summary(member)}"
    kind = f"{type(member).__name__} " if isinstance(member, staticmethod | classmethod) else ""
    function = member.__func__ if kind else member
    if not callable(function):
        return f"{indent}{name} = {member!r}"
    awaited = "async " if inspect.iscoroutinefunction(function) else ""
    words = "" if name == "__init__" else f": {_summary(function)}"
    return f"{indent}{kind}{awaited}{name}{_call(function)}{words}"


def _call(function: Any) -> str:
    signature = inspect.signature(function)
    parameters = [_unquoted(parameter) for parameter in signature.parameters.values()]
    # Whether `self` may be given by name is of no use to anybody.
    if len(parameters) > 1 and parameters[0].name == "self":
        parameters[0] = parameters[0].replace(kind=parameters[0].POSITIONAL_OR_KEYWORD)
    return str(signature.replace(parameters=parameters, return_annotation=_plain(signature.return_annotation)))


def _unquoted(parameter: inspect.Parameter) -> inspect.Parameter:
    return parameter.replace(annotation=_plain(parameter.annotation))


def _plain(annotation: Any) -> Any:
    return _Plain(annotation) if isinstance(annotation, str) else annotation


def _summary(member: Any) -> str:
    return " ".join((inspect.getdoc(member) or "").split("\n\n")[0].split())
