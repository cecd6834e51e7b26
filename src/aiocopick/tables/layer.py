"""A layer that takes its listings from a catalogue: only reads and writes are sent to its storage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from aiocopick.concurrency.fan_out import stream
from aiocopick.concurrency.threads import in_thread
from aiocopick.errors import ConflictError, CopickError, LayerError
from aiocopick.layers.base import Layer, Loaded, Nouns, Payload, Source
from aiocopick.layout.listing import Listing, Located
from aiocopick.layout.paths import OBJECTS
from aiocopick.layout.refs import NOUN_OF, NOUNS, RunRef, VoxelSpacingRef
from aiocopick.tables.index import CatalogIndex, layers_of
from aiocopick.tables.stored import StoredTable

if TYPE_CHECKING:
    import pyarrow as pa
    import zarr.abc.store

    from aiocopick.layout.refs import Ref
    from aiocopick.storage import Storage
    from aiocopick.storage.base import FirstPage
    from aiocopick.storage.stats import StorageStats


Answer = TypeVar("Answer")

Verify = Literal["etag"] | None
"""Check that the version that is read is the version in the catalogue."""

_READS_AT_ONCE = 64


def catalog_layers(layers: Sequence[Layer], table: pa.Table | StoredTable, *, verify: Verify = None) -> list[Layer]:
    """Return the layers of a stack, with listings from one catalogue.

    Parameters
    ----------
    layers : sequence of Layer
        The layers of the open project.
    table : pyarrow.Table
        A catalogue of that project.
    verify : "etag", optional
        Refuse files that changed since.

    Raises
    ------
    FormatError
        The table is not a catalogue.
    LayerError
        The catalogue lists layers that the project does not have.
    """
    if verify not in (None, "etag"):
        raise LayerError(f"verify={verify!r} is unknown; use 'etag' or None.")
    listed = layers_of(table)
    if len(layers) == 1 and len(listed) <= 1:
        # The names are not compared: a config and a URL may name the same place differently.
        return [CatalogLayer(layers[0], CatalogIndex(table), verify)]
    unknown = sorted(listed - {layer.name for layer in layers})
    if unknown:
        raise LayerError(f"The catalogue lists a layer {unknown[0]!r}, which this project does not have.")
    return [CatalogLayer(layer, CatalogIndex(table, layer.name), verify) for layer in layers]


class CatalogLayer:
    """A layer with listings from a catalogue and everything else from the layer below.

    Entities that are created, saved or deleted through this layer are listed correctly; changes by others are not seen.

    Parameters
    ----------
    layer : Layer
        The layer that holds the files.
    index : CatalogIndex
        The content of the catalogue.
    verify : "etag", optional
        Refuse files that changed since the catalogue was made. Volumes have no version and are not checked.
    """

    __slots__ = ("_gone", "_index", "_layer", "_made", "_verify")

    from_catalog: ClassVar[bool] = True
    """True: versions in its listings may be out of date, so that a store must not require them."""

    def __init__(self, layer: Layer, index: CatalogIndex, verify: Verify = None) -> None:
        self._layer = layer
        self._index = index
        self._verify = verify
        # Entities made or saved since, and entities of the catalogue that were deleted since (with all below them).
        self._made: dict[Ref, Located] = {}
        self._gone: set[Ref] = set()

    def __eq__(self, other: object) -> bool:
        return self._layer == other._layer if isinstance(other, CatalogLayer) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._layer)

    def __repr__(self) -> str:
        return f"CatalogLayer({self._layer!r})"

    @property
    def name(self) -> str:
        """Unique in its stack."""
        return self._layer.name

    @property
    def priority(self) -> int:
        """Rank of the layer; a higher priority is seen first."""
        return self._layer.priority

    @property
    def read_only(self) -> bool:
        """True if every change is refused."""
        return self._layer.read_only

    @property
    def config(self) -> Any:
        """The config of the layer below."""
        return self._layer.config

    @property
    def url(self) -> str:
        """URL of the layer below."""
        return self._layer.url

    @property
    def storage(self) -> Storage | None:
        """Storage of the layer below, for callers that copy the stored bytes; None if it has no storage."""
        return self._layer.storage

    @property
    def nouns(self) -> Nouns:
        """Plural nouns that the catalogue lists; None for all."""
        return self._index.scope.nouns

    @property
    def stats(self) -> StorageStats:
        """Counters of the storage."""
        return self._layer.stats

    def path_of(self, key: str) -> str:
        """Return the key joined to the root."""
        return self._layer.path_of(key)

    def locate(self, ref: Ref) -> Located:
        """Return the location at which an entity is written."""
        return self._layer.locate(ref)

    def _with_changes(self, listing: Listing, kinds: frozenset[str], run: str | None = None) -> Listing:
        """Return a listing with the entities made and without the entities deleted since."""
        if not self._made and not self._gone:
            return listing
        made = {
            ref: located
            for ref, located in self._made.items()
            if ref.kind in kinds and (run is None or getattr(ref, "run", None) == run)
        }
        kept = [
            located
            for located in listing.located
            if located.ref not in made and not any(ref in self._gone for ref in _lineage(located.ref))
        ]
        return Listing(tuple(sorted([*kept, *made.values()], key=lambda located: located.ref.sort_key)))

    async def list_runs(self, beginning: str = "") -> Listing:
        """List all runs; no request is sent."""
        return self._with_changes(await in_thread(self._index.runs), frozenset({"run"}))

    async def list_run(self, run: Located, nouns: Nouns = None, *, found: bool = False) -> Listing:
        """List the content of a run; no request is sent.

        Raises
        ------
        LayerError
            The catalogue does not cover these kinds, or this run could not be listed for it.
        """
        assert isinstance(run.ref, RunRef)
        known = self.nouns
        missing = sorted((NOUNS.keys() if nouns is None else nouns) - known) if known is not None else []
        if known is not None and missing:
            raise LayerError(
                f"The catalogue of {self.url} was made without {missing[0]}: ask for the kinds that are in it "
                f"({', '.join(sorted(known))}), or make it again with them."
            )
        error, listing = await self._ask(self._content, run.ref.run)
        if error is not None:
            path = self.path_of(run.key)
            raise LayerError(
                f"{path} could not be read when the catalogue was made ({error}): make it again.", path=path
            )
        return self._with_changes(listing, frozenset(NOUNS.values()), run.ref.run)

    def _content(self, run: str) -> tuple[str | None, Listing]:
        return self._index.error(run), self._index.run(run)

    async def _ask(self, question: Callable[[str], Answer], run: str) -> Answer:
        """Ask the catalogue about one run, in a thread if rows have to be decoded."""
        return question(run) if self._index.at_hand(run) else await in_thread(question, run)

    async def list_voxel_spacing(self, spacing: Located) -> Listing:
        """List the tomograms and feature maps of one voxel spacing; no request is sent."""
        assert isinstance(spacing.ref, VoxelSpacingRef)
        run = spacing.ref.parent
        listing = await self.list_run(self.locate(run), frozenset({"tomograms", "features"}))
        return Listing(
            tuple(
                located
                for located in listing.located
                if located.ref.kind in ("tomogram", "features") and spacing.ref in _lineage(located.ref)
            )
        )

    async def list_objects(self) -> Listing:
        """List the objects that have a map; no request is sent.

        Raises
        ------
        LayerError
            They could not be listed for the catalogue.
        """
        if (error := self._index.objects_error()) is not None:
            path = self.path_of(OBJECTS)
            raise LayerError(
                f"{path} could not be read when the catalogue was made ({error}): make it again.", path=path
            )
        return self._with_changes(self._index.objects(), frozenset({"object"}))

    async def first_page(self, beginning: str = "") -> None:
        """Return None: a catalogue has no pages."""

    def scan_all(self, beginning: str = "", nouns: Nouns = None, *, details: bool = True) -> None:
        """Return None: a catalogue knows its runs."""

    def scan(
        self,
        runs: Iterable[Located],
        nouns: Nouns = None,
        *,
        details: bool = True,
        first_page: FirstPage | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[Located, Listing | CopickError]]]:
        """List the content of many runs; no request is sent."""
        return self._scan(runs, nouns)

    @asynccontextmanager
    async def _scan(
        self, runs: Iterable[Located], nouns: Nouns
    ) -> AsyncIterator[AsyncIterator[tuple[Located, Listing | CopickError]]]:
        async def listings() -> AsyncIterator[tuple[Located, Listing | CopickError]]:
            for run in runs:
                try:
                    yield run, await self.list_run(run, nouns)
                except CopickError as error:
                    yield run, error

        yield listings()

    async def find(self, ref: Ref) -> Located | None:
        """Return the location of one entity, or None; no request is sent."""
        if isinstance(ref, RunRef):
            listing = self._with_changes(await self._ask(self._index.found, ref.run), frozenset({"run"}), ref.run)
        elif ref.kind == "object":
            listing = await self.list_objects()
        else:
            run = self.locate(RunRef(run=ref.run))  # type: ignore[attr-defined]
            listing = await self.list_run(run, frozenset({NOUN_OF[ref.kind]}))
        return next((located for located in listing.located if located.ref == ref), None)

    async def ensure(self, *, create: bool = False) -> bool:
        """Return True if there is a project: the catalogue says so."""
        return await self._layer.ensure(create=True) if create else True

    async def load(self, located: Located, *, listed: bool = False) -> Loaded:
        """Read and decode one file. Its version in the catalogue says nothing of its version now.

        Raises
        ------
        ConflictError
            `verify` is set, and the file has another version than the catalogue lists.
        """
        loaded = await self._layer.load(located)
        if self._verify is not None:
            await self._check(located, loaded)
        return loaded

    async def _check(self, located: Located, loaded: Loaded) -> None:
        if located.etag is not None and loaded.etag is not None:
            same = loaded.etag == located.etag
        elif located.modified is not None or located.size is not None:
            # Storage without versions: one more request, for size and time.
            now = await self._layer.find(located.ref)
            same = now is not None and (now.size, _microseconds(now)) == (located.size, _microseconds(located))
        else:
            # The file was written through this layer, on a storage that returns no version.
            return
        if not same:
            path = self.path_of(located.key)
            raise ConflictError(f"{path} changed since the catalogue was made: make it again.", path=path)

    def load_many(
        self, located: Sequence[Located], *, listed: bool = False
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[Located, Loaded | CopickError]]]:
        """Read and decode many files."""
        # Verification may need one more request per file, so the files are read one by one.
        if self._verify is None:
            return self._layer.load_many(located)
        return stream(self.load, located, limit=_READS_AT_ONCE)

    async def save(
        self, located: Located, payload: Payload, *, if_match: str | None = None, create: bool = False
    ) -> Located:
        """Encode and write one file."""
        saved = await self._layer.save(located, payload, if_match=if_match, create=create)
        self._made[saved.ref] = saved
        return saved

    async def load_meta(self, located: Located | None, *, listed: bool = False) -> dict[str, Any]:
        """Return the ``.meta`` file of a run, a voxel spacing or the root."""
        return await self._layer.load_meta(located)

    async def update_meta(self, located: Located | None, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Change a ``.meta`` file."""
        await self._layer.update_meta(located, change)

    async def create(self, ref: Ref, meta: dict[str, Any] | None = None) -> Located:
        """Create a run, a voxel spacing or a volume."""
        made = await self._layer.create(ref, meta)
        # What is made later is listed without a version, as volumes are.
        self._made[made.ref] = made._replace(etag=None)
        return made

    async def copy_from(self, source: Source) -> Located:
        """Copy an entity from another layer."""
        copied = await self._layer.copy_from(source)
        self._made[copied.ref] = copied
        return copied

    async def check_deletion(self, located: Located) -> None:
        """Refuse if the layer below refuses to delete a part of an entity."""
        await self._layer.check_deletion(located)

    async def delete(self, located: Located) -> None:
        """Delete an entity with everything below it."""
        await self._layer.delete(located)
        for ref in [ref for ref in self._made if located.ref in _lineage(ref)]:
            del self._made[ref]
        self._gone.add(located.ref)

    def zarr_store(self, located: Located, *, read_only: bool | None = None) -> zarr.abc.store.Store:
        """Return a zarr 3 store of a volume."""
        return self._layer.zarr_store(located, read_only=read_only)

    def options(self, **changes: Any) -> CatalogLayer:
        """Return a view with other limits."""
        view = CatalogLayer(self._layer.options(**changes), self._index, self._verify)
        view._made, view._gone = self._made, self._gone
        return view

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self._layer.aclose()


def _lineage(ref: Ref) -> Iterator[Ref]:
    """Yield an entity and its parents."""
    current: Ref | None = ref
    while current is not None:
        yield current
        current = current.parent


def _microseconds(located: Located) -> int | None:
    return None if located.modified is None else round(located.modified * 1_000_000)


__all__ = ["CatalogLayer", "Verify", "catalog_layers"]
