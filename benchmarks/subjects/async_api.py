"""aiocopick, async."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import anyio

import aiocopick
from benchmarks import layouts
from benchmarks.subjects import commands, picks as poses
from benchmarks.subjects.keys import CATALOG, KINDS, nothing

if TYPE_CHECKING:
    from benchmarks.child import Bench


def options(bench: Bench) -> dict[str, Any]:
    """Config fields that this subject and this work set."""
    fields: dict[str, Any] = {"fs_args": bench.fs_args}
    if "engine" in bench.options:
        fields["engine"] = bench.options["engine"]
    if "concurrency" in bench.parameters:
        fields["max_concurrency"] = bench.parameters["concurrency"]
    return fields


async def open_root(bench: Bench) -> None:
    with bench.meter:
        async with aiocopick.open(bench.url, **options(bench)):
            pass


async def list_runs(bench: Bench) -> dict[str, int]:
    with bench.meter:
        async with aiocopick.open(bench.url, **options(bench)) as root:
            runs = await root.query()
    return {"runs": len(runs)}


async def crawl(bench: Bench) -> dict[str, int]:
    found = nothing()
    if bench.parameters.get("connected"):
        async with aiocopick.open(bench.url, **options(bench)) as root:
            assert await root.get_run("a run that is not there") is None
            with bench.meter:
                async with root.crawl(kinds=set(KINDS)) as runs:
                    async for run in runs:
                        await _count(run, found)
        return found
    with bench.meter:
        async with (
            aiocopick.open(bench.url, **options(bench)) as root,
            _made_to_walk(root, bench).crawl(kinds=set(KINDS)) as runs,
        ):
            async for run in runs:
                await _count(run, found)
    return found


def _made_to_walk(root: aiocopick.AsyncRoot, bench: Bench) -> aiocopick.AsyncRoot:
    """The root, its storage told that the server does not collapse volumes where this subject is to walk."""
    if bench.options.get("walk"):
        (layer,) = root._stack.layers
        core = layer.storage._core
        core.capabilities = dataclasses.replace(core.capabilities, delimiter=False)
    return root


async def crawl_picks(bench: Bench) -> dict[str, Any]:
    found = nothing()
    points = 0
    with bench.meter:
        async with (
            aiocopick.open(bench.url, **options(bench)) as root,
            root.crawl(kinds=set(KINDS), load={"picks"}) as runs,
        ):
            async for run in runs:
                await _count(run, found)
                for picks in await run.picks():
                    positions, _ = await picks.numpy()
                    points += len(positions)
    return {**found, "points": points}


async def one_run(bench: Bench) -> dict[str, int]:
    found = nothing()
    with bench.meter:
        async with aiocopick.open(bench.url, **options(bench)) as root:
            await _count(await root.get_run(bench.parameters["run"]), found)
    return found


async def open_catalog(bench: Bench) -> dict[str, int]:
    found = nothing()
    with bench.meter:
        async with aiocopick.open(bench.url, **options(bench), catalog=f"{bench.url}/{CATALOG}") as root:
            await _count(await root.get_run(bench.parameters["run"]), found)
    return found


def command_ls(bench: Bench) -> dict[str, int]:
    return commands.listed(bench)


async def overlay(bench: Bench) -> dict[str, int]:
    found = nothing()
    with bench.meter:
        async with aiocopick.open(overlay_config(bench)) as root, root.crawl(kinds=set(KINDS)) as runs:
            async for run in runs:
                await _count(run, found)
    return found


def overlay_config(bench: Bench) -> dict[str, Any]:
    """CoPick's own form of a config with a read-only project below a writable one."""
    return {
        "config_type": "filesystem",
        "overlay_root": bench.url,
        "static_root": bench.static_url,
        "overlay_fs_args": bench.fs_args,
        "static_fs_args": bench.fs_args,
        "pickable_objects": [],
    }


async def load_picks(bench: Bench) -> dict[str, int]:
    async with aiocopick.open(bench.url, **options(bench)) as root:
        entities = [picks for run in await _runs(root, {"picks"}) for picks in await run.picks()]
        with bench.meter:
            await aiocopick.load(entities)
            points = sum([len((await picks.numpy())[0]) for picks in entities])
    return {"files": len(entities), "points": points}


async def picks_load(bench: Bench) -> dict[str, float]:
    async with aiocopick.open(bench.url, **options(bench)) as root:
        [run] = await root.runs()
        [picks] = await run.picks()
        with bench.meter:
            positions, _ = await picks.numpy()
    return poses.summary(positions)


async def picks_store(bench: Bench) -> None:
    positions, transforms = poses.random_poses(bench.parameters["points"])
    async with aiocopick.open(bench.url, **options(bench)) as root:
        run = await root.new_run("TS_0001")
        picks = await run.new_picks(poses.OBJECT_NAME, poses.SESSION_ID, poses.USER_ID)
        with bench.meter:
            await picks.from_numpy(positions, transforms)
    bench.note_stored()


async def mesh_load(bench: Bench) -> dict[str, int]:
    async with aiocopick.open(bench.url, **options(bench)) as root:
        [run] = await root.runs()
        [mesh] = await run.meshes()
        with bench.meter:
            geometry = await mesh.load()
    return {"faces": sum(len(part.faces) for part in geometry.dump())}


async def mesh_store(bench: Bench) -> None:
    import trimesh

    geometry = trimesh.creation.icosphere(subdivisions=bench.parameters["subdivisions"])
    async with aiocopick.open(bench.url, **options(bench)) as root:
        run = await root.new_run("TS_0001")
        mesh = await run.new_mesh(poses.OBJECT_NAME, poses.SESSION_ID, poses.USER_ID)
        mesh.mesh = geometry
        with bench.meter:
            await mesh.store()
    bench.note_stored()


async def volume_read(bench: Bench) -> dict[str, Any]:
    layout = layouts.layout_of(bench.parameters)
    region = bench.parameters["region"]
    async with aiocopick.open(bench.url, **options(bench)) as root:
        [run] = await root.runs()
        [spacing] = await run.voxel_spacings()
        [tomogram] = await spacing.tomograms()
        if bench.parameters.get("again"):
            await tomogram.numpy(x=slice(0, 1), y=slice(0, 1), z=slice(0, 1))
        if region == "boxes":
            centres, edge = layouts.boxes_of(layout, bench.parameters)
            with bench.meter:
                data = await tomogram.extract(centres[:, ::-1] * layouts.VOXEL_SIZE, (edge, edge, edge))
        else:
            z, y, x = layouts.slices_of(layout, region)
            with bench.meter:
                data = await tomogram.numpy(x=x, y=y, z=z)
    return {"shape": list(data.shape), "sum": layouts.total(data)}


async def train_boxes(bench: Bench) -> dict[str, Any]:
    epoch = bench.options.get("epoch")
    if epoch is None:
        return await _epoch(bench, bench.meter)
    with tempfile.TemporaryDirectory(prefix="cache-") as folder:
        if epoch == "next":
            async with aiocopick.open(bench.url, **options(bench), cache=folder) as root:
                found = _boxes(bench, root)
                await _sums(found)
                with bench.meter:
                    return await _sums(found.epoch(1))
        if epoch == 2:
            await _epoch(bench, nullcontext(), cache=folder)
        return await _epoch(bench, bench.meter, cache=folder)


def _boxes(bench: Bench, root: aiocopick.AsyncRoot) -> aiocopick.Boxes:
    _, edge = layouts.boxes_of(layouts.layout_of(bench.parameters), bench.parameters)
    return aiocopick.boxes(root, poses.OBJECT_NAME, edge, layouts.VOXEL_SIZE, "wbp")


async def _sums(boxes: aiocopick.Boxes) -> dict[str, Any]:
    count, total = 0, 0.0
    async with boxes as batches:
        async for batch in batches:
            count, total = count + len(batch), total + layouts.total(batch.boxes)
    return {"boxes": count, "sum": total}


async def _epoch(bench: Bench, meter: AbstractContextManager[Any], **fields: Any) -> dict[str, Any]:
    _, edge = layouts.boxes_of(layouts.layout_of(bench.parameters), bench.parameters)
    count, total = 0, 0.0
    with meter:
        async with aiocopick.open(bench.url, **options(bench), **fields) as root:
            if bench.options.get("extract"):
                for run in await root.runs():
                    [spacing] = await run.voxel_spacings()
                    [tomogram] = await spacing.tomograms()
                    [picks] = await run.picks()
                    positions, _ = await picks.numpy()
                    data = await tomogram.extract(positions, edge)
                    count, total = count + len(data), total + layouts.total(data)
                return {"boxes": count, "sum": total}
            return await _sums(_boxes(bench, root))


async def volume_write(bench: Bench) -> dict[str, Any]:
    if bench.options.get("unsynced"):
        os.fsync = _no_sync
    layout = layouts.layout_of(bench.parameters)
    data = layouts.volume(layout)
    async with aiocopick.open(bench.url, **options(bench), zarr_format=layout.zarr_format) as root:
        run = await root.new_run("TS_0001")
        spacing = await run.new_voxel_spacing(layouts.VOXEL_SIZE)
        tomogram = await spacing.new_tomogram("wbp")
        with bench.meter:
            await tomogram.from_numpy(
                data, levels=bench.parameters["levels"], chunks=layout.chunks, shards=layout.shards
            )
        stored = await tomogram.numpy()
    return {"sum": layouts.total(stored)}


async def create(bench: Bench) -> dict[str, int]:
    positions, transforms = poses.random_poses(10)

    async def make(root: Any, name: str) -> None:
        run = await root.new_run(name)
        spacing = await run.new_voxel_spacing(layouts.VOXEL_SIZE)
        await spacing.new_tomogram("wbp")
        await run.new_segmentation(layouts.VOXEL_SIZE, "membrane", poses.SESSION_ID, user_id=poses.USER_ID)
        picks = await run.new_picks(poses.OBJECT_NAME, poses.SESSION_ID, poses.USER_ID)
        await picks.from_numpy(positions, transforms)

    with bench.meter:
        async with (
            aiocopick.open(bench.url, **options(bench)) as root,
            anyio.create_task_group() as group,
        ):
            for number in range(bench.parameters["runs"]):
                group.start_soon(make, root, f"TS_{number:05d}")
    async with aiocopick.open(bench.url, **options(bench)) as root:
        return {"runs": len(await root.query())}


async def delete(bench: Bench) -> dict[str, int]:
    with bench.meter:
        async with aiocopick.open(bench.url, **options(bench)) as root:
            runs = await root.query()
            async with anyio.create_task_group() as group:
                for run in runs:
                    group.start_soon(run.delete)
    async with aiocopick.open(bench.url, **options(bench)) as root:
        return {"deleted": len(runs), "left": len(await root.query())}


def _no_sync(handle: int) -> None:
    """Take the place of `os.fsync`."""


async def _runs(root: Any, kinds: set[str]) -> list[Any]:
    async with root.crawl(kinds=kinds) as runs:
        return [run async for run in runs]


async def _count(run: Any, found: dict[str, int]) -> None:
    found["runs"] += 1
    for spacing in await run.voxel_spacings():
        found["voxel_spacings"] += 1
        for tomogram in await spacing.tomograms():
            found["tomograms"] += 1
            found["features"] += len(await tomogram.features())
    found["picks"] += len(await run.picks())
    found["meshes"] += len(await run.meshes())
    found["segmentations"] += len(await run.segmentations())
