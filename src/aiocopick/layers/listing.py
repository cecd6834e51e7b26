"""How a run is listed in the fewest requests; what the entries mean is for `layout` to say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from aiocopick.concurrency.fan_out import gather, gather_results
from aiocopick.errors import AccessDeniedError, CopickError
from aiocopick.layout.paths import ANNOTATION_FOLDERS, SEGMENTATION_FOLDERS, VOXEL_SPACING, parse_voxel_spacing

if TYPE_CHECKING:
    from aiocopick.layers.base import Nouns
    from aiocopick.storage.base import Entry, Storage

FOLDERS_OF_NOUN: dict[str, tuple[str, ...]] = {
    "picks": ("Picks",),
    "meshes": ("Meshes",),
    "filaments": ("Filaments",),
    "segmentations": tuple(SEGMENTATION_FOLDERS),
}
"""Folders of a run to list for a noun; voxel spacings, tomograms and features lie in folders of any number."""

MANY = 500
"""A page of so many entries that are mostly not ours shows a run whose folder holds something else (raw frames)."""


async def list_run(storage: Storage, key: str, nouns: Nouns, *, limit: int, collapse: bool = True) -> Sequence[Entry]:
    """Entries of a run that say what it holds.

    Parameters
    ----------
    storage : Storage
        Where the run lies.
    key : str
        The run.
    nouns : frozenset of str, optional
        What is wanted; None is everything.
    limit : int
        Folders listed at once.
    collapse : bool
        Whether to list all folders at once where the storage collapses volumes.

    Returns
    -------
    sequence of Entry
        Children of the run's folders, volumes collapsed; perhaps more than was asked for.
    """
    if nouns == frozenset(("voxel_spacings",)):
        return await storage.list(key)
    folders = [folder for noun in sorted(nouns or ()) for folder in FOLDERS_OF_NOUN.get(noun, ())]
    deep = nouns is None or not nouns <= FOLDERS_OF_NOUN.keys()
    if len(folders) == 1 and not deep:
        return await storage.list(f"{key}/{folders[0]}")
    if collapse and storage.capabilities.delimiter and not storage.capabilities.nested:
        entries = await _flat(storage, key)
        if entries is not None:
            return entries
    if not deep and not storage.capabilities.nested:
        pages = await gather(storage.list, [f"{key}/{folder}" for folder in folders], limit=limit)
        return [entry for page in pages for entry in page]
    (found,) = await storage.list_nested([key], entered(nouns))
    if isinstance(found, CopickError):
        raise found from found.__cause__
    return found


async def list_readable(
    storage: Storage, key: str, nouns: Nouns, *, limit: int
) -> tuple[Sequence[Entry], dict[str | float, CopickError]]:
    """Entries of a run in which a folder is denied, and what could not be listed for that: folder by folder.

    Raises
    ------
    AccessDeniedError
        The run itself is denied.
    """
    enter = entered(nouns)
    entries: list[Entry] = []
    folders: list[Entry] = []
    for entry in await storage.list(key):
        (folders if entry.is_prefix and enter(entry.name) else entries).append(entry)
    denied: dict[str | float, CopickError] = {}
    listings = await gather_results(storage.list, [folder.key for folder in folders], limit=limit)
    for folder, listing in zip(folders, listings, strict=True):
        if not isinstance(listing, CopickError):
            entries += listing or [folder]
            continue
        if not isinstance(listing, AccessDeniedError):
            raise listing
        noun = next((noun for noun, names in FOLDERS_OF_NOUN.items() if folder.name in names), None)
        size = parse_voxel_spacing(folder.name) if noun is None else None
        if noun is not None or size is not None:
            denied.setdefault(noun or size or 0.0, listing)
        entries.append(folder)
    return entries, denied


_FOLDERS = frozenset(ANNOTATION_FOLDERS) | frozenset(SEGMENTATION_FOLDERS)


def entered(nouns: Nouns) -> Callable[[str], bool]:
    """Which folders of a run have to be looked into for some nouns, by their names."""
    if nouns is None:
        return is_ours
    folders = frozenset(folder for noun in nouns for folder in FOLDERS_OF_NOUN.get(noun, ()))
    if nouns <= FOLDERS_OF_NOUN.keys():
        return folders.__contains__
    return lambda name: name in folders or (name not in _FOLDERS and is_ours(name))


async def _flat(storage: Storage, key: str) -> list[Entry] | None:
    """Everything below a run, or None when most of it is nothing of CoPick's and a walk around it is cheaper."""
    entries: list[Entry] = []
    async with storage.scan(key) as pages:
        async for page in pages:
            ours = [entry for entry in page if is_ours(entry.key[len(key) + 1 :].partition("/")[0])]
            if len(page) >= MANY and 2 * len(ours) < len(page):
                return None
            entries.extend(ours)
    return entries


@lru_cache(maxsize=1024)
def is_ours(folder: str) -> bool:
    """Whether a folder of a run, by its name, holds entities, or means to: what it cannot mean has to be told."""
    return folder in _FOLDERS or folder.startswith(VOXEL_SPACING)
