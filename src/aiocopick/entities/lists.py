"""The children that an entity knows: found in listings, added to by ``new_*``, taken out by ``delete``."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from aiocopick.errors import AlreadyExistsError

if TYPE_CHECKING:
    from aiocopick.entities.base import AsyncEntity
    from aiocopick.layers import Placed
    from aiocopick.layout.refs import Ref

Entity = TypeVar("Entity", bound="AsyncEntity")


_TICKS = count(1)

_NOTHING: list[Any] = []
"""The children of most entities at first. Lists of children are never changed."""


def moment() -> int:
    """A point in time of this process; a later one is larger."""
    return next(_TICKS)


class Children(Generic[Entity]):
    """The children of one kind that an entity knows: all that there are, or some of them.

    Attributes
    ----------
    items : list
        Sorted by ref, one for each ref. It is replaced and never changed, because a caller may be iterating over it.
    complete : bool
        True if they are all children; if not, the storage is listed on access.
    """

    __slots__ = ("_changes", "complete", "items")

    def __init__(self, *, complete: bool = False) -> None:
        self.items: list[Entity] = _NOTHING
        self.complete = complete
        # When a ref was put in or taken out by this process: a listing that began before does not know of it.
        self._changes: dict[Ref, int] | None = None

    def __iter__(self) -> Iterator[Entity]:
        return iter(self.items)

    def forget(self) -> None:
        """Forget the children, so that the next access lists the storage and creates new objects."""
        self.items = _NOTHING
        self.complete = False
        self._changes = None

    def _index(self, ref: Ref) -> int:
        return bisect_left(self.items, ref.sort_key, key=lambda other: other.ref.sort_key)

    def get(self, ref: Ref) -> Entity | None:
        """The child of a ref, if it is known."""
        if not self.items:
            return None
        index = self._index(ref)
        return self.items[index] if index < len(self.items) and self.items[index].ref == ref else None

    def put(self, entity: Entity) -> Entity:
        """Add a child; returns the one of that ref that was known before, if there is one."""
        known = self.get(entity.ref)
        if known is not None:
            return known
        items = self.items.copy()
        items.insert(self._index(entity.ref), entity)
        self._change(entity.ref, items)
        return entity

    def drop(self, entity: Entity) -> None:
        """Take a deleted child out; what a lower layer still holds of it stays, as another object."""
        items = [other for other in self.items if other.ref != entity.ref]
        left = tuple(source for source in entity._sources if source.layer.read_only)
        if left and len(items) < len(self.items):
            items.insert(self._index(entity.ref), type(entity)._of(entity._parent, entity.ref, left))
        self._change(entity.ref, items)

    def _change(self, ref: Ref, items: list[Entity]) -> None:
        self.items = items
        if self._changes is None:
            self._changes = {}
        self._changes[ref] = moment()

    def take(self, found: Sequence[Placed], make: Callable[[Placed], Entity], since: int, *, keep: bool = True) -> None:
        """Become what a listing found.

        Parameters
        ----------
        found : sequence of Placed
            All of the kind, sorted by ref.
        make : callable
            Makes the entity of one.
        since : int
            When the listing began: what was put in or taken out later stays so.
        keep : bool
            Whether known children stay the same objects.
        """
        if not found and not self.items and not self._changes:
            self.complete = True
            return
        later = {ref for ref, at in self._changes.items() if at > since} if self._changes else set()
        if later or (keep and self.items):
            known = {item.ref: item for item in self.items if keep or item.ref in later}
            items = [known[ref] for ref in later if ref in known]
            for place in found:
                if place.ref in later:
                    continue
                entity = known.get(place.ref)
                if entity is None:
                    entity = make(place)
                else:
                    entity._found_again(place)
                items.append(entity)
            items.sort(key=lambda item: item.ref.sort_key)
            self.items = items
        else:
            self.items = [make(place) for place in found]
        self.complete = True
        if self._changes:
            self._changes = {ref: at for ref, at in self._changes.items() if at > since}


def select(entities: Iterable[Entity], **accepted: Callable[[Any], bool]) -> list[Entity]:
    """Those whose attributes are all accepted."""
    return [entity for entity in entities if all(accept(getattr(entity, name)) for name, accept in accepted.items())]


def taken(entity: AsyncEntity) -> AlreadyExistsError:
    """The error that a name is taken."""
    run = getattr(entity.ref, "run", None)
    where = "the project" if run is None or entity.kind == "run" else f"run {run}"
    # The type of a segmentation is named, as CoPick's own message does.
    kind = getattr(entity, "segmentation_type", None)
    what = "" if kind is None else f"The {kind} segmentation "
    return AlreadyExistsError(
        f"{what}{entity.uri} of {where} already exists at {entity.path}; pass exist_ok=True to get it.",
        path=entity.path,
    )
