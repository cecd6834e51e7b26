"""The projects that are worked on, written without aiocopick: bytes by key, in the form that copick gives them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import layouts
from benchmarks.subjects import picks as poses
from benchmarks.subjects.keys import CATALOG

Content = bytes | Path
CHUNKS, FEW = 300, 4

ABOUT = (
    "Projects for listing have ten entities a run: a voxel spacing, two tomograms, a feature map, three picks of 20 points, "
    f"a mesh, two segmentations. Their volumes have {CHUNKS} chunks unless a table says otherwise (on a disk, where no "
    f"listing looks into them, {FEW}). Volumes that are read or written are noise in floating point, which does not "
    "compress, as tomograms do not"
)
"""For readers of the figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A project as what one of its runs holds, and how many runs hold that.

    Parameters
    ----------
    run : mapping of str to bytes or Path
        Content by key below the run's folder.
    names : tuple of str
        Names of the runs.
    below : Dataset or None
        Project that lies read-only below this one.
    files : mapping of str to bytes or Path
        Content by key beside the runs.
    filling : mapping of str to bytes or Path
        More content of each run, which only a server looks at that counts the keys inside of volumes.
    """

    run: Mapping[str, Content] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    below: Dataset | None = None
    files: Mapping[str, Content] = field(default_factory=dict)
    filling: Mapping[str, Content] = field(default_factory=dict)


def run_names(count: int) -> tuple[str, ...]:
    """Names of runs as tomography labs give them, counted up."""
    return tuple(f"TS_{number:05d}" for number in range(count))


def listing(runs: int, chunks: int | None = None, points: int = 20) -> Dataset:
    """Runs with ten entities: a voxel spacing, two tomograms, a feature map, three picks, a mesh, two segmentations.

    Volumes have the metadata of real ones and `chunks` chunks of one byte: nobody reads what only gets listed. A server
    that fills its pages with the keys inside of volumes does it with those of a real project. Without a number, most
    chunks are filling.
    """
    filling: dict[str, Content] = {}

    def volume(folder: str) -> dict[str, Content]:
        every = _hollow_volume(folder, CHUNKS if chunks is None else chunks)
        if chunks is None:
            filling.update({key: every.pop(key) for key in list(every)[-(CHUNKS - FEW) :]})
        return every

    positions, transforms = poses.random_poses(points)
    picks = poses.encode(positions, transforms, indent=4)
    run: dict[str, Content] = {".meta": b"meta", "VoxelSpacing10.000/.meta": b"meta"}
    for name in ("wbp", "denoised", "wbp_dino_features"):
        run |= volume(f"VoxelSpacing10.000/{name}.zarr")
    for name in ("membrane", "organelles-multilabel"):
        run |= volume(f"Segmentations/10.000_{poses.USER_ID}_{poses.SESSION_ID}_{name}.zarr")
    for session in ("1", "2", "3"):
        run[f"Picks/{poses.USER_ID}_{session}_{poses.OBJECT_NAME}.json"] = picks
    run[f"Meshes/{poses.USER_ID}_1_{poses.OBJECT_NAME}.glb"] = mesh_content(1)
    return Dataset(run=run, names=run_names(runs), filling=filling)


def stacked(runs: int) -> Dataset:
    """A project of `runs` runs below one that adds picks to every second of them."""
    positions, transforms = poses.random_poses(20)
    picks = {f"Picks/other_1_{poses.OBJECT_NAME}.json": poses.encode(positions, transforms, indent=4)}
    return Dataset(run=picks, names=run_names(runs)[::2], below=listing(runs))


def catalogued(runs: int) -> Dataset:
    """A project that is not there, and its catalogue, which is: that of one run, for each run again.

    The catalogue of the one run is made by aiocopick, as nobody else makes any.
    """
    import asyncio

    import pyarrow.compute as compute
    from pyarrow import array, chunked_array

    import aiocopick

    one = listing(1)

    async def made(folder: str) -> Any:
        for key, content in one.run.items():
            path = Path(folder, "ExperimentRuns", one.names[0], key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
        async with aiocopick.open(folder) as root:
            table = await aiocopick.catalog(root)
        table = table.filter(compute.is_valid(table["run"])).combine_chunks()
        names = array(run_names(runs))
        rows = len(table)
        repeated = table.take(array([row for _ in range(runs) for row in range(rows)]))
        of_rows = names.take(array([run for run in range(runs) for _ in range(rows)]))
        before, after = f"ExperimentRuns/{one.names[0]}", "ExperimentRuns/"
        keys = compute.binary_join_element_wise(
            after, of_rows, compute.replace_substring(repeated["key"], before, ""), ""
        )
        for name, column in (("run", of_rows), ("key", keys)):
            at = repeated.schema.get_field_index(name)
            column = column if not hasattr(column, "combine_chunks") else column.combine_chunks()
            repeated = repeated.set_column(at, repeated.schema.field(at), chunked_array([column]))
        await aiocopick.store_table(repeated, f"{folder}/{CATALOG}")
        return Path(folder, CATALOG).read_bytes()

    with tempfile.TemporaryDirectory(prefix="catalogue-") as folder:
        return Dataset(files={CATALOG: asyncio.run(made(folder))})


def one_picks_file(points: int) -> Dataset:
    """One run with one picks file, random rotations, indented as copick writes it."""
    content = poses.encode(*poses.random_poses(points), indent=4)
    return Dataset(
        run={f"Picks/{poses.USER_ID}_{poses.SESSION_ID}_{poses.OBJECT_NAME}.json": content}, names=("TS_0001",)
    )


def one_mesh(subdivisions: int) -> Dataset:
    """One run with one sphere of 20 * 4**subdivisions faces."""
    content = mesh_content(subdivisions)
    return Dataset(
        run={f"Meshes/{poses.USER_ID}_{poses.SESSION_ID}_{poses.OBJECT_NAME}.glb": content}, names=("TS_0001",)
    )


@contextmanager
def one_volume(layout: layouts.Layout) -> Iterator[Dataset]:
    """One run with one tomogram of one level; its chunks are files that go when the block ends."""
    import zarr

    from benchmarks.subjects.raw_zarr import compressor

    with tempfile.TemporaryDirectory(prefix="volume-") as folder:
        store = Path(folder, "VoxelSpacing10.000", "wbp.zarr")
        group = zarr.open_group(store, mode="w", zarr_format=2 if layout.zarr_format == 2 else 3)
        group.attrs.update(_multiscales(layout.zarr_format))
        array = group.create_array(
            "0",
            shape=layout.shape,
            dtype="float32",
            chunks=layout.chunks,
            shards=layout.shards,
            compressors=compressor(layout.zarr_format),
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )
        array[:] = layouts.volume(layout)
        files = {path.relative_to(folder).as_posix(): path for path in Path(folder).rglob("*") if path.is_file()}
        yield Dataset(run={".meta": b"meta", **files}, names=("TS_0001",))


@contextmanager
def picked_volumes(layout: layouts.Layout, parameters: Mapping[str, Any]) -> Iterator[Dataset]:
    """Runs with the same tomogram and the same picks in it; they go when the block ends."""
    positions = layouts.places_of(layout, dict(parameters))
    transforms = poses.random_poses(len(positions))[1]
    picks = {f"Picks/{poses.USER_ID}_{poses.SESSION_ID}_{poses.OBJECT_NAME}.json": poses.encode(positions, transforms)}
    with one_volume(layout) as volume:
        yield Dataset(run={**volume.run, **picks}, names=run_names(parameters["runs"]))


def mesh_content(subdivisions: int) -> bytes:
    """A sphere as binary glTF."""
    import trimesh

    content: bytes = trimesh.creation.icosphere(subdivisions=subdivisions).export(file_type="glb")
    return content


def _hollow_volume(folder: str, chunks: int) -> dict[str, Content]:
    array = {
        "zarr_format": 2,
        "shape": [-(-chunks // 100) * 64, 640, 640],
        "chunks": [64, 64, 64],
        "dtype": "<f4",
        "compressor": {"id": "blosc", "cname": "lz4", "clevel": 5, "shuffle": 1, "blocksize": 0},
        "fill_value": 0.0,
        "order": "C",
        "filters": None,
        "dimension_separator": "/",
    }
    return {
        f"{folder}/.zgroup": b'{"zarr_format": 2}',
        f"{folder}/.zattrs": json.dumps(_multiscales(2)).encode(),
        f"{folder}/0/.zarray": json.dumps(array).encode(),
        **{f"{folder}/0/{n // 100}/{n // 10 % 10}/{n % 10}": b"\0" for n in range(chunks)},
    }


def _multiscales(zarr_format: int) -> dict[str, Any]:
    scale: dict[str, Any] = {
        "axes": [{"name": axis, "type": "space", "unit": "angstrom"} for axis in "zyx"],
        "datasets": [
            {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [layouts.VOXEL_SIZE] * 3}]}
        ],
        "name": "/",
    }
    if zarr_format == 2:
        return {"multiscales": [{**scale, "version": "0.4"}]}
    return {"ome": {"version": "0.5", "multiscales": [scale]}}
