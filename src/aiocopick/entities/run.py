"""A run: what a project holds about one place on a sample.

One listing tells all that a run holds, so that its kinds of children share their lists, lock and errors. Each kind has
its own verbs, signatures and documentation, which is what makes the file long.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import anyio

from aiocopick.concurrency.fan_out import gather
from aiocopick.concurrency.lazy import imported
from aiocopick.concurrency.misuse import lists
from aiocopick.concurrency.single_flight import single_flight
from aiocopick.concurrency.threads import in_thread
from aiocopick.entities.base import AsyncEntity
from aiocopick.entities.creation import annotation_names, known_object, session_names
from aiocopick.entities.filaments import AsyncFilaments
from aiocopick.entities.files import AsyncFile
from aiocopick.entities.filters import OneOrMany, accepts, accepts_flag, accepts_size
from aiocopick.entities.lists import Children, moment, select, taken
from aiocopick.entities.mesh import AsyncMesh, empty_scene
from aiocopick.entities.metadata import MetadataMixin
from aiocopick.entities.picks import AsyncPicks
from aiocopick.entities.segmentation import AsyncSegmentation
from aiocopick.entities.tomogram import AsyncTomogram, attach_features
from aiocopick.entities.volume import create_volume
from aiocopick.entities.voxel_spacing import AsyncVoxelSpacing
from aiocopick.errors import AlreadyExistsError, ConflictError
from aiocopick.layers.base import Source
from aiocopick.layout.names import check_segmentation_name, clean_name
from aiocopick.layout.refs import (
    BELOW_SPACINGS,
    NOUNS,
    FilamentsRef,
    MeshRef,
    PicksRef,
    RunRef,
    SegmentationRef,
    VoxelSpacingRef,
)
from aiocopick.models.metadata import CopickRunMeta

if TYPE_CHECKING:
    from aiocopick.entities.root import AsyncRoot
    from aiocopick.errors import CopickError
    from aiocopick.layers import Found, Nouns, Placed

File = TypeVar("File", bound=AsyncFile)

CHILDREN: dict[str, type[AsyncEntity]] = {
    "voxel_spacings": AsyncVoxelSpacing,
    "picks": AsyncPicks,
    "meshes": AsyncMesh,
    "segmentations": AsyncSegmentation,
    "filaments": AsyncFilaments,
}
"""The nouns whose entities are children of a run."""


class AsyncRun(MetadataMixin):
    """A run of a project.

    The plural nouns (``voxel_spacings()``, ``picks()``, ...) share one listing of the run; ``query_*`` asks the storage
    again; ``refresh*`` forgets, without asking.

    Parameters
    ----------
    root : AsyncRoot
        The project.
    meta : CopickRunMeta
        Its name.
    config : object, optional
        Accepted as CoPick does; unused.

    Attributes
    ----------
    error : CopickError, optional
        Why a crawl could not read the run, or something of it.
    """

    __slots__ = (
        "__weakref__",
        "_children",
        "_deep",
        "_denied",
        "_lock",
        "_looked_up",
        "_picture",
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
    _looked_up: bool
    _lock: tuple[object, anyio.Lock] | None

    def __init__(self, root: AsyncRoot, meta: CopickRunMeta, config: Any = None) -> None:
        self._begin(root, RunRef(run=meta.name), meta)

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
        # Whether it was looked up by name and nothing is known of its children since, so that its first listing may
        # be what the layers saw then.
        self._looked_up = False
        self._lock = None

    def _make_meta(self) -> CopickRunMeta:
        return CopickRunMeta(name=self.name)

    @property
    def _parent(self) -> Any:
        return self.root

    @property
    def name(self) -> str:
        """Name of the run."""
        return self.ref.run

    @property
    def split(self) -> str | None:
        """Part of a machine-learning split that the run belongs to; file systems have no place for it."""
        return None

    @property
    def picks_path(self) -> str:
        """Path of the folder of picks."""
        return f"{self.path}/Picks"

    @property
    def meshes_path(self) -> str:
        """Path of the folder of meshes."""
        return f"{self.path}/Meshes"

    @property
    def segmentations_path(self) -> str:
        """Path of the folder of segmentations."""
        return f"{self.path}/Segmentations"

    # --- listing --------------------------------------------------------------------------------------------------------

    def _join(self) -> None:
        self.root._named_runs.setdefault(self.name, self)

    def _know_empty(self) -> None:
        """Note that the run was just created, so that nothing needs to be listed."""
        self._children = {noun: Children(complete=True) for noun in CHILDREN}
        self._deep = True

    def _stored_here(self, child: AsyncEntity) -> None:
        """Note that a layer holds the run by now, because it holds a child of it."""
        self._looked_up = False
        known = {source.layer.name for source in self._sources}
        for source in child._sources:
            if self._sources and source.layer.name not in known:
                self._stored_in(Source(source.layer, source.layer.locate(self.ref)))

    def _known(self, noun: str) -> Children[Any] | None:
        return self._children.get(noun)

    def _first_look(self) -> bool:
        """Return True, once, if what the layers saw when the run was looked up is enough for a listing."""
        looked_up, self._looked_up = self._looked_up, False
        return looked_up

    async def _query(self, noun: str, layers: Iterable[str] | None) -> list[Any]:
        """New entities of one noun, asked of the storage."""
        since = moment()
        found = await self._stack.list_run(
            self._everywhere(layers), frozenset({noun}), found=layers is None and self._first_look()
        )
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
        """Return True if a listing of the run would show a voxel spacing's tomograms."""
        children = self._children["voxel_spacings"]
        return not self._deep and children.complete and any(spacing is known for known in children)

    def _knows(self, nouns: Nouns) -> bool:
        """Return True if a listing of these nouns would show nothing new."""
        wanted = CHILDREN.keys() | {"tomograms"} if nouns is None else nouns
        lists_known = all(children.complete for noun, children in self._children.items() if noun in wanted)
        return lists_known and (self._deep or "tomograms" not in wanted)

    async def _fill(self) -> None:
        """List whatever is not known yet, in one go."""
        async with single_flight(self):
            wanted = {noun for noun, children in self._children.items() if not children.complete}
            if not self._deep or "voxel_spacings" in wanted:
                wanted |= BELOW_SPACINGS
            known = self._stack.nouns
            if known is not None:
                wanted &= known
            if not wanted:
                return
            nouns = None if wanted == NOUNS.keys() else frozenset(wanted)
            places = self._everywhere() if self._renewed else self._places()
            since = moment()
            self._take(await self._stack.list_run(places, nouns, found=self._first_look()), nouns, since)
            self._renewed = False

    def _take(self, found: Found[Placed], nouns: Nouns, since: int, *, again: bool = False) -> None:
        """Fill the lists that are not complete from a listing of these nouns; `again` those that are, too."""
        self._looked_up = False
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
        found: Any = by_kind.get("tomogram", ())
        tomograms: list[AsyncTomogram] = []
        for spacing in self._children["voxel_spacings"].items:
            size, children = spacing.ref.voxel_size, spacing._tomograms
            if size in self._denied:
                children.complete = False
                continue
            if again or not children.complete:
                own = [item for item in found if item.ref.voxel_size == size]
                children.take(own, partial(AsyncTomogram._found, spacing), since)
            tomograms += children.items
        attach_features(tomograms, by_kind.get("features", ()), since, again=again)
        self._deep = True

    def _of_user(self, entities: list[Any]) -> list[Any]:
        user = self.config.user_id
        return [entity for entity in entities if (entity.from_user if user is None else entity.user_id == user)]

    # --- voxel spacings -----------------------------------------------------------------------------------------------

    async def query_voxelspacings(self, *, layers: Iterable[str] | None = None) -> list[AsyncVoxelSpacing]:
        """Ask the storage for the voxel spacings: one request per layer.

        Parameters
        ----------
        layers : iterable of str, optional
            Names of the layers to ask; what a part of them says is not cached.
        """
        return await self._query("voxel_spacings", layers)

    @lists
    async def voxel_spacings(self) -> list[AsyncVoxelSpacing]:
        """Return the voxel spacings, as last queried; the first time, the run is listed as a whole."""
        return await self._cached("voxel_spacings")

    async def get_voxel_spacing(self, /, voxel_size: float, **kwargs: Any) -> AsyncVoxelSpacing | None:
        """The voxel spacing of a size in angstrom, compared at three decimals; None when there is none.

        From the cached list where there is one; else one request per layer, and no list is cached.
        """
        ref = VoxelSpacingRef(run=self.name, voxel_size=voxel_size)
        children: Children[AsyncVoxelSpacing] = self._children["voxel_spacings"]
        if children.complete:
            return children.get(ref)
        found = await self._stack.find(ref)
        if found is None:
            return None
        self._looked_up = False
        known = children.get(ref)
        if known is not None:
            known._found_again(found)
            return known
        return children.put(AsyncVoxelSpacing._of(self, ref, found.sources))

    async def new_voxel_spacing(self, /, voxel_size: float, exist_ok: bool = False, **kwargs: Any) -> AsyncVoxelSpacing:
        """Create a voxel spacing.

        Parameters
        ----------
        voxel_size : float
            Angstrom per voxel; three decimals count.
        exist_ok : bool
            Return the voxel spacing that is there instead of raising.
        **kwargs
            Further fields of its metadata.

        Raises
        ------
        AlreadyExistsError
            There is one of that size.
        InvalidNameError
            The size is not positive.
        ReadOnlyError
            No layer can be written to.
        """
        writer = self._stack.writer()
        ref = VoxelSpacingRef(run=self.name, voxel_size=voxel_size)
        writer.locate(ref)
        spacing = await self.get_voxel_spacing(voxel_size)
        if spacing is not None:
            if not exist_ok:
                raise taken(spacing)
            return spacing
        spacing = AsyncVoxelSpacing._of(self, ref)
        spacing._extend_meta(kwargs)
        try:
            await spacing._create()
        except AlreadyExistsError:
            # Another writer was faster.
            spacing = AsyncVoxelSpacing._of(self, ref, spacing._sources)
            if not exist_ok:
                raise taken(spacing) from None
        else:
            spacing._tomograms.complete = True
        self._stored_here(spacing)
        children: Children[AsyncVoxelSpacing] = self._children["voxel_spacings"]
        return children.put(spacing)

    async def delete_voxel_spacings(self, voxel_size: OneOrMany[float] = None) -> None:
        """Delete the voxel spacings of these sizes, or all; none when one of them is read-only."""
        accept = accepts_size(voxel_size)
        await self._delete_all([spacing for spacing in await self.voxel_spacings() if accept(spacing.voxel_size)])

    # --- segmentations ------------------------------------------------------------------------------------------------

    async def query_segmentations(self, *, layers: Iterable[str] | None = None) -> list[AsyncSegmentation]:
        """Ask the storage for the segmentations of every type.

        One request per layer where the storage collapses volumes, else one per folder.

        Parameters
        ----------
        layers : iterable of str, optional
            Names of the layers to ask; what a part of them says is not cached.
        """
        return await self._query("segmentations", layers)

    @lists
    async def segmentations(self) -> list[AsyncSegmentation]:
        """Return the segmentations of every type, as last queried; the first time, the run is listed as a whole."""
        return await self._cached("segmentations")

    async def get_segmentations(
        self,
        /,
        user_id: OneOrMany[str] = None,
        session_id: OneOrMany[str] = None,
        is_multilabel: bool | None = None,
        name: OneOrMany[str] = None,
        voxel_size: OneOrMany[float] = None,
        *,
        is_instance: bool | None = False,
        is_panoptic: bool | None = False,
        **kwargs: Any,
    ) -> list[AsyncSegmentation]:
        """The segmentations that match; without a type, the binary and multilabel ones.

        Parameters
        ----------
        user_id, session_id, name : str or iterable of str, optional
            One value or several.
        is_multilabel : bool, optional
            Whether each voxel holds the label of an object; None accepts both.
        voxel_size : float or iterable of float, optional
            Angstrom, compared at three decimals.
        is_instance, is_panoptic : bool, optional
            Other types are found only when asked for; None accepts both.
        """
        return select(
            await self.segmentations(),
            user_id=accepts(user_id),
            session_id=accepts(session_id),
            is_multilabel=accepts_flag(is_multilabel),
            name=accepts(name),
            voxel_size=accepts_size(voxel_size),
            is_instance=accepts_flag(is_instance),
            is_panoptic=accepts_flag(is_panoptic),
        )

    async def user_segmentations(self) -> list[AsyncSegmentation]:
        """Return the segmentations of the user of the config; of all users if it names none."""
        return self._of_user(await self.segmentations())

    async def tool_segmentations(self) -> list[AsyncSegmentation]:
        """The segmentations that tools made (session ``"0"``)."""
        return [segmentation for segmentation in await self.segmentations() if segmentation.from_tool]

    async def new_segmentation(
        self,
        /,
        voxel_size: float,
        name: str,
        session_id: str | None = None,
        is_multilabel: bool = False,
        user_id: str | None = None,
        exist_ok: bool = False,
        *,
        is_instance: bool = False,
        is_panoptic: bool = False,
        overwrite: bool = False,
        **kwargs: Any,
    ) -> AsyncSegmentation:
        """Create an empty segmentation: a group without levels.

        Parameters
        ----------
        voxel_size : float
            Angstrom per voxel; three decimals count.
        name : str
            Of the object; of anything, when the segmentation holds several labels.
        session_id, user_id : str, optional
            From the config when not given.
        is_multilabel, is_instance, is_panoptic : bool
            Its type: at most one is set; none is binary.
        exist_ok : bool
            Return the segmentation that is there, ready to be written, instead of raising.
        overwrite : bool
            Tolerated, as CoPick's tools pass it; writing data overwrites anyway.
        **kwargs
            Further fields of its metadata.

        Raises
        ------
        AlreadyExistsError
            The name is taken.
        UnknownObjectError
            A binary or instance segmentation of an object that the project does not have.
        InvalidNameError
            A name cannot be stored, an id is missing, or several types are given (a ValueError).
        ReadOnlyError
            No layer can be written to.
        """
        label = check_segmentation_name(clean_name(name, "segmentation name"), is_multilabel=is_multilabel)
        ref = SegmentationRef(
            run=self.name,
            voxel_size=voxel_size,
            name=label,
            is_multilabel=is_multilabel,
            is_instance=is_instance,
            is_panoptic=is_panoptic,
            **session_names(self.config, session_id, user_id),
        )
        if ref.segmentation_type in ("binary", "instance"):
            known_object(self.config, label, f"{ref.segmentation_type} segmentations are named after one: ")
        segmentation, created = await create_volume(self, AsyncSegmentation, ref, self._listed_segmentations, exist_ok)
        if created:
            segmentation._extend_meta(kwargs)
            self._stored_here(segmentation)
        return segmentation

    async def _listed_segmentations(self) -> Children[AsyncSegmentation]:
        """Return the segmentations like :meth:`segmentations`, but the first time list only their folders."""
        children = self._children["segmentations"]
        async with single_flight(self):
            if not children.complete:
                await self.query_segmentations()
        return children

    async def delete_segmentations(
        self,
        user_id: OneOrMany[str] = None,
        session_id: OneOrMany[str] = None,
        is_multilabel: bool | None = None,
        name: OneOrMany[str] = None,
        voxel_size: OneOrMany[float] = None,
        *,
        is_instance: bool | None = False,
        is_panoptic: bool | None = False,
    ) -> None:
        """Delete the segmentations that :meth:`get_segmentations` finds; none when one of them is read-only."""
        await self._delete_all(
            await self.get_segmentations(
                user_id,
                session_id,
                is_multilabel,
                name,
                voxel_size,
                is_instance=is_instance,
                is_panoptic=is_panoptic,
            )
        )

    # --- picks --------------------------------------------------------------------------------------------------------

    async def query_picks(self, *, layers: Iterable[str] | None = None) -> list[AsyncPicks]:
        """Ask the storage for the picks: one request per layer, of their folder alone.

        Parameters
        ----------
        layers : iterable of str, optional
            Names of the layers to ask; what a part of them says is not cached.
        """
        return await self._query("picks", layers)

    @lists
    async def picks(self) -> list[AsyncPicks]:
        """Return the picks, as last queried; the first time, the run is listed as a whole."""
        return await self._cached("picks")

    async def get_picks(
        self,
        /,
        object_name: OneOrMany[str] = None,
        user_id: OneOrMany[str] = None,
        session_id: OneOrMany[str] = None,
        **kwargs: Any,
    ) -> list[AsyncPicks]:
        """The picks of these objects, users and sessions; each filter is one value or several.

        Returns
        -------
        list of AsyncPicks
            Sorted by user, session and object.
        """
        return _select(await self.picks(), object_name, user_id, session_id)

    async def user_picks(self) -> list[AsyncPicks]:
        """Return the picks of the user of the config; of all users if it names none."""
        return self._of_user(await self.picks())

    async def tool_picks(self) -> list[AsyncPicks]:
        """The picks that tools made (session ``"0"``)."""
        return [picks for picks in await self.picks() if picks.from_tool]

    async def new_picks(
        self, object_name: str, session_id: str | None = None, user_id: str | None = None, exist_ok: bool = False
    ) -> AsyncPicks:
        """Create picks without points; the file is written at once.

        Parameters
        ----------
        object_name : str
            One of the project's objects, when it names any. Characters that CoPick does not allow become ``-``, here
            and in the ids.
        session_id, user_id : str, optional
            From the config when not given.
        exist_ok : bool
            Return the picks that are there, ready to be written, instead of raising.

        Raises
        ------
        AlreadyExistsError
            The name is taken.
        UnknownObjectError
            The project has no such object.
        InvalidNameError
            A name cannot be stored, or an id is missing (a ValueError).
        ReadOnlyError
            No layer can be written to.
        """
        ref = PicksRef(run=self.name, **annotation_names(self.config, object_name, session_id, user_id))
        return await self._new_file(AsyncPicks._of(self, ref), exist_ok)

    async def delete_picks(
        self,
        object_name: OneOrMany[str] = None,
        user_id: OneOrMany[str] = None,
        session_id: OneOrMany[str] = None,
    ) -> None:
        """Delete the picks that :meth:`get_picks` finds; none when one of them is read-only."""
        await self._delete_all(await self.get_picks(object_name, user_id, session_id))

    # --- meshes -------------------------------------------------------------------------------------------------------

    async def query_meshes(self, *, layers: Iterable[str] | None = None) -> list[AsyncMesh]:
        """Ask the storage for the meshes; as :meth:`query_picks`."""
        return await self._query("meshes", layers)

    @lists
    async def meshes(self) -> list[AsyncMesh]:
        """Return the meshes, as last queried; the first time, the run is listed as a whole."""
        return await self._cached("meshes")

    async def get_meshes(
        self,
        /,
        object_name: OneOrMany[str] = None,
        user_id: OneOrMany[str] = None,
        session_id: OneOrMany[str] = None,
        **kwargs: Any,
    ) -> list[AsyncMesh]:
        """The meshes of these objects, users and sessions; as :meth:`get_picks`."""
        return _select(await self.meshes(), object_name, user_id, session_id)

    async def user_meshes(self) -> list[AsyncMesh]:
        """Return the meshes of the user of the config; of all users if it names none."""
        return self._of_user(await self.meshes())

    async def tool_meshes(self) -> list[AsyncMesh]:
        """The meshes that tools made (session ``"0"``)."""
        return [mesh for mesh in await self.meshes() if mesh.from_tool]

    async def new_mesh(
        self,
        /,
        object_name: str,
        session_id: str | None = None,
        user_id: str | None = None,
        exist_ok: bool = False,
        **kwargs: Any,
    ) -> AsyncMesh:
        """Create an empty mesh; the file is written at once. Parameters and errors as for :meth:`new_picks`.

        Parameters
        ----------
        object_name, session_id, user_id, exist_ok
            As for :meth:`new_picks`.
        **kwargs
            Further fields of its metadata.
        """
        ref = MeshRef(run=self.name, **annotation_names(self.config, object_name, session_id, user_id))
        mesh = AsyncMesh._of(self, ref)
        mesh.mesh = await in_thread(empty_scene)
        mesh._extend_meta(kwargs)
        return await self._new_file(mesh, exist_ok)

    async def delete_meshes(
        self,
        object_name: OneOrMany[str] = None,
        user_id: OneOrMany[str] = None,
        session_id: OneOrMany[str] = None,
    ) -> None:
        """Delete the meshes that :meth:`get_meshes` finds; none when one of them is read-only."""
        await self._delete_all(await self.get_meshes(object_name, user_id, session_id))

    # --- filaments ----------------------------------------------------------------------------------------------------

    async def query_filaments(self, *, layers: Iterable[str] | None = None) -> list[AsyncFilaments]:
        """Ask the storage for the filaments; as :meth:`query_picks`."""
        return await self._query("filaments", layers)

    @lists
    async def filaments(self) -> list[AsyncFilaments]:
        """Return the filaments, as last queried; the first time, the run is listed as a whole."""
        return await self._cached("filaments")

    async def get_filaments(
        self,
        object_name: OneOrMany[str] = None,
        user_id: OneOrMany[str] = None,
        session_id: OneOrMany[str] = None,
    ) -> list[AsyncFilaments]:
        """The filaments of these objects, users and sessions; as :meth:`get_picks`."""
        return _select(await self.filaments(), object_name, user_id, session_id)

    async def new_filaments(
        self, object_name: str, session_id: str | None = None, user_id: str | None = None, exist_ok: bool = False
    ) -> AsyncFilaments:
        """Create filaments without lines; the file is written at once. As :meth:`new_picks`."""
        ref = FilamentsRef(run=self.name, **annotation_names(self.config, object_name, session_id, user_id))
        return await self._new_file(AsyncFilaments._of(self, ref), exist_ok)

    async def delete_filaments(
        self,
        object_name: OneOrMany[str] = None,
        user_id: OneOrMany[str] = None,
        session_id: OneOrMany[str] = None,
    ) -> None:
        """Delete the filaments that :meth:`get_filaments` finds; none when one of them is read-only."""
        await self._delete_all(await self.get_filaments(object_name, user_id, session_id))

    # --- what picks, meshes and filaments share -------------------------------------------------------------------------

    async def _new_file(self, entity: File, exist_ok: bool) -> File:
        """Write a new entity, or return the existing one; an unknown name costs no listing."""
        writer = self._stack.writer()
        place = Source(writer, writer.locate(entity.ref))
        children: Children[File] = self._children[type(entity).noun]
        existing = children.get(entity.ref)
        if existing is None and not self._stack.single and not children.complete:
            found = await self._stack.find(entity.ref)
            existing = None if found is None else type(entity)._of(self, entity.ref, found.sources)
        if existing is None:
            payload = await entity._payload()
            if payload is None:
                await imported("numpy")
                entity._blank()
                payload = await entity._payload()
            entity._sources = (place,)
            try:
                await entity._write(payload, create=True)
            except ConflictError:
                existing = children.get(entity.ref) or type(entity)._of(self, entity.ref, (place,))
        if existing is not None:
            if not exist_ok:
                raise taken(existing)
            entity = await existing._writable_twin()
        self._stored_here(entity)
        known = children.put(entity)
        if known is not entity and not known.loaded and entity.loaded:
            # Another task asked for the same name at the same time, and was told first that it is taken.
            known._restore(entity._state())
        return known

    # --- looking at it --------------------------------------------------------------------------------------------------

    async def picture(
        self,
        tomogram: str | None = None,
        annotations: str | Iterable[str] | None = None,
        *,
        size: int = 640,
        depth: float = 5,
        legend: bool = True,
    ) -> bytes:
        """Draw the slice through the middle of a tomogram, with picks and the outlines of segmentations on it.

        The run is listed if it was not yet. Otherwise only the metadata of the volumes, the chunks that the slice needs
        and the files of picks are read. Notebooks show the last picture. Needs the extra ``pictures``.

        Parameters
        ----------
        tomogram : str, optional
            URI of a tomogram (``"wbp@10"``). Of several, and by default, the one with the largest voxels is shown: its
            coarsest level that is at least 200 pixels wide, else its finest.
        annotations : str or iterable of str, optional
            URIs of picks and segmentations; None draws all.
        size : int
            Pixels along the longer side of the slice.
        depth : float
            Slices of the level on each side within which picks are drawn, as the circles in which the slice cuts their
            objects.
        legend : bool
            Add a strip with the names of the objects, the numbers of their picks and a bar of a round length.

        Returns
        -------
        bytes
            PNG.

        Raises
        ------
        NotFoundError
            There is no such tomogram, or it is empty.
        FormatError
            A volume or a file cannot be read.
        InvalidNameError
            A URI is not one, or not one of picks or segmentations.
        ValueError
            A size that is not from 1 to 4096, or a negative depth.
        """
        from aiocopick.pictures import picture

        self._picture = await picture(self, tomogram, annotations, size, depth, legend)
        return self._picture

    # --- forgetting ---------------------------------------------------------------------------------------------------

    def _drop(self, noun: str) -> None:
        self._children[noun].forget()
        self._renewed = True
        self._looked_up = False
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
        self._looked_up = False

    # --- the run itself -------------------------------------------------------------------------------------------------

    async def delete(self) -> None:
        """Delete the run with everything in it.

        Raises
        ------
        ReadOnlyError
            A part of it is in a read-only layer; nothing is deleted then.
        """
        await self._resolve()
        await self._delete_data()
        self._know_empty()
        self.root._forget_run(self)

    async def _delete_all(self, entities: Sequence[Any]) -> None:
        """Delete several children, or none when one of them cannot be deleted."""
        for entity in entities:
            entity._check_deletable()
        limit = self.root._fan_out
        await gather(AsyncEntity._check_deletion, entities, limit=limit)
        await gather(lambda entity: entity.delete(), entities, limit=limit)


def _by_kind(found: Iterable[Placed]) -> dict[str, list[Placed]]:
    by_kind: dict[str, list[Placed]] = {}
    for item in found:
        kind = item.ref.kind
        if kind in by_kind:
            by_kind[kind].append(item)
        else:
            by_kind[kind] = [item]
    return by_kind


def _select(
    entities: list[File], object_name: OneOrMany[str], user_id: OneOrMany[str], session_id: OneOrMany[str]
) -> list[File]:
    return select(
        entities,
        pickable_object_name=accepts(object_name),
        user_id=accepts(user_id),
        session_id=accepts(session_id),
    )
