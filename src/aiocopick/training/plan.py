"""The boxes of each run: their places, and the volumes they are cut from; and groups of them that are read together."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from aiocopick.concurrency.caller import warn
from aiocopick.concurrency.fan_out import gather_results
from aiocopick.entities.bulk import read
from aiocopick.entities.crawl import prefetch
from aiocopick.errors import CopickError, NotFoundError, PointsOutsideWarning
from aiocopick.training.places import Place, Sampler
from aiocopick.training.volumes import at_voxel_size, is_size, not_there, segmentations_of, tomograms_of
from aiocopick.volumes.boxes import box_corners

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aiocopick.entities import AsyncRoot, AsyncRun, AsyncSegmentation, AsyncTomogram
    from aiocopick.layout.uris import UriPattern
    from aiocopick.tables.scope import Scope
    from aiocopick.tables.select import Selection

PIECE_BYTES = 256 * 2**20
"""Boxes of a volume that are cut at once: a chunk is read once for all of them."""

_RUNS_TOGETHER = 16
"""Runs that are looked at together; fewer at first, so that the first batch comes soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The arguments of :func:`aiocopick.boxes`, checked."""

    picks: Selection | None
    scope: Scope
    edges: tuple[int, int, int]
    voxel_size: float
    tomogram: str
    segmentation: UriPattern | None
    numbers: Mapping[str, int] | None
    batch: int
    shuffle: int
    seed: int
    prefetch: int
    negatives: Sampler | None
    skips_outside: bool
    fill: float
    dtype: np.dtype[Any]
    shard: tuple[int, int]
    raises: bool

    @property
    def kinds(self) -> frozenset[str]:
        """Plural nouns of what has to be listed."""
        picks = frozenset() if self.picks is None else frozenset({"picks"})
        # A sampler may look for a mask.
        masks = self.segmentation is not None or self.negatives is not None
        return picks | {"tomograms"} | (frozenset({"segmentations"}) if masks else frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Centres of boxes, and where they come from; as columns."""

    positions: NDArray[np.float64]
    uris: NDArray[np.object_]
    indices: NDArray[np.int64]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.positions)

    def take(self, which: Any) -> Points:
        """Return some of them."""
        return Points(
            positions=self.positions[which],
            uris=self.uris[which],
            indices=self.indices[which],
            labels=self.labels[which],
        )

    @classmethod
    def of(cls, positions: NDArray[np.float64], uri: str, label: int, *, random: bool = False) -> Points:
        """Return the points of one file, or random places."""
        count = len(positions)
        return cls(
            positions=positions,
            uris=np.full(count, uri, object),
            indices=np.full(count, -1, np.int64) if random else np.arange(count),
            labels=np.full(count, label, np.int64),
        )

    @classmethod
    def joined(cls, parts: list[Points]) -> Points:
        """Return all points of several, in order."""
        columns = ("positions", "uris", "indices", "labels")
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in columns})


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The picks of one run, and the volumes that boxes around them are cut from."""

    run: AsyncRun
    tomogram: AsyncTomogram
    level: str | None
    shape: NDArray[np.int64]
    voxel_size: tuple[float, float, float]
    chunks: NDArray[np.int64]
    box_bytes: int
    segmentation: AsyncSegmentation | None
    segmentation_level: str | None
    points: Points


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Boxes of one run that are cut together."""

    site: Site
    points: Points


@dataclass(slots=True)
class Known:
    """State that all epochs share: the project, what was learnt of its runs, and what was left out."""

    root: AsyncRoot
    runs: list[AsyncRun] | None = None
    sites: dict[str, Site | None] = field(default_factory=dict)
    errors: dict[str, CopickError] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)

    def __reduce__(self) -> tuple[Any, ...]:
        # Entities are looked up again in the other process.
        return (Known, (self.root,))

    def fail(self, name: str, error: CopickError, settings: Settings) -> None:
        """Raise the error of a run, or note it.

        Raises
        ------
        CopickError
            The error, unless the caller wants to go on.
        """
        if settings.raises:
            raise error
        self.errors[name] = error


class Plan(AsyncIterator[list[Piece]]):
    """Groups of pieces, each of at least a batch of boxes, in the order of the epoch. A step that is cancelled can be
    repeated.
    """

    def __init__(self, known: Known, settings: Settings, epoch: int) -> None:
        self._known = known
        self._settings = settings
        self._epoch = epoch
        self._runs: deque[AsyncRun] | None = None
        self._step = 1
        self._pieces: deque[Piece] = deque()

    async def __anext__(self) -> list[Piece]:
        batch = self._settings.batch
        if self._runs is None:
            self._runs = await self._in_order()
        while self._runs and sum(len(piece.points) for piece in self._pieces) < batch:
            step = [self._runs[index] for index in range(min(self._step, len(self._runs)))]
            found = await self._look(step)
            for _ in step:
                self._runs.popleft()
            self._pieces.extend(found)
            self._step = min(2 * self._step, _RUNS_TOGETHER)
        if not self._pieces:
            raise StopAsyncIteration
        group: list[Piece] = []
        while self._pieces and sum(len(piece.points) for piece in group) < batch:
            group.append(self._pieces.popleft())
        return group

    # --- runs ---------------------------------------------------------------------------------------------------------

    async def _in_order(self) -> deque[AsyncRun]:
        """Return the runs of the shard, the same in every epoch, in the order of this one."""
        settings, known = self._settings, self._known
        if known.runs is None:
            known.runs = await self._listed()
        index, count = settings.shard
        runs = known.runs[index::count]
        if settings.shuffle:
            random = np.random.default_rng([settings.seed, self._epoch])
            runs = [runs[at] for at in random.permutation(len(runs))]
        return deque(runs)

    async def _listed(self) -> list[AsyncRun]:
        root, names = self._known.root, self._settings.scope.runs
        runs = await root.runs()
        if names is None:
            return runs
        wanted = [names] if isinstance(names, str) else list(names)
        for name in wanted:
            if not any(name == run.name or fnmatchcase(run.name, name) for run in runs):
                error = NotFoundError(f"There is no run {name!r} in {root.url}; check its name.", path=root.url)
                self._known.fail(name, error, self._settings)
        return [run for run in runs if self._settings.scope.holds_run(run.name)]

    async def _look(self, runs: list[AsyncRun]) -> list[Piece]:
        """Return the pieces of some runs; those that no epoch has seen are listed, and their picks read."""
        known = self._known
        new = [run for run in runs if run.name not in known.sites]
        await prefetch(new, self._settings.kinds)
        limit = known.root._fan_out
        found = await gather_results(self._site, new, limit=limit)
        for run, site in zip(new, found, strict=True):
            if isinstance(site, CopickError):
                known.fail(run.name, site, self._settings)
            else:
                known.sites[run.name] = site
        sites = [site for run in runs if (site := known.sites.get(run.name)) is not None]
        pieces: list[Piece] = []
        results = await gather_results(self._cut_up, sites, limit=limit)
        for site, result in zip(sites, results, strict=True):
            if isinstance(result, CopickError):
                known.fail(site.run.name, result, self._settings)
            else:
                pieces += result
        if self._settings.negatives is None:
            for run in runs:
                # Its lists would be kept until the end.
                run.refresh()
        return pieces

    # --- one run ------------------------------------------------------------------------------------------------------

    async def _site(self, run: AsyncRun) -> Site | None:
        settings = self._settings
        points = await self._points(run)
        if not len(points) and settings.negatives is None:
            return None
        volumes = await tomograms_of(run, settings.tomogram)
        if not volumes and not len(points):
            # Without picks, random places are drawn in whatever tomograms there are.
            return None
        tomogram, level = await at_voxel_size(run, f"tomogram {settings.tomogram!r}", volumes, settings.voxel_size)
        array, record = await tomogram._level(level)
        if not is_size(record.voxel_size, settings.voxel_size):
            raise not_there(run, f"level of {tomogram.uri} at {settings.voxel_size:g} angstrom", [tomogram.uri])
        axes = list(array.spatial_axes)
        item_bytes = max(array.metadata.dtype.itemsize, settings.dtype.itemsize)
        segmentation, segmentation_level = None, None
        if settings.segmentation is not None:
            masks = await segmentations_of(run, settings.segmentation)
            segmentation, segmentation_level = await at_voxel_size(run, "segmentation", masks, settings.voxel_size)
            mask, _ = await segmentation._level(segmentation_level)
            item_bytes += mask.metadata.dtype.itemsize * prod(mask.metadata.shape[:-3])
        site = Site(
            run=run,
            tomogram=tomogram,
            level=level,
            shape=np.asarray(array.metadata.shape)[axes],
            voxel_size=record.voxel_size,
            chunks=np.asarray(array.metadata.inner_chunks)[axes],
            box_bytes=item_bytes * prod(settings.edges),
            segmentation=segmentation,
            segmentation_level=segmentation_level,
            points=points,
        )
        kept = self._kept(site, points)
        left_out = len(points) - len(kept)
        if left_out:
            self._known.skipped[run.name] = left_out
            if not len(kept) and not settings.skips_outside:
                warn(
                    f"{run.path}: all {left_out} picks are outside of {tomogram.path}; positions are x, y, z in "
                    "angstrom. They are left out.",
                    PointsOutsideWarning,
                )
        return replace(site, points=kept)

    async def _points(self, run: AsyncRun) -> Points:
        settings = self._settings
        parts = [Points.of(np.empty((0, 3)), "", 0)]
        if settings.picks is not None:
            found = [item for item in await run.picks() if settings.picks.holds(item.ref)]
            # They were listed a moment ago.
            await read(found, listed=True)
            for picks in found:
                label = self._label(picks.pickable_object_name)
                parts.append(Points.of(await picks.full_positions(), picks.uri, label))
        return Points.joined(parts)

    def _label(self, name: str) -> int:
        if self._settings.numbers is not None:
            label = self._settings.numbers.get(name)
        else:
            known = self._known.root._object_meta(name)
            label = None if known is None else known.label
        return -1 if label is None else label

    def _kept(self, site: Site, points: Points) -> Points:
        """Return the points whose box has a voxel in the tomogram, or is wholly inside."""
        edges = np.asarray(self._settings.edges)
        corners = box_corners(points.positions, self._settings.edges, site.voxel_size)
        if self._settings.skips_outside:
            inside = (corners >= 0) & (corners + edges <= site.shape)
        else:
            inside = (corners < site.shape) & (corners + edges > 0)
        return points.take(inside.all(axis=1))

    async def _cut_up(self, site: Site) -> list[Piece]:
        """Return the boxes of a run in this epoch, in pieces that fit in memory."""
        settings = self._settings
        points = site.points
        random = np.random.default_rng([settings.seed, self._epoch, *site.run.name.encode()])
        if settings.negatives is not None:
            drawn = settings.negatives(self._place(site), random)
            positions = np.asarray(await drawn if inspect.isawaitable(drawn) else drawn, np.float64)
            added = Points.of(positions if positions.size else np.empty((0, 3)), "", 0, random=True)
            points = Points.joined([points, self._kept(site, added)])
        most = max(1, PIECE_BYTES // site.box_bytes)
        if len(points) > most:
            # Neighbours together, so that few chunks are needed by two pieces.
            corners = box_corners(points.positions, settings.edges, site.voxel_size)
            points = points.take(np.lexsort((corners // site.chunks).T[::-1]))
        pieces = [points.take(slice(start, start + most)) for start in range(0, len(points), most)]
        if settings.shuffle:
            pieces = [part.take(random.permutation(len(part))) for part in pieces]
        return [Piece(site=site, points=part) for part in pieces]

    def _place(self, site: Site) -> Place:
        edges, size = np.asarray(self._settings.edges), np.asarray(site.voxel_size)
        middle, spare = site.shape // 2, site.shape - edges
        low = np.where(spare >= 0, edges // 2, middle) * size
        high = np.where(spare >= 0, edges // 2 + spare, middle) * size
        return Place(
            run=site.run, tomogram=site.tomogram, positions=site.points.positions, low=low[::-1], high=high[::-1]
        )
