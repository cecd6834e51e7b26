"""Who is measured: a subject is a module with a function per work, an environment, and options.

Imported in every environment, so it imports nothing but the standard library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any

OURS = "aiocopick"
COPICK_1 = "copick 1.31.0"
COPICK_2 = "copick 2.0.0a6"
BEFORE = "aiocopick, the other checkout"

EVERYWHERE = frozenset({"disk", "moto", "minio", "late", "url"})
OBJECT_STORES = EVERYWHERE - {"disk"}
UNSIGNED = OBJECT_STORES - {"url"}

LISTING = frozenset({"open_root", "list_runs", "crawl", "crawl_picks", "one_run"})
SPREADABLE = frozenset({"crawl", "crawl_picks", "load_picks", "create", "delete", "overlay"})
VOLUMES = frozenset({"volume_read", "volume_write"})
PROJECT = (
    LISTING
    | SPREADABLE
    | VOLUMES
    | {"picks_load", "picks_store", "mesh_load", "mesh_store", "import_library", "first_use", "train_boxes"}
)
LOOPED = PROJECT | {"loop_picks"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One way to do the work.

    Parameters
    ----------
    name : str
        Unique; what the command line and the results call it.
    about : str
        One line for readers of a table.
    module : str
        Module with a function per work.
    works : frozenset of str
        Which functions it has.
    environment : str
        Whose Python runs it: ``aiocopick`` is the one that runs the suite, the others are made by it.
    servers : frozenset of str
        Where it can work.
    needs : str or None
        A module that is not there everywhere; without it the subject is left out by name.
    floor : bool
        Whether it is there to show what is possible rather than what people use.
    layouts : frozenset of str or None
        Volume layouts that it can read or choose to write; None for all.
    options : mapping
        Passed to its functions.
    """

    name: str
    about: str
    module: str
    works: frozenset[str]
    environment: str = OURS
    servers: frozenset[str] = EVERYWHERE
    needs: str | None = None
    floor: bool = False
    layouts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rehearses(self) -> bool:
        """Whether it can list an empty project on the local disk before the clock starts."""
        # A subject with other options is compared with those that were rehearsed, and must not import what they have.
        return not self.floor and ("crawl" in self.works or self.environment == OURS)

    def does(self, work: str, parameters: Mapping[str, Any], server: str) -> bool:
        """Whether this subject can do a work of these sizes on this kind of server."""
        layouts = self.layouts.get(work)
        return (
            work in self.works and server in self.servers and (layouts is None or parameters.get("layout") in layouts)
        )


def _copick(version: str, written: str, read: frozenset[str]) -> tuple[Subject, Subject]:
    environment = f"copick {version}"
    layouts = {"volume_read": read, "volume_write": frozenset({written}), "train_boxes": read}
    alone = Subject(
        name=f"copick-{version}",
        about=f"copick {version}, as its documentation shows it",
        module="benchmarks.subjects.copick_api",
        works=LOOPED,
        environment=environment,
        layouts=layouts,
        options={"import": "copick", "threads": 1},
    )
    threads = Subject(
        name=f"copick-{version}-threads",
        about=f"copick {version}, a run at a time in each of 16 threads over 64 connections",
        module="benchmarks.subjects.copick_api",
        works=SPREADABLE,
        environment=environment,
        options={"threads": 16},
    )
    return alone, threads


def _zarr(name: str, about: str, servers: frozenset[str] = EVERYWHERE, **options: Any) -> Subject:
    return Subject(
        name=name,
        about=about,
        module="benchmarks.subjects.raw_zarr",
        works=VOLUMES | {"train_boxes"},
        floor=True,
        servers=servers,
        options=options,
    )


ZARR_2_LAYOUTS = frozenset({"64", "256"})

SUBJECTS: dict[str, Subject] = {
    subject.name: subject
    for subject in (
        Subject(
            name="aiocopick",
            about="this library, async",
            module="benchmarks.subjects.async_api",
            works=PROJECT | {"open_catalog", "command_ls"},
            options={"import": "aiocopick"},
        ),
        Subject(
            name="aiocopick-s3fs",
            about="this library, async, with engine='s3fs': chunks do not pass obstore",
            module="benchmarks.subjects.async_api",
            works=PROJECT - {"import_library", "first_use", "open_root", "list_runs", "one_run", "overlay"},
            servers=OBJECT_STORES,
            options={"engine": "s3fs"},
        ),
        Subject(
            name="aiocopick-unsynced",
            about="this library, async, in a process whose fsync does nothing: what writing costs without the wait",
            module="benchmarks.subjects.async_api",
            works=frozenset({"volume_write"}),
            servers=frozenset({"disk"}),
            options={"unsynced": True},
        ),
        Subject(
            name="aiocopick-extract",
            about="this library, async, one tomogram after the other by extract",
            module="benchmarks.subjects.async_api",
            works=frozenset({"train_boxes"}),
            options={"extract": True},
        ),
        Subject(
            name="aiocopick-first-epoch",
            about="this library, async, with an empty cache on disk",
            module="benchmarks.subjects.async_api",
            works=frozenset({"train_boxes"}),
            servers=OBJECT_STORES,
            options={"epoch": 1},
        ),
        Subject(
            name="aiocopick-second-epoch",
            about="this library, async, in a new root whose cache on disk an epoch has filled",
            module="benchmarks.subjects.async_api",
            works=frozenset({"train_boxes"}),
            servers=OBJECT_STORES,
            options={"epoch": 2},
        ),
        Subject(
            name="aiocopick-next-epoch",
            about="this library, async, the second epoch of the same boxes; its cache on disk was filled by the first",
            module="benchmarks.subjects.async_api",
            works=frozenset({"train_boxes"}),
            options={"epoch": "next"},
        ),
        Subject(
            name="aiocopick-walk",
            about="this library, async, made to list directory by directory",
            module="benchmarks.subjects.async_api",
            works=frozenset({"crawl"}),
            servers=OBJECT_STORES,
            options={"walk": True},
        ),
        Subject(
            name="aiocopick-facade",
            about="this library, blocking, as code written for copick uses it",
            module="benchmarks.subjects.facade",
            works=LOOPED - {"import_library"} | {"blocking_call"},
        ),
        Subject(
            name="aiocopick-prefetch",
            about="this library, blocking, with `prefetch` before the loop",
            module="benchmarks.subjects.facade",
            works=frozenset({"loop_picks"}),
            options={"prefetch": True},
        ),
        *_copick("1.31.0", "256", ZARR_2_LAYOUTS),
        *_copick("2.0.0a6", "sharded", ZARR_2_LAYOUTS | {"sharded"}),
        Subject(
            name="s3fs",
            about="s3fs with its own defaults, a walk by `/`",
            module="benchmarks.subjects.raw_s3fs",
            works=frozenset({"list_runs", "crawl", "crawl_picks", "load_picks", "import_library"}),
            servers=OBJECT_STORES,
            floor=True,
            options={"import": "s3fs", "listing": "walk"},
        ),
        Subject(
            name="s3fs-flat",
            about="s3fs by hand: 64 connections, one GET a file, flat listings of four key ranges",
            module="benchmarks.subjects.raw_s3fs",
            works=frozenset({"list_runs", "crawl", "crawl_picks", "load_picks"}),
            servers=OBJECT_STORES,
            floor=True,
            options={"listing": "flat", "tuned": True},
        ),
        Subject(
            name="s3fs-runs",
            about="s3fs by hand: 64 connections, one GET a file, a flat listing per run",
            module="benchmarks.subjects.raw_s3fs",
            works=frozenset({"crawl", "crawl_picks"}),
            servers=OBJECT_STORES,
            floor=True,
            options={"listing": "runs", "tuned": True},
        ),
        Subject(
            name="obstore",
            about="obstore by hand: a walk by `/`, 64 at a time, one GET a file",
            module="benchmarks.subjects.raw_obstore",
            works=frozenset({"list_runs", "crawl", "crawl_picks", "load_picks", "import_library"}),
            servers=OBJECT_STORES,
            floor=True,
            options={"import": "obstore"},
        ),
        Subject(
            name="floor",
            about="aiohttp by hand: unsigned listings of ranges that begin when names arrive, 23 side by side, entries "
            "by one regular expression",
            module="benchmarks.subjects.floor",
            works=frozenset({"list_runs", "crawl"}),
            servers=UNSIGNED,
            floor=True,
        ),
        Subject(
            name="scandir",
            about="os.scandir and open, in one thread",
            module="benchmarks.subjects.raw_files",
            works=frozenset({"list_runs", "crawl", "crawl_picks", "load_picks"}),
            servers=frozenset({"disk"}),
            floor=True,
        ),
        Subject(
            name="json",
            about="json and open, no validation",
            module="benchmarks.subjects.raw_files",
            works=frozenset({"picks_load", "picks_store"}),
            servers=frozenset({"disk"}),
            floor=True,
        ),
        Subject(
            name="trimesh",
            about="trimesh and open",
            module="benchmarks.subjects.raw_files",
            works=frozenset({"mesh_load", "mesh_store"}),
            servers=frozenset({"disk"}),
            floor=True,
        ),
        Subject(
            name="zarr-import",
            about="import zarr, which every reader of volumes pays",
            module="benchmarks.subjects.raw_zarr",
            works=frozenset({"import_library"}),
            floor=True,
            options={"import": "zarr"},
        ),
        _zarr("zarr", "zarr 3 alone, its default of 10 requests at a time"),
        _zarr("zarr-64", "zarr 3 alone, 64 requests at a time over 64 connections", concurrency=64),
        _zarr(
            "zarr-obstore",
            "zarr 3 alone over obstore, 64 requests at a time",
            OBJECT_STORES,
            concurrency=64,
            engine="obstore",
        ),
        Subject(
            name="zarr-synced",
            about="zarr 3 alone, its files synced afterwards in eight threads: as durable as ours",
            module="benchmarks.subjects.raw_zarr",
            works=frozenset({"volume_write"}),
            servers=frozenset({"disk"}),
            floor=True,
            options={"synced": True},
        ),
        Subject(
            name="tensorstore",
            about="TensorStore alone, its own S3 client, 64 requests at a time; boxes all at once",
            module="benchmarks.subjects.raw_tensorstore",
            works=VOLUMES,
            needs="tensorstore",
            floor=True,
        ),
        Subject(
            name="fsspec-sync",
            about="fsspec's own bridge from blocking code to a loop",
            module="benchmarks.subjects.raw_fsspec",
            works=frozenset({"blocking_call"}),
            floor=True,
        ),
    )
}


def is_there(subject: Subject) -> bool:
    """Whether the module that a subject needs can be had."""
    return subject.needs is None or find_spec(subject.needs) is not None


def before(name: str) -> str:
    """The name of one of our subjects when another checkout of the library does its work."""
    return f"{name}-before"


for _name in ("aiocopick", "aiocopick-facade"):
    SUBJECTS[before(_name)] = replace(
        SUBJECTS[_name],
        name=before(_name),
        about=f"`{_name}` of the other checkout",
        environment=BEFORE,
    )
