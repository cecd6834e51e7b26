"""The entities of an object that implements the abstract API, as refs. All functions block and are called in
threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from aiocopick.errors import InvalidNameError
from aiocopick.layers.base import Nouns
from aiocopick.layout.listing import Listing, Located
from aiocopick.layout.paths import key_of
from aiocopick.layout.refs import (
    FeaturesRef,
    FilamentsRef,
    MeshRef,
    ObjectRef,
    PicksRef,
    Ref,
    RunRef,
    SegmentationRef,
    TomogramRef,
    VoxelSpacingRef,
)

Found = Iterator[tuple[Ref, Any]]

_FILES: dict[str, tuple[str, type[PicksRef] | type[MeshRef] | type[FilamentsRef]]] = {
    "picks": ("query_picks", PicksRef),
    "meshes": ("query_meshes", MeshRef),
    "filaments": ("query_filaments", FilamentsRef),
}


def runs_of(root: Any) -> Found:
    """Return the runs of a project, without caches."""
    for run in root.query() or ():
        yield RunRef(run=run.name), run


def objects_of(root: Any) -> Found:
    """Return the objects that have a density map."""
    for item in root.pickable_objects or ():
        if has_map(item):
            yield ObjectRef(name=item.name), item


def has_map(item: Any) -> bool:
    """Return True if an object has a density map; older implementations show it by having a store."""
    ask = getattr(item, "has_density_map", None)
    return bool(ask()) if ask is not None else item.zarr() is not None


def entities_of(run: Any, nouns: Nouns) -> Found:
    """Return the content of a run for some nouns (None is everything), without caches."""
    for noun, (query, kind) in _FILES.items():
        if nouns is None or noun in nouns:
            for item in _asked(run, query):
                yield (
                    kind(
                        run=run.name,
                        user_id=item.user_id,
                        session_id=item.session_id,
                        object_name=item.pickable_object_name,
                    ),
                    item,
                )
    if nouns is None or "segmentations" in nouns:
        for item in _asked(run, "query_segmentations"):
            yield _segmentation(run.name, item), item
    if nouns is None or nouns & {"voxel_spacings", "tomograms", "features"}:
        for spacing in _asked(run, "query_voxelspacings"):
            yield VoxelSpacingRef(run=run.name, voxel_size=spacing.voxel_size), spacing
            if nouns is None or nouns & {"tomograms", "features"}:
                yield from volumes_of(run.name, spacing, features=nouns is None or "features" in nouns)


def volumes_of(run: str, spacing: Any, *, features: bool = True) -> Found:
    """Return the tomograms, and feature maps, of a voxel spacing, without caches."""
    for tomogram in _asked(spacing, "query_tomograms"):
        names = {"run": run, "voxel_size": spacing.voxel_size, "tomo_type": tomogram.tomo_type}
        yield TomogramRef(**names), tomogram
        if features:
            for item in _asked(tomogram, "query_features"):
                yield FeaturesRef(**names, feature_type=item.feature_type), item


def _asked(entity: Any, query: str) -> list[Any]:
    # Older implementations do not have the newer kinds.
    ask: Callable[[], list[Any] | None] | None = getattr(entity, query, None)
    if ask is None:
        return []
    try:
        return list(ask() or ())
    except NotImplementedError:
        return []


def _segmentation(run: str, item: Any) -> SegmentationRef:
    return SegmentationRef(
        run=run,
        voxel_size=item.voxel_size,
        user_id=item.user_id,
        session_id=item.session_id,
        name=item.name,
        is_multilabel=bool(item.is_multilabel),
        is_instance=bool(getattr(item, "is_instance", False)),
        is_panoptic=bool(getattr(item, "is_panoptic", False)),
    )


def listing_of(found: Found, held: dict[Ref, Any]) -> Listing:
    """Return the found entities as a listing, each ref once; the entities are kept in `held`.

    copick lists an entity twice if it is in both its overlay and its static project; the writable one is used.
    """
    entities: dict[Ref, Any] = {}
    skipped: list[str] = []
    for ref, entity in found:
        known = entities.get(ref)
        if known is None or (is_read_only(known) and not is_read_only(entity)):
            entities[ref] = entity
    located = []
    for ref in sorted(entities, key=lambda ref: ref.sort_key):
        try:
            located.append(Located(ref, key_of(ref)))
        except InvalidNameError:
            skipped.append(repr(ref))
        else:
            held[ref] = entities[ref]
    return Listing(tuple(located), tuple(skipped))


def is_read_only(entity: Any) -> bool:
    """Return True if an entity is marked as read-only."""
    return bool(getattr(entity, "read_only", False))


def below(entity: Any, kind: str) -> Iterator[Any]:
    """Return an entity and everything that is deleted together with it."""
    yield entity
    if kind == "run":
        for _, item in entities_of(entity, None):
            yield item
    elif kind == "voxel_spacing":
        for _, item in volumes_of("", entity):
            yield item
    elif kind == "tomogram":
        yield from _asked(entity, "query_features")


def clear(entity: Any) -> None:
    """Delete everything in the store of a volume; blocks."""
    from zarr.core.sync import sync

    store = entity.zarr()
    if store is not None:
        sync(store.clear())
