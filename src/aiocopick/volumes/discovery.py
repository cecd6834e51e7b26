"""Volumes whose group does not name their levels: single arrays, groups without OME metadata, groups of images.

A copy of a volume need not be whole, and not every writer of zarr arrays writes OME metadata. Nothing here is asked for
unless the two group documents name no level.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from typing import TYPE_CHECKING, TypeAlias

from aiocopick.concurrency.fan_out import gather
from aiocopick.concurrency.threads import in_thread_if_large
from aiocopick.errors import FormatError, NotFoundError, StorageError, StorageTimeoutError
from aiocopick.volumes.ome import GROUP_DOCUMENTS, MAX_LEVELS, Dataset, OmeGroup, axis_names, is_level_path, parse_group
from aiocopick.volumes.ome_arrays import ARRAY_DOCUMENT, ArrayMetadata, is_array_document, parse_array
from aiocopick.volumes.ome_documents import parse_document
from aiocopick.volumes.ome_writing import empty_group_documents

if TYPE_CHECKING:
    from zarr.abc.store import Store

Get: TypeAlias = Callable[[str], Awaitable[bytes | None]]

_USUAL = ("0", "1", "2", "s0", "s1", "s2")
"""Names of levels to try where a store cannot be listed."""
_NUMBERED = re.compile(r"s?\d+")
_FINEST = frozenset({"0", "s0"})
_BESIDE = frozenset({"OME", "labels", "zarr.json"})
"""Names in a volume that are not levels."""
_DEPTH = 2
_TOGETHER = 16


@dataclass(slots=True)
class Found:
    """Levels that were found.

    Parameters
    ----------
    group : OmeGroup
        Names them, finest first.
    documents : dict
        Path of a level -> its metadata, as far as it was read.
    """

    group: OmeGroup
    documents: dict[str, bytes] = field(default_factory=dict)


async def discover(store: Store, get: Get, documents: dict[str, bytes | None], *, where: str, max_bytes: int) -> Found:
    """Find the levels of a volume.

    Parameters
    ----------
    store : zarr.abc.store.Store
        Of the volume; listed if it can be.
    get : callable
        Reads a document of it.
    documents : dict
        Those of the group, as they were read.
    where : str
        Path of the volume, for messages.
    max_bytes : int
        As for :func:`~aiocopick.volumes.ome_arrays.parse_array`.

    Raises
    ------
    NotFoundError
        There is nothing to read; the message says what was found.
    FormatError
        There is an array that cannot be understood, and no other.
    """
    search = _Search(store, get, where, max_bytes)
    found = await search.below("", documents, _DEPTH)
    if found is None:
        raise NotFoundError(f"{where}: there is no volume, or none was written to it yet{search.told()}", path=where)
    return found


class _Search:
    def __init__(self, store: Store, get: Get, where: str, max_bytes: int) -> None:
        self.store = store
        self.get = get
        self.where = where
        self.max_bytes = max_bytes
        self.seen: list[str] = []

    def told(self) -> str:
        names = [name for name in self.seen if name not in (".zgroup", ".zattrs", "zarr.json")]
        if not names:
            return ""
        more = ", ..." if len(names) > 8 else ""
        return f" (found: {', '.join(names[:8])}{more}, and no level that can be used)"

    async def below(self, prefix: str, documents: dict[str, bytes | None], depth: int) -> Found | None:
        """Look for a volume in a directory, and in the directories in it."""
        from zarr.core.buffer import default_buffer_prototype

        newer, older = (documents.get(name) for name in GROUP_DOCUMENTS)
        if newer is not None and await in_thread_if_large(len(newer), is_array_document, newer):
            return Found(OmeGroup(zarr_format=3, datasets=(Dataset(path=prefix),)), {prefix: newer})
        names = await self._names(prefix)
        if not prefix:
            for name in set(names or ()) & set(GROUP_DOCUMENTS):
                if documents.get(name) is None:
                    # It is there, and may not be read: that is said.
                    await self.store.get(name, default_buffer_prototype())
        if newer is None and (names is None or ".zarray" in names):
            content = await self.get(_join(prefix, ".zarray"))
            if content is not None:
                axes = _dimensions(documents.get(".zattrs"), f"{self.where}/{prefix}".rstrip("/"))
                return Found(OmeGroup(zarr_format=2, datasets=(Dataset(path=prefix),), axes=axes), {prefix: content})
        children = sorted(_USUAL if names is None else filter(_is_level, names), key=_natural)[:MAX_LEVELS]
        if not prefix:
            self.seen = sorted(names or ())
        formats = (3,) if newer is not None else (2,) if older is not None or ".zgroup" in (names or ()) else (3, 2)
        groups: dict[str, dict[str, bytes | None]] = {child: {} for child in children}
        for zarr_format in formats:
            found = await self._arrays(prefix, children, zarr_format, documents, groups)
            if found is not None:
                return found
        return await self._images(prefix, groups, formats, depth)

    async def _names(self, prefix: str) -> list[str] | None:
        try:
            return [name.rstrip("/") async for name in self.store.list_dir(prefix)]
        except NotFoundError:
            return []
        except StorageTimeoutError:
            raise
        except (StorageError, FormatError):
            # Web servers without index pages, and rights to read but not to list.
            return None

    async def _arrays(
        self,
        prefix: str,
        children: Sequence[str],
        zarr_format: int,
        documents: dict[str, bytes | None],
        groups: dict[str, dict[str, bytes | None]],
    ) -> Found | None:
        name = ARRAY_DOCUMENT[zarr_format]
        contents = await gather(self.get, [_join(prefix, child, name) for child in children], limit=_TOGETHER)
        arrays: dict[str, tuple[bytes, ArrayMetadata]] = {}
        refused: FormatError | None = None
        for child, content in zip(children, contents, strict=True):
            if content is None:
                continue
            if zarr_format == 3 and not await in_thread_if_large(len(content), is_array_document, content):
                groups[child][name] = content
                continue
            path = f"{self.where}/{_join(prefix, child, name)}"
            try:
                parse = partial(parse_array, content, zarr_format, path=path, max_bytes=self.max_bytes)
                metadata = await in_thread_if_large(len(content), parse)
            except FormatError as error:
                # Other directories may be next to the levels of a volume.
                refused = refused or error
                continue
            arrays[child] = (content, metadata)
        if not arrays:
            if refused is not None:
                raise refused
            return None
        if not _FINEST & set(arrays) and all(map(_NUMBERED.fullmatch, arrays)) and _may_be_left(documents):
            levels = ", ".join(arrays)
            raise NotFoundError(
                f"{self.where}: the volume is not complete: of its levels only {levels} can be found, without metadata "
                "of the group, as a write or a deletion leaves them that was interrupted",
                path=self.where,
            )
        chosen = _pyramid({child: metadata for child, (_, metadata) in arrays.items()})
        names = [*_finer_than(chosen[0]), *chosen]
        axes: tuple[str, ...] = ()
        if zarr_format == 2:
            path = _join(prefix, chosen[0])
            axes = _dimensions(await self.get(_join(path, ".zattrs")), f"{self.where}/{path}")
        group = OmeGroup(
            zarr_format=zarr_format, axes=axes, datasets=tuple(Dataset(path=_join(prefix, name)) for name in names)
        )
        return Found(group, {_join(prefix, child): arrays[child][0] for child in chosen})

    async def _images(
        self, prefix: str, groups: dict[str, dict[str, bytes | None]], formats: Sequence[int], depth: int
    ) -> Found | None:
        """The first group in it that is a volume: bioformats2raw writes a group of images."""
        if depth == 0:
            return None
        if 2 in formats:
            keys = [_join(prefix, child, ".zattrs") for child in groups]
            for child, content in zip(groups, await gather(self.get, keys, limit=_TOGETHER), strict=True):
                groups[child][".zattrs"] = content
        for child, documents in groups.items():
            if all(content is None for content in documents.values()) and not await self._is_group(prefix, child):
                continue
            path = _join(prefix, child)
            size = sum(len(content or b"") for content in documents.values())
            group = await in_thread_if_large(size, partial(parse_group, documents, path=f"{self.where}/{path}"))
            if group is not None and group.datasets:
                datasets = tuple(replace(dataset, path=_join(path, dataset.path)) for dataset in group.datasets)
                return Found(replace(group, datasets=datasets))
            found = await self.below(path, documents, depth - 1)
            if found is not None:
                return found
        return None

    async def _is_group(self, prefix: str, child: str) -> bool:
        return ".zgroup" in (await self._names(_join(prefix, child)) or ())


def _dimensions(attributes: bytes | None, where: str) -> tuple[str, ...]:
    """Names of the axes of a zarr 2 array, as xarray writes them."""
    if attributes is None:
        return ()
    try:
        document = parse_document(attributes, path=f"{where}/.zattrs")
    except FormatError:
        # It only describes the voxels.
        return ()
    return axis_names(document.get("_ARRAY_DIMENSIONS"))


def _pyramid(arrays: dict[str, ArrayMetadata]) -> list[str]:
    """Levels among arrays, finest first: each is smaller than the one before it, and has as many axes."""
    volumes = {name: metadata for name, metadata in arrays.items() if metadata.ndim >= 3} or arrays
    order = sorted(volumes, key=lambda name: (-prod(volumes[name].shape), _natural(name)))
    levels = [order[0]]
    for name in order[1:]:
        finer, coarser = volumes[levels[-1]].shape, volumes[name].shape
        if len(finer) == len(coarser) and finer != coarser and all(a >= b for a, b in zip(finer, coarser, strict=True)):
            levels.append(name)
    return levels


def _finer_than(name: str) -> list[str]:
    """Levels before a numbered one: they count for the voxel size, though they are not there."""
    numbered = re.fullmatch(r"(s?)([1-9]\d?)", name)
    return [] if numbered is None else [f"{numbered[1]}{index}" for index in range(min(int(numbered[2]), MAX_LEVELS))]


def _may_be_left(documents: dict[str, bytes | None]) -> bool:
    """Return True if the group is empty as we write it, or has no documents."""
    newer, older = (documents.get(name) for name in GROUP_DOCUMENTS)
    if newer is not None:
        return newer == empty_group_documents(3)["zarr.json"]
    return older is None or older == empty_group_documents(2)[".zattrs"]


def _is_level(name: str) -> bool:
    return not name.startswith(".") and name not in _BESIDE and is_level_path(name)


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", name)]


def _join(*parts: str) -> str:
    return "/".join(part for part in parts if part)


__all__ = ["Found", "Get", "discover"]
