"""Derivation of a blocking member from the async one: signature, types and documentation are written there, once.

Each of these decorates an empty ``def``, and says what is done around the call. A plain assignment would be shorter,
but type checkers give an assigned method the type that the abstract API declares. The coroutine function that is called
is the twin's own, so that subclasses can override it; the class that is named says what is given only to type checkers,
while children are wrapped as the factories of their parent say.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Coroutine
from functools import update_wrapper
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, overload

if TYPE_CHECKING:
    from aiocopick.entities.base import AsyncEntity


class Child(Protocol):
    """A facade class below the root."""

    noun: ClassVar[str]


P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
C = TypeVar("C", bound=Child)

Method = Callable[Concatenate[Any, P], R]
Verb = Callable[Concatenate[Any, P], Coroutine[Any, Any, R]]
Stub = Callable[..., Any]
"""An empty ``def``: only its name counts."""

_NAMES = re.compile(r"\bAsync(Root|Run|VoxelSpacing|Tomogram|Features|Picks|Mesh|Segmentation|Filaments|Object)\b")


def facade_words(text: Any) -> Any:
    """An annotation or a documentation with the facade's names in it."""
    return _NAMES.sub(r"Copick\1FS", text) if isinstance(text, str) and "Async" in text else text


def with_parameters(words: str | None, twin: type) -> str | None:
    """The documentation of a class, with the parameters that the twin is constructed by."""
    parameters = re.search(r"    Parameters\n(?:.+\n)+", twin.__doc__ or "")
    return f"{words}\n\n{facade_words(parameters.group())}" if words and parameters else words


# --- members that need no turn of the loop ----------------------------------------------------------------------------


class Attribute(Generic[R_co]):
    """A property, to type checkers: its type is written where it is declared."""

    if TYPE_CHECKING:

        @overload
        def __get__(self, owner: None, cls: Any) -> Self: ...
        @overload
        def __get__(self, owner: object, cls: Any) -> R_co: ...
        def __get__(self, owner: object | None, cls: Any) -> Any: ...


class Settable(Attribute[R]):
    """A property that can be set, to type checkers."""

    if TYPE_CHECKING:

        def __set__(self, owner: object, value: R) -> None: ...


def attribute(twin: type) -> Any:
    """A property of the twin, by the same name: ``name: Attribute[str] = attribute(AsyncRun)``."""
    return _Passed(twin)


class _Passed(property):
    def __init__(self, twin: type) -> None:
        self._twin = twin

    def __set_name__(self, owner: type, name: str) -> None:
        def read(self: Any) -> Any:
            return getattr(self.aio, name)

        read.__annotations__ = {"return": inspect.get_annotations(owner)[name].partition("[")[2][:-1]}

        def write(self: Any, value: Any) -> None:
            setattr(self.aio, name, value)

        described = getattr(self._twin, name)
        read.__doc__ = facade_words(described.__doc__)
        super().__init__(read, write if described.fset else None)


def passes(function: Method[P, R]) -> Callable[[Stub], Method[P, R]]:
    """A plain function of the twin."""
    return _deriving(function, lambda self, ask, args, kwargs: ask(*args, **kwargs))


def like(function: Verb[P, R]) -> Callable[[Stub], Method[P, R]]:
    """A method that does something of its own, with signature and documentation of the twin's."""
    return lambda stub: _described(stub, stub, function)


# --- calls ------------------------------------------------------------------------------------------------------------


def calls(function: Verb[P, R]) -> Callable[[Stub], Method[P, R]]:
    """A coroutine function of the twin."""
    return _deriving(function, lambda self, ask, args, kwargs: self._call(ask, *args, **kwargs))


def changes(function: Verb[P, R]) -> Callable[[Stub], Method[P, R]]:
    """Derive like :func:`calls`, for a method that writes the file: refused in a read-only layer, unless it does not
    ``store``.
    """

    def change(self: Any, ask: Any, args: Any, kwargs: Any) -> Any:
        if kwargs.get("store", True):
            self._refuse_static()
        return self._call(ask, *args, **kwargs)

    return _deriving(function, change)


def writes(function: Verb[P, R]) -> Callable[[Stub], Method[P, R]]:
    """Derive like :func:`calls`, for a method that writes a volume: without shards if ``aiocopick.compat`` leaves
    them out.
    """

    def write(self: Any, ask: Any, args: Any, kwargs: Any) -> Any:
        if kwargs.get("shards") is not None:
            kwargs["shards"] = self._fitting(kwargs["shards"])
        return self._call(ask, *args, **kwargs)

    return _deriving(function, write)


# --- calls that are about children ------------------------------------------------------------------------------------


@overload
def gives(
    function: Verb[P, list[Any]], child: type[C], *, ahead: bool = False
) -> Callable[[Stub], Method[P, list[C]]]: ...
@overload
def gives(
    function: Verb[P, AsyncEntity | None], child: type[C], *, ahead: bool = False
) -> Callable[[Stub], Method[P, C | None]]: ...
def gives(function: Any, child: Any, *, ahead: bool = False) -> Any:
    """Children that were looked up: one or None, or a list. ``ahead`` lists the neighbouring runs first."""
    noun = child.noun if ahead else None

    def give(self: Any, ask: Any, args: Any, kwargs: Any) -> Any:
        if noun is not None:
            self._ahead(noun)
        found = self._call(ask, *args, **kwargs)
        return self._wrap_all(found) if isinstance(found, list) else self._wrap(found)

    return _deriving(function, give)


def listed(function: Verb[[], list[Any]], child: type[C]) -> Callable[[Stub], Attribute[list[C]]]:
    """The cached list of children, as a property."""
    noun, name = child.noun, function.__name__

    def derive(stub: Stub) -> Any:
        def read(self: Any) -> Any:
            return self._listed(noun, getattr(self.aio, name))

        return property(_described(read, stub, function))

    return derive


def queries(function: Verb[P, list[Any]], child: type[C]) -> Callable[[Stub], Method[P, list[C]]]:
    """The children that the storage has; they become the cached list, unless only some layers were asked."""
    noun = child.noun

    def query(self: Any, ask: Any, args: Any, kwargs: Any) -> Any:
        return self._queried(noun, self._call(ask, *args, **kwargs), kwargs.get("layers"))

    return _deriving(function, query)


def makes(function: Verb[P, Any], child: type[C]) -> Callable[[Stub], Method[P, C]]:
    """A new child, which is in the cached list from then on."""
    noun = child.noun
    return _deriving(function, lambda self, ask, args, kwargs: self._created(noun, self._call(ask, *args, **kwargs)))


def deletes(function: Verb[P, R], child: type[Child] | None = None) -> Callable[[Stub], Method[P, R]]:
    """Children that are deleted, and so are in no list any more; without a class the entity itself, with its
    children.
    """

    def delete(self: Any, ask: Any, args: Any, kwargs: Any) -> Any:
        self._call(ask, *args, **kwargs)
        if child is not None:
            self._deleted(child.noun)
            return
        for noun in self.lists:
            self._deleted(noun)
        self.__dict__[self.parent_name]._deleted(self.noun)

    return _deriving(function, delete)


# --- making methods ---------------------------------------------------------------------------------------------------


def _deriving(function: Any, do: Callable[[Any, Any, Any, Any], Any]) -> Callable[[Stub], Any]:
    """A decorator: the method asks the twin's function of that name, in this way."""
    name = function.__name__

    def derive(stub: Stub) -> Any:
        def method(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            return do(self, getattr(self.aio, name), args, kwargs)

        return _described(method, stub, function)

    return derive


def _described(method: Any, stub: Stub, function: Any) -> Any:
    """The method, with signature and documentation of a function and its place in a class."""
    function = inspect.unwrap(function)
    # A copy that is never called: signatures are slow to create, and are created from it on demand.
    words = FunctionType(
        function.__code__, function.__globals__, stub.__name__, function.__defaults__, function.__closure__
    )
    words.__kwdefaults__ = function.__kwdefaults__
    words.__annotations__ = {name: facade_words(value) for name, value in function.__annotations__.items()}
    words.__doc__ = facade_words(function.__doc__)
    words.__module__, words.__qualname__ = stub.__module__, stub.__qualname__
    return update_wrapper(method, words)
