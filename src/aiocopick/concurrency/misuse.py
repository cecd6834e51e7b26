"""Errors for async objects that are used like blocking ones: they say what to write instead."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

_BLOCKING = "In blocking code, open the project with aiocopick.open_sync()."


class AsyncOnly:
    """Base of classes that are only used by ``async for`` and ``async with``."""

    __slots__ = ()

    if not TYPE_CHECKING:
        # Type checkers find the mistake by themselves, as long as these are not declared.

        def __iter__(self) -> NoReturn:
            raise TypeError(f"{type(self).__name__} is asynchronous: {self._iterated()}. {_BLOCKING}")

        def __enter__(self) -> NoReturn:
            raise TypeError(f"{type(self).__name__} is asynchronous: write `async with`, not `with`. {_BLOCKING}")

        def __exit__(self, *error: object) -> None:
            """Do nothing: `__enter__` has raised."""

        def _iterated(self) -> str:
            return "write `async for`, not `for`"


def lists(function: Function) -> Function:
    """Mark a coroutine method that the blocking classes have as an attribute.

    If it is used like that attribute (``for picks in run.picks``), the error says that it is called and awaited.
    """
    return _Listing(function)  # type: ignore[return-value]


class _Listing:
    """The descriptor of such a method. The class has the function itself, as for any method."""

    def __init__(self, function: Callable[..., Any]) -> None:
        update_wrapper(self, function)
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def __get__(self, owner: Any, cls: type | None = None) -> Any:
        return self._function if owner is None else _Bound(self._function, owner)


class _Bound(partial[Any]):
    # A partial, because a crawl calls thousands of them.
    __slots__ = ()

    @property
    def __func__(self) -> Callable[..., Any]:
        return self.func

    @property
    def __self__(self) -> Any:
        return self.args[0]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Bound) and self.__func__ is other.__func__ and self.__self__ is other.__self__

    def __hash__(self) -> int:
        return hash((self.__func__, id(self.__self__)))

    def __repr__(self) -> str:
        return repr(self.__func__.__get__(self.__self__))

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self.__self__, self.__func__.__name__)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.__func__.__get__(self.__self__))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            return getattr(self.__func__, name)
        raise AttributeError(self._message())

    def _message(self) -> str:
        name, owner = self.__func__.__name__, self.__self__
        written = f"await {getattr(owner, 'kind', 'root')}.{name}()"
        return f"{type(owner).__name__}.{name} is a coroutine method: write `{written}`. {_BLOCKING}"

    def __iter__(self) -> NoReturn:
        raise TypeError(self._message())

    def __len__(self) -> NoReturn:
        raise TypeError(self._message())

    def __getitem__(self, index: Any) -> NoReturn:
        raise TypeError(self._message())


def refuse_unawaited(value: object, what: str) -> None:
    """Refuse a coroutine, or another awaitable, where its result is expected.

    Raises
    ------
    TypeError
        It was not awaited.
    """
    if inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            # The error says it; Python's own warning, at some later time, would not add anything.
            value.close()
        raise TypeError(f"{what} is expected, not {type(value).__name__}: it was not awaited; write `await` before it.")


__all__ = ["AsyncOnly", "lists", "refuse_unawaited"]
