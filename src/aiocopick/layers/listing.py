"""Listing of a run in the fewest requests; `layout` interprets the entries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING

from aiocopick.concurrency.fan_out import gather, gather_results
from aiocopick.errors import AccessDeniedError, CopickError
from aiocopick.layout.paths import ANNOTATION_FOLDERS, SEGMENTATION_FOLDERS, VOXEL_SPACING, parse_voxel_spacing
from aiocopick.storage.keys import is_key
from aiocopick.storage.scan import LAST, position

if TYPE_CHECKING:
    from aiocopick.layers.base import Nouns
    from aiocopick.storage.base import Entry, FirstPage, Storage

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


async def list_run(
    storage: Storage,
    key: str,
    nouns: Nouns,
    *,
    limit: int,
    collapse: bool = True,
    first_page: FirstPage | None = None,
) -> Sequence[Entry]:
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
    first_page : FirstPage, optional
        The first page of everything below the run, if it was already received.

    Returns
    -------
    sequence of Entry
        Children of the run's folders, volumes collapsed; may contain more than was asked for.
    """
    folders = [folder for noun in sorted(nouns or ()) for folder in FOLDERS_OF_NOUN.get(noun, ())]
    deep = nouns is None or not nouns <= FOLDERS_OF_NOUN.keys()
    only = nouns == frozenset(("voxel_spacings",))
    if only or (len(folders) == 1 and not deep):
        wanted = key if only else f"{key}/{folders[0]}"
        if first_page is None or first_page.reached < f"{wanted}/{LAST}":
            return await storage.list(wanted)
        return [entry for entry in first_page.entries if entry.key.startswith(f"{wanted}/")]
    if first_page is not None and first_page.sparse:
        return await _rest(storage, key, nouns, () if deep else folders, first_page, limit=limit)
    if collapse and storage.capabilities.delimiter and not storage.capabilities.nested:
        entries = await _flat(storage, key, first_page)
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


async def _rest(
    storage: Storage, key: str, nouns: Nouns, folders: Sequence[str], first_page: FirstPage, *, limit: int
) -> Sequence[Entry]:
    """List the folders of a run that its first page does not show as a whole; all of them are in `folders` if given."""
    inside, reached = f"{key}/", first_page.reached

    def shown(folder: str) -> bool:
        return f"{inside}{folder}/{LAST}" <= reached

    def folder_of(entry: Entry) -> str:
        return entry.key[len(inside) :].partition("/")[0]

    entries = [entry for entry in first_page.entries if entry.key.startswith(inside) and shown(folder_of(entry))]
    if reached >= f"{inside}{LAST}":
        return entries
    names: Sequence[Entry] = ()
    if folders:
        wanted = [f"{inside}{folder}" for folder in folders if not shown(folder)]
        listings = dict(zip(wanted, await gather(storage.list, wanted, limit=limit), strict=True))
    else:
        enter = entered(nouns)
        # The page ends inside of a folder: that and the names behind it are requested concurrently.
        begun, deeper, _ = reached[len(inside) :].partition("/")
        after = f"{inside}{begun}/{LAST}" if deeper else reached
        wanted = [f"{inside}{begun}"] if deeper and enter(begun) and not shown(begun) else []
        requests = [partial(_children_after, storage, key, after), *(partial(storage.list, one) for one in wanted)]
        names, *begun_listings = await gather(lambda request: request(), requests, limit=limit)
        listings = dict(zip(wanted, begun_listings, strict=True))
        wanted = [entry.key for entry in names if entry.is_prefix and enter(entry.name) and is_key(entry.key)]
        listings.update(zip(wanted, await gather(storage.list, wanted, limit=limit), strict=True))
    # A folder with nothing in it stands for itself.
    entries += [entry for entry in names if not (entry.is_prefix and listings.get(entry.key))]
    return [*entries, *(entry for listing in listings.values() for entry in listing)]


async def _children_after(storage: Storage, key: str, after: str) -> Sequence[Entry]:
    """List the children of a directory that come after a position: one request, unless there are very many."""
    page = await storage.first_children(key, start_after=after)
    if page is not None and page.reached == LAST:
        return page.entries
    return [entry for entry in await storage.list(key) if position(entry) > after]


async def _flat(storage: Storage, key: str, first_page: FirstPage | None) -> list[Entry] | None:
    """List everything below a run; None if most entries are not CoPick's, so that a walk around them is cheaper."""
    entries: list[Entry] = []

    def take(page: Sequence[Entry]) -> bool:
        ours = [entry for entry in page if is_ours(entry.key[len(key) + 1 :].partition("/")[0])]
        entries.extend(ours)
        return len(page) < MANY or 2 * len(ours) >= len(page)

    if first_page is not None and not take(first_page.entries):
        return None
    reached = "" if first_page is None else first_page.reached
    if reached < f"{key}/{LAST}":
        async with storage.scan(key, start_after=reached) as pages:
            async for page in pages:
                if not take(page):
                    return None
    return entries


@lru_cache(maxsize=1024)
def is_ours(folder: str) -> bool:
    """Return True if a folder of a run, by its name, holds entities or is meant to; unknown folders of ours are
    reported.
    """
    return folder in _FOLDERS or folder.startswith(VOXEL_SPACING)
