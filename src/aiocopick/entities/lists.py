"""The cached lists of children: found in listings, added to by ``new_*``, taken from by ``delete``."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from aiocopick.errors import AlreadyExistsError
from aiocopick.layers.base import Source
from aiocopick.layout.refs import FeaturesRef

if TYPE_CHECKING:
    from aiocopick.entities.base import AsyncEntity
    from aiocopick.entities.tomogram import AsyncTomogram
    from aiocopick.entities.volume import AsyncVolume
    from aiocopick.layers import Placed
    from aiocopick.layout.refs import Ref

Entity = TypeVar("Entity", bound="AsyncEntity")
Volume = TypeVar("Volume", bound="AsyncVolume")


def add(cached: list[Entity] | None, entity: Entity) -> None:
    """Put an entity in its place in a cached list, if there is one; in the place of an equal one, too."""
    if cached is None:
        return
    index = bisect_left(cached, entity.ref.sort_key, key=lambda other: other.ref.sort_key)
    if index < len(cached) and cached[index].ref == entity.ref:
        cached[index] = entity
    else:
        cached.insert(index, entity)


def discard(cached: list[Entity] | None, entity: Entity) -> None:
    """Take a deleted entity out of a cached list; what a lower layer still holds of it stays visible."""
    if cached is None or entity not in cached:
        return
    left = tuple(source for source in entity._sources if source.layer.read_only)
    index = cached.index(entity)
    if left:
        cached[index] = type(entity)._of(entity._parent, entity.ref, left)
    else:
        del cached[index]


def select(entities: Iterable[Entity], **accepted: Callable[[Any], bool]) -> list[Entity]:
    """Those whose attributes are all accepted."""
    return [entity for entity in entities if all(accept(getattr(entity, name)) for name, accept in accepted.items())]


def attach_features(tomograms: Iterable[AsyncTomogram], found: Iterable[Placed]) -> None:
    """Give tomograms the feature maps that a listing holds, unless they know theirs."""
    from aiocopick.entities.features import AsyncFeatures

    by_tomogram: dict[tuple[float, str], list[Placed]] = {}
    for item in found:
        feature = item.ref
        if isinstance(feature, FeaturesRef):
            by_tomogram.setdefault((feature.voxel_size, feature.tomo_type), []).append(item)
    make = AsyncFeatures._found
    for tomogram in tomograms:
        if tomogram._features is None:
            own = by_tomogram.get((tomogram.ref.voxel_size, tomogram.ref.tomo_type))
            tomogram._features = [make(tomogram, item) for item in own] if own else []


def taken(entity: AsyncEntity) -> AlreadyExistsError:
    """The error that a name is taken."""
    run = getattr(entity.ref, "run", None)
    where = "the project" if run is None or entity.kind == "run" else f"run {run}"
    return AlreadyExistsError(
        f"{entity.uri} of {where} already exists at {entity.path}; pass exist_ok=True to get it.",
        path=entity.path,
    )


async def create_volume(
    parent: AsyncEntity,
    cls: type[Volume],
    ref: Ref,
    listed: Callable[[], Awaitable[Sequence[Volume]]],
    exist_ok: bool,
) -> tuple[Volume, bool]:
    """A new volume as a bare group, or the one that is there, ready to be written.

    Returns
    -------
    tuple of (entity, bool)
        Whether it was created.
    """
    writer = parent._stack.writer()
    writer.locate(ref)
    existing = next((entity for entity in await listed() if entity.ref == ref), None)
    if existing is not None:
        if not exist_ok:
            raise taken(existing)
        return await existing._writable_twin(), False
    entity = cls._of(parent, ref)
    entity._stored_in(Source(writer, await writer.create(ref)))
    entity._created()
    return entity, True
