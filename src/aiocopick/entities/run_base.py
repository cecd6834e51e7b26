"""How a run knows its children: one listing for all of them, shared by whoever asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import anyio

from aiocopick.concurrency.fan_out import gather
from aiocopick.concurrency.single_flight import alone
from aiocopick.entities.base import AsyncEntity
from aiocopick.entities.filaments import AsyncFilaments
from aiocopick.entities.lists import Children, attach_features, moment
from aiocopick.entities.mesh import AsyncMesh
from aiocopick.entities.metadata import MetadataMixin
from aiocopick.entities.picks import AsyncPicks
from aiocopick.entities.segmentation import AsyncSegmentation
from aiocopick.entities.tomogram import AsyncTomogram
from aiocopick.entities.voxel_spacing import AsyncVoxelSpacing
from aiocopick.layers.base import Source
from aiocopick.layout.refs import NOUNS, RunRef, TomogramRef

if TYPE_CHECKING:
    from aiocopick.entities.root import AsyncRoot
    from aiocopick.errors import CopickError
    from aiocopick.layers import Found, Nouns, Placed

CHILDREN: dict[str, type[AsyncEntity]] = {
    "voxel_spacings": AsyncVoxelSpacing,
    "picks": AsyncPicks,
    "meshes": AsyncMesh,
    "segmentations": AsyncSegmentation,
    "filaments": AsyncFilaments,
}
"""The nouns whose entities are children of a run."""

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


class RunBase(MetadataMixin):
    """A run and the lists of its children."""

    __slots__ = (
        "__weakref__",
        "_children",
        "_deep",
        "_denied",
        "_lock",
        "_renewed",
        "error",
        "root",
        "skipped_layers",
    )

    parent_slot: ClassVar[str] = "root"
    _holds_others: ClassVar[bool] = True
    root: AsyncRoot
    ref: RunRef
    error: CopickError | None
    """Why a crawl could not read the run; None otherwise."""
    skipped_layers: dict[str, CopickError]
    """Layers that were left out when it was last listed, and why: what they hold of it is not seen."""
    _children: dict[str, Children[Any]]
    _deep: bool
    _denied: Mapping[str | float, CopickError]
    _renewed: bool
    _lock: tuple[object, anyio.Lock] | None

    def _reset(self) -> None:
        self.error = None
        self.skipped_layers = {}
        self._children = {noun: Children() for noun in CHILDREN}
        # Kinds, and voxel sizes, whose folder could not be listed when the run was.
        self._denied = {}
        # Whether the voxel spacings know their tomograms, and these their features.
        self._deep = False
        # Whether the next listing asks layers that did not hold the run before.
        self._renewed = False
        self._lock = None

    @property
    def _parent(self) -> Any:
        return self.root

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.ref.run

    def _join(self) -> None:
        self.root._named_runs.setdefault(self.ref, self)  # type: ignore[arg-type]

    def _know_empty(self) -> None:
        """Note that the run was just created, so that nothing needs to be listed."""
        self._children = {noun: Children(complete=True) for noun in CHILDREN}
        self._deep = True

    def _stored_here(self, child: AsyncEntity) -> None:
        """Note that a layer holds the run by now, because it holds a child of it."""
        known = {source.layer.name for source in self._sources}
        for source in child._sources:
            if self._sources and source.layer.name not in known:
                self._stored_in(Source(source.layer, source.layer.locate(self.ref)))

    def _known(self, noun: str) -> Children[Any] | None:
        return self._children.get(noun)

    # --- asking -------------------------------------------------------------------------------------------------------

    async def _query(self, noun: str, layers: Iterable[str] | None) -> list[Any]:
        """New entities of one noun, asked of the storage."""
        since = moment()
        found = await self._stack.list_run(self._everywhere(layers), frozenset({noun}))
        if noun in found.denied:
            raise found.denied[noun]
        self.skipped_layers = dict(found.skipped)
        items, make = _by_kind(found).get(NOUNS[noun], ()), partial(CHILDREN[noun]._found, self)
        if layers is not None:
            return [make(item) for item in items]
        children = self._children[noun]
        children.take(items, make, since, keep=False)
        if noun == "voxel_spacings":
            self._deep = False
        return list(children)

    async def _cached(self, noun: str) -> list[Any]:
        if not self._children[noun].complete:
            await self._fill()
        if not self._children[noun].complete:
            # A layer that cannot list it says so.
            return await self._query(noun, None)
        return list(self._children[noun])

    def _lists(self, spacing: AsyncVoxelSpacing) -> bool:
        """Whether a listing of the run would tell a voxel spacing its tomograms."""
        children = self._children["voxel_spacings"]
        return not self._deep and children.complete and any(spacing is known for known in children)

    async def _fill(self) -> None:
        """List whatever is not known yet, in one go."""
        async with alone(self):
            wanted = {noun for noun, children in self._children.items() if not children.complete}
            if not self._deep or "voxel_spacings" in wanted:
                wanted |= DEEP
            known = self._stack.nouns
            if known is not None:
                wanted &= known
            if not wanted:
                return
            nouns = None if wanted == NOUNS.keys() else frozenset(wanted)
            places = self._everywhere() if self._renewed else self._places()
            since = moment()
            self._take(await self._stack.list_run(places, nouns), nouns, since)
            self._renewed = False

    def _take(self, found: Found[Placed], nouns: Nouns, since: int, *, again: bool = False) -> None:
        """Fill the lists that are not complete from a listing of these nouns; `again` those that are, too."""
        self.skipped_layers = dict(found.skipped)
        self._denied = found.denied
        by_kind = _by_kind(found)
        for noun, cls in CHILDREN.items():
            children = self._children[noun]
            if (nouns is None or noun in nouns) and (again or not children.complete):
                if noun in found.denied:
                    # The next look asks again, and is told why.
                    children.complete = False
                else:
                    children.take(by_kind.get(NOUNS[noun], ()), partial(cls._found, self), since)
        if nouns is None or "tomograms" in nouns:
            self._take_tomograms(by_kind, since, again)

    def _take_tomograms(self, by_kind: dict[str, list[Placed]], since: int, again: bool) -> None:
        by_size: dict[float, list[Placed]] = {}
        for item in by_kind.get("tomogram", ()):
            assert isinstance(item.ref, TomogramRef)
            by_size.setdefault(item.ref.voxel_size, []).append(item)
        spacings = self._children["voxel_spacings"].items
        for spacing in spacings:
            if spacing.ref.voxel_size in self._denied:
                spacing._tomograms.complete = False
            elif again or not spacing._tomograms.complete:
                found = by_size.get(spacing.ref.voxel_size, ())
                spacing._tomograms.take(found, partial(AsyncTomogram._found, spacing), since)
        tomograms = [
            tomogram
            for spacing in spacings
            if spacing.ref.voxel_size not in self._denied
            for tomogram in spacing._tomograms
        ]
        attach_features(tomograms, by_kind.get("features", ()), since, again=again)
        self._deep = True

    # --- forgetting ---------------------------------------------------------------------------------------------------

    def _drop(self, noun: str) -> None:
        self._children[noun].forget()
        self._renewed = True
        if noun == "voxel_spacings":
            self._deep = False

    def refresh_voxel_spacings(self) -> None:
        """Forget the voxel spacings, so that the next look asks the storage."""
        self._drop("voxel_spacings")

    def refresh_picks(self) -> None:
        """Forget the picks, so that the next look asks the storage."""
        self._drop("picks")

    def refresh_meshes(self) -> None:
        """Forget the meshes, so that the next look asks the storage."""
        self._drop("meshes")

    def refresh_segmentations(self) -> None:
        """Forget the segmentations, so that the next look asks the storage."""
        self._drop("segmentations")

    def refresh_filaments(self) -> None:
        """Forget the filaments, so that the next look asks the storage."""
        self._drop("filaments")

    def refresh(self) -> None:
        """Forget all children, so that the next look asks the storage."""
        for children in self._children.values():
            children.forget()
        self._deep = False
        self._renewed = True

    # --- deleting -----------------------------------------------------------------------------------------------------

    async def _delete_all(self, entities: Sequence[Any]) -> None:
        """Delete several children, or none when one of them cannot be deleted."""
        for entity in entities:
            entity._check_deletable()
        await gather(_check, entities, limit=self.root._fan_out)
        await gather(_delete, entities, limit=self.root._fan_out)


def _by_kind(found: Iterable[Placed]) -> dict[str, list[Placed]]:
    by_kind: dict[str, list[Placed]] = {}
    for item in found:
        by_kind.setdefault(item.ref.kind, []).append(item)
    return by_kind


async def _check(entity: Any) -> None:
    await entity._check_deletion()


async def _delete(entity: Any) -> None:
    await entity.delete()
