"""The root of a project: its runs, and everything in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakValueDictionary

from aiocopick.concurrency.single_flight import alone
from aiocopick.entities.crawl import Crawl
from aiocopick.entities.lists import moment, taken
from aiocopick.entities.root_objects import ObjectVerbs, name_of
from aiocopick.entities.run import AsyncRun
from aiocopick.errors import AlreadyExistsError
from aiocopick.layers.stacking import stack_of
from aiocopick.layout.names import check_run_name
from aiocopick.layout.refs import NOUNS, RunRef
from aiocopick.layout.uris import parse_uri
from aiocopick.models.metadata import CopickRunMeta

if TYPE_CHECKING:
    from aiocopick.entities.base import AsyncEntity
    from aiocopick.entities.lists import Children
    from aiocopick.layers import Merged, Placed
    from aiocopick.layers.stack import OnLayerError
    from aiocopick.models.config import CopickConfig


class AsyncRoot(ObjectVerbs):
    """A project, over one or more layers. Making one sends no request.

    Parameters
    ----------
    config : CopickConfig
        Where it lies: a CopickConfigFS, CoPick's overlay and static form, or a CopickConfigMultilayer.
    """

    __slots__ = ()

    @classmethod
    def stack(
        cls,
        members: Iterable[Any],
        default_write_layer: str | None = None,
        on_layer_error: OnLayerError = "raise",
    ) -> Self:
        """Several projects seen as one. Sends no request.

        Parameters
        ----------
        members : iterable
            Roots, configs (or dicts of them), or URLs of projects; and objects that implement the abstract API, such as
            copick's own roots, which are called in a few threads. The higher ``priority`` of a config wins, ties are
            decided by the order given.
        default_write_layer : str, optional
            Name of the layer that new entities and changes go to; else the writable layer of the highest priority.
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

    # --- runs ---------------------------------------------------------------------------------------------------------

    async def query(self, *, layers: Iterable[str] | None = None) -> list[AsyncRun]:
        """Ask the storage for the runs: one request for each thousand of them, per layer.

        Parameters
        ----------
        layers : iterable of str, optional
            Names of the layers to ask; what a part of them says is not cached.

        Returns
        -------
        list of AsyncRun
            Sorted by name; empty when there is no project yet.

        Raises
        ------
        AccessDeniedError
            The project cannot be listed. That is never an empty project.
        """
        since = moment()
        found = await self._list_runs(layers)
        make = partial(AsyncRun._found, self)
        if layers is not None:
            return [make(item) for item in found]
        self._runs.take(found, make, since, keep=False)
        self._named_runs = WeakValueDictionary()
        return list(self._runs)

    def _known(self, noun: str) -> Children[Any] | None:
        return self._runs if noun == "runs" else None

    def _at_hand(self, noun: str) -> list[Any] | None:
        """All runs or objects, as last queried; None when they were not yet. Not to be changed."""
        if noun == "objects":
            return None if self._maps is None else self._listed_objects(self._maps)
        return self._runs.items if self._runs.complete else None

    def _run_of(self, item: Placed) -> AsyncRun:
        """The run that a listing found: the one that is known, or a new one."""
        run = self._runs.get(item.ref) or self._named_runs.get(item.ref)
        if run is None:
            run = AsyncRun._found(self, item)
        else:
            run._found_again(item)
            return run
        self._named_runs[item.ref] = run
        return run

    def _crawled(self, run: AsyncRun) -> None:
        """Note that a crawl found a run: if all runs are known, it is one of them."""
        if self._runs.complete:
            self._runs.put(run)

    def _forget_run(self, run: AsyncRun) -> None:
        self._runs.drop(run)
        self._named_runs.pop(run.ref, None)

    async def _list_runs(self, layers: Iterable[str] | None = None, beginning: str = "") -> list[Merged]:
        found = await self._stack.list_runs(layers, beginning)
        if self.config.runs is None:
            return list(found)
        allowed = set(self.config.runs)
        return [item for item in found if isinstance(item.ref, RunRef) and item.ref.run in allowed]

    async def runs(self) -> list[AsyncRun]:
        """The runs, as last queried."""
        if not self._runs.complete:
            async with alone(self):
                if not self._runs.complete:
                    await self._fill()
        return list(self._runs)

    async def _fill(self) -> None:
        since = moment()
        self._runs.take(await self._list_runs(), self._run_of, since)
        self._named_runs = WeakValueDictionary()

    async def get_run(self, /, name: str, **kwargs: Any) -> AsyncRun | None:
        """The run of a name, or None: one request per layer, unless the runs are known; no list is cached.

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
        run._extend_meta(kwargs)
        return run

    async def new_run(self, /, name: str, exist_ok: bool = False, **kwargs: Any) -> AsyncRun:
        """Create a run.

        Parameters
        ----------
        name : str
            Kept as it is.
        exist_ok : bool
            Return the run that is there instead of raising.
        **kwargs
            Further fields of its metadata.

        Raises
        ------
        AlreadyExistsError
            There is one of that name.
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
        run = self._named_runs[run.ref] = self._runs.put(run)
        return run

    async def delete_run(self, name: str) -> None:
        """Delete a run with everything in it; nothing happens when there is none of that name.

        Raises
        ------
        ReadOnlyError
            A part of it lies in a read-only layer; nothing is deleted then.
        """
        run = await self.get_run(name)
        if run is not None:
            await run.delete()

    async def ensure(self, create: bool = False) -> bool:
        """Whether there is a project; with `create` there is one afterwards.

        Raises
        ------
        ReadOnlyError
            It is to be created and no layer can be written to.
        """
        return await self._stack.ensure(create=create)

    async def load_meta(self) -> dict[str, Any]:
        """The ``.meta`` file beside the runs; {} when there is none."""
        return await self._stack.load_meta(None)

    async def store_meta(self, content: Mapping[str, Any] | None = None) -> None:
        """Write the ``.meta`` file beside the runs; keys that are there already and not given are kept.

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

    # --- everything ---------------------------------------------------------------------------------------------------

    def crawl(
        self, runs: str | Iterable[str] | None = None, kinds: Iterable[str] | None = None, load: Iterable[str] = ()
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

        Returns
        -------
        Crawl
            A run that cannot be read, or something of it that was to be loaded, has its ``error`` set. Runs and
            children that are known already are the same objects, their lists made anew; points, meshes and filaments
            that were set and not stored stay.
        """
        return Crawl(self, runs, kinds, load)

    async def prefetch(self, kinds: Iterable[str] | None = None, load: Iterable[str] = ()) -> None:
        """List what all runs hold, at once, so that asking each of them costs nothing.

        Parameters
        ----------
        kinds : iterable of str, optional
            Of ``voxel_spacings tomograms features picks meshes segmentations filaments``; all without.
        load : iterable of str
            Of ``picks meshes filaments meta``: files to read as well.
        """
        from aiocopick.entities.prefetch import prefetch

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
