"""Every public signature, used as a user would: checked by mypy, never run."""

from __future__ import annotations

from typing import Any

import numpy as np

import aiocopick
from aiocopick import (
    AsyncFeatures,
    AsyncFilaments,
    AsyncMesh,
    AsyncObject,
    AsyncPicks,
    AsyncRoot,
    AsyncRun,
    AsyncSegmentation,
    AsyncTomogram,
    AsyncVoxelSpacing,
    CopickConfigFS,
    CopickError,
    CopickFeaturesFS,
    CopickObjectFS,
    CopickPicksFS,
    CopickPoint,
    CopickRootFS,
    CopickRun,
    CopickRunFS,
    CopickSegmentationFS,
    CopickTomogramFS,
    CopickVoxelSpacingFS,
)
from aiocopick.models import CopickFilament, CopickPicksFile


async def opening() -> None:
    async with aiocopick.open("s3://bucket/project", read_only=True, fs_args={"anon": True}) as root:
        one: AsyncRoot = root
    one = await aiocopick.open("memory://project", must_exist=True)
    one = AsyncRoot(CopickConfigFS(root="memory://project", layer_name="mine", priority=3, read_only=False))
    view: AsyncRoot = one.options(timeout=5, max_concurrency=8)
    await view.reconnect()
    await view.aclose()


async def roots(root: AsyncRoot) -> None:
    runs: list[AsyncRun] = await root.query()
    runs = await root.runs()
    run: AsyncRun | None = await root.get_run("TS_1")
    run = await root.new_run("TS_2", exist_ok=True)
    await root.delete_run(run.name)
    objects: list[AsyncObject] = await root.pickable_objects()
    found: AsyncObject | None = await root.get_object("ribosome")
    found = await root.new_object("ribosome", True, label=1, radius=100.0, exist_ok=True)
    names: Any = await root.discover_objects()
    exists: bool = await root.ensure(create=True)
    meta: dict[str, Any] = await root.load_meta()
    await root.store_meta()
    root.refresh()
    async for one in root.crawl(runs="TS_*", kinds={"picks"}, load={"picks"}):
        failure: CopickError | None = one.error
    async with root.crawl() as crawled:
        async for one in crawled:
            await one.picks()
    print(runs, objects, found, names, exists, meta, failure, root.stats)


async def annotated(run: AsyncRun) -> None:
    picks: list[AsyncPicks] = await run.query_picks()
    picks = await run.get_picks(object_name=["a", "b"], user_id="u", session_id="0")
    meshes: list[AsyncMesh] = await run.get_meshes("a")
    filaments: list[AsyncFilaments] = await run.get_filaments()
    one: AsyncPicks = await run.new_picks("a", "1", "u", exist_ok=True)
    file: CopickPicksFile = await one.load()
    positions: np.ndarray
    transforms: np.ndarray
    positions, transforms = await one.numpy()
    await one.from_numpy(positions, transforms, instance_ids=None, scores=None, store=False)
    points: list[CopickPoint] = one.points
    one.points = points
    scores: np.ndarray = await one.scores()
    await one.store()
    mesh: AsyncMesh = await run.new_mesh("a", "1", "u")
    await mesh.load()
    vertices, faces = await mesh.to_napari()
    await mesh.from_napari(vertices, faces)
    lines: AsyncFilaments = await run.new_filaments("a", "1", "u")
    await lines.from_numpy([positions])
    line: CopickFilament | None = await lines.get(1)
    await run.delete_picks(object_name="a")
    results: Any = await aiocopick.load([one, mesh], on_error="return")
    await aiocopick.store([one, mesh])
    print(picks, meshes, filaments, file, scores, line, results, one.ref, one.uri, one.key, one.path)


async def volumes(run: AsyncRun) -> None:
    spacing: AsyncVoxelSpacing = await run.new_voxel_spacing(10.0)
    tomogram: AsyncTomogram = await spacing.new_tomogram("wbp")
    await tomogram.from_numpy(np.zeros((8, 8, 8), "f4"), levels=2, chunks=(4, 4, 4))
    data: np.ndarray = await tomogram.numpy("0", x=slice(0, 2), y=slice(0, 2), z=slice(0, 2))
    await tomogram.set_region(data, x=slice(0, 2), y=slice(0, 2), z=slice(0, 2), update_pyramid=True)
    boxes: np.ndarray = await tomogram.extract(np.zeros((3, 3)), 4, fill=0)
    async for slab in tomogram.slabs("z", 4):
        print(slab)
    features: AsyncFeatures = await tomogram.new_features("edges")
    maps: list[AsyncFeatures] = await tomogram.features()
    segmentation: AsyncSegmentation = await run.new_segmentation(10.0, "membrane", "1", False, "u")
    labels: np.ndarray = await segmentation.numpy()
    found: list[AsyncSegmentation] = await run.get_segmentations(name="membrane", voxel_size=[10.0, 20.0])
    print(boxes, features, maps, labels, found, tomogram.zarr(), await tomogram.levels())


def facade() -> None:
    with aiocopick.open_sync("memory://project") as opened:
        print(opened.runs)
    root = aiocopick.from_file("copick_config.json")
    for run in root.runs:
        for picks in run.picks:
            points: list[CopickPoint] = picks.points
            print(points, picks.numpy())
    one = CopickRootFS(CopickConfigFS(root="memory://project"))
    twin: AsyncRoot = one.aio
    print(twin, one.fs, one.url.upper(), one.stats.total)


def derived(root: CopickRootFS) -> None:
    """What is derived from the async entities has their parameters, and gives the facade's classes."""
    runs: list[CopickRunFS] = root.query(layers=["mine"])
    found: CopickRunFS | None = root.get_run("TS_1", anything=1)
    run: CopickRunFS = root.new_run("TS_2", exist_ok=True)
    abstract: CopickRun = run
    picks: list[CopickPicksFS] = run.get_picks("a", user_id=["u", "v"], session_id=None)
    picks = run.picks + run.query_picks(layers=None) + run.user_picks()
    spacing: CopickVoxelSpacingFS | None = run.get_voxel_spacing(10.0)
    segmentation: CopickSegmentationFS = run.new_segmentation(10.0, "membrane", is_instance=True)
    tomogram: CopickTomogramFS = run.new_voxel_spacing(10.0).new_tomogram("wbp")
    features: CopickFeaturesFS = tomogram.new_features("edges")
    item: CopickObjectFS | None = root.get_object("ribosome")
    exists: bool = run.ensure(create=True)
    one: CopickPicksFS = run.new_picks("a", "1", "u", exist_ok=True)
    file: CopickPicksFile = one.load()
    positions: np.ndarray
    transforms: np.ndarray
    positions, transforms = one.numpy()
    one.from_numpy(positions, transforms, store=False)
    boxes: np.ndarray = tomogram.extract(positions, 4, fill=0)
    tomogram.from_numpy(np.zeros((8, 8, 8), "f4"), levels=2, chunks=(4, 4, 4), progress=print)
    tomogram.set_region(boxes[0], x=slice(0, 2), update_pyramid=True)
    kind, size, user = tomogram.tomo_type.upper(), tomogram.voxel_size + 1, one.user_id.lower()
    for crawled in root.crawl(kinds={"picks"}):
        print(crawled.name, crawled.split, crawled.layer.name)
    print(runs, found, abstract, picks, spacing, segmentation, features, item, exists, file, kind, size, user)


def refused(root: CopickRootFS, run: CopickRunFS, tomogram: CopickTomogramFS) -> None:
    """Calls that the async entities do not take either."""
    run.ensure("yes")  # type: ignore[arg-type]
    run.new_picks()  # type: ignore[call-arg]
    run.delete_picks(object="a")  # type: ignore[call-arg]
    run.query_picks(["mine"])  # type: ignore[call-arg]
    root.get_run(1)  # type: ignore[arg-type]
    root.get_runn("TS_1")  # type: ignore[attr-defined]
    tomogram.set_region(0, update=True)  # type: ignore[call-arg]
    wrong: int = tomogram.tomo_type  # type: ignore[assignment]
    print(wrong, run.picks[0].color.upper())  # type: ignore[union-attr]


async def tables(root: AsyncRoot) -> None:
    table = await aiocopick.catalog(root, kinds={"picks"})
    boxes = aiocopick.boxes(root, "ribosome", 48, 10, "wbp", negatives=aiocopick.random_places(2), shard=(0, 2))
    async for batch in boxes.epoch(1):
        print(batch.boxes.shape, len(batch), batch.runs[0])
    for batch in aiocopick.boxes_sync(root, "ribosome", size=48, voxel_size=10.0, tomogram="wbp", shuffle=10):
        print(batch.labels, batch.positions)
    rows = await aiocopick.points(root, "ribosome")
    async for picks in aiocopick.select(root, "ribosome:pytom/0", runs="TS_*", load=True):
        print(picks)
    print(table, rows)
