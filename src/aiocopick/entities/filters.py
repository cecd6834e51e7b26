"""Which entities a lookup means. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from aiocopick.layout.refs import NOUNS

if TYPE_CHECKING:
    from aiocopick.layers import Nouns

Value = TypeVar("Value")
OneOrMany: TypeAlias = Value | Iterable[Value] | None
"""A value, several of them, or None for any."""

DEEP = frozenset({"voxel_spacings", "tomograms", "features"})
"""What one listing of the folders of voxel spacings shows together."""


def closed(kinds: Iterable[str] | None) -> Nouns:
    """Nouns with those that their entities hang on; None when that is all of them.

    Raises
    ------
    ValueError
        One of them is no noun of a run.
    """
    if kinds is None:
        return None
    wanted = {kinds} if isinstance(kinds, str) else set(kinds)
    unknown = sorted(wanted - NOUNS.keys())
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no kind that a run holds; use {', '.join(NOUNS)}.")
    if wanted & {"tomograms", "features"}:
        wanted |= DEEP
    return None if wanted == NOUNS.keys() else frozenset(wanted)


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
