"""Examination of a project: everything is read, nothing is changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.fan_out import gather, gather_results, stream
from aiocopick.entities import AsyncFilaments, AsyncPicks, AsyncTomogram, AsyncVolume, load
from aiocopick.entities.files import AsyncFile
from aiocopick.entities.given import async_root
from aiocopick.errors import AccessDeniedError, CopickError, FormatError, NotFoundError
from aiocopick.layout.paths import OBJECTS, parse_key
from aiocopick.layout.refs import FeaturesRef, RunRef
from aiocopick.progress import Progress
from aiocopick.tables.held import held, is_listed, stored_objects
from aiocopick.tables.select import select
from aiocopick.upkeep.finding import Finding
from aiocopick.upkeep.names import unparsable_names, without_tomogram
from aiocopick.upkeep.points import extent_of, misplaced

if TYPE_CHECKING:
    from aiocopick.entities import AsyncEntity, AsyncRoot, AsyncRun
    from aiocopick.layers import Layer
    from aiocopick.storage import Entry
    from aiocopick.tables.scope import Scope
    from aiocopick.tables.select import Selection


_RUNS_AT_ONCE = 8
_VOLUMES_AT_ONCE = 16
_FOLDERS_AT_ONCE = 4


async def examine(
    root: AsyncRoot,
    uri: str | Iterable[str] | None = None,
    *,
    runs: str | Iterable[str] | None = None,
    kinds: str | Iterable[str] | None = None,
    progress: Progress = None,
) -> list[Finding]:
    """Read everything in a project and report problems.

    Names that cannot be parsed; temporary files of writes that were killed; picks, meshes, filaments and ``.meta`` files
    that cannot be decoded; volumes without levels, or with metadata that cannot be decoded, is ignored because it
    is nonsense, or contradicts the path (voxel size, origin) or the arrays (ratios of levels); feature maps without
    their tomogram; annotations of objects that the configuration does not name (when it names any); points whose
    coordinates are not finite numbers, or are outside of every tomogram of their run. In a stack, every layer is
    examined, including entities that another layer hides.

    Parameters
    ----------
    root : AsyncRoot
        The project.
    uri, runs, kinds
        The entities to examine, as for :func:`aiocopick.select`; by default all, including density maps. With URIs only the
        entities that they name are examined, and neither other names nor the metadata of runs.
    progress : callable or bool
        Called with the name of each run; True shows a bar.

    Returns
    -------
    list of Finding
        Sorted by run; findings of the project come first.
    """
    root = async_root(root)
    chosen = select(root, uri, runs, kinds=kinds)
    scope = chosen.scope
    findings: list[Finding] = []
    alone: list[tuple[FeaturesRef, str]] = []
    for layer in root.layers:
        found_in_layer, without = await unparsable_names(layer, scope)
        findings += () if chosen.is_by_uri else found_in_layer
        alone += [pair for pair in without if chosen.holds(pair[0])]
    if scope.nouns is None or "features" in scope.nouns:
        findings += await without_tomogram(root, alone)
    if scope.nouns is None:
        findings += [finding for layer in root.layers async for finding in _meta(layer)]
        findings += [finding for layer in root.layers for finding in await _leftovers(layer, scope)]
        findings += await _objects(root)
    # Points are compared with the tomograms of their run.
    nouns = scope.nouns | {"tomograms"} if scope.nouns and scope.nouns & {"picks", "filaments"} else scope.nouns

    async def check(run: AsyncRun) -> list[Finding]:
        return await _run(run, nouns, chosen)

    async with (
        root._apart().crawl(runs=scope.runs, kinds=nouns, progress=progress) as found,
        stream(check, found, limit=_RUNS_AT_ONCE, ordered=True) as results,
    ):
        async for run, result in results:
            if isinstance(result, CopickError):
                result = [_finding("unreadable run", run, result)]
            findings += result
    return sorted(findings, key=lambda finding: (finding.run or "", finding.path))


async def _objects(root: AsyncRoot) -> list[Finding]:
    try:
        objects = await stored_objects(root)
    except AccessDeniedError as error:
        return [Finding(problem="unreadable folder", run=None, path=error.path or OBJECTS, detail=str(error))]
    return await _volumes([place for item in objects for place in _places(item)], None)


async def _meta(layer: Layer) -> AsyncIterator[Finding]:
    """Report the ``.meta`` file of the root if it cannot be decoded."""
    try:
        await layer.load_meta(None)
    except FormatError as error:
        yield Finding(problem="broken metadata", run=None, path=error.path or layer.url, detail=str(error))


async def _run(run: AsyncRun, nouns: frozenset[str] | None, chosen: Selection) -> list[Finding]:
    if run.error is not None and not is_listed(run):
        return [_finding("unreadable run", run, run.error)]
    entities = await held(run, nouns)
    kinds = chosen.scope.kinds
    asked = [place for item in entities if item.kind in kinds and chosen.holds(item.ref) for place in _places(item)]
    findings = [_finding("unreadable folder", run, error) for error in run._denied.values()]
    spacings = await run.voxel_spacings() if nouns is None or "voxel_spacings" in nouns else ()
    with_meta: list[Any] = (
        [place for item in (run, *spacings) for place in _places(item)] if not chosen.is_by_uri else []
    )
    files = [item for item in asked if isinstance(item, AsyncFile)]
    for item, result in zip([*with_meta, *files], await load([*with_meta, *files], on_error="return"), strict=True):
        if isinstance(result, CopickError):
            problem = "broken file" if isinstance(item, AsyncFile) else "broken metadata"
            findings.append(_finding(problem, item, result))
    broken = {finding.path for finding in findings}
    findings += await _volumes([item for item in asked if isinstance(item, AsyncVolume)], run.name)
    findings += _unknown_objects(run, files)
    points = [item for item in files if isinstance(item, AsyncPicks | AsyncFilaments) and item.path not in broken]
    extent = await extent_of([item for item in entities if isinstance(item, AsyncTomogram)]) if points else None
    for item in points:
        findings += await misplaced(item, extent)
    return findings


def _places(item: AsyncEntity) -> Iterator[Any]:
    """Yield the entity in each layer that holds it: a layer hides problems of the layers below it."""
    if len(item.sources) == 1:
        yield item
        return
    for source in item.sources:
        yield type(item)._of(item._parent, item.ref, (source,))


async def _volumes(volumes: Sequence[Any], run: str | None) -> list[Finding]:
    findings = []
    for volume, result in zip(volumes, await gather_results(_doubts, volumes, limit=_VOLUMES_AT_ONCE), strict=True):
        if isinstance(result, NotFoundError):
            detail = f"created and not written, or its writing was interrupted ({result})"
            findings.append(Finding(problem="unfinished volume", run=run, path=volume.path, detail=detail))
        elif isinstance(result, CopickError):
            findings.append(Finding(problem="broken volume", run=run, path=volume.path, detail=str(result)))
        else:
            for problem, sentences in zip(_DOUBTS, result, strict=True):
                if sentences:
                    detail = "; ".join(sentences)
                    findings.append(Finding(problem=problem, run=run, path=volume.path, detail=detail))
    return findings


_DOUBTS = ("nonsense in metadata", "contradicting metadata", "missing level")


async def _doubts(volume: AsyncVolume) -> tuple[list[str], list[str], list[str]]:
    return await volume._doubts()


def _unknown_objects(run: AsyncRun, files: Iterable[AsyncFile]) -> Iterator[Finding]:
    known = {item.name for item in run.root.config.pickable_objects}
    for item in files:
        if known and item.pickable_object_name not in known:
            detail = f"{item.pickable_object_name!r} is not one of the objects of the configuration"
            yield Finding(problem="unknown object", run=run.name, path=item.path, detail=detail)


def _finding(problem: str, item: Any, error: CopickError) -> Finding:
    run = getattr(item.ref, "run", None)
    return Finding(problem=problem, run=run, path=error.path or item.path, detail=str(error))


async def _leftovers(layer: Layer, scope: Scope) -> list[Finding]:
    """Return the temporary files of a layer, including those of running writes; none for a layer without storage."""
    storage = layer.storage
    if storage is None:
        return []
    if scope.runs is None:
        found: Sequence[Entry] = await storage.leftovers()
    else:
        listed = (await layer.list_runs()).located
        keys = [run.key for run in listed if isinstance(run.ref, RunRef) and scope.holds_run(run.ref.run)]
        pages = await gather(storage.leftovers, keys, limit=_FOLDERS_AT_ONCE)
        found = [entry for page in pages for entry in page]
    return [_leftover(layer, entry) for entry in found]


def _leftover(layer: Layer, entry: Entry) -> Finding:
    ref = parse_key("/".join(entry.key.split("/")[:2]))
    when = "" if entry.modified is None else f" of {datetime.fromtimestamp(entry.modified, UTC):%Y-%m-%d %H:%M:%S} UTC"
    return Finding(
        problem="leftover temporary file",
        run=ref.run if isinstance(ref, RunRef) else None,
        path=layer.path_of(entry.key),
        detail=f"{entry.size or 0:,} bytes{when}, left by a write that was killed; nothing reads it, and it can be "
        "deleted unless that write is still under way",
    )


__all__ = ["examine"]
