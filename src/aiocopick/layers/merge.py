"""Several listings seen as one. Pure: no I/O, no knowledge of what a layer is beyond its priority."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self, TypeVar

from aiocopick.layers.base import Source

if TYPE_CHECKING:
    from aiocopick.errors import CopickError
    from aiocopick.layers.base import Layer
    from aiocopick.layout.listing import Listing
    from aiocopick.layout.refs import Ref


class _Prioritised(Protocol):
    @property
    def priority(self) -> int: ...


Ranked = TypeVar("Ranked", bound=_Prioritised)


class Merged(NamedTuple):
    """An entity, and every place it is stored. A tuple, as crawls make thousands.

    Parameters
    ----------
    ref : Ref
        What it is.
    sources : tuple of Source
        Where it lies, one place per layer; the first is the one that is seen.
    """

    ref: Ref
    sources: tuple[Source, ...]


class Found(tuple[Merged, ...]):
    """What several layers hold, and which of them could not be asked.

    Parameters
    ----------
    merged : iterable of Merged
        What was found.
    skipped : mapping of str to CopickError, optional
        Names of the layers that were left out, and why.
    """

    skipped: dict[str, CopickError]

    def __new__(cls, merged: Iterable[Merged] = (), skipped: Mapping[str, CopickError] | None = None) -> Self:
        """Make the tuple, and note what was left out."""
        found = super().__new__(cls, merged)
        found.skipped = dict(skipped or {})
        return found


def by_priority(layers: Iterable[Ranked]) -> tuple[Ranked, ...]:
    """Layers from the highest priority to the lowest; ties keep their order."""
    return tuple(sorted(layers, key=lambda layer: -layer.priority))


def merge(listings: Sequence[tuple[Layer, Listing]]) -> tuple[Merged, ...]:
    """One listing for several layers.

    Parameters
    ----------
    listings : sequence of (layer, listing)
        Ties of priority are decided by the order given.

    Returns
    -------
    tuple of Merged
        Sorted by ref, each ref once.
    """
    ranked = sorted(listings, key=lambda pair: -pair[0].priority)
    if len(ranked) == 1:
        layer, listing = ranked[0]
        return tuple([Merged(located.ref, (Source(layer, located),)) for located in listing.located])
    found: dict[Ref, list[Source]] = {}
    for layer, listing in ranked:
        for located in listing.located:
            found.setdefault(located.ref, []).append(Source(layer, located))
    return tuple(Merged(ref, tuple(found[ref])) for ref in sorted(found, key=lambda ref: ref.sort_key))
