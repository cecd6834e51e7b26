"""The root of a project: its layers and config, its runs and objects, and everything in them.

All operations on a whole project share its few caches, so this file is long.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakValueDictionary

import anyio

from aiocopick.concurrency.misuse import AsyncOnly, lists, refuse_unawaited
from aiocopick.concurrency.single_flight import single_flight
from aiocopick.entities.base import html_of, known_count
from aiocopick.entities.crawl import Crawl, prefetch
from aiocopick.entities.creation import new_definition
from aiocopick.entities.lists import Children, moment, taken
from aiocopick.entities.object import AsyncObject
from aiocopick.entities.run import AsyncRun
from aiocopick.errors import AlreadyExistsError
from aiocopick.layers.stacking import make_stack, stack_of
from aiocopick.layout.names import check_run_name
from aiocopick.layout.refs import NOUNS, ObjectRef, RunRef
from aiocopick.layout.uris import parse_uri
from aiocopick.models.config import viewed_config
from aiocopick.models.metadata import CopickRunMeta
from aiocopick.models.objects import FilamentSpec, PickableObject
from aiocopick.progress import Progress
from aiocopick.volumes.state import Habit

if TYPE_CHECKING:
    from types import TracebackType

    from aiocopick.entities.base import AsyncEntity
    from aiocopick.errors import CopickError
    from aiocopick.layers import Layer, Merged, Placed, Stack
    from aiocopick.layers.stack import OnLayerError
    from aiocopick.models.config import CopickConfig
    from aiocopick.storage.stats import StorageStats


class AsyncRoot(AsyncOnly):
    """A project, over one or more layers. Creating a root sends no request.

    Parameters
    ----------
    config : CopickConfig
        Location of the project: a CopickConfigFS, CoPick's overlay and static form, or a CopickConfigMultilayer.
    """

    __slots__ = ("_habits", "_lock", "_maps", "_named_runs", "_object_list", "_objects", "_runs", "_stack", "config")

    def __init__(self, config: CopickConfig) -> None:
        self._begin(config, make_stack(config))

    def _begin(self, config: CopickConfig, stack: Stack) -> None:
        self.config = config
        self._stack = stack
        self._runs: Children[AsyncRun] = Children()
        # Runs that were looked up or crawled, as long as they are referenced: all runs may be too many to keep.
        self._named_runs: WeakValueDictionary[str, AsyncRun] = WeakValueDictionary()
        self._objects: dict[str, AsyncObject] = {}
        self._object_list: list[AsyncObject] = []
        self._maps: dict[str, Merged] | None = None
        self._lock: tuple[object, anyio.Lock] | None = None
        # By class of entity and layer.
        self._habits: defaultdict[tuple[type, int], Habit] = defaultdict(Habit)

    @classmethod
    def stack(
        cls,
        members: Iterable[Any],
        default_write_layer: str | None = None,
        on_layer_error: OnLayerError = "raise",
    ) -> Self:
        """Combine several projects into one. No request is sent.

        Parameters
        ----------
        members : iterable
            Roots, configs (or dicts of them), or URLs of projects; and objects that implement the abstract API, such as
            copick's own roots, which are called in a few threads. The higher ``priority`` of a config wins, ties are
            decided by the order given.
        default_write_layer : str, optional
            Name of the layer that gets new entities and changes; by default the writable layer of the highest priority.
        on_layer_error : {"raise", "skip"}
            What is done about a layer that cannot be listed: raise its error, or show the others without it, with a
            warning; :attr:`skipped_layers` says which are missing.

        Returns
        -------
        AsyncRoot
            Ids and pickable objects are those of the first member that has some.

        Raises
        ------
        LayerError
            A member cannot be a layer, two layers have one name, or there is none of the name to write to.
        """
        config, stack = stack_of([_layers_or(member) for member in members], default_write_layer, on_layer_error)
        return cls._over(config, stack)

    @classmethod
    def _over(cls, config: CopickConfig, stack: Stack) -> Self:
        root = cls.__new__(cls)
        root._begin(config, stack)
        return root

    def _iterated(self) -> str:
        return "write `for run in await root.runs()`, or `async for run in root.crawl()`"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(repr(layer.url) for layer in self.layers)})"

    def _repr_html_(self) -> str:
        single = len(self.layers) == 1
        rows: dict[str, Any] = {"url" if single else f"layer {layer.name}": layer.url for layer in self.layers}
        rows |= {"name": self.config.name or "", "read-only": self.read_only}
        return html_of(type(self).__name__, rows | {noun: known_count(self, noun) for noun in ("runs", "objects")})

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AsyncRoot):
            return NotImplemented
        return self is other or self._stack == other._stack

    def __hash__(self) -> int:
        return hash(self._stack)

    def __reduce__(self) -> tuple[Any, ...]:
        # Only the config is pickled; the unpickled root connects again.
        return (_rebuild, (type(self), self.config, self._stack))

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def root(self) -> Self:
        """Itself, so that every entity and the root have one."""
        return self

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, the highest priority first."""
        return self._stack.layers

    @property
    def skipped_layers(self) -> dict[str, CopickError]:
        """Errors of the layers that could not be listed last time, by name; their entities are missing.

        Empty, unless the stack has ``on_layer_error="skip"``.
        """
        return dict(self._stack.skipped)

    @property
    def layer(self) -> Layer:
        """The layer that gets new entities; the first layer if none can be written to."""
        return self.layers[0] if self._stack.read_only else self._stack.writer()

    @property
    def url(self) -> str:
        """URL of that layer, without secrets."""
        return self.layer.url

    @property
    def path(self) -> str:
        """Same as :attr:`url`."""
        return self.url

    @property
    def read_only(self) -> bool:
        """True if nothing in it can be changed."""
        return self._stack.read_only

    @property
    def stats(self) -> StorageStats:
        """Requests by verb, bytes, retries, peak in flight: of all layers together."""
        return self._stack.stats

    @property
    def user_id(self) -> str | None:
        """User id of the config; settable, live."""
        return self.config.user_id

    @user_id.setter
    def user_id(self, value: str | None) -> None:
        self.config.user_id = value

    @property
    def session_id(self) -> str | None:
        """Session id of the config; settable, live."""
        return self.config.session_id

    @session_id.setter
    def session_id(self, value: str | None) -> None:
        self.config.session_id = value

    def path_of(self, key: str) -> str:
        """Return root and key joined, without secrets."""
        return self.layer.path_of(key)

    @property
    def _fan_out(self) -> int:
        """Tasks at once; each layer bounds its own requests besides."""
        return int(getattr(self.config, "max_concurrency", 64))

    def refresh(self) -> None:
        """Forget the runs and objects, so that the next access lists the storage."""
        self._runs.forget()
        self._named_runs = WeakValueDictionary()
        self._maps = None
        self._objects = {}

    def options(self, **changes: Any) -> Self:
        """Return a view of the same project with other limits: ``root.options(timeout=5, max_concurrency=8)``.

        Connections and :attr:`stats` are shared, lists are not: a view has its own entities, which are
        equal to those of this root but not the same objects. Each root sees the changes of the other when it lists
        or loads again, and refuses to replace a file that it knows in an older version.

        Raises
        ------
        TypeError
            There is no such option, or all views share it: places, arguments, ``engine`` and ``cache`` belong to
            ``open``.
        FormatError
            A value is wrong.
        """
        config = self.config
        # First: its layers refuse what they do not have, and a stack has less.
        stack = self._stack.options(**changes)
        known = {name: value for name, value in changes.items() if name in type(config).model_fields}
        return type(self)._over(viewed_config(config, known), stack)

    def _apart(self) -> Self:
        """Return a root of the same project and connections with its own entities, for iterating without changing
        these.
        """
        return type(self)._over(self.config, self._stack)

    async def reconnect(self) -> None:
        """Close the connections of this event loop and forget what was listed; the next request connects again."""
        self.refresh()
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections of this event loop; the next request connects again."""
        await self._stack.aclose()

    # --- runs ---------------------------------------------------------------------------------------------------------

    async def query(self, *, layers: Iterable[str] | None = None) -> list[AsyncRun]:
        """List the runs in storage: one request per thousand runs, per layer.

        Parameters
        ----------
        layers : iterable of str, optional
            Names of the layers to list; the result of some layers is not cached.

        Returns
        -------
        list of AsyncRun
            Sorted by name; empty if there is no project yet. The first time, one more request finds out what is there
            instead, for a MissingProjectWarning.

        Raises
        ------
        AccessDeniedError
            The project cannot be listed. That is never an empty project.
        """
        since = moment()
        found = self._shown(await self._stack.list_runs(layers))
        make = partial(AsyncRun._found, self)
        if layers is not None:
            return [make(item) for item in found]
        self._runs.take(found, make, since, keep=False)
        self._named_runs = WeakValueDictionary()
        return list(self._runs)

    def _known(self, noun: str) -> Children[Any] | None:
        return self._runs if noun == "runs" else None

    def _cached_items(self, noun: str) -> list[Any] | None:
        """All runs or objects, as last queried; None when they were not yet. Not to be changed."""
        if noun == "objects":
            return None if self._maps is None else self._listed_objects(self._maps)
        return self._runs.items if self._runs.complete else None

    def _run_of(self, item: Placed) -> AsyncRun:
        """The run that a listing found: the one that is known, or a new one."""
        # By its name, as refs are hashed by Python code.
        name = item.ref.run  # type: ignore[attr-defined]
        run = self._runs.get(item.ref) or self._named_runs.get(name)
        if run is None:
            run = AsyncRun._found(self, item)
        else:
            run._found_again(item)
            return run
        self._named_runs[name] = run
        return run

    def _crawled(self, run: AsyncRun) -> None:
        """Note that a crawl found a run: if all runs are known, it is one of them."""
        if self._runs.complete:
            self._runs.put(run)

    def _forget_run(self, run: AsyncRun) -> None:
        self._runs.drop(run)
        self._named_runs.pop(run.name, None)

    def _shown(self, found: Iterable[Placed]) -> list[Placed]:
        """Runs that were found, without those that the config leaves out."""
        if self.config.runs is None:
            return list(found)
        allowed = set(self.config.runs)
        return [item for item in found if isinstance(item.ref, RunRef) and item.ref.run in allowed]

    @lists
    async def runs(self) -> list[AsyncRun]:
        """Return the runs, as last queried."""
        if not self._runs.complete:
            async with single_flight(self):
                if not self._runs.complete:
                    await self._fill()
        return list(self._runs)

    async def _fill(self) -> None:
        since = moment()
        self._runs.take(self._shown(await self._stack.list_runs()), self._run_of, since)
        self._named_runs = WeakValueDictionary()

    async def get_run(self, /, name: str, **kwargs: Any) -> AsyncRun | None:
        """Return the run of a name, or None: one request per layer, unless the runs are known; no list is cached.

        On an object store, the page that shows that the run exists also shows what it holds (of a large run, the first
        part), which is used for the first list of it, within the ``read_ahead`` seconds of the config, and if this
        process changes nothing in the project before.

        Parameters
        ----------
        name : str
            Its name.
        **kwargs
            Further fields of its metadata.
        """
        ref = RunRef(run=name)
        if self._runs.complete:
            return self._runs.get(ref)
        if self.config.runs is not None and name not in self.config.runs:
            return None
        found = await self._stack.find(ref)
        if found is None:
            return None
        run = self._run_of(found)
        run._looked_up = True
        run._extend_meta(kwargs)
        return run

    async def new_run(self, /, name: str, exist_ok: bool = False, **kwargs: Any) -> AsyncRun:
        """Create a run.

        Parameters
        ----------
        name : str
            Kept as it is.
        exist_ok : bool
            Return the existing run instead of raising.
        **kwargs
            Further fields of its metadata.

        Raises
        ------
        AlreadyExistsError
            A run of that name exists.
        InvalidNameError
            The name cannot be a directory.
        ReadOnlyError
            No layer can be written to.
        """
        self._stack.writer()
        check_run_name(name)
        run = await self.get_run(name)
        if run is not None:
            if not exist_ok:
                raise taken(run)
            return run
        run = AsyncRun(self, CopickRunMeta(name=name, **kwargs))
        try:
            await run._create()
        except AlreadyExistsError:
            # Another writer was faster.
            run = AsyncRun._of(self, run.ref, run._sources)
            if not exist_ok:
                raise taken(run) from None
        else:
            run._know_empty()
        run = self._named_runs[run.name] = self._runs.put(run)
        return run

    async def delete_run(self, name: str) -> None:
        """Delete a run with everything in it; a missing run is not an error.

        Raises
        ------
        ReadOnlyError
            A part of it is in a read-only layer; nothing is deleted then.
        """
        run = await self.get_run(name)
        if run is not None:
            await run.delete()

    # --- objects --------------------------------------------------------------------------------------------------------

    def _object_meta(self, name: str) -> PickableObject | None:
        return next((known for known in self.config.pickable_objects if known.name == name), None)

    async def query_objects(self, *, layers: Iterable[str] | None = None) -> list[AsyncObject]:
        """The pickable objects, the storage asked which of them have a density map: one request per layer.

        Returns
        -------
        list of AsyncObject
            Those of the config, in its order; of a config that names none, those that have a map.
        """
        found = {name_of(item): item for item in await self._stack.list_objects(layers)}
        if layers is None:
            self._maps = found
            self._objects = {}
        return list(self._listed_objects(found))

    @lists
    async def pickable_objects(self) -> list[AsyncObject]:
        """Return the pickable objects, as last queried; objects appended to the config are included at once."""
        if self._maps is None:
            async with single_flight(self):
                if self._maps is None:
                    await self.query_objects()
        return list(self._listed_objects(self._maps or {}))

    def _listed_objects(self, maps: Mapping[str, Merged]) -> list[AsyncObject]:
        known = {item.name: item for item in self.config.pickable_objects}
        objects = []
        for name in known or sorted(maps):
            entity = self._objects.get(name)
            # A definition that was replaced in the config makes another object.
            if entity is None or (known and entity._meta is not known[name]):
                sources = maps[name].sources if name in maps else ()
                entity = self._objects[name] = AsyncObject._of(self, ObjectRef(name=name), sources)
                if known:
                    entity._meta = known[name]
            objects.append(entity)
        # The same list as long as it holds the same: callers outside the loop see by it that nothing changed.
        if [id(item) for item in objects] != [id(item) for item in self._object_list]:
            self._object_list = objects
        return self._object_list

    def _forget_map(self, name: str) -> None:
        if self._maps is not None:
            self._maps.pop(name, None)

    async def get_object(self, name: str) -> AsyncObject | None:
        """Return the pickable object of a name, or None."""
        return next((item for item in await self.pickable_objects() if item.name == name), None)

    async def new_object(
        self,
        name: str,
        is_particle: bool,
        label: int | None = None,
        color: tuple[int, int, int, int] | None = None,
        emdb_id: str | None = None,
        pdb_id: str | None = None,
        identifier: str | None = None,
        map_threshold: float | None = None,
        radius: float | None = None,
        metadata: dict[str, Any] | None = None,
        exist_ok: bool = False,
        filament: FilamentSpec | dict[str, Any] | None = None,
    ) -> AsyncObject:
        """Add a pickable object to the config. The file of the config is not written.

        Parameters
        ----------
        name : str
            Its name; clean.
        is_particle : bool
            Whether it is represented by points rather than by segmentations.
        label : int, optional
            Its value in multilabel segmentations; the next free one without.
        color : tuple of int, optional
            RGBA, each 0 to 255.
        emdb_id, pdb_id, identifier : str, optional
            Ids in EMDB, PDB and an ontology.
        map_threshold : float, optional
            Threshold at which its density map is drawn.
        radius : float, optional
            Radius in angstrom.
        metadata : dict, optional
            Anything else.
        exist_ok : bool
            Change the object that is there: what is given here replaces what it says.
        filament : FilamentSpec or dict, optional
            Declares it a filament.

        Raises
        ------
        InvalidNameError
            The name contains characters that CoPick does not allow.
        AlreadyExistsError
            The name or the label is taken.
        pydantic.ValidationError
            A value cannot be used; nothing is changed then.
        """
        given = {
            "is_particle": is_particle,
            "label": label,
            "color": color,
            "emdb_id": emdb_id,
            "pdb_id": pdb_id,
            "identifier": identifier,
            "map_threshold": map_threshold,
            "radius": radius,
            "metadata": metadata,
        }
        meta = new_definition(self.config, name, given, filament, exist_ok)
        return next(item for item in await self.pickable_objects() if item._meta is meta)

    # --- everything ---------------------------------------------------------------------------------------------------

    async def ensure(self, create: bool = False) -> bool:
        """Return True if there is a project; with `create`, it is created.

        Raises
        ------
        ReadOnlyError
            It is to be created and no layer can be written to.
        """
        return await self._stack.ensure(create=create)

    async def load_meta(self) -> dict[str, Any]:
        """Return the ``.meta`` file next to the runs; {} if there is none."""
        return await self._stack.load_meta(None)

    async def store_meta(self, content: Mapping[str, Any] | None = None) -> None:
        """Write the ``.meta`` file next to the runs; existing keys that are not given are kept.

        Parameters
        ----------
        content : mapping, optional
            JSON values; without, name, description and version of the config.
        """
        writer = self._stack.writer()
        if content is None:
            content = {name: getattr(self.config, name) for name in ("name", "description", "version")}
        changes = dict(content)
        await writer.update_meta(None, lambda known: known | changes)

    def crawl(
        self,
        runs: str | Iterable[str] | None = None,
        kinds: Iterable[str] | None = None,
        load: Iterable[str] = (),
        *,
        progress: Progress = None,
    ) -> Crawl:
        """Go through the runs in the order of their keys, each with its lists filled.

        ``async for run in root.crawl()`` goes step by step; ``async with root.crawl() as runs`` reads ahead. Both may
        be left at any time.

        Parameters
        ----------
        runs : str or iterable of str, optional
            Names, or globs (``"TS_*"``). A name that is not there is yielded with ``run.error`` set.
        kinds : iterable of str, optional
            Of ``voxel_spacings tomograms features picks meshes segmentations filaments``; all without.
        load : iterable of str
            Of ``picks meshes filaments meta``: files to read as well.
        progress : callable or bool
            Called with the name of each run. A method ``expect`` of it is called first, with their number. True shows a
            bar, on a terminal or in a notebook.

        Returns
        -------
        Crawl
            A run that cannot be read, or something of it that was to be loaded, has its ``error`` set. Runs and
            known children are the same objects, their lists are updated; points, meshes and filaments
            that were set and not stored stay.
        """
        return Crawl(self, runs, kinds, load, progress=progress)

    async def prefetch(self, kinds: Iterable[str] | None = None, load: Iterable[str] = ()) -> None:
        """List what all runs hold, at once, so that asking each of them costs nothing.

        Parameters
        ----------
        kinds : iterable of str, optional
            Of ``voxel_spacings tomograms features picks meshes segmentations filaments``; all without.
        load : iterable of str
            Of ``picks meshes filaments meta``: files to read as well.
        """
        await prefetch(await self.runs(), kinds, load)

    async def resolve(self, uri: str, kind: str | None = None) -> list[AsyncEntity]:
        """The entities that a CoPick URI names, in all runs.

        Parameters
        ----------
        uri : str
            ``"ribosome:user/session"``, ``"wbp@10.0"``, ...; parts may be globs.
        kind : str, optional
            Which kind is meant; the URIs of meshes and filaments look like those of picks, which are meant without.

        Raises
        ------
        CopickError
            A run cannot be listed.
        """
        pattern = parse_uri(uri, kind)
        noun = next(noun for noun, kind in NOUNS.items() if kind == pattern.kind)
        found: list[AsyncEntity] = []
        async with self.crawl(kinds=(noun,)) as runs:
            async for run in runs:
                if run.error is not None:
                    raise run.error
                found += [entity for entity in await entities_of(run, noun) if pattern.matches(entity.ref)]
        return found

    async def discover_objects(self) -> list[str]:
        """Names of objects that picks, meshes, filaments, segmentations or density maps are stored of.

        The whole project is listed. Segmentations of several labels are named after no object, and do not count.

        Returns
        -------
        list of str
            Sorted.

        Raises
        ------
        CopickError
            A run cannot be listed.
        """
        names = {name_of(item) for item in await self._stack.list_objects()}
        async with self._apart().crawl(kinds=("picks", "meshes", "filaments", "segmentations")) as runs:
            async for run in runs:
                if run.error is not None:
                    raise run.error
                for entity in (*await run.picks(), *await run.meshes(), *await run.filaments()):
                    names.add(entity.pickable_object_name)
                names |= {
                    item.name for item in await run.segmentations() if item.segmentation_type in ("binary", "instance")
                }
        return sorted(names)


def _rebuild(cls: type[AsyncRoot], config: CopickConfig, stack: Stack) -> AsyncRoot:
    return cls._over(config, stack)


def name_of(item: Merged) -> str:
    """Name of an object that was listed."""
    assert isinstance(item.ref, ObjectRef)
    return item.ref.name


async def entities_of(run: AsyncRun, noun: str) -> list[Any]:
    """All entities of a plural noun in a run."""
    if noun not in ("tomograms", "features"):
        listed: list[Any] = await getattr(run, noun)()
        return listed
    tomograms = [tomogram for spacing in await run.voxel_spacings() for tomogram in await spacing.tomograms()]
    if noun == "tomograms":
        return tomograms
    return [features for tomogram in tomograms for features in await tomogram.features()]


def _layers_or(member: Any) -> Any:
    """The layers of a root of ours, blocking or not; anything else as it is.

    A blocking root must not be called in a thread: its loop may be the one that waits for the answer.
    """
    twin = getattr(member, "aio", member)
    return _Layers(twin) if isinstance(twin, AsyncRoot) else member


class _Layers(tuple[Any, ...]):
    """The layers of a root, with its config."""

    config: CopickConfig

    def __new__(cls, root: AsyncRoot) -> Self:
        layers = super().__new__(cls, root.layers)
        layers.config = root.config
        return layers


# --- roots as callers pass them ---------------------------------------------------------------------------------------


def async_root(root: Any) -> AsyncRoot:
    """Return the root itself, or the async root of a facade.

    Raises
    ------
    TypeError
        It is neither an async nor a facade root, or it was not awaited.
    """
    refuse_unawaited(root, "The root of a project")
    twin = getattr(root, "aio", root)
    if not isinstance(twin, AsyncRoot):
        raise TypeError(
            f"The root of a project is expected, not {type(root).__name__}; open one with aiocopick.open() or "
            "aiocopick.open_sync()."
        )
    return twin
