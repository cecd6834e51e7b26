"""What the library promises in numbers, each judged by the samples of one run.

A promise that is missed is printed as such and fails nothing: times say something about one machine in one minute.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks import layouts, summary
from benchmarks.results import Cell, Results, Sample
from benchmarks.subjects import before
from benchmarks.summary import Figure

OURS, FACADE, COPICK_1, COPICK_2 = "aiocopick", "aiocopick-facade", "copick-1.31.0", "copick-2.0.0a6"
BY_HAND = ("s3fs-flat", "s3fs-runs")
ZARRS = ("zarr", "zarr-64")
BEFORE = {before(name): name for name in (OURS, FACADE)}
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


def of_before(results: Results) -> Results | None:
    """The same run with the figures of the other checkout in the place of ours; None when it has none."""
    cells = [replace(cell, subject=BEFORE[cell.subject]) for cell in results.cells if cell.subject in BEFORE]
    others = [cell for cell in results.cells if cell.subject not in (*BEFORE, *BEFORE.values())]
    return replace(results, cells=(*cells, *others)) if cells else None


def ratio(
    place: Place, over: Sequence[str], under: Sequence[str], figure: Figure = summary.wall
) -> Callable[[Sequence[Cell]], float | None]:
    """How many times the figure of the best of some subjects is that of the best of others, round by round.

    Rounds are those of one experiment: of the first that asked all of it.
    """

    def value(cells: Sequence[Cell]) -> float | None:
        for name in dict.fromkeys(cell.experiment for cell in cells if cell.work == place.work):
            of_one = [cell for cell in cells if cell.experiment == name]
            first, second = _best(of_one, place, over, figure), _best(of_one, place, under, figure)
            found = None if first is None or second is None else summary.ratio(first, second, figure)
            if found is not None:
                return found.median
        return None

    return value


def figure_of(place: Place, subject: str, figure: Figure) -> Callable[[Sequence[Cell]], float | None]:
    """A subject's own figure."""

    def value(cells: Sequence[Cell]) -> float | None:
        cell = _best(cells, place, (subject,), figure)
        found = None if cell is None else summary.of(cell, figure)
        return None if found is None else found.median

    return value


def multiple(
    first: Callable[[Sequence[Cell]], float | None], second: Callable[[Sequence[Cell]], float | None]
) -> Callable[[Sequence[Cell]], float | None]:
    """One figure as a multiple of another that was not taken in the same rounds."""

    def value(cells: Sequence[Cell]) -> float | None:
        one, other = first(cells), second(cells)
        return None if one is None or not other else one / other

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


def _waited(sample: Sample) -> float:
    return sample.wall - sample.cpu


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
    for target, latency in (("minio", 20), ("disk", 0)):
        where = "on disk" if target == "disk" else f"from {latency} ms away"
        for region in ("full", "slab", "boxes"):
            place = Place(
                work="volume_read", target=target, latency=latency, parameters={"layout": "64", "region": region}
            )
            for figure, what, most in ((summary.wall, "wall time", 1.15), (summary.cpu, "CPU", 2)):
                yield Promise(
                    about=f"Volume in chunks of 64, {region} {where}: {what} as a multiple of TensorStore's",
                    value=ratio(place, [OURS], ["tensorstore"], figure),
                    at_most=most,
                )
    place = Place(work="volume_write", target="disk", parameters={"layout": "64", "levels": 1})
    yield Promise(
        about="Volume in chunks of 64, written on disk, nobody syncing: as a multiple of zarr",
        value=ratio(place, ["aiocopick-unsynced"], ["zarr"]),
        at_most=1,
    )
    yield Promise(
        about="Volume in chunks of 64, written on disk to outlast a power cut: as a multiple of zarr, synced afterwards",
        value=ratio(place, [OURS], ["zarr-synced"]),
        at_most=1,
    )
    yield from _boxes()
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


def _boxes() -> Iterator[Promise]:
    training = Place(
        work="train_boxes", target="minio", latency=20, parameters={"layout": "64", "runs": 4, "boxes": 50}
    )
    yield Promise(
        about="200 boxes from 4 tomograms, 20 ms: times faster than a crop at a time through copick 2.0",
        value=ratio(training, [COPICK_2], [OURS]),
        at_least=20,
    )
    kept = {"layout": "64", "runs": 10, "boxes": 10}
    far = Place(work="train_boxes", target="minio", latency=20, parameters=kept)
    near = Place(work="train_boxes", target="disk", parameters=kept)
    yield Promise(
        about="100 boxes from 10 tomograms, 20 ms: the next epoch from the cache on disk, times faster than the first",
        value=ratio(far, ["aiocopick-first-epoch"], ["aiocopick-next-epoch"]),
        at_least=10,
    )
    yield Promise(
        about="100 boxes from 10 tomograms: the next epoch from the cache as a multiple of the next on local disk",
        value=multiple(
            figure_of(far, "aiocopick-next-epoch", summary.wall), figure_of(near, "aiocopick-next-epoch", summary.wall)
        ),
        at_most=1.5,
    )
    yield Promise(
        about="100 boxes from 10 tomograms, 20 ms: the first epoch, which fills the cache, as a multiple of none",
        value=ratio(far, ["aiocopick-first-epoch"], [OURS]),
        at_most=1.1,
    )


def _facade() -> Iterator[Promise]:
    # copick looks up one run by 14 requests, one after the other: 0.28 s of latency, and 0.2 s for all else. Ours are two
    # rounds, as the first page of MinIO ends among chunks: 40 ms, 20 ms of MinIO's own for a page of a thousand keys, and
    # 80 ms for the client. 25 times, a bound for hundreds of runs, would be less than one answer.
    questions = (
        ("List 200 runs", "crawl", 25),
        ("Read 600 picks", "load_picks", 25),
        ("One run by name", "one_run", 3.5),
    )
    for name, work, least in questions:
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
            at_least=least,
        )
    collapsed = Place(work="one_run", target="late", latency=20, parameters={"runs": 200})
    yield Promise(
        about="One run by name, late store, 20 ms: seconds that copick 2.0 waits for answers, as a multiple of the facade's",
        value=ratio(collapsed, [COPICK_2], [FACADE], _waited),
        # One request against 14 that wait for each other.
        at_least=12,
    )
    loop = Place(work="loop_picks", target="minio", latency=20, parameters={"runs": 100})
    yield Promise(
        about="The loop of copick code over 300 picks, 20 ms: as a multiple of the same loop behind `prefetch`",
        value=ratio(loop, [FACADE], ["aiocopick-prefetch"]),
        at_most=1.5,
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
    floors: tuple[tuple[Mapping[str, Any], int, Figure, float], ...] = (
        ({"runs": 1000, "connected": True}, 50, summary.wall, 3),
        ({"runs": 10_000}, 50, summary.wall, 2.5),
        ({"runs": 10_000}, 50, summary.cpu, 5),
        ({"runs": 100_000}, 20, summary.wall, 4),
        ({"runs": 100_000}, 20, summary.cpu, 4),
    )
    for parameters, latency, figure, most in floors:
        connected = ", connected before" if "connected" in parameters else ""
        yield Promise(
            about=f"List {parameters['runs']:,} runs, late store, {latency} ms{connected}: "
            f"{'CPU' if figure is summary.cpu else 'wall time'} as a multiple of unsigned requests by hand that build nothing",
            value=ratio(
                Place(work="crawl", target="late", latency=latency, parameters=parameters), [OURS], ["floor"], figure
            ),
            at_most=most,
        )
    hundred_thousand = Place(work="crawl", target="late", latency=20, parameters={"runs": 100_000})
    yield Promise(
        about="Peak memory of crawling 100,000 runs, the process included",
        value=figure_of(hundred_thousand, OURS, _peak),
        at_most=200,
        unit="MiB",
    )
    catalogue = Place(work="open_catalog", target="disk", parameters={"runs": 100_000})
    rows = "One run of 100,000 by a catalogue of 1.1 million rows"
    yield Promise(about=rows, value=figure_of(catalogue, OURS, summary.wall), at_most=0.6, unit="s")
    yield Promise(
        about=f"{rows}: peak memory, the process included",
        value=figure_of(catalogue, OURS, _peak),
        at_most=300,
        unit="MiB",
    )
    yield Promise(
        about="One run by name, a store that collapses volumes",
        value=figure_of(Place(work="one_run", target="late", latency=20, parameters={"runs": 200}), OURS, _requests),
        at_most=1,
        unit="requests",
    )
    yield Promise(
        about="`aiocopick ls` of 60 runs, MinIO, 0 ms, the whole process",
        value=figure_of(Place(work="command_ls", target="minio", parameters={"runs": 60}), OURS, summary.wall),
        at_most=0.7,
        unit="s",
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
