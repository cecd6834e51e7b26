"""Copying of entities between projects, on any storage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.fan_out import stream
from aiocopick.concurrency.gate import Gate
from aiocopick.entities.root import async_root
from aiocopick.errors import AlreadyExistsError, CopickError, LayerError, NotFoundError
from aiocopick.layers import Source
from aiocopick.layout.paths import OBJECTS, meta_key
from aiocopick.layout.refs import FILES
from aiocopick.progress import Progress, by_item, shown
from aiocopick.tables.held import is_listed, stored_objects
from aiocopick.tables.select import Selection, select
from aiocopick.upkeep.transfer import Transfer

if TYPE_CHECKING:
    from aiocopick.entities import AsyncEntity, AsyncRoot, AsyncRun
    from aiocopick.layers import Layer
    from aiocopick.storage import Storage

_ENTITIES_AT_ONCE = 8
_FILES_AT_ONCE = 32
_BYTES_AT_ONCE = 256 * 1024 * 1024
_WITH_META = ("run", "voxel_spacing")


@dataclass(slots=True)
class CopyReport:
    """The result of a copy.

    Parameters
    ----------
    entities : int
        Entities that are complete in the target (with `dry_run`: would be).
    files, bytes : int
        Files written, and their content.
    skipped : int
        Files that the target already had.
    errors : dict of str to str
        Errors by the path in the source (for a run that could not be listed, by its name).
    """

    entities: int = 0
    files: int = 0
    bytes: int = 0
    skipped: int = 0
    errors: dict[str, str] = field(default_factory=dict)


async def copy(
    source: AsyncRoot,
    target: AsyncRoot,
    uri: str | Iterable[str] | None = None,
    *,
    runs: str | Iterable[str] | None = None,
    kinds: str | Iterable[str] | None = None,
    overwrite: bool = False,
    checksum: bool = True,
    dry_run: bool = False,
    progress: Progress = None,
) -> CopyReport:
    """Copy entities with the ``.meta`` files of their runs and voxel spacings.

    Every written file is verified: by the checksum that the store returns, else by reading it back. An interrupted copy
    continues when it is called again: a file is skipped if the sizes agree and so do the checksums (etags that are MD5)
    or, if a store has none, the contents. If the target has conditional writes, a file that appears in it during the copy
    is not replaced, unless `overwrite` is set. The metadata of a volume is written last, so that an incomplete copy reads
    as an empty volume. Like every writer of a whole volume, the copy excludes other writers.

    Parameters
    ----------
    source, target : AsyncRoot
        Two projects, on any two stores. The target is created if it does not exist.
    uri, runs, kinds
        The entities to copy, as for :func:`aiocopick.select`; by default all, including density maps of objects. Files in
        the folder of a run that are not entities are not copied, nor are feature maps without their tomogram.
    overwrite : bool
        Replace files that differ in the target; by default a difference is an error of that entity.
    checksum : bool
        If no store has checksums, compare the contents of files of equal size. With False, a copy that is not older
        than its original counts as equal, and neither is read: quick, and wrong for files whose times were
        set.
    dry_run : bool
        List both sides, count, and write nothing.
    progress : callable or bool
        Called with the path of each entity that is done; True shows a bar, which counts runs.

    Returns
    -------
    CopyReport

    Raises
    ------
    ReadOnlyError
        The target cannot be written to.
    LayerError
        The source has no files (a layer that copick opens).
    """
    source, target = async_root(source), async_root(target)
    writer = target._stack.writer()
    if not dry_run:
        await target.ensure(create=True)
    report = CopyReport()
    gate = Gate(_FILES_AT_ONCE, _BYTES_AT_ONCE)

    async def copy_one(entity: AsyncEntity) -> Transfer:
        origin = entity.sources[0]
        storages = _storage_of(origin.layer), _storage_of(writer)
        transfer = Transfer(*storages, gate, overwrite=overwrite, checksum=checksum, dry_run=dry_run)
        key = origin.located.key
        if entity.kind in _WITH_META:
            await _copy_meta(origin, writer, transfer, dry_run=dry_run)
        elif entity.kind in FILES:
            await transfer.file(key)
        else:
            await transfer.tree(key)
        return transfer

    chosen = select(source, uri, runs, kinds=kinds)
    with_objects = uri is None and runs is None and kinds is None
    with shown(progress, "copying") as given:
        run_done, entity_done = by_item(given)
        crawl = source._apart().crawl(runs=chosen.scope.runs, kinds=chosen.scope.nouns, progress=run_done)
        async with crawl as found:
            entities = _entities(source if with_objects else None, found, chosen, report)
            async with stream(copy_one, entities, limit=_ENTITIES_AT_ONCE, ordered=True) as copied:
                async for entity, result in copied:
                    if isinstance(result, CopickError):
                        report.errors[entity.path] = str(result)
                        continue
                    report.entities += 1
                    report.files += result.files
                    report.bytes += result.bytes
                    report.skipped += result.skipped
                    if entity_done is not None:
                        entity_done(entity.path)
    return report


async def _entities(
    root: AsyncRoot | None, runs: AsyncIterator[AsyncRun], chosen: Selection, report: CopyReport
) -> AsyncIterator[AsyncEntity]:
    """Yield density maps (of a root), then the chosen entities of each run, after the run and their voxel spacings."""
    if root is not None:
        try:
            objects = await stored_objects(root)
        except CopickError as error:
            report.errors[error.path or root.path_of(OBJECTS)] = str(error)
        else:
            for item in objects:
                yield item
    async for run in runs:
        if run.error is not None and not is_listed(run):
            report.errors[run.name] = str(run.error)
            continue
        if run._denied and run.error is not None:
            report.errors[run.name] = str(run.error)
        entities = await chosen.of_run(run)
        if entities or chosen.is_everything:
            yield run
        seen = set()
        for entity in entities:
            spacing = _spacing_of(entity)
            if spacing is not None and spacing.ref not in seen:
                seen.add(spacing.ref)
                yield spacing
            if entity.kind != "voxel_spacing":
                yield entity


def _spacing_of(entity: Any) -> AsyncEntity | None:
    """Return the voxel spacing that an entity is, or belongs to."""
    while entity is not None and entity.kind != "voxel_spacing":
        entity = getattr(entity, entity.parent_slot) if entity.kind in ("features", "tomogram") else None
    found: AsyncEntity | None = entity
    return found


async def _copy_meta(origin: Source, writer: Layer, transfer: Transfer, *, dry_run: bool) -> None:
    """Copy the ``.meta`` of a run or voxel spacing; if the source has none, the target gets an empty file."""
    key = meta_key(origin.located.key)
    try:
        await transfer.file(key)
    except NotFoundError:
        storage = _storage_of(writer)
        if not dry_run and not await storage.exists(key):
            with suppress(AlreadyExistsError):
                await storage.write(key, b"{}", create=storage.capabilities.conditional_writes)


def _storage_of(layer: Layer) -> Storage:
    storage = layer.storage
    if storage is None:
        raise LayerError(f"Layer {layer.name!r} ({layer.url}) has no files of its own, so they cannot be copied.")
    return storage


__all__ = ["CopyReport", "copy"]
