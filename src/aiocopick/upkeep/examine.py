"""What is wrong in a project: everything is read, nothing is changed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from aiocopick.entities import AsyncFilaments, AsyncPicks, AsyncTomogram, AsyncVolume, load
from aiocopick.entities.files import AsyncFile
from aiocopick.errors import CopickError, FormatError, NotFoundError
from aiocopick.layout.refs import FeaturesRef, RunRef
from aiocopick.layout.uris import format_uri
from aiocopick.storage.limits import gather_results, stream
from aiocopick.tables.held import held, is_listed, stored_objects
from aiocopick.tables.scope import Scope

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aiocopick.entities import AsyncEntity, AsyncRoot, AsyncRun
    from aiocopick.layers import Layer

_RUNS_AT_ONCE = 8
_VOLUMES_AT_ONCE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    Parameters
    ----------
    problem : str
        ``"unreadable run"``, ``"unparsable name"``, ``"broken file"``, ``"broken metadata"``, ``"unfinished volume"``,
        ``"broken volume"``, ``"features without tomogram"``, ``"unknown object"`` or ``"outside tomogram"``.
    run : str, optional
        Name of the run; None for what belongs to the project.
    path : str
        Full path of what is wrong, without secrets.
    detail : str
        What exactly.
    """

    problem: str
    run: str | None
    path: str
    detail: str

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


async def examine(
    root: AsyncRoot,
    *,
    runs: str | Iterable[str] | None = None,
    kinds: Iterable[str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> list[Finding]:
    """Read everything in a project and say what is wrong with it.

    Names that cannot be parsed; picks, meshes, filaments and ``.meta`` files that cannot be understood; volumes without
    levels, or with metadata that cannot be understood; feature maps without their tomogram; annotations of objects that
    the configuration does not name (when it names any); points outside every tomogram of their run. In a stack of layers
    that holds for every layer: for what another layer hides as well.

    Parameters
    ----------
    root : AsyncRoot
        The project.
    runs : str or iterable of str, optional
        A glob, or names.
    kinds : iterable of str, optional
        Plural nouns; None means everything, density maps included.
    progress : callable, optional
        Called with the name of each run.

    Returns
    -------
    list of Finding
        By run; what belongs to no run comes first.
    """
    scope = Scope.of(runs, kinds)
    findings: list[Finding] = []
    alone: list[tuple[FeaturesRef, str]] = []
    for layer in root.layers:
        found_in_layer, without = await _listed(layer, scope)
        findings += found_in_layer
        alone += without
    if scope.nouns is None or "features" in scope.nouns:
        findings += await _without_tomogram(root, alone)
    if scope.nouns is None:
        findings += [finding for layer in root.layers async for finding in _meta(layer)]
        findings += await _volumes([place for item in await stored_objects(root) for place in _places(item)], None)
    # Points are measured against the tomograms of their run.
    nouns = scope.nouns | {"tomograms"} if scope.nouns and scope.nouns & {"picks", "filaments"} else scope.nouns

    async def check(run: AsyncRun) -> list[Finding]:
        return await _run(run, nouns, scope)

    async with (
        root.crawl(runs=scope.runs, kinds=nouns) as found,
        stream(check, found, limit=_RUNS_AT_ONCE, ordered=True) as results,
    ):
        async for run, result in results:
            if isinstance(result, CopickError):
                result = [_finding("unreadable run", run, result)]
            findings += result
            if progress is not None:
                progress(run.name)
    return sorted(findings, key=lambda finding: (finding.run or "", finding.path))


async def _listed(layer: Layer, scope: Scope) -> tuple[list[Finding], list[tuple[FeaturesRef, str]]]:
    """Keys in the place of entities that mean nothing; and the feature maps beside which no tomogram of theirs lies."""

    def skipped(run: str | None, keys: Iterable[str]) -> Iterator[Finding]:
        for key in keys:
            yield Finding(
                problem="unparsable name",
                run=run,
                path=layer.path_of(key),
                detail="no entity can have this name, it is a directory where a file belongs or the other way round, "
                "or another name that means the same hides it",
            )

    listing = await layer.list_runs()
    objects = (await layer.list_objects()).skipped if scope.nouns is None else ()
    findings = list(skipped(None, (*listing.skipped, *objects)))
    alone: list[tuple[FeaturesRef, str]] = []
    wanted = [run for run in listing.located if isinstance(run.ref, RunRef) and scope.holds_run(run.ref.run)]
    async with layer.scan(wanted, scope.nouns, details=False) as listings:
        async for run, listed in listings:
            assert isinstance(run.ref, RunRef)
            # A run that cannot be listed is reported when it is crawled.
            if isinstance(listed, CopickError):
                continue
            findings += skipped(run.ref.run, listed.skipped)
            refs = {located.ref for located in listed.located}
            for ref, key, *_ in listed.located:
                if isinstance(ref, FeaturesRef) and ref.parent not in refs:
                    alone.append((ref, layer.path_of(key)))
    return findings, alone


async def _without_tomogram(root: AsyncRoot, features: Sequence[tuple[FeaturesRef, str]]) -> list[Finding]:
    """Feature maps whose tomogram no layer holds: they are reached through it, so nobody finds them."""
    findings = []
    for ref, path in features:
        if await root._stack.find(ref.parent) is None:
            detail = f"there is no tomogram {format_uri(ref.parent)}, through which they are reached"
            findings.append(Finding(problem="features without tomogram", run=ref.run, path=path, detail=detail))
    return findings


async def _meta(layer: Layer) -> AsyncIterator[Finding]:
    """The ``.meta`` file of the root, when it cannot be understood."""
    try:
        await layer.load_meta(None)
    except FormatError as error:
        yield Finding(problem="broken metadata", run=None, path=error.path or layer.url, detail=str(error))


async def _run(run: AsyncRun, nouns: frozenset[str] | None, scope: Scope) -> list[Finding]:
    if run.error is not None and not is_listed(run):
        return [_finding("unreadable run", run, run.error)]
    entities = await held(run, nouns)
    asked = [place for item in entities if item.kind in scope.kinds for place in _places(item)]
    findings: list[Finding] = []
    spacings = await run.voxel_spacings() if nouns is None or "voxel_spacings" in nouns else ()
    with_meta: list[Any] = [place for item in (run, *spacings) for place in _places(item)]
    files = [item for item in asked if isinstance(item, AsyncFile)]
    for item, result in zip([*with_meta, *files], await load([*with_meta, *files], on_error="return"), strict=True):
        if isinstance(result, CopickError):
            problem = "broken file" if isinstance(item, AsyncFile) else "broken metadata"
            findings.append(_finding(problem, item, result))
    broken = {finding.path for finding in findings}
    findings += await _volumes([item for item in asked if isinstance(item, AsyncVolume)], run.name)
    findings += _unknown_objects(run, files)
    points = [item for item in files if isinstance(item, AsyncPicks | AsyncFilaments) and item.path not in broken]
    extent = await _extent([item for item in entities if isinstance(item, AsyncTomogram)]) if points else None
    if extent is not None:
        for item in points:
            findings += await _outside(item, extent)
    return findings


def _places(item: AsyncEntity) -> Iterator[Any]:
    """The entity in each layer that holds it: a layer hides what is wrong below it, until it is taken away."""
    if len(item.sources) == 1:
        yield item
        return
    for source in item.sources:
        yield type(item)._of(item._parent, item.ref, (source,))


async def _volumes(volumes: Sequence[Any], run: str | None) -> list[Finding]:
    findings = []
    for volume, result in zip(volumes, await gather_results(_levels, volumes, limit=_VOLUMES_AT_ONCE), strict=True):
        if isinstance(result, NotFoundError):
            detail = f"created and not written, or its writing was interrupted ({result})"
            findings.append(Finding(problem="unfinished volume", run=run, path=volume.path, detail=detail))
        elif isinstance(result, CopickError):
            findings.append(Finding(problem="broken volume", run=run, path=volume.path, detail=str(result)))
    return findings


async def _levels(volume: AsyncVolume) -> Any:
    return await volume.levels()


def _unknown_objects(run: AsyncRun, files: Iterable[AsyncFile]) -> Iterator[Finding]:
    known = {item.name for item in run.root.config.pickable_objects}
    for item in files:
        if known and item.pickable_object_name not in known:
            detail = f"{item.pickable_object_name!r} is not one of the objects of the configuration"
            yield Finding(problem="unknown object", run=run.name, path=item.path, detail=detail)


async def _extent(tomograms: Sequence[AsyncTomogram]) -> NDArray[np.float64] | None:
    """The far corner (x, y, z in angstrom) of all tomograms together; None when none can be measured."""
    corners = []
    for result in await gather_results(_levels, tomograms, limit=_VOLUMES_AT_ONCE):
        if not isinstance(result, CopickError):
            finest = result[0]
            corners.append(np.array(finest.shape[-3:]) * np.array(finest.voxel_size))
    return np.max(corners, axis=0)[::-1] if corners else None


async def _outside(item: AsyncPicks | AsyncFilaments, extent: NDArray[np.float64]) -> list[Finding]:
    if isinstance(item, AsyncPicks):
        positions = await item.full_positions()
    else:
        positions = np.concatenate([np.empty((0, 3)), *await item.numpy()])
    # A point that is no number is nowhere.
    inside = ((positions >= 0) & (positions <= extent)).all(axis=1)
    if inside.all():
        return []
    first = int(np.argmin(inside))
    where = ", ".join(f"{value:.1f}" for value in positions[first])
    detail = (
        f"{int((~inside).sum())} of {len(positions)} points lie outside; the first is number {first} at ({where}), and "
        f"the tomograms end at ({', '.join(f'{value:.1f}' for value in extent)}) angstrom"
    )
    return [Finding(problem="outside tomogram", run=item.run.name, path=item.path, detail=detail)]


def _finding(problem: str, item: Any, error: CopickError) -> Finding:
    run = getattr(item.ref, "run", None)
    return Finding(problem=problem, run=run, path=error.path or item.path, detail=str(error))


__all__ = ["Finding", "examine"]
