"""A layer over a foreign project: any object that implements CoPick's abstract API, such as copick's own roots.

Its methods block, so they are called in a few threads. Their requests are sent by the foreign code and are not counted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.fan_out import stream
from aiocopick.concurrency.forks import Lock
from aiocopick.errors import AlreadyExistsError, CopickError, LayerError, NotFoundError, ReadOnlyError
from aiocopick.layers.base import ConfiguredLayer, Layer, Loaded, Nouns, Payload, Source
from aiocopick.layers.copying import copy_up
from aiocopick.layers.foreign.calls import THREADS, Calls
from aiocopick.layers.foreign.opened import CopickOpener, OpenedRoot
from aiocopick.layers.foreign.tree import (
    below,
    clear,
    entities_of,
    has_map,
    is_read_only,
    listing_of,
    objects_of,
    runs_of,
    volumes_of,
)
from aiocopick.layout.listing import Listing, Located
from aiocopick.layout.paths import key_of
from aiocopick.layout.refs import NOUN_OF, RunRef, VoxelSpacingRef
from aiocopick.models.config import CopickConfigForeign
from aiocopick.storage.stats import StorageStats

if TYPE_CHECKING:
    import zarr.abc.store

    from aiocopick.layout.refs import FilamentsRef, MeshRef, PicksRef, Ref
    from aiocopick.storage.base import FirstPage

    FileRef = PicksRef | MeshRef | FilamentsRef


class ForeignLayer(ConfiguredLayer):
    """A project that is accessed through the abstract API.

    Parameters
    ----------
    root : CopickRoot, or callable that returns one
        The project. A callable is called once, in a thread, when the project is first needed.
    config : CopickConfigForeign, optional
        Name, priority and limits of the layer, and its read-only flag. By default taken from the root.
    """

    __slots__ = ("_calls", "_changing", "_held", "_opened", "config")

    config: CopickConfigForeign

    def __init__(self, root: Any, config: CopickConfigForeign | None = None) -> None:
        # copick creates its volumes as zarr 3 groups; a volume must not mix two formats.
        self.config = config or CopickConfigForeign(config_type="object", read_only=is_read_only(root), zarr_format=3)
        self._opened = root if isinstance(root, OpenedRoot) else OpenedRoot(root)
        self._calls = Calls(self.config.timeout, StorageStats())
        # Listed entities, kept so that their content can be read. Refs are small; so are entities without data.
        self._held: dict[Ref, Any] = {}
        # Foreign lists are changed in place, so changes are made one at a time.
        self._changing = Lock()

    def __repr__(self) -> str:
        return f"ForeignLayer({self.name!r}, {self.url!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (ForeignLayer, (self._opened, self.config))

    def __eq__(self, other: object) -> bool:
        return self._opened is other._opened if isinstance(other, ForeignLayer) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._opened)

    @property
    def read_only(self) -> bool:
        """True if every change is refused. Single entities of a writable layer may still refuse changes."""
        return self.config.read_only

    @property
    def url(self) -> str:
        """Name of the program that opened it; the location of the project is not known."""
        return f"{self._opened.name}:{self.name}"

    @property
    def stats(self) -> StorageStats:
        """Counters of calls, by verb; a call may send any number of requests."""
        return self._calls.stats

    @property
    def storage(self) -> None:
        """None: the files of a foreign project are not accessible."""

    def path_of(self, key: str) -> str:
        """Return the key joined to the root, for display."""
        return f"{self.url}/{key}"

    # --- listing ------------------------------------------------------------------------------------------------------

    async def _listed(self, path: str, ask: Callable[[], Any]) -> Listing:
        return await self._calls.read("list", path, lambda: listing_of(ask(), self._held))

    async def list_runs(self, beginning: str = "") -> Listing:
        """List all runs: one call."""
        return await self._listed(self.url, lambda: runs_of(self._opened.get()))

    async def list_run(self, run: Located, nouns: Nouns = None, *, found: bool = False) -> Listing:
        """List the content of a run: one call, in one thread."""

        def ask() -> Any:
            found = self._look_up(run.ref)
            return () if found is None else entities_of(found, nouns)

        return await self._listed(self.path_of(run.key), ask)

    async def list_voxel_spacing(self, spacing: Located) -> Listing:
        """List the tomograms and feature maps of one voxel spacing: one call."""
        assert isinstance(spacing.ref, VoxelSpacingRef)
        run = spacing.ref.run

        def ask() -> Any:
            found = self._look_up(spacing.ref)
            return () if found is None else volumes_of(run, found)

        return await self._listed(self.path_of(spacing.key), ask)

    async def list_objects(self) -> Listing:
        """List the objects that have a map: one call."""
        return await self._listed(self.url, lambda: objects_of(self._opened.get()))

    async def first_page(self, beginning: str = "") -> None:
        """Return None: a foreign project has no pages."""

    def scan_all(self, beginning: str = "", nouns: Nouns = None, *, details: bool = True) -> None:
        """Return None: a foreign project lists all runs in one call."""

    def scan(
        self,
        runs: Iterable[Located],
        nouns: Nouns = None,
        *,
        details: bool = True,
        first_page: FirstPage | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[Located, Listing | CopickError]]]:
        """List the content of many runs, some ahead of the consumer."""

        async def ask(run: Located) -> Listing:
            return await self.list_run(run, nouns)

        return stream(ask, runs, limit=THREADS, ordered=True)

    async def find(self, ref: Ref) -> Located | None:
        """Return the location of one entity, or None: one call."""

        def ask() -> Any:
            self._held.pop(ref, None)
            found = self._look_up(ref)
            absent = found is None or (ref.kind == "object" and not has_map(found))
            return () if absent else ((ref, found),)

        listing = await self._listed(self.path_of(key_of(ref)), ask)
        return next(iter(listing.located), None)

    def _look_up(self, ref: Ref) -> Any | None:
        """Return the foreign entity, from an earlier listing or looked up now; blocks."""
        found = self._held.get(ref)
        if found is not None:
            return found
        if isinstance(ref, RunRef):
            listing_of(runs_of(self._opened.get()), self._held)
        elif ref.kind == "object":
            # An object without a map is found as well, because a map can be written to it.
            return self._opened.get().get_object(ref.name)  # type: ignore[attr-defined]
        else:
            run = self._look_up(RunRef(run=ref.run))  # type: ignore[attr-defined]
            if run is not None:
                listing_of(entities_of(run, frozenset({NOUN_OF[ref.kind]})), self._held)
        return self._held.get(ref)

    def _get(self, ref: Ref) -> Any:
        found = self._look_up(ref)
        if found is None:
            path = self.path_of(key_of(ref))
            raise NotFoundError(f"There is nothing at {path}; check the name, or create it.", path=path)
        return found

    async def ensure(self, *, create: bool = False) -> bool:
        """Return True if the project opens: an object that implements the abstract API is a project."""
        await self._calls.read("stat", self.url, self._opened.get)
        return True

    # --- files --------------------------------------------------------------------------------------------------------

    async def load(self, located: Located, *, listed: bool = False) -> Loaded:
        """Read one file: one call. The result has no version."""
        ref = located.ref
        path = self.path_of(located.key)
        return Loaded(await self._calls.read("read", path, lambda: _load_file(ref.kind, self._get(ref))))

    def load_many(
        self, located: Sequence[Located], *, listed: bool = False
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[Located, Loaded | CopickError]]]:
        """Read many files."""
        return stream(self.load, located, limit=THREADS)

    async def save(
        self, located: Located, payload: Payload, *, if_match: str | None = None, create: bool = False
    ) -> Located:
        """Write one file. Foreign files have no versions, so `if_match` is ignored."""
        ref: Any = located.ref

        def write() -> None:
            run = self._get(RunRef(run=ref.run))
            self._held[ref] = _save_file(ref, run, self._look_up(ref), payload, create=create)

        await self._change("write", located.key, write)
        return located

    async def load_meta(self, located: Located | None, *, listed: bool = False) -> dict[str, Any]:
        """Return an empty dict: the abstract API has no ``.meta`` files."""
        return {}

    async def update_meta(self, located: Located | None, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Raise LayerError: the abstract API has no ``.meta`` files."""
        path = self.url if located is None else self.path_of(located.key)
        raise LayerError(f"{path}: this layer does not store metadata; write it to another layer.", path=path)

    # --- changes ------------------------------------------------------------------------------------------------------

    async def _change(self, verb: str, key: str, work: Callable[[], None]) -> None:
        path = self.path_of(key)
        if self.read_only:
            raise ReadOnlyError(f"{path} is in the read-only layer {self.name!r} and cannot be changed.", path=path)

        def change() -> None:
            with self._changing:
                work()

        await self._calls.change(verb, path, change)

    async def create(self, ref: Ref, meta: dict[str, Any] | None = None) -> Located:
        """Create a run, a voxel spacing or an empty volume. Keys of `meta` other than the name are not kept."""
        located = self.locate(ref)

        def make() -> None:
            self._held[ref] = self._new(ref)

        await self._change("write", located.key, make)
        return located

    def _new(self, ref: Any) -> Any:
        if ref.kind == "run":
            return self._opened.get().new_run(ref.run, exist_ok=True)
        if ref.kind == "object":
            return self._get(ref)
        parent = self._get(ref.parent)
        if ref.kind == "voxel_spacing":
            return parent.new_voxel_spacing(ref.voxel_size, exist_ok=True)
        if ref.kind == "tomogram":
            return parent.new_tomogram(ref.tomo_type, exist_ok=True)
        if ref.kind == "features":
            return parent.new_features(ref.feature_type, exist_ok=True)
        # Older implementations do not have the newer types.
        types = {name: True for name in ("is_instance", "is_panoptic") if getattr(ref, name)}
        return parent.new_segmentation(
            ref.voxel_size, ref.name, ref.session_id, ref.is_multilabel, ref.user_id, exist_ok=True, **types
        )

    async def copy_from(self, source: Source) -> Located:
        """Copy an entity from another layer."""
        return await copy_up(source, self)

    async def check_deletion(self, located: Located) -> None:
        """Refuse if a part of an entity must not be deleted; called before anything is deleted in any layer.

        Raises
        ------
        ReadOnlyError
            A part of the entity is read-only.
        """
        await self._change("stat", located.key, lambda: self._refuse(located.ref))

    def _refuse(self, ref: Ref) -> Any:
        """Return the entity, looked up again; raise PermissionError if a part of it is read-only."""
        self._held.pop(ref, None)
        found = self._look_up(ref)
        if found is not None and any(is_read_only(item) for item in below(found, ref.kind)):
            raise PermissionError("a part of it is read-only")
        return found

    async def delete(self, located: Located) -> None:
        """Delete an entity with everything below it.

        Raises
        ------
        ReadOnlyError
            A part of the entity is read-only; nothing is deleted.
        """
        ref = located.ref

        def remove() -> None:
            found = self._refuse(ref)
            if found is None:
                return
            if isinstance(ref, RunRef):
                # The run deletes the entities it remembers, including those deleted elsewhere, so its lists are
                # refreshed first.
                root = self._opened.get()
                root.refresh()
                root.delete_run(ref.run)
            elif ref.kind == "object":
                # copick does not delete density maps; the metadata of the map is already deleted when this is called.
                clear(found)
            else:
                found.delete()
            # The parent may still remember the entity.
            above = set(_ancestors(ref))
            for other in list(self._held):
                if other == ref or other in above or ref in _ancestors(other):
                    del self._held[other]

        await self._change("delete", located.key, remove)

    def zarr_store(self, located: Located, *, read_only: bool | None = None) -> zarr.abc.store.Store:
        """Return a zarr 3 store over the foreign store of the volume, which is opened on first use.

        Raises
        ------
        LayerError
            The installed zarr is version 2, which copick 1 requires.
        """
        path = self.path_of(located.key)
        try:
            from aiocopick.layers.foreign.store import ForeignStore
        except ImportError as error:
            raise LayerError(
                f"{path}: volumes need zarr>=3, and copick 1 installs an older one ({error}). Open the project by its "
                "URL or config without copick 1, or install copick>=2.0.0a6.",
                path=path,
            ) from error

        ref = located.ref
        refused = self.read_only or bool(read_only)
        return ForeignStore(lambda: self._get(ref).zarr(), path, self._calls, read_only=refused)

    def options(self, **changes: Any) -> Layer:
        """Return a view of the same project with other limits."""
        view = ForeignLayer(self._opened, self._config_with(changes))
        view._calls = Calls(view.config.timeout, self.stats)
        view._changing = self._changing
        return view

    async def aclose(self) -> None:
        """Do nothing: the code that opened the project closes it."""


def _ancestors(ref: Ref) -> Iterable[Ref]:
    current = ref.parent
    while current is not None:
        yield current
        current = current.parent


def open_with_copick(config: CopickConfigForeign) -> ForeignLayer:
    """Return a read-only layer over the project that an installed copick opens. The project is opened on first use.

    Raises
    ------
    LayerError
        copick is not installed.
    """
    if find_spec("copick") is None:
        raise LayerError(
            f"Projects of type {config.config_type!r} are opened by copick itself, which is not installed: "
            "`pip install 'copick>=2.0.0a6'`."
        )
    return ForeignLayer(CopickOpener(config), config.model_copy(update={"read_only": True}))


# --- files, by the names of the abstract API; all of it blocks --------------------------------------------------------


def _load_file(kind: str, entity: Any) -> Payload:
    """Read the content of a file, in the form that our layers return."""
    # `load` would keep the data in the entity during the whole life of the layer.
    content = getattr(entity, "_load", entity.load)()
    if kind == "mesh":
        return content
    if kind == "filaments":
        from aiocopick.models.filaments import CopickFilamentsFile

        return CopickFilamentsFile.model_validate(content.model_dump())
    from aiocopick.formats.picks_table import PicksTable

    if isinstance(content, list):
        # The specification's `_load` returns only the points.
        return PicksTable.from_points(content)
    return PicksTable.from_points(content.points, content.model_dump(exclude={"points"}))


def _save_file(ref: FileRef, run: Any, entity: Any | None, payload: Payload, *, create: bool) -> Any:
    """Write a file; return its entity.

    Parameters
    ----------
    ref : PicksRef, MeshRef or FilamentsRef
        Ref of the file.
    run : CopickRun
        The foreign run that it belongs to.
    entity : object, optional
        The foreign entity, if it exists.
    payload : Payload
        The decoded content.
    create : bool
        Refuse to replace an existing file.

    Raises
    ------
    AlreadyExistsError
        The file exists and `create` is set.
    """
    if entity is None:
        make = {"picks": "new_picks", "mesh": "new_mesh", "filaments": "new_filaments"}[ref.kind]
        entity = getattr(run, make)(ref.object_name, ref.session_id, ref.user_id)
    elif create:
        raise AlreadyExistsError(
            f"The {ref.kind} {ref.object_name} of {ref.user_id}/{ref.session_id} already exist in run {ref.run}; "
            "they were not replaced."
        )
    if ref.kind == "mesh":
        entity.mesh = payload
        entity.store()
        return entity
    identity = {"pickable_object_name": ref.object_name, "user_id": ref.user_id, "session_id": ref.session_id}
    file = payload.to_file(**identity) if ref.kind == "picks" else payload.model_copy(update=identity)
    entity.meta = type(entity.meta).model_validate(file.model_dump())
    entity.store()
    return entity
