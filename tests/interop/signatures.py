"""The signatures of a module's classes as JSON: run by the interpreter of an environment, or imported.

Standard library and the module only. ``python signatures.py copick.models CopickRoot CopickRun`` prints them.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from typing import Any

_NO_DEFAULT = "<none>"


def class_signatures(cls: type) -> dict[str, Any]:
    """Every member of a class that is not from object: properties, and methods with their parameters."""
    members = {}
    for name in dir(cls):
        if (name.startswith("__") and name != "__init__") or not _is_own(cls, name):
            continue
        member = inspect.getattr_static(cls, name)
        if isinstance(member, property):
            members[name] = {"kind": "property", "settable": member.fset is not None}
        elif isinstance(member, staticmethod | classmethod) or inspect.isfunction(member):
            function = member.__func__ if isinstance(member, staticmethod | classmethod) else member
            parameters = list(inspect.signature(function).parameters.values())
            if not isinstance(member, staticmethod):
                parameters = parameters[1:]
            members[name] = {"kind": "method", "parameters": [_describe(parameter) for parameter in parameters]}
    return members


def _is_own(cls: type, name: str) -> bool:
    return any(name in vars(base) for base in cls.__mro__ if base is not object)


def _describe(parameter: inspect.Parameter) -> dict[str, str]:
    default = _NO_DEFAULT if parameter.default is inspect.Parameter.empty else _show(parameter.default)
    return {"name": parameter.name, "kind": parameter.kind.name, "default": default}


def _show(default: Any) -> str:
    # numpy scalars types and dtypes print as their names, whatever numpy's version
    return getattr(default, "__name__", None) or repr(default)


if __name__ == "__main__":
    module = importlib.import_module(sys.argv[1])
    print(json.dumps({name: class_signatures(getattr(module, name)) for name in sys.argv[2:]}))
