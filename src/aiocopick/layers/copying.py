"""Twins: an entity that lies in a layer that cannot be changed gets a copy, or a successor, in one that can."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from aiocopick.concurrency.fan_out import gather
from aiocopick.errors import AlreadyExistsError, NotFoundError
from aiocopick.layout.listing import Listing, Located
from aiocopick.storage.leases import Lease, NoLease, sole_writer
from aiocopick.storage.together import Together

if TYPE_CHECKING:
    from aiocopick.layers.base import Layer, Source
    from aiocopick.storage.base import Storage

FILES = ("picks", "mesh", "filaments")
COPYING = ".copying"
LEASE = ".lease"
DOCUMENTS = frozenset({".zarray", ".zgroup", ".zattrs", ".zmetadata", "zarr.json"})


async def copy_up(source: Source, target: Layer) -> Located:
    """Copy one entity.

    Parameters
    ----------
    source : Source
        Where it lies.
    target : Layer
        Where its twin is made.

    Returns
    -------
    Located
        The twin. Runs and voxel spacings get their ``.meta``; what lies below them is not copied.
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
            # Somebody else made the twin first: it is as good.
            return located
    await _copy_volume(source, target, located)
    return located


async def _copy_volume(source: Source, target: Layer, located: Located) -> None:
    """Chunk by chunk, as they are; the metadata last and the group's own at the very end."""
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
        # What an earlier attempt left would be read together with what is copied now.
        there = {f"{located.key}/{name}" for name in await _names_in(storage, located.key)}
        await storage.delete_many(sorted(there - {f"{located.key}/{name}" for name in names}))
        await _copy_into(put, show, read, names, limit, confirm)


@asynccontextmanager
async def writing(target: Layer, located: Located, *, is_new: bool = False) -> AsyncIterator[Lease]:
    """Be the only writer of a volume.

    Parameters
    ----------
    target : Layer
        Where it is written. A layer that is no storage keeps nobody out.
    located : Located
        Where it lies there.
    is_new : bool
        Whether one in a layer below it has to stay visible until the end.

    Raises
    ------
    ConflictError
        Another writer is at it.
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
    """A volume that is made in a layer while one below it has to stay visible.

    A part of a volume would hide the whole one below it, so a file beside it says that it is none yet. It stays when the
    block is left by an error, or the program ends. In a layer that is no storage, an empty volume is made.

    Parameters
    ----------
    target : Layer
        Where it is made.
    located : Located
        Where it lies there.
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

    # The finest level after the coarser ones, which are no volume without it.
    documents = sorted(filter(_is_document, names), key=lambda name: (name.count("/"), name), reverse=True)
    await gather(copy, [name for name in names if not _is_document(name)], limit=limit)
    await confirm()
    for name in documents:
        await show(name, await read(name))


async def _contents(source: Source) -> tuple[Read, list[str]]:
    """What reads a file of a volume, and the names of its files."""
    origin = source.layer.storage
    if origin is None:
        store = source.layer.zarr_store(source.located, read_only=True)

        async def get(name: str) -> bytes:
            value = await store.get(name, default_buffer_prototype())
            if value is None:
                path = f"{source.path}/{name}"
                raise NotFoundError(f"{path} was deleted while it was copied; repeat the change.", path=path)
            return value.to_bytes()

        from zarr.core.buffer import default_buffer_prototype

        return get, [name async for name in store.list()]
    base = source.located.key
    return (lambda name: origin.read(f"{base}/{name}")), await _names_in(origin, base)


async def _names_in(storage: Storage, base: str) -> list[str]:
    names: list[str] = []
    async with storage.scan(base, None) as pages:
        async for page in pages:
            names += [entry.key[len(base) + 1 :] for entry in page if not entry.is_prefix]
    return names


def _writer_of(target: Layer, located: Located) -> Write:
    """What writes a file of a volume in a layer that is no storage."""
    store = target.zarr_store(located)

    async def put(name: str, data: bytes) -> None:
        await store.set(name, default_buffer_prototype().buffer.from_bytes(data))

    from zarr.core.buffer import default_buffer_prototype

    return put


def copying_key(key: str) -> str:
    """The file beside a volume that says that it is being made, and is none yet."""
    folder, _, name = key.rpartition("/")
    return f"{folder}/.{name}{COPYING}"


def lease_key(key: str) -> str:
    """The file beside a volume that its only writer holds."""
    folder, _, name = key.rpartition("/")
    return f"{folder}/.{name}{LEASE}"


def leased_key(key: str) -> str | None:
    """The volume that a lease is of; None for any other file."""
    folder, _, name = key.rpartition("/")
    is_lease = name.startswith(".") and name.endswith(f".zarr{LEASE}")
    return f"{folder}/{name[1:].removesuffix(LEASE)}" if is_lease else None


def without_parts(listing: Listing) -> Listing:
    """A listing without the volumes that are being made over others, or whose making was interrupted."""
    marked = {key for key in listing.hidden if key.endswith(COPYING)}
    if not marked:
        return listing
    return replace(
        listing, located=tuple(located for located in listing.located if copying_key(located.key) not in marked)
    )


def _is_document(name: str) -> bool:
    return name.rpartition("/")[2] in DOCUMENTS
