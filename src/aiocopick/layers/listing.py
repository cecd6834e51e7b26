"""Listing of a run in the fewest requests; `layout` interprets the entries."""

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
"""Folders of a run to list for each noun; tomograms and features are in the folders of the voxel spacings."""

MANY = 500
"""Entries of a page that shows, if most of them are not CoPick's, that the folder of a run holds other data (raw
frames).
"""


async def list_run(storage: Storage, key: str, nouns: Nouns, *, limit: int, collapse: bool = True) -> Sequence[Entry]:
    """List the entries that show the content of a run.

    Parameters
    ----------
    storage : Storage
        The storage that holds the run.
    key : str
        Key of the run.
    nouns : frozenset of str, optional
        The nouns to list; None is all.
    limit : int
        Folders listed at once.
    collapse : bool
        List all folders at once if the storage collapses volumes.

    Returns
    -------
    sequence of Entry
        Children of the run's folders, volumes collapsed; may contain more than was asked for.
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
    """List a run in which a folder is denied, folder by folder; return its entries and the errors by folder.

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
    """Return a function that tells, by name, if a folder of a run has to be listed for some nouns."""
    if nouns is None:
        return is_ours
    folders = frozenset(folder for noun in nouns for folder in FOLDERS_OF_NOUN.get(noun, ()))
    if nouns <= FOLDERS_OF_NOUN.keys():
        return folders.__contains__
    return lambda name: name in folders or (name not in _FOLDERS and is_ours(name))


async def _flat(storage: Storage, key: str) -> list[Entry] | None:
    """List everything below a run; None if most entries are not CoPick's, so that a walk around them is cheaper."""
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
    """Return True if a folder of a run, by its name, holds entities or is meant to; unknown folders of ours are
    reported.
    """
    return folder in _FOLDERS or folder.startswith(VOXEL_SPACING)
