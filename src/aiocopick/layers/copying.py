"""Copy-up: an entity that lies in a layer that cannot be changed gets a twin in one that can."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiocopick.errors import AlreadyExistsError, LayerError
from aiocopick.layout.listing import Located
from aiocopick.storage.limits import gather

if TYPE_CHECKING:
    from aiocopick.layers.base import Source
    from aiocopick.layers.filesystem import FilesystemLayer
    from aiocopick.storage.base import Storage

FILES = ("picks", "mesh", "filaments")
DOCUMENTS = frozenset({".zarray", ".zgroup", ".zattrs", ".zmetadata", "zarr.json"})


async def copy_up(source: Source, target: FilesystemLayer) -> Located:
    """Copy one entity.

    Parameters
    ----------
    source : Source
        Where it lies.
    target : FilesystemLayer
        Where its twin is made.

    Returns
    -------
    Located
        The twin. Runs and voxel spacings get their ``.meta``; what lies below them is not copied.
    """
    located = target.locate(source.located.ref)
    kind = located.ref.kind
    if kind in ("run", "voxel_spacing"):
        return await target.create(located.ref, await source.layer.load_meta(source.located))
    if kind in FILES:
        loaded = await source.layer.load(source.located)
        try:
            return await target.save(located, loaded.payload, create=True)
        except AlreadyExistsError:
            # Somebody else made the twin first: it is as good.
            return located
    await _copy_volume(source, target, located)
    return located


async def _copy_volume(source: Source, target: FilesystemLayer, located: Located) -> None:
    """Chunk by chunk, as they are; the metadata last and the group's own at the very end, so that a part is empty."""
    origin: Storage | None = getattr(source.layer, "storage", None)
    if origin is None:
        raise LayerError(
            f"{source.path} lies in layer {source.layer.name!r}, whose volumes cannot be copied; create a new one.",
            path=source.path,
        )
    base = source.located.key
    names: list[str] = []
    async with origin.scan(base, None) as pages:
        async for page in pages:
            names += [entry.key[len(base) + 1 :] for entry in page if not entry.is_prefix]

    async def copy(name: str) -> None:
        await target.storage.write(f"{located.key}/{name}", await origin.read(f"{base}/{name}"))

    documents = sorted((name for name in names if _is_document(name)), key=lambda name: (-name.count("/"), name))
    chunks = [name for name in names if not _is_document(name)]
    await gather(copy, chunks, limit=target.config.max_concurrency)
    for name in documents:
        await copy(name)


def _is_document(name: str) -> bool:
    return name.rpartition("/")[2] in DOCUMENTS
