"""What is measured: each work with its sizes, the project that it needs, and what its figures mean."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from benchmarks import datasets, layouts
from benchmarks.datasets import Dataset

Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One thing to do.

    Parameters
    ----------
    name : str
        Name of the function in the modules of :mod:`benchmarks.subjects`.
    title : str
        Heading of its tables.
    about : str
        What is inside the clock and what is not.
    dataset : callable or None
        The project for given parameters, a context manager; None when no project is needed.
    changes : bool
        Whether the work changes the project, so that every sample gets one of its own.
    """

    name: str
    title: str
    about: str
    dataset: Callable[[Parameters], AbstractContextManager[Dataset]] | None
    changes: bool = False

    def shared(self, parameters: Parameters) -> Hashable:
        """What names a project that other works look at, too; None when none does."""
        if self.dataset is not _listing or self.changes:
            return None
        return parameters["runs"], parameters.get("chunks")


def _listing(parameters: Parameters) -> AbstractContextManager[Dataset]:
    return nullcontext(datasets.listing(parameters["runs"], parameters.get("chunks")))


def _empty(parameters: Parameters) -> AbstractContextManager[Dataset]:
    return nullcontext(Dataset())


WORKS = {
    work.name: work
    for work in (
        Work(
            name="import_library",
            title="Import",
            about="`import` in a fresh interpreter, with the files in the page cache.",
            dataset=None,
        ),
        Work(
            name="first_use",
            title="First use",
            about="In a fresh interpreter, with the files in the page cache: import, open a project of one empty run "
            "on the local disk, list it.",
            dataset=None,
        ),
        Work(
            name="blocking_call",
            title="A blocking call",
            about="Calls from blocking code of a coroutine that does nothing; all of them together.",
            dataset=None,
        ),
        Work(
            name="open_root",
            title="Open a project",
            about="From the URL to a root object.",
            dataset=_listing,
        ),
        Work(
            name="list_runs",
            title="List the runs",
            about="From the URL to all runs, without what is in them.",
            dataset=_listing,
        ),
        Work(
            name="one_run",
            title="One run by name",
            about="From the URL to all entities of one run whose name is known.",
            dataset=_listing,
        ),
        Work(
            name="crawl",
            title="List everything",
            about="From the URL to every entity of every run: voxel spacings, tomograms, feature maps, picks, meshes, "
            "segmentations. No file is read.",
            dataset=_listing,
        ),
        Work(
            name="crawl_picks",
            title="List everything and read the picks",
            about="From the URL to every entity of every run, and the points of all picks as arrays: three files of 20 "
            "points a run.",
            dataset=_listing,
        ),
        Work(
            name="load_picks",
            title="Read many small picks",
            about="The points of all picks as arrays, three files of 20 points a run; listed, and so connected, before "
            "the clock starts.",
            dataset=_listing,
        ),
        Work(
            name="loop_picks",
            title="The loop of copick code",
            about="From the URL to the points of all picks, as code for copick has it: `for run in root.runs: for picks in "
            "run.picks: picks.points`. Three files of 20 points a run.",
            dataset=_listing,
        ),
        Work(
            name="open_catalog",
            title="Open by a catalogue",
            about="From the catalogue of the project, a Parquet file with eleven rows a run, to all entities of one run.",
            dataset=lambda parameters: nullcontext(datasets.catalogued(parameters["runs"])),
        ),
        Work(
            name="command_ls",
            title="`aiocopick ls`",
            about="The command, from the start of its process to its end, with the files of Python in the page cache.",
            dataset=_listing,
        ),
        Work(
            name="overlay",
            title="List everything in two stacked projects",
            about="From CoPick's overlay and static configuration to every entity, each once. The overlay adds picks "
            "to every second run.",
            dataset=lambda parameters: nullcontext(datasets.stacked(parameters["runs"])),
        ),
        Work(
            name="picks_load",
            title="Load picks",
            about="One file of picks with random rotations, indented as copick writes it, to positions and transforms. "
            "The entity is in hand before the clock starts.",
            dataset=lambda parameters: nullcontext(datasets.one_picks_file(parameters["points"])),
        ),
        Work(
            name="picks_store",
            title="Store picks",
            about="Positions and transforms to one file of picks. The entity is made before the clock starts.",
            dataset=_empty,
            changes=True,
        ),
        Work(
            name="mesh_load",
            title="Load a mesh",
            about="One GLB file to a trimesh object. The entity is in hand before the clock starts.",
            dataset=lambda parameters: nullcontext(datasets.one_mesh(parameters["subdivisions"])),
        ),
        Work(
            name="mesh_store",
            title="Store a mesh",
            about="A trimesh object to one GLB file. The entity is made before the clock starts.",
            dataset=_empty,
            changes=True,
        ),
        Work(
            name="volume_read",
            title="Read a volume",
            about="A tomogram's finest level to one array: all of it (`full`), 16 sections (`slab`), an eighth that is "
            "aligned with no chunk (`region`), or 100 boxes around points (`boxes`). The entity is in hand before the "
            "clock starts, its metadata is not unless `again` is set.",
            dataset=lambda parameters: datasets.one_volume(layouts.layout_of(dict(parameters))),
        ),
        Work(
            name="train_boxes",
            title="Boxes around picks",
            about="From the URL to boxes of 32 voxels around all picks of all runs, as a training loop takes them: the "
            "runs listed, the picks and the metadata of each tomogram read.",
            dataset=lambda parameters: datasets.picked_volumes(layouts.layout_of(dict(parameters)), parameters),
        ),
        Work(
            name="volume_write",
            title="Write a volume",
            about="An array to a tomogram with `levels` levels, compressed as copick does it. The entity is made "
            "before the clock starts. Bare zarr and TensorStore are given their coarser levels ready-made; on a disk, "
            "ours outlasts a power cut, and theirs does not unless it says so.",
            dataset=_empty,
            changes=True,
        ),
        Work(
            name="create",
            title="Create runs",
            about="From the URL of an empty project: runs with a voxel spacing, an empty tomogram, an empty "
            "segmentation and a picks file of 10 points each.",
            dataset=_empty,
            changes=True,
        ),
        Work(
            name="delete",
            title="Delete runs",
            about="From the URL: every run with all that is in it.",
            dataset=_listing,
            changes=True,
        ),
    )
}
