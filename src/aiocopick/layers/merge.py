"""The merge of several listings into one. Pure: no I/O, and of a layer only its priority is used."""

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
    """An entity and all its locations. A tuple, because crawls create thousands.

    Parameters
    ----------
    ref : Ref
        The entity.
    sources : tuple of Source
        Its locations, one per layer; the first one is seen.
    """

    ref: Ref
    sources: tuple[Source, ...]


Placed: TypeAlias = Merged | Located
"""The form in which entities take their location: one location per layer, or the location in the only layer."""

Item = TypeVar("Item", bound=Placed)


class Found(tuple[Item, ...], Generic[Item]):
    """The merged content of several layers, and the layers that could not be listed.

    Parameters
    ----------
    items : iterable of Merged or Located
        The entities.
    skipped : mapping of str to CopickError, optional
        Errors of the layers that were left out, by name of the layer.
    denied : mapping, optional
        See :class:`~aiocopick.layout.listing.Listing`.
    """

    skipped: Mapping[str, CopickError] = MappingProxyType({})
    denied: Mapping[str | float, CopickError] = MappingProxyType({})

    def __new__(
        cls,
        items: Iterable[Item] = (),
        skipped: Mapping[str, CopickError] | None = None,
        denied: Mapping[str | float, CopickError] | None = None,
    ) -> Self:
        """Create the tuple, and record the layers that were left out."""
        found = super().__new__(cls, items)
        if skipped:
            found.skipped = dict(skipped)
        if denied:
            found.denied = dict(denied)
        return found


def by_priority(layers: Iterable[Ranked]) -> tuple[Ranked, ...]:
    """Return the layers from the highest priority to the lowest; ties keep their order."""
    return tuple(sorted(layers, key=lambda layer: -layer.priority))


def merge(listings: Sequence[tuple[Layer, Listing]]) -> tuple[Merged, ...]:
    """Merge the listings of several layers into one.

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
