"""What the library promises in numbers, each judged by the samples of one run.

A promise that is missed is printed as such and fails nothing: times say something about one machine in one minute.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import layouts, summary
from benchmarks.results import Cell, Results, Sample
from benchmarks.summary import Figure

OURS, FACADE, COPICK_1, COPICK_2 = "aiocopick", "aiocopick-facade", "copick-1.31.0", "copick-2.0.0a6"
BY_HAND = ("s3fs-flat", "s3fs-runs")
ZARRS = ("zarr", "zarr-64")
RUNS_OF_A_RANGE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which cells a promise is about."""

    work: str
    target: str
    latency: int = 0
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """One figure and its bound.

    Parameters
    ----------
    about : str
        What it is.
    value : callable
        The figure in a run's cells, None when the run has no samples for it.
    at_least, at_most : float or None
        Its bound.
    unit : str
        Of figure and bound; empty for a ratio.
    """

    about: str
    value: Callable[[Sequence[Cell]], float | None]
    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""

    @property
    def bound(self) -> str:
        """The bound in words."""
        word, limit = ("at least", self.at_least) if self.at_least is not None else ("at most", self.at_most)
        return f"{word} {limit:g} {self.unit}".rstrip()

    def is_kept(self, value: float) -> bool:
        """Whether a figure is within the bound."""
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)


def judged(results: Results) -> Iterator[tuple[Promise, float]]:
    """The promises that a run has samples for, with their figures."""
    for promise in PROMISES:
        value = promise.value(results.cells)
        if value is not None:
            yield promise, value


def ratio(
    place: Place, over: Sequence[str], under: Sequence[str], figure: Figure = summary.wall
) -> Callable[[Sequence[Cell]], float | None]:
    """How many times the figure of the best of some subjects is that of the best of others, round by round."""

    def value(cells: Sequence[Cell]) -> float | None:
        first, second = _best(cells, place, over, figure), _best(cells, place, under, figure)
        found = None if first is None or second is None else summary.ratio(first, second, figure)
        return None if found is None else found.median

    return value


def figure_of(place: Place, subject: str, figure: Figure) -> Callable[[Sequence[Cell]], float | None]:
    """A subject's own figure."""

    def value(cells: Sequence[Cell]) -> float | None:
        cell = _best(cells, place, (subject,), figure)
        found = None if cell is None else summary.of(cell, figure)
        return None if found is None else found.median

    return value


def growth(few: Place, many: Place, figure: Figure) -> Callable[[Sequence[Cell]], float | None]:
    """By how much our figure grows from one size to another."""

    def value(cells: Sequence[Cell]) -> float | None:
        low, high = figure_of(few, OURS, figure)(cells), figure_of(many, OURS, figure)(cells)
        return None if low is None or high is None else high - low

    return value


def _best(cells: Sequence[Cell], place: Place, subjects: Sequence[str], figure: Figure) -> Cell | None:
    found = [
        (spread.median, cell)
        for cell in cells
        if (cell.work, cell.target, cell.latency) == (place.work, place.target, place.latency)
        and cell.subject in subjects
        and place.parameters == {name: value for name, value in cell.parameters.items() if name != "run"}
        and (spread := summary.of(cell, figure)) is not None
    ]
    return min(found, key=lambda pair: pair[0])[1] if found else None


def _peak(sample: Sample) -> float:
    return sample.memory_peak / 2**20


def _stored(sample: Sample) -> float:
    return float(sample.notes.get("stored_bytes", 0))


def _each(sample: Sample) -> float:
    return float(sample.notes["seconds_each"]) * 1e6


def _requests(sample: Sample) -> float:
    return float(sample.request_count or 0)


def _peak_of_volume(sample: Sample) -> float:
    return sample.memory_peak / (4 * math.prod(layouts.LAYOUTS["256"].shape))


def _foundation() -> Iterator[Promise]:
    many_points: Mapping[str, Any] = {"points": 100_000}
    load = Place(work="picks_load", target="disk", parameters=many_points)
    store = Place(work="picks_store", target="disk", parameters=many_points)
    yield Promise(
        about="100,000 points loaded: times faster than copick 1.31", value=ratio(load, [COPICK_1], [OURS]), at_least=8
    )
    yield Promise(
        about="100,000 points stored: times faster than copick 1.31",
        value=ratio(store, [COPICK_1], [OURS]),
        at_least=20,
    )
    yield Promise(
        about="100,000 points stored: times smaller than copick's",
        value=ratio(store, [COPICK_1], [OURS], _stored),
        at_least=2.7,
    )
    for figure, name in ((summary.cpu, "CPU"), (summary.wall, "wall time")):
        place = Place(work="load_picks", target="minio", parameters={"runs": 200})
        about = f"600 small picks read: {name} as a multiple of s3fs by hand"
        yield Promise(about=about, value=ratio(place, [OURS], BY_HAND, figure), at_most=1.2)
    disk = [Place(work="crawl", target="disk", parameters={"runs": runs}) for runs in (200, 2000)]
    yield Promise(
        about="Peak memory of crawling 2,000 runs on disk, above that of 200",
        value=growth(*disk, _peak),
        at_most=15,
        unit="MiB",
    )
    imported = Place(work="import_library", target="disk", parameters={})
    yield Promise(about="Import, as a multiple of zarr's", value=ratio(imported, [OURS], ["zarr-import"]), at_most=1.5)


def _volumes() -> Iterator[Promise]:
    questions: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
        ("read", "volume_read", {"region": "full"}),
        ("read again", "volume_read", {"region": "full", "again": True}),
        ("slab", "volume_read", {"region": "slab"}),
        ("written", "volume_write", {"levels": 1}),
    )
    for target, latency, least in (("disk", 0, 0.95), ("minio", 20, 1.15)):
        where = "on disk" if target == "disk" else f"from {latency} ms away"
        for layout in ("64", "256"):
            for name, work, parameters in questions:
                place = Place(work=work, target=target, latency=latency, parameters={"layout": layout, **parameters})
                for zarr in ZARRS:
                    yield Promise(
                        about=f"Volume in chunks of {layout}, {name} {where}: times faster than {zarr}",
                        value=ratio(place, [zarr], [OURS]),
                        at_least=least,
                    )
    write = Place(work="volume_write", target="disk", parameters={"layout": "256", "levels": 3})
    yield Promise(
        about="Peak memory of writing 1 GiB with three levels, the process and the array included",
        value=figure_of(write, OURS, _peak_of_volume),
        at_most=2.2,
        unit="GiB",
    )
    read = Place(work="volume_read", target="disk", parameters={"layout": "256", "region": "full"})
    yield Promise(
        about="Peak memory of reading 1 GiB, the process included",
        value=figure_of(read, OURS, _peak_of_volume),
        at_most=1.5,
        unit="GiB",
    )


def _facade() -> Iterator[Promise]:
    questions: tuple[tuple[str, str], ...] = (
        ("List 200 runs", "crawl"),
        ("Read 600 picks", "load_picks"),
        ("One run by name", "one_run"),
    )
    for name, work in questions:
        for latency in (0, 20):
            place = Place(work=work, target="minio", latency=latency, parameters={"runs": 200})
            yield Promise(
                about=f"{name}, {latency} ms: the facade as a multiple of the async API",
                value=ratio(place, [FACADE], [OURS]),
                at_most=1.3,
            )
        far = Place(work=work, target="minio", latency=20, parameters={"runs": 200})
        yield Promise(
            about=f"{name}, 20 ms: the facade, times faster than copick 2.0",
            value=ratio(far, [COPICK_2], [FACADE]),
            at_least=25,
        )
    calls = Place(work="blocking_call", target="disk", parameters={"calls": 5000})
    yield Promise(about="One blocking call", value=figure_of(calls, FACADE, _each), at_most=150, unit="µs")


def _scale() -> Iterator[Promise]:
    for work, name in (("crawl", "List 200 runs"), ("crawl_picks", "List 200 runs and read their picks")):
        for latency in (0, 20):
            place = Place(work=work, target="minio", latency=latency, parameters={"runs": 200})
            for figure, what in ((summary.wall, "wall time"), (summary.cpu, "CPU")):
                yield Promise(
                    about=f"{name}, {latency} ms: {what} as a multiple of the best by hand on s3fs",
                    value=ratio(place, [OURS], BY_HAND, figure),
                    at_most=1.2,
                )
    for runs, latency, wall, cpu in ((1000, 50, 3, 5), (10_000, 50, 2.5, 5), (100_000, 20, 4, 5)):
        late = Place(work="crawl", target="late", latency=latency, parameters={"runs": runs})
        for figure, what, most in ((summary.wall, "wall time", wall), (summary.cpu, "CPU", cpu)):
            yield Promise(
                about=f"List {runs:,} runs, late store, {latency} ms: {what} as a multiple of unsigned requests by hand "
                "that build nothing",
                value=ratio(late, [OURS], ["floor"], figure),
                at_most=most,
            )
    hundred_thousand = Place(work="crawl", target="late", latency=20, parameters={"runs": 100_000})
    yield Promise(
        about="Peak memory of crawling 100,000 runs, the process included",
        value=figure_of(hundred_thousand, OURS, _peak),
        at_most=200,
        unit="MiB",
    )
    few = Place(work="crawl", target="minio", latency=20, parameters={"runs": 60})
    yield Promise(
        about="List 60 runs with volumes of 300 chunks, MinIO, 20 ms: as a multiple of unsigned requests by hand",
        value=ratio(few, [OURS], ["floor"]),
        at_most=1.15,
    )
    for runs in (60, 200):
        yield Promise(
            about=f"List {runs:,} runs: requests as a multiple of a walk's",
            value=ratio(Place(work="crawl", target="minio", parameters={"runs": runs}), [OURS], ["obstore"], _requests),
            at_most=1,
        )
    for latency in (0, 20):
        filled = Place(work="crawl", target="minio", latency=latency, parameters={"runs": 60, "chunks": 1500})
        yield Promise(
            about=f"List 60 runs with volumes of 1,500 chunks, {latency} ms: as a multiple of walking",
            value=ratio(filled, [OURS], ["aiocopick-walk"]),
            at_most=1.2,
        )
    yield Promise(
        about="List 60 runs, 20 ms: times faster than copick 2.0 alone",
        value=ratio(few, [COPICK_2], [OURS]),
        at_least=13,
    )
    sizes = [Place(work="crawl", target="late", latency=50, parameters={"runs": runs}) for runs in (1000, 10_000)]
    yield Promise(
        about="Peak memory of crawling 10,000 runs, above that of 1,000",
        value=growth(*sizes, _peak),
        at_most=50,
        unit="MiB",
    )
    disk = Place(work="crawl", target="disk", parameters={"runs": 270})
    yield Promise(
        about="List 2,700 entities on disk, as a multiple of a bare pass of scandir",
        value=ratio(disk, [OURS], ["scandir"]),
        at_most=2,
    )
    for runs in (60, 1000, 10_000):
        collapsed = Place(work="crawl", target="late", latency=20, parameters={"runs": runs})
        # Ten entities and the two .meta files of each run, less its voxel spacing, which is no key.
        keys = runs * 11
        yield Promise(
            about=f"List {runs:,} runs on a store that collapses volumes",
            value=figure_of(collapsed, OURS, _requests),
            at_most=math.ceil(keys / 1000) + 3 + math.ceil(runs / RUNS_OF_A_RANGE),
            unit="requests",
        )


PROMISES = (*_foundation(), *_volumes(), *_facade(), *_scale())
