"""A class of signatures whose members raise NotImplementedError until they are implemented."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import isfunction
from typing import Any, NoReturn, TypeVar

Cls = TypeVar("Cls", bound=type)

_HOOK = "A hook that implementations fill in; others do not call it."


def contract(cls: Cls) -> Cls:
    """Make the methods and properties of a class raise NotImplementedError; its constructor is left as it is.

    What has no documentation of its own leads to that of the async twin.
    """
    # What files have in common is documented on picks.
    twin = "AsyncPicks" if cls.__name__.startswith("_") else cls.__name__.replace("Copick", "Async")
    for name, member in list(vars(cls).items()):
        words = _HOOK if name.startswith("_") else f"See :attr:`aiocopick.{twin}.{name}`."
        if isinstance(member, property):
            setter = member.fset and _unimplemented(member.fset, name, words)
            setattr(cls, name, property(_unimplemented(member.fget, name, words), setter))
        elif isfunction(member) and name != "__init__":
            setattr(cls, name, _unimplemented(member, name, words))
    return cls


def _unimplemented(stub: Any, name: str, words: str) -> Callable[..., NoReturn]:
    @wraps(stub)
    def refuse(self: Any, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError(f"{type(self).__name__} implements no {name!r}.")

    refuse.__doc__ = stub.__doc__ or words
    return refuse
