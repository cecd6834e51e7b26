"""What we write is listed and read by copick as it was meant: nothing missing, nothing more, exact numbers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

import aiocopick
from aiocopick import AsyncRoot, AsyncRun
from aiocopick.volumes.pyramid import level_shapes
from tests.interop.describe_project import Description, describe_ours, names_only, without
from tests.interop.project import CopickProject, describe
from tests.servers import MotoServer

SHAPE = (17, 20, 23)
OBJECTS = [
    {"name": "ribosome", "is_particle": True, "label": 1, "color": [0, 255, 0, 255], "radius": 150.0},
    {"name": "membrane", "is_particle": False, "label": 2},
    {
        "name": "microtubule",
        "is_particle": True,
        "label": 3,
        "metadata": {"copick": {"filament": {"polar": True}}},
    },
]
RUNS = ("TS_001", "position 7", "2024-06-11.tomo", "Krios-µ")


def config_at(url: str, fs_args: dict[str, Any], path: Path, **fields: Any) -> Path:
    config = {
        "config_type": "filesystem",
        "name": "written by aiocopick",
        "pickable_objects": OBJECTS,
        "overlay_root": url,
        "overlay_fs_args": fs_args,
        **fields,
    }
    path.write_text(json.dumps(config))
    return path


async def write(root: AsyncRoot, runs: Sequence[str] = RUNS) -> None:
    rng = np.random.default_rng(7)
    density = await root.get_object("ribosome")
    assert density is not None
    await density.from_numpy(rng.random((12, 12, 12)).astype(np.float32), voxel_size=4.5)
    for name in runs:
        await write_run(await root.new_run(name), rng)
    await root.new_run("left empty")


async def write_run(run: AsyncRun, rng: np.random.Generator) -> None:
    spacing = await run.new_voxel_spacing(7.84)
    tomogram = await spacing.new_tomogram("wbp")
    await tomogram.from_numpy(rng.normal(size=SHAPE))
    await (await tomogram.new_features("edges")).from_numpy(rng.random(SHAPE).astype(np.float32))
    await (await tomogram.new_features("embedding")).from_numpy(rng.random((3, *SHAPE)).astype(np.float32))
    await (await spacing.new_tomogram("denoised")).from_numpy(rng.normal(size=SHAPE), levels=2, dtype=np.float16)
    await run.new_voxel_spacing(15)

    mask = await run.new_segmentation(7.84, "membrane", "0", user_id="membrain")
    await mask.from_numpy(rng.integers(0, 2, SHAPE))
    painted = await run.new_segmentation(7.84, "painted", "17", user_id="alice", is_multilabel=True)
    await painted.from_numpy(rng.integers(0, 4, SHAPE), levels=2)
    ribosomes = await run.new_segmentation(7.84, "ribosome", "0", user_id="tool", is_instance=True)
    await ribosomes.from_numpy(rng.integers(0, 70_000, SHAPE))
    everything = await run.new_segmentation(7.84, "everything", "0", user_id="tool", is_panoptic=True)
    labels = rng.integers(0, 3, SHAPE)
    await everything.from_numpy(np.stack([labels, (labels > 0) * rng.integers(1, 9, SHAPE)]))

    count = 25
    transforms = np.tile(np.eye(4), (count, 1, 1))
    transforms[:, :3, :3] = np.linalg.qr(rng.normal(size=(count, 3, 3)))[0]
    transforms[:, :3, 3] = rng.normal(size=(count, 3))
    picks = await run.new_picks("ribosome", "17", "alice")
    await picks.from_numpy(
        rng.random((count, 3)) * 180, transforms, instance_ids=np.arange(count), scores=rng.random(count)
    )
    await (await run.new_picks("ribosome", "0", "pytom")).from_numpy(rng.random((count, 3)) * 1e-9)
    await run.new_picks("microtubule", "never-filled", "carol")

    mesh = await run.new_mesh("membrane", "17", "alice")
    mesh.mesh = trimesh.creation.icosphere(subdivisions=1, radius=80.0)
    await mesh.store()
    filaments = await run.new_filaments("microtubule", "0", "tool")
    await filaments.from_numpy(
        [rng.random((6, 3)) * 180, rng.random((2, 3)) * 180],
        instance_ids=[4, 2],
        polarity_known=[True, False],
        scores=[0.5, 0.75],
        radii=[None, 120.0],
        voxel_spacing=7.84,
        metadata=[{"quality": "good"}, None],
    )


A_RUN: Description = {
    "voxel_spacings": {"15.0": {}, "7.84": {"denoised": [], "wbp": ["edges", "embedding"]}},
    "picks": ["alice 17 ribosome", "carol never-filled microtubule", "pytom 0 ribosome"],
    "meshes": ["alice 17 membrane"],
    "segmentations": [
        "7.84 alice 17 painted multilabel",
        "7.84 membrain 0 membrane binary",
        "7.84 tool 0 everything panoptic",
        "7.84 tool 0 ribosome instance",
    ],
    "filaments": ["tool 0 microtubule"],
}
NOTHING: Description = {kind: type(found)() for kind, found in A_RUN.items()}


def check(said: Description, ours: list[Description], runs: Sequence[str] = RUNS) -> None:
    """copick finds all that was written, and reads what we read."""
    theirs = without(said["runs"], "attributes")
    assert names_only(theirs) == dict.fromkeys(runs, A_RUN) | {"left empty": NOTHING}
    found = {run["name"]: run for run in ours}
    assert [run["name"] for run in theirs] == sorted(found)
    for run in theirs:
        for kind, entities in run.items():
            assert entities == found[run["name"]][kind], (run["name"], kind)


@pytest.mark.parametrize(("version", "zarr_format"), [("copick1", 2), ("copick2", 2), ("copick2", 3)])
@pytest.mark.asyncio
async def test_copick_lists_and_reads_what_we_write(
    version: str, zarr_format: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    python = request.getfixturevalue(f"{version}_python")
    (tmp_path / "project").mkdir()
    config = config_at(
        f"local://{tmp_path / 'project'}", {"auto_mkdir": True}, tmp_path / "config.json", zarr_format=zarr_format
    )
    async with aiocopick.open(config) as root:
        await write(root)
    # Nothing that the writer remembers.
    async with aiocopick.open(config) as root:
        ours = await describe_ours(root, volumes=True)
        density = await root.get_object("ribosome")
        assert density is not None
        values = await density.numpy()
    said = describe(python, config)
    check(said, ours)
    [level] = said["objects"][0]["volume"]["levels"]
    assert (level["shape"], level["dtype"]) == ([12, 12, 12], "float32")
    np.testing.assert_array_equal(values, np.random.default_rng(7).random((12, 12, 12)).astype(np.float32))
    [tomogram] = [
        tomogram
        for spacing in said["runs"][0]["voxel_spacings"]
        for tomogram in spacing["tomograms"]
        if tomogram["tomo_type"] == "wbp"
    ]
    shapes = [tuple(level["shape"]) for level in tomogram["volume"]["levels"]]
    assert shapes == list(level_shapes(SHAPE, 3))


@pytest.mark.asyncio
async def test_copick_reads_the_numbers_that_were_given(copick1_python: Path, tmp_path: Path) -> None:
    """Against the arrays themselves: reading back what we wrote could hide an error made twice."""
    rng = np.random.default_rng(1)
    positions, scores = rng.normal(size=(50, 3)) * 10.0 ** rng.integers(-12, 12, size=(50, 1)), rng.random(50)
    transforms = np.tile(np.eye(4), (50, 1, 1))
    transforms[:, :3] = rng.normal(size=(50, 3, 4))
    lines = [rng.normal(size=(5, 3)), rng.normal(size=(3, 3))]
    sphere = trimesh.creation.icosphere(subdivisions=2, radius=123.4)
    (tmp_path / "project").mkdir()
    config = config_at(f"local://{tmp_path / 'project'}", {"auto_mkdir": True}, tmp_path / "config.json")
    async with aiocopick.open(config) as root:
        run = await root.new_run("TS_1")
        picks = await run.new_picks("ribosome", "1", "alice")
        await picks.from_numpy(positions, transforms, instance_ids=np.arange(50) * 3, scores=scores)
        await (await run.new_filaments("microtubule", "1", "alice")).from_numpy(lines, voxel_spacing=10)
        mesh = await run.new_mesh("membrane", "1", "alice")
        mesh.mesh = sphere
        await mesh.store()
    [said] = describe(copick1_python, config)["runs"]
    [picked], [traced], [surface] = said["picks"], said["filaments"], said["meshes"]
    np.testing.assert_array_equal(picked["positions"], positions)
    np.testing.assert_array_equal(picked["transforms"], transforms)
    assert picked["instance_ids"] == list(range(0, 150, 3))
    assert picked["scores"] == scores.tolist()
    assert (picked["unit"], picked["trust_orientation"], picked["run_name"]) == ("angstrom", True, "TS_1")
    assert [line["points"] for line in traced["filaments"]] == [line.tolist() for line in lines]
    # A GLB holds 32-bit floats.
    np.testing.assert_array_equal(surface["vertices"], sphere.vertices.astype(np.float32))
    np.testing.assert_array_equal(surface["faces"], sphere.faces)


@pytest.mark.asyncio
async def test_copick_reads_what_we_write_to_s3(copick1_python: Path, moto_server: MotoServer, tmp_path: Path) -> None:
    bucket = moto_server.new_bucket()
    config = config_at(f"s3://{bucket}/data/project", moto_server.fs_args(), tmp_path / "config.json")
    async with aiocopick.open(config) as root:
        await write(root, RUNS[-1:])
    async with aiocopick.open(config) as root:
        ours = await describe_ours(root, volumes=True)
    check(describe(copick1_python, config), ours, RUNS[-1:])


@pytest.mark.asyncio
async def test_what_we_change_in_copicks_project_copick_reads_and_the_rest_stays(
    copick1_project: CopickProject, copick1_python: Path, tmp_path: Path
) -> None:
    project = copick1_project.copy_to(tmp_path / "mine")
    for run in (project.root / "ExperimentRuns").iterdir():
        if run.name not in ("TS_002", "TS_004"):
            shutil.rmtree(run)
    before = describe(copick1_python, project.config)["runs"]
    async with aiocopick.open(project.config) as root:
        run = await root.get_run("TS_002")
        assert run is not None
        [picks] = await run.get_picks("ribosome", "alice", "17")
        await picks.from_numpy([[1.0, 2.0, 3.0]])
        [doomed, *_] = await run.get_meshes()
        await doomed.delete()
        await run.new_picks("membrane", "new", "alice")
    after = describe(copick1_python, project.config)["runs"]
    assert after[1] == before[1]
    assert {kind for kind, found in after[0].items() if found != before[0][kind]} == {"picks", "meshes"}
    assert len(after[0]["meshes"]) == len(before[0]["meshes"]) - 1
    changed = {(item["user_id"], item["session_id"], item["object_name"]): item for item in after[0]["picks"]}
    kept = {(item["user_id"], item["session_id"], item["object_name"]): item for item in before[0]["picks"]}
    ours = changed.pop(("alice", "17", "ribosome"))
    theirs = kept.pop(("alice", "17", "ribosome"))
    assert ours["positions"] == [[1.0, 2.0, 3.0]]
    # What the file says besides its points is not reset by new points.
    assert ours["trust_orientation"] == theirs["trust_orientation"]
    assert changed.pop(("alice", "new", "membrane"))["positions"] == []
    assert changed == kept
