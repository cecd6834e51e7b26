"""A layer on a file system: layout gives the keys, formats the content of the files, storage transfers the bytes.

Longer than 500 lines because it is the whole of the Layer protocol, which is one class.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from aiocopick.concurrency.backoff import pause
from aiocopick.concurrency.fan_out import gather, gather_results, stream
from aiocopick.errors import (
    AccessDeniedError,
    AlreadyExistsError,
    ConflictError,
    CopickError,
    NotFoundError,
    StorageError,
)
from aiocopick.layers.arriving import ArrivingRuns, scan_arriving
from aiocopick.layers.base import ConfiguredLayer, Layer, Loaded, Nouns, Payload, Source
from aiocopick.layers.codecs import decode, encode, is_quick
from aiocopick.layers.copying import copy_up, copying_key, leased_key, without_parts, writing
from aiocopick.layers.flat import BLOCK, FEW, Answer, batched, in_blocks, scan_ranges, shows_what_it_holds
from aiocopick.layers.listing import entered, list_readable, list_run
from aiocopick.layers.look_ahead import LookAhead
from aiocopick.layout.listing import Listing, Located, Row, parse_objects, parse_run, parse_runs
from aiocopick.layout.paths import META, OBJECTS, RUNS, key_of, meta_key
from aiocopick.layout.refs import RunRef, VoxelSpacingRef
from aiocopick.storage import open_storage
from aiocopick.storage.leases import check_free
from aiocopick.storage.scan import LAST
from aiocopick.storage.settings import Settings

if TYPE_CHECKING:
    import zarr.abc.store

    from aiocopick.layout.refs import Ref
    from aiocopick.models.config import CopickConfigFS
    from aiocopick.storage.base import Entry, FirstPage, Storage
    from aiocopick.storage.stats import StorageStats

logger = logging.getLogger(__name__)

FILE_KINDS = frozenset({"picks", "mesh", "filaments"})
"""Kinds that are one file each."""

_DECODERS = 4

_UNREADABLE = 3
"""Attempts to create a file that reads as missing, although its name is taken: by a folder or a pipe, or denied."""

_RUNS_OF_A_REQUEST = 64
"""Number of runs in a block if one request lists many directories; the first run is seen when the block is answered."""

_STORAGE_OPTIONS = frozenset(
    {"max_concurrency", "max_bytes_in_flight", "max_file_bytes", "timeout", "retries", "read_only"}
)


class FilesystemLayer(ConfiguredLayer):
    """One project root on one storage.

    Parameters
    ----------
    config : CopickConfigFS
        Root, arguments and limits.
    storage : Storage, optional
        The storage of its bytes; by default made from the config. No request is sent.
    """

    __slots__ = ("_look_ahead", "_parts", "_warned", "config", "storage")

    config: CopickConfigFS

    def __init__(self, config: CopickConfigFS, storage: Storage | None = None) -> None:
        self.config = config
        self._warned: set[str] = set()
        # Incomplete volumes that listings hid: their names are free.
        self._parts: set[str] = set()
        self.storage: Storage = open_storage(config) if storage is None else storage
        self._look_ahead = LookAhead(self.storage.url, config.read_ahead)

    def __repr__(self) -> str:
        return f"FilesystemLayer({self.name!r}, {self.url!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Connections belong to a process, so a pickled storage holds only its config.
        return (FilesystemLayer, (self.config, self.storage))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FilesystemLayer):
            return NotImplemented
        mine, theirs = Settings.of(self.config), Settings.of(other.config)
        return self is other or mine.connection_key == theirs.connection_key

    def __hash__(self) -> int:
        return hash(self.url)

    @property
    def read_only(self) -> bool:
        """True if every change is refused."""
        return self.storage.read_only

    @property
    def url(self) -> str:
        """URL of the root, without secrets."""
        return self.storage.url

    @property
    def stats(self) -> StorageStats:
        """Counters of the storage."""
        return self.storage.stats

    def path_of(self, key: str) -> str:
        """Return root and key joined, without secrets."""
        return self.storage.path_of(key)

    async def list_runs(self, beginning: str = "") -> Listing:
        """List the runs: one request per thousand runs, and one more per run if the config requires ``.meta``."""
        if beginning:
            start = f"{RUNS}/{beginning}"
            async with self.storage.scan(RUNS, "/", start_after=start, stop_before=start + LAST) as pages:
                entries: Sequence[Entry] = [entry async for page in pages for entry in page]
        else:
            entries = await self.storage.list(RUNS)
        listing = self._warn_once(parse_runs(entries))
        if not self.config.require_meta:
            return listing
        keys = [meta_key(located.key) for located in listing.located]
        held = await gather(self.storage.exists, keys, limit=self.config.max_concurrency)
        return Listing(
            tuple(located for located, has_meta in zip(listing.located, held, strict=True) if has_meta),
            listing.skipped,
        )

    async def list_run(self, run: Located, nouns: Nouns = None, *, found: bool = False) -> Listing:
        """List the content of a run: one request if the storage collapses volumes, else a bounded walk."""
        return await self._list_run(run, nouns, first_page=self._look_ahead.take(run.key) if found else None)

    async def _list_run(
        self, run: Located, nouns: Nouns, *, collapse: bool = True, first_page: FirstPage | None = None
    ) -> Listing:
        limit = self.config.max_concurrency
        try:
            entries = await list_run(
                self.storage, run.key, nouns, limit=limit, collapse=collapse, first_page=first_page
            )
        except AccessDeniedError:
            entries, denied = await list_readable(self.storage, run.key, nouns, limit=limit)
            return replace(self._understood(run, entries), denied=denied)
        return self._understood(run, entries)

    def _understood(self, run: Located, entries: Sequence[Row]) -> Listing:
        assert isinstance(run.ref, RunRef)
        return self._whole(parse_run(run.ref, entries))

    async def list_voxel_spacing(self, spacing: Located) -> Listing:
        """List the tomograms and feature maps of one voxel spacing: one request."""
        assert isinstance(spacing.ref, VoxelSpacingRef)
        entries = await self.storage.list(spacing.key)
        listing = self._whole(parse_run(spacing.ref.parent, entries))
        volumes = tuple(located for located in listing.located if located.ref.kind in ("tomogram", "features"))
        return Listing(volumes, listing.skipped)

    async def list_objects(self) -> Listing:
        """List the objects that have a map: one request."""
        entries = await self.storage.list(OBJECTS)
        return self._whole(parse_objects(entries))

    def _whole(self, listing: Listing) -> Listing:
        """Return a listing without incomplete volumes."""
        kept = without_parts(listing)
        if kept is not listing:
            self._parts.update({located.key for located in listing.located} - {located.key for located in kept.located})
        return self._warn_once(kept)

    def _warn_once(self, listing: Listing) -> Listing:
        """Log each unparsable name once. Valid neighbours are still listed."""
        for key in listing.skipped:
            if key not in self._warned:
                self._warned.add(key)
                logger.warning("%s is not a name that CoPick gives, so it is left out.", self.path_of(key))
        return listing

    async def first_page(self, beginning: str = "") -> FirstPage | None:
        """Request the first page of a scan of the runs; None if runs are not scanned by ranges, or if only a few are
        shown.
        """
        if self.config.runs is not None or self.storage.capabilities.nested:
            return None
        return await self.storage.first_page(RUNS, start_after=f"{RUNS}/{beginning}" if beginning else "")

    def scan(
        self,
        runs: Iterable[Located],
        nouns: Nouns = None,
        *,
        details: bool = True,
        first_page: FirstPage | None = None,
        more: AsyncIterator[Sequence[Located]] | None = None,
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[Located, Answer]]]:
        """List the content of many runs, some ahead of the consumer.

        Several runs share a request if it lists many directories. If the storage collapses volumes, ranges of keys are
        listed, also while `more` runs arrive. Otherwise each run is listed on its own.
        """

        async def ask(run: Located) -> Listing:
            return await self.list_run(run, nouns)

        async def walk(run: Located) -> Listing:
            # The first runs are in the page that showed that a walk is cheaper.
            within = first_page is not None and shows_what_it_holds(run) and first_page.reached > f"{run.key}/"
            return await self._list_run(run, nouns, collapse=False, first_page=first_page if within else None)

        neighbours = list(runs)
        limit = self.config.max_concurrency
        if self.storage.capabilities.nested:
            blocks = batched(neighbours, _RUNS_OF_A_REQUEST)
            return in_blocks(blocks, partial(self._list_block, nouns, details), ahead=4)
        if more is None and first_page is not None and first_page.sparse and len(neighbours) <= BLOCK:
            # More runs may differ from each other; their ranges show that on their own.
            return stream(walk, neighbours, limit=limit, ordered=True)
        ranges = partial(scan_ranges, self.storage, neighbours, ask, self._understood, limit=limit)
        if more is not None or (self.storage.capabilities.delimiter and (first_page or len(neighbours) >= FEW)):
            return ranges(first_page=first_page, more=more)
        return stream(ask, neighbours, limit=limit, ordered=True)

    def scan_all(
        self, beginning: str = "", nouns: Nouns = None, *, details: bool = True
    ) -> AbstractAsyncContextManager[tuple[Listing, AsyncIterator[tuple[Located, Answer]]]] | None:
        """List the runs and their content, ranges while names arrive; None if there are none, or names do not tell."""
        capabilities, config = self.storage.capabilities, self.config
        if config.require_meta or config.runs is not None or capabilities.nested or not capabilities.delimiter:
            return None
        runs = ArrivingRuns(self.storage, beginning, self.list_runs, self._warn_once)
        return scan_arriving(
            runs, partial(self.first_page, beginning), partial(self.scan, nouns=nouns, details=details)
        )

    async def _list_block(self, nouns: Nouns, details: bool, runs: Sequence[Located]) -> list[Answer]:
        found = await self.storage.list_nested([run.key for run in runs], entered(nouns), details=details)
        answers: list[Answer] = [
            entries if isinstance(entries, CopickError) else self._understood(run, entries)
            for run, entries in zip(runs, found, strict=True)
        ]
        denied = [index for index, answer in enumerate(answers) if isinstance(answer, AccessDeniedError)]
        again = await gather_results(partial(self._list_run, nouns=nouns), [runs[index] for index in denied], limit=8)
        for index, answer in zip(denied, again, strict=True):
            answers[index] = answer
        return answers

    async def find(self, ref: Ref) -> Located | None:
        """Return the location of one entity, or None: one request."""
        if isinstance(ref, VoxelSpacingRef):
            # The name of its directory may be spelled differently (`VoxelSpacing5`).
            run = Located(ref.parent, key_of(ref.parent))
            listing = parse_run(ref.parent, await self.storage.list(run.key))
            return next((located for located in listing.located if located.ref == ref), None)
        located = self.locate(ref)
        if ref.kind in FILE_KINDS:
            try:
                entry = await self.storage.stat(located.key)
            except NotFoundError:
                return None
            return Located(ref, located.key, entry.size, entry.etag, entry.modified)
        if ref.kind == "run":
            held = await self._look_ahead.holds(self.storage, located.key, require_meta=self.config.require_meta)
            return located if held else None
        if not await self.storage.exists(located.key) or await self.storage.exists(copying_key(located.key)):
            return None
        return located

    async def ensure(self, *, create: bool = False) -> bool:
        """Return True if there is a directory of runs; an object store needs a file in it for that."""
        if await self._has_runs():
            return True
        if create:
            with suppress(AlreadyExistsError):
                await self._write_new(meta_key(RUNS), b"{}")
        return create

    async def _has_runs(self) -> bool:
        try:
            entry = await self.storage.stat(RUNS)
        except NotFoundError:
            return False
        # Some web servers do not tell a folder from a file before it is listed; others give every URL the same answer.
        return entry.is_prefix or bool(await self.storage.list(RUNS))

    async def load(self, located: Located, *, listed: bool = False) -> Loaded:
        """Read and decode one file: one request."""
        data, etag = await self.storage.read_versioned(located.key, listed=listed)
        return Loaded(await decode(located.ref.kind, data, path=self.path_of(located.key)), etag, len(data))

    def load_many(
        self, located: Sequence[Located], *, listed: bool = False
    ) -> AbstractAsyncContextManager[AsyncIterator[tuple[Located, Loaded | CopickError]]]:
        """Read and decode many files, each with the version that was read."""
        return self._load_many(located, listed)

    @asynccontextmanager
    async def _load_many(
        self, located: Sequence[Located], listed: bool
    ) -> AsyncIterator[AsyncIterator[tuple[Located, Loaded | CopickError]]]:
        by_key = {item.key: item for item in located}

        async def understand(pair: tuple[str, tuple[bytes, str | None] | CopickError]) -> Loaded:
            key, content = pair
            if isinstance(content, CopickError):
                raise content
            data, etag = content
            return Loaded(await decode(by_key[key].ref.kind, data, path=self.path_of(key)), etag, len(data))

        if all(item.size is not None and is_quick(item.ref.kind, item.size) for item in located):
            async with self.storage.read_many_versioned(list(by_key), listed=listed) as contents:
                yield _Decoded(by_key, contents, understand)
            return
        async with (
            self.storage.read_many_versioned(list(by_key), listed=listed) as contents,
            stream(
                understand, contents, limit=_DECODERS, form=lambda pair, loaded: (by_key[pair[0]], loaded)
            ) as decoded,
        ):
            yield decoded

    async def save(
        self, located: Located, payload: Payload, *, if_match: str | None = None, create: bool = False
    ) -> Located:
        """Encode and write one file: one request."""
        data = await encode(located.ref.kind, payload)
        if not self.storage.capabilities.conditional_writes:
            await self._check_condition(located.key, if_match, create)
            if_match, create = None, False
        etag = await self.storage.write(located.key, data, if_match=if_match, create=create)
        return Located(located.ref, located.key, len(data), etag)

    async def _check_condition(self, key: str, if_match: str | None, create: bool) -> None:
        """Check the condition before writing if the storage has no conditional writes: useful, though not atomic."""
        if if_match is None and not create:
            return
        path = self.path_of(key)
        try:
            entry = await self.storage.stat(key)
        except NotFoundError:
            if if_match is not None:
                raise ConflictError(f"{path} was deleted since it was read.", path=path) from None
            return
        if create:
            raise AlreadyExistsError(f"{path} exists already; it was not replaced.", path=path)
        if entry.etag is not None and entry.etag != if_match:
            raise ConflictError(f"{path} was changed since it was read; load it and repeat the change.", path=path)

    async def load_meta(self, located: Located | None, *, listed: bool = False) -> dict[str, Any]:
        """Return the ``.meta`` file of a run, a voxel spacing or (None) the root; empty if there is none."""
        return (await self._read_meta(_meta_of(located), listed=listed))[0]

    async def _read_meta(self, key: str, *, listed: bool = False) -> tuple[dict[str, Any], str | None, bool]:
        """Return the content of a ``.meta`` file, its etag, and True if the file exists."""
        data: bytes | None
        try:
            data, etag = await self.storage.read_versioned(key, listed=listed)
        except NotFoundError:
            data = etag = None
        except AccessDeniedError:
            # An unreadable file is not needed here. If it can be written, its content must not be lost.
            if not self.read_only:
                raise
            data = etag = None
        # An empty file means the same as an absent one.
        content: dict[str, Any] = await decode("meta", data or b"", path=self.path_of(key))
        return content, etag, data is not None

    async def update_meta(self, located: Located | None, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Read a ``.meta`` file, change and replace it: two requests, repeated if another writer was faster."""
        key = _meta_of(located)
        conditional = self.storage.capabilities.conditional_writes
        give_up = anyio.current_time() + self.config.timeout
        attempt = in_the_way = 0
        while True:
            content, etag, exists = await self._read_meta(key)
            data = await encode("meta", change(content))
            try:
                await self.storage.write(
                    key, data, if_match=etag if conditional else None, create=conditional and not exists
                )
                return
            except (AlreadyExistsError, ConflictError) as error:
                in_the_way = 0 if exists else in_the_way + 1
                if in_the_way == _UNREADABLE:
                    path = self.path_of(key)
                    raise StorageError(
                        f"{path} cannot be written: its name is taken by what cannot be read as a file; look what is there.",
                        path=path,
                    ) from error
                if anyio.current_time() > give_up:
                    path = self.path_of(key)
                    raise ConflictError(
                        f"{path} was changed by other writers several times; repeat the change.", path=path
                    ) from error
            await anyio.sleep(pause(attempt))
            attempt += 1

    async def create(self, ref: Ref, meta: dict[str, Any] | None = None) -> Located:
        """Write the ``.meta`` of a run or voxel spacing (one request), or an empty zarr group (one request per file).

        If the storage has conditional writes, exactly one of several writers succeeds.
        """
        located = self.locate(ref)
        if ref.kind in ("run", "voxel_spacing"):
            await self._write_new(meta_key(located.key), await encode("meta", meta or {}))
            return located
        from aiocopick.volumes.ome_writing import empty_group_documents

        if located.key in self._parts:
            async with writing(self, located):
                await self.storage.delete_tree(located.key)
                await self.storage.delete_many([copying_key(located.key)])
            self._parts.discard(located.key)
        documents = empty_group_documents(self.config.zarr_format)
        # The first file decides which writer wins; any writer may write the others.
        etags = await gather(partial(self._write_document, located.key), list(documents.items()), limit=len(documents))
        return located._replace(etag=etags[-1])

    async def _write_document(self, base: str, item: tuple[str, bytes]) -> str | None:
        name, content = item
        try:
            return await self._write_new(f"{base}/{name}", content)
        except AlreadyExistsError:
            if name == ".zattrs":
                return None
            raise

    async def _write_new(self, key: str, data: bytes) -> str | None:
        """Write a file that must not exist yet, as far as the storage can check that."""
        return await self.storage.write(key, data, create=self.storage.capabilities.conditional_writes)

    async def check_deletion(self, located: Located) -> None:
        """Return at once: all entities are as read-only as the layer."""

    async def delete(self, located: Located) -> None:
        """Delete a file, or a directory with everything below it."""
        if located.ref.kind in FILE_KINDS:
            await self.storage.delete_many([located.key])
            return
        if located.ref.kind in ("run", "voxel_spacing"):
            async with self.storage.scan(located.key) as pages:
                entries = [entry async for page in pages for entry in page]
            await self._check_written([entry.key for entry in entries])
            await self._delete_volumes(located.key, [entry.key for entry in entries if entry.is_prefix])
            return
        folder = located.key.rpartition("/")[0]
        if self.storage.capabilities.directories and not await self.storage.exists(folder):
            # A lease would create the folder.
            return
        async with writing(self, located):
            await self._delete_volumes(located.key, [located.key])

    async def _check_written(self, keys: Iterable[str]) -> None:
        """Refuse to delete volumes that are being written."""
        leases = [(key, volume) for key in keys if (volume := leased_key(key)) is not None]
        for lease, volume in leases:
            await check_free(self.storage, lease, self.path_of(volume))

    async def _delete_volumes(self, key: str, volumes: Sequence[str]) -> None:
        """Delete a tree. The metadata of its volumes goes first, because deleted chunks would read as zeros."""
        from aiocopick.volumes.ome_writing import SHOWN_BY

        # A local disk deletes the tree in one step. The tree may be or contain links; their targets are not changed.
        if not self.storage.capabilities.nested:
            if await self.storage.delete_linked(key):
                return
            for names in SHOWN_BY:
                await self.storage.delete_many([f"{volume}/{name}" for volume in volumes for name in names])
        await self.storage.delete_tree(key)

    async def copy_from(self, source: Source) -> Located:
        """Copy an entity from another layer, before it is changed."""
        return await copy_up(source, self)

    def zarr_store(self, located: Located, *, read_only: bool | None = None) -> zarr.abc.store.Store:
        """Return a zarr 3 store over the storage; no request is sent."""
        from aiocopick.storage.zarr_store import StorageStore

        refused = self.read_only or bool(read_only)
        return StorageStore(self.storage, located.key, read_only=refused)

    def options(self, **changes: Any) -> Layer:
        """Return a view of the same storage with other limits."""
        config = self._config_with(changes)
        limits = {name: getattr(config, name) for name in changes if name in _STORAGE_OPTIONS}
        return FilesystemLayer(config, self.storage.options(**limits))

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self.storage.aclose()


class _Decoded(AsyncIterator[tuple[Located, Loaded | CopickError]]):
    """Small files, decoded when the consumer takes them: a task for each would cost as much as that."""

    def __init__(
        self,
        by_key: Mapping[str, Located],
        contents: AsyncIterator[Any],
        understand: Callable[[Any], Awaitable[Loaded]],
    ) -> None:
        self._by_key = by_key
        self._contents = contents
        self._understand = understand
        self._next: Any = None

    async def __anext__(self) -> tuple[Located, Loaded | CopickError]:
        # Kept if a step is cancelled.
        if self._next is None:
            self._next = await anext(self._contents)
        result: Loaded | CopickError
        try:
            result = await self._understand(self._next)
        except CopickError as error:
            result = error
        pair, self._next = self._next, None
        return self._by_key[pair[0]], result


def _meta_of(located: Located | None) -> str:
    """Return the key of a ``.meta`` file."""
    return META if located is None else meta_key(located.key)
