"""Examination of a project: everything is read, nothing is changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.fan_out import gather, gather_results, stream
from aiocopick.concurrency.lazy import numpy as np
from aiocopick.entities import AsyncFilaments, AsyncPicks, AsyncTomogram, AsyncVolume, load
from aiocopick.entities.files import AsyncFile
from aiocopick.entities.root import async_root
from aiocopick.errors import AccessDeniedError, CopickError, FormatError, NotFoundError
from aiocopick.layers.copying import leased_key
from aiocopick.layout.paths import OBJECTS, parse_key
from aiocopick.layout.refs import FeaturesRef, RunRef
from aiocopick.layout.uris import format_uri
from aiocopick.progress import Progress
from aiocopick.storage import leases
from aiocopick.tables.held import held, is_listed, stored_objects
from aiocopick.tables.select import select
from aiocopick.volumes.voxel_sizes import angstrom_per

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aiocopick.entities import AsyncEntity, AsyncRoot, AsyncRun
    from aiocopick.layers import Layer
    from aiocopick.storage import Entry
    from aiocopick.tables.scope import Scope
    from aiocopick.tables.select import Selection


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One problem.

    Parameters
    ----------
    problem : str
        ``"unreadable run"``, ``"unreadable folder"``, ``"unparsable name"``, ``"leftover temporary file"``, ``"broken file"``,
        ``"broken metadata"``, ``"unfinished volume"``, ``"broken volume"``, ``"nonsense in metadata"``,
        ``"contradicting metadata"``, ``"missing level"``, ``"features without tomogram"``, ``"unknown object"``,
        ``"not finite"`` or ``"outside tomogram"``.
    run : str, optional
        Name of the run; None for a problem of the project.
    path : str
        Full path of the file or directory, without secrets.
    detail : str
        Details of the problem.
    """

    problem: str
    run: str | None
    path: str
    detail: str

    def to_json(self) -> dict[str, Any]:
        """Return the finding as plain data."""
        return asdict(self)


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
    coordinates are not finite numbers, are outside of every tomogram of their run, or have a
    unit that is not angstrom. In a stack, every layer is examined, including entities that another layer hides.

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


# --- names that cannot be parsed, feature maps without a tomogram -----------------------------------------------------


async def unparsable_names(layer: Layer, scope: Scope) -> tuple[list[Finding], list[tuple[FeaturesRef, str]]]:
    """Return findings for unparsable keys at the level of entities, and for leases of volumes; and the feature maps
    without a tomogram in the same folder.
    """

    def skipped(run: str | None, keys: Iterable[str]) -> Iterator[Finding]:
        for key in keys:
            yield Finding(
                problem="unparsable name",
                run=run,
                path=layer.path_of(key),
                detail="no entity can have this name, it is a directory instead of a file or a file instead of a directory, "
                "or another name with the same meaning hides it",
            )

    listing = await layer.list_runs()
    objects: Sequence[str] = ()
    hidden: Sequence[str] = ()
    # Objects that cannot be listed are reported with the objects.
    with suppress(AccessDeniedError):
        if scope.nouns is None:
            found = await layer.list_objects()
            objects, hidden = found.skipped, found.hidden
    findings = list(skipped(None, (*listing.skipped, *objects)))
    findings += await held_volumes(layer, None, hidden)
    alone: list[tuple[FeaturesRef, str]] = []
    wanted = [run for run in listing.located if isinstance(run.ref, RunRef) and scope.holds_run(run.ref.run)]
    async with layer.scan(wanted, scope.nouns, details=False) as listings:
        async for run, listed in listings:
            assert isinstance(run.ref, RunRef)
            # A run that cannot be listed is reported by the crawl.
            if isinstance(listed, CopickError):
                continue
            findings += skipped(run.ref.run, listed.skipped)
            findings += await held_volumes(layer, run.ref.run, listed.hidden)
            refs = {located.ref for located in listed.located}
            for ref, key, *_ in listed.located:
                if isinstance(ref, FeaturesRef) and ref.parent not in refs:
                    alone.append((ref, layer.path_of(key)))
    return findings, alone


async def held_volumes(layer: Layer, run: str | None, hidden: Iterable[str]) -> list[Finding]:
    """Return the volumes that are being written, or were when the writer was killed: each has a lease file."""
    storage = layer.storage
    findings = []
    for key in hidden if storage is not None else ():
        volume = leased_key(key)
        if volume is None:
            continue
        try:
            found = await storage.read_aged(key)  # type: ignore[union-attr]
        except NotFoundError:
            continue
        seen = f"{leases.holder_of(found.data)} was last seen {found.age or 0:.0f} s ago"
        if found.age is not None and found.age > leases.LIFETIME:
            problem, then = "lease of a killed writer", "the next one that writes the volume takes it over"
        else:
            problem, then = "volume being written", f"others are kept out for {leases.LIFETIME:g} s after that"
        findings.append(Finding(problem=problem, run=run, path=layer.path_of(key), detail=f"{seen}; {then}"))
    return findings


async def without_tomogram(root: AsyncRoot, features: Sequence[tuple[FeaturesRef, str]]) -> list[Finding]:
    """Return the feature maps whose tomogram is in no layer: they cannot be accessed without it."""
    findings = []
    for ref, path in features:
        if await root._stack.find(ref.parent) is None:
            detail = f"there is no tomogram {format_uri(ref.parent)}, through which they are reached"
            findings.append(Finding(problem="features without tomogram", run=ref.run, path=path, detail=detail))
    return findings


# --- points that are nowhere ------------------------------------------------------------------------------------------


async def extent_of(tomograms: Sequence[AsyncTomogram]) -> NDArray[np.float64] | None:
    """Return the far corner (x, y, z in angstrom) of all tomograms together; None if none can be measured."""
    corners = []
    for result in await gather_results(_far_corner, tomograms, limit=_VOLUMES_AT_ONCE):
        if not isinstance(result, CopickError):
            corners.append(result)
    return np.max(corners, axis=0)[::-1] if corners else None


async def _far_corner(tomogram: AsyncTomogram) -> NDArray[np.float64]:
    finest = (await tomogram.levels())[0]
    return (
        np.array([finest.shape[axis] for axis in (await tomogram._array(finest.path)).spatial_axes]) * finest.voxel_size
    )


async def misplaced(item: AsyncPicks | AsyncFilaments, extent: NDArray[np.float64] | None) -> list[Finding]:
    """Return the points of a file without a finite position, and those before the near corner of all tomograms or
    beyond the far corner, which may be unknown; and a unit that is not angstrom.
    """
    if isinstance(item, AsyncPicks):
        positions = await item.full_positions()
    else:
        positions = np.concatenate([np.empty((0, 3)), *await item.numpy()])
    finite = np.asarray(np.isfinite(positions).all(axis=1))
    findings = []
    unit = item.meta.unit
    if angstrom_per(unit) != 1.0:
        detail = f"the file gives its positions in {unit!r}; they are read as angstrom, as CoPick does"
        findings.append(Finding(problem="contradicting metadata", run=item.run.name, path=item.path, detail=detail))
    if not finite.all():
        detail = _described(positions, ~finite, "have coordinates that are not finite numbers")
        findings.append(Finding(problem="not finite", run=item.run.name, path=item.path, detail=detail))
    if extent is not None:
        outside = finite & ~np.asarray(((positions >= 0) & (positions <= extent)).all(axis=1))
        if outside.any():
            detail = (
                f"{_described(positions, outside, 'are outside')}, and the tomograms end at {_shown(extent)} angstrom"
            )
            findings.append(Finding(problem="outside tomogram", run=item.run.name, path=item.path, detail=detail))
    return findings


def _described(positions: NDArray[np.float64], concerned: NDArray[np.bool_], what: str) -> str:
    first = int(np.argmax(concerned))
    count = f"{int(concerned.sum())} of {len(positions)}"
    return f"{count} points {what}; the first is number {first} at {_shown(positions[first])}"


def _shown(position: NDArray[np.float64]) -> str:
    return f"({', '.join(f'{value:.1f}' for value in position)})"


__all__ = ["Finding", "examine", "extent_of", "misplaced", "unparsable_names", "without_tomogram"]
