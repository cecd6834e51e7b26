"""Which experiments a run takes: from a minute on a laptop to the figures in the documentation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

COPICKS = ("copick-1.31.0", "copick-2.0.0a6")
THREADS = ("copick-1.31.0-threads", "copick-2.0.0a6-threads")
OURS = ("aiocopick", "aiocopick-facade")
ENGINES = (*OURS, "aiocopick-obstore")
LISTERS = ("s3fs", "s3fs-flat", "s3fs-runs", "obstore", "scandir")
ZARRS = ("zarr", "zarr-64", "zarr-obstore")


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One question: a work at some sizes, asked of some subjects.

    Parameters
    ----------
    name : str
        Unique in its profile; what plots and pages refer to.
    work : str
        See :data:`benchmarks.works.WORKS`.
    subjects : tuple of str
        In the order of the tables; those that cannot do it are left out.
    sizes_of : mapping of str to sequence
        Values by parameter; every combination is taken.
    targets : tuple of str
        Kinds of target.
    latencies : tuple of int
        Milliseconds.
    repeats : int
        Rounds.
    at_most : mapping of str to int
        Number of runs above which a subject is not asked, for those that would take hours.
    """

    name: str
    work: str
    subjects: tuple[str, ...]
    sizes_of: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    targets: tuple[str, ...] = ("minio", "url")
    latencies: tuple[int, ...] = (0,)
    repeats: int = 5
    at_most: Mapping[str, int] = field(default_factory=dict)

    def sizes(self) -> Iterator[dict[str, Any]]:
        """Every combination of parameters."""
        for values in itertools.product(*self.sizes_of.values()):
            yield dict(zip(self.sizes_of, values, strict=True))

    def latencies_among(self, possible: tuple[int, ...]) -> tuple[int, ...]:
        """Those that are asked for, of a target's; all of a target that only has its own."""
        return possible if possible == (0,) else tuple(latency for latency in possible if latency in self.latencies)

    def subjects_at(self, parameters: Mapping[str, Any]) -> list[str]:
        """Who is asked at this size."""
        runs = parameters.get("runs", 0)
        return [subject for subject in self.subjects if runs <= self.at_most.get(subject, runs)]


_LISTED = ENGINES + COPICKS + THREADS + LISTERS
_FAR = (0, 20)
# Above these numbers of runs a subject takes minutes or hours for one sample.
_PATIENCE = {"copick-1.31.0": 200, "copick-2.0.0a6": 1000, **dict.fromkeys(THREADS, 1000)}

FULL = (
    Experiment(
        name="import",
        work="import_library",
        subjects=("aiocopick", *COPICKS, "s3fs", "obstore", "zarr-import"),
        targets=("disk",),
        repeats=9,
    ),
    Experiment(
        name="first-use",
        work="first_use",
        subjects=OURS + COPICKS,
        targets=("disk",),
        repeats=9,
    ),
    Experiment(
        name="blocking-call",
        work="blocking_call",
        subjects=("aiocopick-facade", "fsspec-sync"),
        sizes_of={"calls": (5000,)},
        targets=("disk",),
    ),
    Experiment(
        name="open",
        work="open_root",
        subjects=OURS + COPICKS,
        sizes_of={"runs": (60,)},
        targets=("disk", "minio", "url"),
        latencies=_FAR,
    ),
    Experiment(
        name="runs",
        work="list_runs",
        subjects=_LISTED,
        sizes_of={"runs": (60, 1000)},
        latencies=_FAR,
        targets=("disk", "minio", "url"),
    ),
    Experiment(
        name="one-run",
        work="one_run",
        subjects=OURS + COPICKS,
        sizes_of={"runs": (200,), "run": ("TS_00100",)},
        targets=("disk", "minio", "url"),
        latencies=_FAR,
    ),
    Experiment(
        name="crawl",
        work="crawl",
        subjects=_LISTED,
        sizes_of={"runs": (60, 200, 1000)},
        targets=("minio", "url"),
        latencies=_FAR,
        at_most=_PATIENCE,
    ),
    Experiment(
        name="crawl-disk",
        work="crawl",
        subjects=_LISTED,
        sizes_of={"runs": (200, 270, 2000)},
        targets=("disk",),
    ),
    Experiment(
        name="crawl-latency",
        work="crawl",
        subjects=(*OURS, "copick-2.0.0a6", "copick-2.0.0a6-threads", "s3fs-flat", "obstore"),
        sizes_of={"runs": (60,)},
        latencies=(0, 5, 20, 50),
        repeats=3,
    ),
    Experiment(
        name="crawl-concurrency",
        work="crawl",
        subjects=("aiocopick", "copick-2.0.0a6-threads"),
        sizes_of={"runs": (200,), "concurrency": (1, 4, 16, 64, 128)},
        latencies=(20,),
        repeats=3,
    ),
    Experiment(
        name="crawl-large",
        work="crawl",
        subjects=("aiocopick", "s3fs-flat", "s3fs-runs", "obstore"),
        sizes_of={"runs": (10_000,)},
        latencies=_FAR,
        repeats=3,
    ),
    Experiment(
        name="crawl-many-chunks",
        work="crawl",
        subjects=(*OURS, "copick-2.0.0a6", "copick-2.0.0a6-threads", "s3fs-flat", "s3fs-runs", "obstore"),
        sizes_of={"runs": (60,), "chunks": (1500,)},
        latencies=_FAR,
        repeats=3,
    ),
    Experiment(
        name="crawl-collapsed",
        work="crawl",
        subjects=("aiocopick", "s3fs-flat", "s3fs-runs", "copick-2.0.0a6-threads"),
        sizes_of={"runs": (60, 1000, 10_000)},
        targets=("moto",),
        repeats=1,
        # moto looks at every key of the bucket to answer one listing.
        at_most={"copick-2.0.0a6-threads": 60, "s3fs-runs": 1000},
    ),
    Experiment(
        name="crawl-picks",
        work="crawl_picks",
        subjects=_LISTED,
        sizes_of={"runs": (60, 200, 1000)},
        targets=("minio", "url"),
        latencies=_FAR,
        at_most={**_PATIENCE, "copick-2.0.0a6": 200},
    ),
    Experiment(
        name="crawl-picks-disk",
        work="crawl_picks",
        subjects=_LISTED,
        sizes_of={"runs": (270,)},
        targets=("disk",),
    ),
    Experiment(
        name="many-picks",
        work="load_picks",
        subjects=_LISTED,
        sizes_of={"runs": (200,)},
        targets=("disk", "minio", "url"),
        latencies=_FAR,
    ),
    Experiment(
        name="overlay",
        work="overlay",
        subjects=OURS + COPICKS + THREADS,
        sizes_of={"runs": (200,)},
        latencies=_FAR,
        repeats=3,
    ),
    Experiment(
        name="picks-load",
        work="picks_load",
        subjects=(*OURS, *COPICKS, "json"),
        sizes_of={"points": (100, 1000, 10_000, 100_000, 1_000_000)},
        targets=("disk",),
    ),
    Experiment(
        name="picks-store",
        work="picks_store",
        subjects=(*OURS, *COPICKS, "json"),
        sizes_of={"points": (100, 1000, 10_000, 100_000, 1_000_000)},
        targets=("disk",),
    ),
    Experiment(
        name="picks-load-far",
        work="picks_load",
        subjects=ENGINES + COPICKS,
        sizes_of={"points": (100, 10_000)},
        latencies=(20,),
    ),
    Experiment(
        name="picks-store-far",
        work="picks_store",
        subjects=ENGINES + COPICKS,
        sizes_of={"points": (100, 10_000)},
        latencies=(20,),
    ),
    Experiment(
        name="mesh-load",
        work="mesh_load",
        subjects=(*OURS, *COPICKS, "trimesh"),
        sizes_of={"subdivisions": (3, 7)},
        targets=("disk", "minio", "url"),
        latencies=(0, 20),
    ),
    Experiment(
        name="mesh-store",
        work="mesh_store",
        subjects=(*OURS, *COPICKS, "trimesh"),
        sizes_of={"subdivisions": (3, 7)},
        targets=("disk", "minio", "url"),
        latencies=(0, 20),
    ),
    Experiment(
        name="volume-read",
        work="volume_read",
        subjects=(*ENGINES, *COPICKS, *ZARRS),
        sizes_of={"layout": ("64", "256", "sharded"), "region": ("full", "slab", "region", "boxes")},
        targets=("disk", "minio", "url"),
        latencies=(0, 20),
    ),
    Experiment(
        name="volume-read-again",
        work="volume_read",
        subjects=(*ENGINES, *COPICKS, *ZARRS),
        sizes_of={"layout": ("64", "256"), "region": ("full", "slab"), "again": (True,)},
        targets=("disk", "minio", "url"),
        latencies=(0, 20),
    ),
    Experiment(
        name="volume-write",
        work="volume_write",
        subjects=(*ENGINES, *COPICKS, *ZARRS),
        sizes_of={"layout": ("64", "256", "sharded"), "levels": (1, 3)},
        targets=("disk", "minio", "url"),
        latencies=(0, 20),
        repeats=3,
    ),
    Experiment(
        name="create",
        work="create",
        subjects=ENGINES + COPICKS + THREADS,
        sizes_of={"runs": (20,)},
        targets=("disk", "minio", "url"),
        latencies=_FAR,
        repeats=3,
    ),
    Experiment(
        name="delete",
        work="delete",
        subjects=ENGINES + COPICKS + THREADS,
        sizes_of={"runs": (20,), "chunks": (200,)},
        targets=("disk", "minio", "url"),
        latencies=_FAR,
        repeats=3,
    ),
)
"""The figures of the documentation: some hours on a machine that does nothing else."""


_QUICK_SIZES: dict[str, Sequence[Any]] = {
    "calls": (1000,),
    "runs": (30,),
    "run": ("TS_00010",),
    "chunks": (50,),
    "concurrency": (4, 64),
    "points": (100, 10_000),
    "subdivisions": (3,),
}


def _quick_sizes(sizes_of: Mapping[str, Sequence[Any]]) -> dict[str, Sequence[Any]]:
    sizes = {name: _QUICK_SIZES.get(name, values) for name, values in sizes_of.items()}
    return sizes | {"shrink": (4,)} if "layout" in sizes else sizes


QUICK = tuple(
    replace(
        experiment,
        sizes_of=_quick_sizes(experiment.sizes_of),
        latencies=tuple(latency for latency in experiment.latencies if latency in _FAR),
        repeats=min(3, experiment.repeats),
    )
    for experiment in FULL
    if experiment.name not in ("crawl-large", "crawl-collapsed")
)
"""Every question at sizes that take seconds."""


def _tiny(work: str, target: str, *others: str, **size: Any) -> Experiment:
    return Experiment(
        name=f"{work.replace('_', '-')}-{target}",
        work=work,
        subjects=(*OURS, *others),
        sizes_of={name: (value,) for name, value in size.items()},
        targets=(target,),
        repeats=1,
    )


TINY = (
    _tiny("import_library", "disk"),
    _tiny("first_use", "disk"),
    _tiny("blocking_call", "disk", "fsspec-sync", calls=100),
    _tiny("open_root", "disk", runs=1),
    _tiny("list_runs", "disk", runs=3),
    _tiny("one_run", "moto", runs=3, run="TS_00001"),
    _tiny("crawl", "disk", "scandir", runs=3),
    _tiny("crawl", "moto", "s3fs-flat", "copick-1.31.0", "copick-2.0.0a6", runs=3),
    _tiny("crawl_picks", "moto", "obstore", runs=3),
    _tiny("load_picks", "moto", "aiocopick-obstore", runs=3),
    _tiny("overlay", "moto", runs=3),
    _tiny("picks_load", "disk", "json", "copick-1.31.0", points=10),
    _tiny("picks_store", "disk", points=10),
    _tiny("mesh_load", "disk", "trimesh", subdivisions=1),
    _tiny("mesh_store", "disk", subdivisions=1),
    _tiny("volume_read", "moto", "aiocopick-obstore", "zarr", layout="64", region="boxes", boxes=3, shrink=8),
    _tiny("volume_write", "disk", "zarr-64", layout="64", levels=2, shrink=8),
    _tiny("create", "disk", runs=2),
    _tiny("delete", "moto", runs=2, chunks=3),
)
"""Every work once, as small as it gets: for continuous integration, where only failing counts."""

_OF_FULL = {experiment.name: experiment for experiment in FULL}
_BY_NAME = ("copick-2.0.0a6", "copick-2.0.0a6-threads")
_LISTED_FAR = (*OURS, *_BY_NAME, "s3fs-flat", "s3fs-runs", "obstore")


def _needed(name: str, subjects: tuple[str, ...], **changes: Any) -> Experiment:
    return replace(_OF_FULL[name], subjects=subjects, **{"repeats": 3, **changes})


def _volume(name: str, **sizes_of: Sequence[Any]) -> Experiment:
    return _needed(
        name,
        ("aiocopick", "copick-2.0.0a6", "zarr", "zarr-64"),
        sizes_of={"layout": ("64", "256"), **sizes_of},
        targets=("disk", "minio"),
        latencies=(20,),
        repeats=2,
    )


PROMISES = (
    _needed("import", ("aiocopick", "zarr-import")),
    _needed("blocking-call", ("aiocopick-facade",)),
    _needed("one-run", (*OURS, "copick-2.0.0a6"), targets=("minio",)),
    _needed("many-picks", (*ENGINES, *_BY_NAME, "s3fs-flat", "s3fs-runs", "obstore"), targets=("minio",)),
    _needed("crawl", _LISTED_FAR, at_most=dict.fromkeys(_BY_NAME, 200)),
    _needed("crawl-disk", ("aiocopick", "scandir")),
    _needed("crawl-picks", _LISTED_FAR, sizes_of={"runs": (200, 1000)}, at_most=dict.fromkeys(_BY_NAME, 200)),
    _needed("crawl-collapsed", ("aiocopick",)),
    _needed("overlay", (*OURS, *_BY_NAME), latencies=(20,)),
    _needed("picks-load", (*OURS, *COPICKS, "json"), sizes_of={"points": (100_000,)}),
    _needed("picks-store", (*OURS, *COPICKS, "json"), sizes_of={"points": (100_000,)}),
    _volume("volume-read", region=("full", "slab")),
    _volume("volume-read-again", region=("full",), again=(True,)),
    _volume("volume-write", levels=(1, 3)),
    _needed("crawl-large", ("aiocopick",)),
)
"""What :mod:`benchmarks.promises` judges by, and little else."""

PROFILES = {"tiny": TINY, "quick": QUICK, "promises": PROMISES, "full": FULL}
