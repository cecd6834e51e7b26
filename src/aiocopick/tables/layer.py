"""A layer that takes its listings from a catalogue: only reads and writes are sent to its storage."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import pairwise
from struct import pack
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from aiocopick.concurrency.fan_out import stream
from aiocopick.concurrency.threads import in_thread
from aiocopick.errors import ConflictError, CopickError, FormatError, LayerError
from aiocopick.layers.base import Layer, Loaded, Nouns, Payload, Source
from aiocopick.layout.listing import Listing, Located
from aiocopick.layout.paths import OBJECTS
from aiocopick.layout.refs import NOUN_OF, NOUNS, RunRef, VoxelSpacingRef
from aiocopick.tables.rows import located_of, rows_of
from aiocopick.tables.schema import arrow, as_written, catalog_columns, metadata_of, schema_of
from aiocopick.tables.scope import Scope
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
    listed = set(table.column("layer").unique().to_pylist()) if "layer" in table.column_names else set()
    listed.discard(None)
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


# --- a catalogue as listings ------------------------------------------------------------------------------------------


_BLOCK = 4096


class CatalogIndex:
    """Rows of a catalogue by run, converted to refs on demand.

    Parameters
    ----------
    table : pyarrow.Table or StoredTable
        A catalogue.
    layer : str, optional
        Only the rows of this layer.

    Raises
    ------
    FormatError
        The table is not a catalogue.
    """

    __slots__ = ("_at", "_block", "_ends", "_layer", "_objects", "_table", "scope")

    def __init__(self, table: pa.Table | StoredTable, layer: str | None = None) -> None:
        pa = arrow()
        self.scope = Scope.of_metadata(metadata_of(table))
        table = _in_our_types(table)
        run = table.column("run")
        bounds = _bounds(run)
        if bounds is None:
            # A crawl writes runs in order; other tables may not be sorted.
            table = _whole(table).sort_by("run").combine_chunks()
            run = table.column("run")
            bounds = _bounds(run)
            assert bounds is not None
        self._table, self._layer = table, layer
        self._at, self._ends = bounds
        # Of a million rows, no more is decoded at once than has to be.
        head = pa.Table.from_arrays([run, table.column("kind")], names=["run", "kind"])
        keys = table.select(["key"])
        is_object = pa.compute.equal(head["kind"], _text("object"))
        if layer is not None:
            layers = table.column("layer")
            if layers.null_count:
                raise FormatError("A row of the catalogue has no layer; make it again.", path="The catalogue")
            chosen = pa.compute.equal(layers, _text(layer))
            head, is_object = head.filter(chosen), pa.compute.and_(is_object, chosen)
            keys = _whole(keys).filter(chosen)
            bounds = _bounds(head["run"])
            assert bounds is not None
        _refuse_unnamed_and_twice(head, keys, bounds[1], pa.compute)
        self._objects: list[int] = pa.compute.indices_nonzero(is_object).to_pylist()
        self._block: tuple[int, list[dict[str, Any]]] = (0, [])

    def runs(self) -> Listing:
        """All runs."""
        table = _whole(self._table.select(["run", "kind", "key", "layer"]))
        for name, value in (("kind", "run"), ("layer", self._layer)):
            if value is not None:
                table = table.filter(arrow().compute.equal(table[name], _text(value)))
        return _listing([located_of(row) for row in rows_of(table)])

    def objects(self) -> Listing:
        """Objects that have a map."""
        return _listing([located_of(row) for row in self._object_rows() if row["name"] is not None])

    def objects_error(self) -> str | None:
        """Return the error of the objects when the catalogue was made; None if they were listed."""
        return next((row["error"] for row in self._object_rows() if row["name"] is None), None)

    def found(self, name: str) -> Listing:
        """Return the listing of the runs with that name only."""
        rows = [row for row in self._rows_of(name) if row["kind"] == "run"]
        return _listing([Located(*located_of(row)[:2]) for row in rows])

    def run(self, name: str) -> Listing:
        """Return the listing of a run."""
        return _listing([located_of(row) for row in self._rows_of(name) if row["kind"] not in ("run", "object")])

    def error(self, name: str) -> str | None:
        """Return the error of the run when the catalogue was made; None if it was listed."""
        errors = [row["error"] for row in self._rows_of(name) if row["kind"] == "run"]
        return errors[0] if errors else None

    def at_hand(self, name: str) -> bool:
        """Return True if nothing has to be decoded for the rows of a run."""
        start, stop = self._bounds_of(name)
        first, rows = self._block
        return start == stop or first <= start < stop <= first + len(rows)

    def _bounds_of(self, name: str) -> tuple[int, int]:
        at = self._at.get(name)
        return (0, 0) if at is None else (self._ends[at - 1] if at else 0, self._ends[at])

    def _object_rows(self) -> list[dict[str, Any]]:
        return [row for at in self._objects for row in self._read(at, at + 1)]

    def _rows_of(self, name: str) -> list[dict[str, Any]]:
        rows = self._read(*self._bounds_of(name))
        return rows if self._layer is None else [row for row in rows if row["layer"] == self._layer]

    def _read(self, start: int, stop: int) -> list[dict[str, Any]]:
        first, rows = self._block
        if start < stop and not first <= start < stop <= first + len(rows):
            # What follows the last rows is the next run of a crawl; anything else is looked at alone.
            length = _BLOCK if first <= start <= first + len(rows) else 0
            part = self._table.slice(start, max(length, stop - start))
            # As Python's times they would have Arrow import pandas.
            modified = part.column("modified").cast(arrow().int64())
            part = part.set_column(part.column_names.index("modified"), "modified", modified)
            first, rows = start, part.to_pylist()
            self._block = (first, rows)
        return rows[start - first : stop - first] if start < stop else []


def _whole(table: pa.Table | StoredTable) -> pa.Table:
    return table.read() if isinstance(table, StoredTable) else table


def _in_our_types(table: pa.Table | StoredTable) -> pa.Table | StoredTable:
    columns = catalog_columns()
    if isinstance(table, StoredTable):
        types = dict(zip(table.column_names, table.schema.types, strict=True))
        if all(types.get(field.name) == field.type for field in schema_of(columns)):
            return table.select(columns)
        table = table.read()
    return as_written(table, columns, "The catalogue")


def _text(value: str) -> pa.StringScalar:
    """Return an Arrow text. Arrow's own conversion imports pandas, which takes longer than opening a catalogue."""
    pa, data = arrow(), value.encode()
    return pa.StringArray.from_buffers(1, pa.py_buffer(pack("=ii", 0, len(data))), pa.py_buffer(data))[0]


def _refuse_unnamed_and_twice(table: pa.Table, keys: pa.Table | StoredTable, ends: list[int], compute: Any) -> None:
    """Refuse rows without a kind or key, and entities in two rows: they would be left out, or listed twice, silently.

    Raises
    ------
    FormatError
        There is one.
    """
    if table["kind"].null_count:
        raise FormatError("A row of the catalogue has no kind; make it again.", path="The catalogue")
    if compute.any(
        compute.and_(compute.is_null(table["run"]), compute.not_equal(table["kind"], _text("object")))
    ).as_py():
        raise FormatError("A row of the catalogue has no run; make it again.", path="The catalogue")
    for part in _apart(keys, ends):
        if part.null_count:
            raise FormatError("A row of the catalogue has no key; make it again.", path="The catalogue")
        if compute.count_distinct(part).as_py() != len(part):
            key = next(count["values"] for count in part.value_counts().to_pylist() if count["counts"] > 1)
            raise FormatError(f"The catalogue lists {key} twice; make it again.", path="The catalogue")


def _apart(keys: pa.Table | StoredTable, ends: list[int]) -> Iterator[pa.ChunkedArray]:
    """Yield the keys in parts, and parts that may have keys in common once more together; `ends` are those of the runs.

    Equal keys are found sooner in many small parts, and no two runs have the same.
    """
    pa = arrow()
    rows = ends[-1] if ends else 0
    cuts = {ends[bisect_left(ends, at)] for at in range(_BLOCK, rows, _BLOCK)}
    parts = []
    for start, stop in pairwise(sorted({0, *cuts, rows})):
        part = keys.slice(start, stop - start).column("key")
        yield part
        smallest, largest = pa.compute.min_max(part).as_py().values()
        parts.append((smallest, largest, start, stop))
    end, groups = "", list[list[tuple[int, int]]]()
    for smallest, largest, start, stop in sorted(parts):
        if groups and smallest <= end:
            groups[-1].append((start, stop))
        else:
            groups.append([(start, stop)])
        end = max(end, largest)
    for group in groups:
        if len(group) > 1:
            found = [keys.slice(start, stop - start).column("key") for start, stop in group]
            yield pa.chunked_array([chunk for part in found for chunk in part.chunks])


def _listing(located: list[Located]) -> Listing:
    return Listing(tuple(sorted(located, key=lambda item: item.ref.sort_key)))


def _bounds(run: pa.ChunkedArray) -> tuple[dict[str | None, int], list[int]] | None:
    """Return the position of each run among the runs, and where its rows end; None if they are not contiguous."""
    pa = arrow()
    encoded = pa.compute.run_end_encode(pa.concat_arrays([pa.nulls(0, run.type), *run.chunks]))
    names = encoded.values.to_pylist()
    at = dict(zip(names, range(len(names)), strict=True))
    return (at, encoded.run_ends.to_pylist()) if len(at) == len(names) else None


__all__ = ["CatalogIndex", "CatalogLayer", "Verify", "catalog_layers"]
