"""Several listings seen as one. Pure: no I/O, no knowledge of what a layer is beyond its priority."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, Self, TypeAlias, TypeVar

from aiocopick.layers.base import Source
from aiocopick.layout.listing import Located

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


Placed: TypeAlias = Merged | Located
"""An entity as entities take it: where it lies in each layer, or in the only one that there is."""

Item = TypeVar("Item", bound=Placed)


class Found(tuple[Item, ...], Generic[Item]):
    """What several layers hold, and which of them could not be asked.

    Parameters
    ----------
    items : iterable of Merged or Located
        What was found.
    skipped : mapping of str to CopickError, optional
        Names of the layers that were left out, and why.
    denied : mapping, optional
        As of a :class:`~aiocopick.layout.listing.Listing`.
    """

    skipped: Mapping[str, CopickError] = MappingProxyType({})
    denied: Mapping[str | float, CopickError] = MappingProxyType({})

    def __new__(
        cls,
        items: Iterable[Item] = (),
        skipped: Mapping[str, CopickError] | None = None,
        denied: Mapping[str | float, CopickError] | None = None,
    ) -> Self:
        """Make the tuple, and note what was left out."""
        found = super().__new__(cls, items)
        if skipped:
            found.skipped = dict(skipped)
        if denied:
            found.denied = dict(denied)
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
