"""Which entities a lookup means. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, TypeVar

Value = TypeVar("Value")
OneOrMany: TypeAlias = Value | Iterable[Value] | None
"""A value, several of them, or None for any."""


def accepts(wanted: OneOrMany[str]) -> Callable[[str], bool]:
    """Whether a name is one of those wanted.

    Parameters
    ----------
    wanted : str or iterable of str, optional
        None accepts every name; an empty iterable accepts none.
    """
    if wanted is None:
        return _anything
    names = {wanted} if isinstance(wanted, str) else set(wanted)
    return names.__contains__


def accepts_size(wanted: OneOrMany[float]) -> Callable[[float], bool]:
    """Whether a voxel size (angstrom) is one of those wanted, at three decimals."""
    if wanted is None:
        return _anything
    sizes = wanted if isinstance(wanted, Iterable) else (wanted,)
    rounded = {round(float(size), 3) for size in sizes}
    return lambda size: round(float(size), 3) in rounded


def accepts_flag(wanted: bool | None) -> Callable[[bool], bool]:
    """Whether a flag is as wanted; None accepts both."""
    return _anything if wanted is None else bool(wanted).__eq__


def _anything(value: Any) -> bool:
    return True
