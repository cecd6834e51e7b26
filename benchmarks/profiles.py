"""Which experiments a run takes: from a minute on a laptop to the figures in the documentation."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

COPICKS = ("copick-1.31.0", "copick-2.0.0a6")
THREADS = ("copick-1.31.0-threads", "copick-2.0.0a6-threads")
OURS = ("aiocopick", "aiocopick-facade")
ENGINES = (*OURS, "aiocopick-s3fs")
_PEER = ("copick-2.0.0a6",)
_PEERS = (*_PEER, "copick-2.0.0a6-threads")
LISTERS = ("s3fs", "s3fs-flat", "s3fs-runs", "obstore", "scandir")
ZARRS = ("zarr", "zarr-64", "zarr-obstore", "tensorstore")


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
        Number of runs or points above which a subject is not asked, for those that would take hours.
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
        size = parameters.get("runs", parameters.get("points", 0))
        return [subject for subject in self.subjects if size <= self.at_most.get(subject, size)]


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
        sizes_of={"runs": (60, 200)},
        latencies=_FAR,
        targets=("disk", "minio", "url"),
    ),
    Experiment(
        name="one-run",
        work="one_run",
        subjects=OURS + COPICKS,
        sizes_of={"runs": (200,), "run": ("TS_00100",)},
        targets=("disk", "minio", "late", "url"),
        latencies=_FAR,
    ),
    Experiment(
        name="loop",
        work="loop_picks",
        subjects=("aiocopick-facade", "aiocopick-prefetch", *COPICKS),
        sizes_of={"runs": (100,)},
        targets=("disk", "minio", "url"),
        latencies=_FAR,
    ),
    Experiment(
        name="catalogue",
        work="open_catalog",
        subjects=("aiocopick",),
        sizes_of={"runs": (100_000,), "run": ("TS_50000",)},
        targets=("disk",),
    ),
    Experiment(
        name="command",
        work="command_ls",
        subjects=("aiocopick",),
        sizes_of={"runs": (60,)},
        targets=("disk", "minio"),
        latencies=_FAR,
    ),
    Experiment(
        name="crawl",
        work="crawl",
        subjects=(*_LISTED, "floor"),
        sizes_of={"runs": (60, 200)},
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
        name="crawl-late",
        work="crawl",
        subjects=(*OURS, "floor", "s3fs-flat", "s3fs-runs", "obstore"),
        sizes_of={"runs": (1000, 10_000)},
        targets=("late",),
        latencies=(50,),
        repeats=3,
    ),
    Experiment(
        name="crawl-connected",
        work="crawl",
        subjects=("aiocopick", "floor"),
        sizes_of={"runs": (1000,), "connected": (True,)},
        targets=("late",),
        latencies=(50,),
    ),
    Experiment(
        name="crawl-large",
        work="crawl",
        subjects=("aiocopick", "floor"),
        sizes_of={"runs": (100_000,)},
        targets=("late",),
        latencies=(20,),
        repeats=2,
    ),
    Experiment(
        name="crawl-many-chunks",
        work="crawl",
        subjects=(*OURS, "aiocopick-walk", *_PEERS, "s3fs-flat", "s3fs-runs", "obstore"),
        sizes_of={"runs": (60,), "chunks": (1500,)},
        latencies=_FAR,
        repeats=3,
    ),
    Experiment(
        name="crawl-collapsed",
        work="crawl",
        subjects=("aiocopick", "floor", "s3fs-flat", "s3fs-runs", "copick-2.0.0a6-threads"),
        sizes_of={"runs": (60, 1000, 10_000)},
        targets=("late",),
        latencies=(20,),
        repeats=1,
        at_most={"copick-2.0.0a6-threads": 60, "s3fs-runs": 1000},
    ),
    Experiment(
        name="crawl-picks",
        work="crawl_picks",
        subjects=_LISTED,
        sizes_of={"runs": (60, 200)},
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
        name="train-boxes",
        work="train_boxes",
        subjects=(*OURS, "aiocopick-extract", *COPICKS, *ZARRS),
        sizes_of={"layout": ("64",), "runs": (4,), "boxes": (50,)},
        targets=("disk", "minio", "url"),
        latencies=(20,),
        repeats=3,
    ),
    Experiment(
        name="train-cached",
        work="train_boxes",
        subjects=("aiocopick", "aiocopick-first-epoch", "aiocopick-second-epoch", "aiocopick-next-epoch"),
        sizes_of={"layout": ("64",), "runs": (10,), "boxes": (10,)},
        targets=("disk", "minio", "url"),
        latencies=(20,),
        repeats=5,
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
        subjects=(*ENGINES, "aiocopick-unsynced", *COPICKS, *ZARRS, "zarr-synced"),
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
"""Everything of everybody: many hours on a machine that does nothing else."""


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
    if experiment.name not in ("crawl-large", "crawl-late", "crawl-connected")
)
"""Every question at sizes that take seconds."""


def _tiny(work: str, target: str, *others: str, ours: tuple[str, ...] = OURS, **size: Any) -> Experiment:
    return Experiment(
        name=f"{work.replace('_', '-')}-{target}",
        work=work,
        subjects=(*ours, *others),
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
    _tiny("crawl", "moto", "aiocopick-walk", "s3fs-flat", "copick-1.31.0", "copick-2.0.0a6", runs=3),
    _tiny("crawl", "late", "floor", runs=3),
    _tiny("crawl_picks", "moto", "obstore", runs=3),
    _tiny("loop_picks", "moto", "aiocopick-prefetch", runs=3),
    _tiny("open_catalog", "disk", ours=("aiocopick",), runs=50, run="TS_00025"),
    _tiny("command_ls", "moto", ours=("aiocopick",), runs=3),
    _tiny("load_picks", "moto", "aiocopick-s3fs", runs=3),
    _tiny("overlay", "moto", runs=3),
    _tiny("picks_load", "disk", "json", "copick-1.31.0", points=10),
    _tiny("picks_store", "disk", points=10),
    _tiny("mesh_load", "disk", "trimesh", subdivisions=1),
    _tiny("mesh_store", "disk", subdivisions=1),
    _tiny(
        "volume_read", "moto", "aiocopick-s3fs", "zarr", "tensorstore", layout="64", region="boxes", boxes=3, shrink=8
    ),
    _tiny("train_boxes", "moto", "aiocopick-extract", "zarr-obstore", layout="64", runs=2, boxes=3, shrink=8),
    _tiny(
        "volume_write",
        "disk",
        "aiocopick-unsynced",
        "zarr-64",
        "zarr-synced",
        "tensorstore",
        layout="64",
        levels=2,
        shrink=8,
    ),
    _tiny("create", "disk", runs=2),
    _tiny("delete", "moto", runs=2, chunks=3),
)
"""Every work once, as small as it gets: for continuous integration, where only failing counts."""

_OF_FULL = {experiment.name: experiment for experiment in FULL}
_NEAR_AND_FAR = ("disk", "minio")
_POINTS = (100, 100_000, 1_000_000)
_LARGE_MESH = {"subdivisions": (7,)}
_UP_TO_100_000 = dict.fromkeys((*COPICKS, "json"), 100_000)


def _fewer(name: str, subjects: tuple[str, ...], repeats: int = 2, /, **changes: Any) -> Experiment:
    return replace(_OF_FULL[name], subjects=subjects, repeats=repeats, **changes)


def _volumes(
    name: str, of: str, subjects: tuple[str, ...], repeats: int, targets: tuple[str, ...] = _NEAR_AND_FAR,
    **sizes_of: Sequence[Any],
) -> Experiment:  # fmt: skip
    return _fewer(of, subjects, repeats, name=name, sizes_of=sizes_of, targets=targets, latencies=(20,))


_READERS = ("aiocopick", "aiocopick-s3fs", *_PEER, *ZARRS)
_GIGABYTE = ("aiocopick", *_PEER, "zarr", "zarr-64")

PUBLISHED = (
    _fewer("import", ("aiocopick", *_PEER, "zarr-import"), 3),
    _fewer("first-use", ("aiocopick", *_PEER), 3),
    _fewer("blocking-call", ("aiocopick-facade", "fsspec-sync"), 3),
    _fewer("command", ("aiocopick",), 5, targets=("minio",), latencies=(0,)),
    _fewer("catalogue", ("aiocopick",), 3),
    _fewer("one-run", (*OURS, *_PEER), 3, targets=("disk", "minio", "late")),
    _fewer("loop", ("aiocopick-facade", "aiocopick-prefetch", *_PEER), 3, targets=("minio",), latencies=(20,)),
    # Half a second of each: two rounds differ by a third.
    _fewer("many-picks", (*OURS, *_PEERS, "s3fs-flat", "s3fs-runs"), 5, targets=("minio",)),
    _fewer("crawl", (*OURS, *_PEERS, "s3fs-flat", "s3fs-runs", "obstore", "floor"), 2),
    _fewer("crawl-disk", (*OURS, *_PEER, "scandir"), 2, at_most={"copick-2.0.0a6": 200}),
    _volumes("volume-read", "volume-read", _READERS, 4, layout=("64",), region=("full", "slab", "boxes")),
    _volumes(
        "volume-write",
        "volume-write",
        ("aiocopick", "aiocopick-unsynced", "zarr", "zarr-64", "zarr-synced", "tensorstore"),
        5,
        layout=("64",),
        levels=(1,),
    ),
    # Whether the system has large pages to give changes from sample to sample, and with it a gigabyte's time by a half.
    _volumes("volume-read-large", "volume-read", _GIGABYTE, 3, layout=("256",), region=("full", "slab")),
    _volumes("volume-write-large", "volume-write", _GIGABYTE, 2, layout=("256",), levels=(1, 3)),
    _fewer("crawl-picks", (*OURS, *_PEERS, "s3fs-flat", "s3fs-runs"), sizes_of={"runs": (200,)}),
    _fewer("crawl-late", ("aiocopick", "floor", "s3fs-flat"), 3),
    _fewer("crawl-connected", ("aiocopick", "floor"), 5),
    _fewer("crawl-large", ("aiocopick", "floor"), 1),
    _fewer("crawl-many-chunks", ("aiocopick", "aiocopick-walk", "obstore"), 2),
    _fewer("crawl-collapsed", ("aiocopick", "floor"), 1),
    _fewer(
        "overlay", (*OURS, "copick-2.0.0a6-threads"), sizes_of={"runs": (60,)}, latencies=(20,)
    ),
    _fewer("train-boxes", (*OURS, "aiocopick-extract", *_PEER, "zarr-64", "zarr-obstore"), 3, targets=_NEAR_AND_FAR),
    _fewer("train-cached", _OF_FULL["train-cached"].subjects, 3, targets=_NEAR_AND_FAR),
    _volumes("volume-read-again", "volume-read-again", _GIGABYTE, 2, layout=("64", "256"), region=("full",),
             again=(True,)),
    _volumes("volume-sharded", "volume-read", ("aiocopick", *_PEER, "zarr", "tensorstore"), 2, layout=("sharded",),
             region=("region",)),
    _fewer("picks-load", (*OURS, *COPICKS, "json"), 2, sizes_of={"points": _POINTS}, at_most=_UP_TO_100_000),
    _fewer("picks-store", (*OURS, *COPICKS, "json"), 2, sizes_of={"points": _POINTS}, at_most=_UP_TO_100_000),
    _fewer("picks-load-far", (*OURS, *_PEER), sizes_of={"points": (10_000,)}),
    _fewer("picks-store-far", (*OURS, *_PEER), sizes_of={"points": (10_000,)}),
    _fewer("mesh-load", ("aiocopick", *_PEER, "trimesh"), sizes_of=_LARGE_MESH, targets=_NEAR_AND_FAR, latencies=(20,)),
    _fewer("mesh-store", ("aiocopick", *_PEER, "trimesh"), sizes_of=_LARGE_MESH, targets=_NEAR_AND_FAR, latencies=(20,)),
    _fewer("open", ("aiocopick", *_PEER), targets=_NEAR_AND_FAR, latencies=(20,)),
    _fewer(
        "runs", ("aiocopick", *_PEER, "s3fs-flat", "scandir"), sizes_of={"runs": (200,)}, targets=_NEAR_AND_FAR,
        latencies=(20,),
    ),
    _fewer("crawl-picks-disk", ("aiocopick", *_PEER, "scandir")),
    _fewer("create", ("aiocopick", *_PEERS), targets=_NEAR_AND_FAR, latencies=(20,)),
    _fewer(
        "delete", ("aiocopick", *_PEERS), targets=_NEAR_AND_FAR, latencies=(20,),
        sizes_of={"runs": (20,), "chunks": (50,)},
    ),
    _fewer("crawl-latency", ("aiocopick", "copick-2.0.0a6-threads")),
    _fewer("crawl-concurrency", ("aiocopick", "copick-2.0.0a6-threads"),
           sizes_of={"runs": (60,), "concurrency": (4, 16, 64)}),
)  # fmt: skip
"""What the documentation shows and :mod:`benchmarks.promises` judges by: every work, in forty minutes on two cores."""

PROFILES = {"tiny": TINY, "quick": QUICK, "published": PUBLISHED, "full": FULL}

BUDGETS = {"published": 15.0}
"""Seconds after which a subject gets no further rounds in one group, by profile."""
