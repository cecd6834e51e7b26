"""Filters of a lookup. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from aiocopick.layout.refs import BELOW_SPACINGS, NOUNS

if TYPE_CHECKING:
    from aiocopick.layers import Nouns

Value = TypeVar("Value")
OneOrMany: TypeAlias = Value | Iterable[Value] | None
"""A value, several of them, or None for any."""


def with_parents(kinds: Iterable[str] | None) -> Nouns:
    """The kinds plus their parent kinds; None if that is all kinds.

    Raises
    ------
    ValueError
        A name is not a noun of a run.
    """
    if kinds is None:
        return None
    wanted = {kinds} if isinstance(kinds, str) else set(kinds)
    unknown = sorted(wanted - NOUNS.keys())
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not a kind of entity in a run; use {', '.join(NOUNS)}.")
    if wanted & {"tomograms", "features"}:
        wanted |= BELOW_SPACINGS
    return None if wanted == NOUNS.keys() else frozenset(wanted)


def accepts(wanted: OneOrMany[str]) -> Callable[[str], bool]:
    """Return a function that tells if a name is one of the wanted names.

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
    """Return a function that tells if a voxel size (angstrom) is one of the wanted sizes, at three decimals."""
    if wanted is None:
        return _anything
    sizes = wanted if isinstance(wanted, Iterable) else (wanted,)
    rounded = {round(float(size), 3) for size in sizes}
    return lambda size: round(float(size), 3) in rounded


def accepts_flag(wanted: bool | None) -> Callable[[bool], bool]:
    """Return a function that tells if a flag has the wanted value; None accepts both."""
    return _anything if wanted is None else bool(wanted).__eq__


def _anything(value: Any) -> bool:
    return True
