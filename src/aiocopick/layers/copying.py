"""Copies of entities from read-only layers: a change is made to a copy, or a successor, in a writable layer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from aiocopick.concurrency.fan_out import gather
from aiocopick.errors import AlreadyExistsError, NotFoundError
from aiocopick.layout.listing import Listing, Located
from aiocopick.layout.paths import LEASE
from aiocopick.layout.refs import FILES
from aiocopick.storage.leases import Lease, NoLease, sole_writer
from aiocopick.storage.together import Together

if TYPE_CHECKING:
    from aiocopick.layers.base import Layer, Source
    from aiocopick.storage.base import Storage

COPYING = ".copying"
_DOCUMENTS = frozenset({".zarray", ".zgroup", ".zattrs", ".zmetadata", "zarr.json"})


async def copy_up(source: Source, target: Layer) -> Located:
    """Copy one entity.

    Parameters
    ----------
    source : Source
        The entity to copy.
    target : Layer
        The layer that gets the copy.

    Returns
    -------
    Located
        The copy. Runs and voxel spacings get their ``.meta``; their content is not copied.
    """
    located = target.locate(source.located.ref)
    kind = located.ref.kind
    if kind in ("run", "voxel_spacing"):
        with suppress(AlreadyExistsError):
            await target.create(located.ref, await source.layer.load_meta(source.located))
        return located
    if kind in FILES:
        loaded = await source.layer.load(source.located)
        try:
            return await target.save(located, loaded.payload, create=True)
        except AlreadyExistsError:
            # Another writer made the copy first, with the same content.
            return located
    await _copy_volume(source, target, located)
    return located


async def _copy_volume(source: Source, target: Layer, located: Located) -> None:
    """Copy a volume chunk by chunk, unchanged; the metadata last and the group's own at the very end."""
    limit = int(getattr(target.config, "max_concurrency", 64))
    storage = target.storage
    read, names = await _contents(source)
    async with writing(target, located, is_new=True) as lease:
        if storage is None:
            write = _writer_of(target, located)
            await _copy_into(write, write, read, names, limit, lease.confirm)
            return

        async def show(name: str, data: bytes) -> None:
            await storage.write(f"{located.key}/{name}", data)

        async def put(name: str, data: bytes) -> None:
            await chunks.write(f"{located.key}/{name}", data)

        async def confirm() -> None:
            await chunks.finish()
            await lease.confirm()

        chunks = Together(storage)
        await storage.delete_linked(located.key)
        # Files of an earlier, failed attempt would be read together with the new ones.
        there = {f"{located.key}/{name}" for name in await _sizes_in(storage, located.key)}
        await storage.delete_many(sorted(there - {f"{located.key}/{name}" for name in names}))
        await _copy_into(put, show, read, names, limit, confirm)


@asynccontextmanager
async def writing(target: Layer, located: Located, *, is_new: bool = False) -> AsyncIterator[Lease]:
    """Hold the lease of a volume, so that it has only one writer.

    Parameters
    ----------
    target : Layer
        The layer that is written. A layer without a storage does not exclude other writers.
    located : Located
        Its location in that layer.
    is_new : bool
        If true, a volume in a layer of lower priority stays visible until the end.

    Raises
    ------
    ConflictError
        Another writer holds the volume.
    """
    storage = target.storage
    async with AsyncExitStack() as held:
        lease: Lease = NoLease()
        if storage is not None:
            alone = sole_writer(storage, lease_key(located.key), target.path_of(located.key))
            lease = await held.enter_async_context(alone)
        if is_new:
            await held.enter_async_context(_unfinished(target, located))
        yield lease


@asynccontextmanager
async def _unfinished(target: Layer, located: Located) -> AsyncIterator[None]:
    """Create a volume in a layer while one in a layer of lower priority stays visible.

    An unfinished volume would hide the complete one below it. A file next to it marks it as unfinished. The mark stays
    if
    the block is left by an error, or if the program ends. In a layer without a storage, an empty volume is created.

    Parameters
    ----------
    target : Layer
        The layer that gets the volume.
    located : Located
        Its location in that layer.
    """
    storage = target.storage
    if storage is None:
        await target.create(located.ref)
        yield
        return
    marker = copying_key(located.key)
    await storage.write(marker, b"")
    yield
    await storage.delete_many([marker])


Read: TypeAlias = Callable[[str], Awaitable[bytes]]
Write: TypeAlias = Callable[[str, bytes], Awaitable[None]]


async def _copy_into(
    put: Write, show: Write, read: Read, names: list[str], limit: int, confirm: Callable[[], Awaitable[None]]
) -> None:
    async def copy(name: str) -> None:
        await put(name, await read(name))

    # Write the finest level after the coarser ones, which do not make a volume without it.
    documents = documents_of(names)
    await gather(copy, [name for name in names if not is_document(name)], limit=limit)
    await confirm()
    for name in documents:
        await show(name, await read(name))


async def _contents(source: Source) -> tuple[Read, list[str]]:
    """Return a function that reads a file of a volume, as large as it was listed at most, and the names of its files."""
    origin = source.layer.storage
    if origin is None:
        store = source.layer.zarr_store(source.located, read_only=True)

        async def get(name: str) -> bytes:
            value = await store.get(name, default_buffer_prototype())
            if value is None:
                path = f"{source.path}/{name}"
                raise NotFoundError(f"{path} was deleted while it was being copied; repeat the change.", path=path)
            return value.to_bytes()

        from zarr.core.buffer import default_buffer_prototype

        return get, [name async for name in store.list()]
    base = source.located.key
    sizes = await _sizes_in(origin, base)

    async def read(name: str) -> bytes:
        return await origin.options(max_listed_bytes=sizes[name]).read(f"{base}/{name}")

    return read, list(sizes)


async def _sizes_in(storage: Storage, base: str) -> dict[str, int | None]:
    """Names and sizes of the files of a volume."""
    sizes: dict[str, int | None] = {}
    async with storage.scan(base, None) as pages:
        async for page in pages:
            sizes |= {entry.key[len(base) + 1 :]: entry.size for entry in page if not entry.is_prefix}
    return sizes


def _writer_of(target: Layer, located: Located) -> Write:
    """Return a function that writes a file of a volume in a layer without a storage."""
    store = target.zarr_store(located)

    async def put(name: str, data: bytes) -> None:
        await store.set(name, default_buffer_prototype().buffer.from_bytes(data))

    from zarr.core.buffer import default_buffer_prototype

    return put


def copying_key(key: str) -> str:
    """Return the key of the file that marks a volume as unfinished."""
    folder, _, name = key.rpartition("/")
    return f"{folder}/.{name}{COPYING}"


def lease_key(key: str) -> str:
    """Return the key of the lease file of a volume, which its only writer holds."""
    folder, _, name = key.rpartition("/")
    return f"{folder}/.{name}{LEASE}"


def leased_key(key: str) -> str | None:
    """Return the key of the volume that a lease belongs to; None for any other file."""
    folder, _, name = key.rpartition("/")
    is_lease = name.startswith(".") and name.endswith(f".zarr{LEASE}")
    return f"{folder}/{name[1:].removesuffix(LEASE)}" if is_lease else None


def without_parts(listing: Listing) -> Listing:
    """Return a listing without unfinished volumes: those that are being made over others, or were interrupted."""
    if not listing.hidden:
        return listing
    marked = {key for key in listing.hidden if key.endswith(COPYING)}
    if not marked:
        return listing
    return replace(
        listing, located=tuple(located for located in listing.located if copying_key(located.key) not in marked)
    )


def is_document(name: str) -> bool:
    """Return True for a file with metadata of a zarr hierarchy."""
    return name.rpartition("/")[2] in _DOCUMENTS


def documents_of(names: Iterable[str]) -> list[str]:
    """Return the metadata among the files of a volume in the order in which it is written: the outermost comes last, as
    it makes the volume visible.
    """
    return sorted(filter(is_document, names), key=lambda name: (name.count("/"), name), reverse=True)
