"""Names that cannot be understood are left out, said once, and hide nothing."""

from __future__ import annotations

import logging
import os
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem

import aiocopick
from aiocopick.layers.filesystem import FilesystemLayer
from aiocopick.layers.flat import FEW
from aiocopick.layout.listing import Listing
from aiocopick.layout.refs import RunRef
from aiocopick.models import CopickConfigFS
from tests.servers.s3 import MotoServer


@pytest.mark.asyncio
async def test_a_strange_name_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "ExperimentRuns" / "TS_1" / "Picks"
    folder.mkdir(parents=True)
    for name in ("strange.json", "user_1_ribosome.json"):
        (folder / name).write_text("{}")
    with caplog.at_level(logging.WARNING, logger="aiocopick"):
        async with aiocopick.open(tmp_path) as root:
            for _ in range(2):
                run = (await root.query())[0]
                assert [picks.pickable_object_name for picks in await run.query_picks()] == ["ribosome"]
    assert [record.getMessage() for record in caplog.records] == [
        f"{folder / 'strange.json'} is not a name that CoPick gives, so it is left out."
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize("root", ["disk", "memory"])
async def test_every_way_of_listing_tells_of_strange_names(root: str, tmp_path: Path) -> None:
    config = CopickConfigFS(root=str(tmp_path) if root == "disk" else f"memory://{uuid.uuid4().hex}")
    layer = FilesystemLayer(config)
    run = layer.locate(RunRef(run="TS_1"))
    strange = [f"{run.key}/Picks/strange.json", f"{run.key}/VoxelSpacingfine", f"{run.key}/VoxelSpacingnone"]
    for key in (strange[0], f"{strange[1]}/wbp.zarr/.zgroup", f"{strange[2]}/notes.txt"):
        await layer.storage.write(key, b"{}")
    listed = await layer.list_run(run)
    assert listed.skipped == tuple(strange)
    async with layer.scan([run] * FEW) as listings:
        async for _, found in listings:
            assert found == listed
    await layer.aclose()


STRANGE = {
    "disk": os.fsdecode(b"bad\xffname"),
    "memory": "bad\\name",
}
"""Names that nobody can ask for, which others can give all the same."""


def put(storage: Any, root: str, key: str) -> None:
    """Write what a storage refuses to."""
    if root == "disk":
        path = Path(storage.url) / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"{}")
    else:
        MemoryFileSystem().pipe_file(f"/{storage.url.partition('://')[2]}/{key}", b"{}")


@pytest.mark.asyncio
@pytest.mark.parametrize("root", ["disk", "memory"])
async def test_names_that_cannot_be_asked_for_are_told_and_hide_no_neighbours(
    root: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    name = STRANGE[root]
    layer = FilesystemLayer(CopickConfigFS(root=str(tmp_path) if root == "disk" else f"memory://{uuid.uuid4().hex}"))
    run = layer.locate(RunRef(run="TS_1"))
    strange = [
        f"{run.key}/Picks/u_1_{name}.json",
        f"{run.key}/Segmentations/10.000_u_1_{name}.zarr",
        f"{run.key}/VoxelSpacing10.000/{name}.zarr",
        f"{run.key}/VoxelSpacing10.000/wbp_{name}_features.zarr",
        f"{run.key}/VoxelSpacing{name}",
    ]
    inside = [key if key.endswith(".json") else f"{key}/.zgroup" for key in strange]
    for key in (*inside, f"{run.key}/Picks/u_1_ribosome.json", f"{run.key}/VoxelSpacing10.000/wbp.zarr/.zgroup"):
        put(layer.storage, root, key)
    put(layer.storage, root, f"ExperimentRuns/{name}/.meta")
    put(layer.storage, root, f"Objects/{name}.zarr/.zgroup")
    # Whoever takes a volume apart asks for each key in it, so there they are left out.
    put(layer.storage, root, f"{run.key}/VoxelSpacing10.000/wbp.zarr/{name}/0")

    with caplog.at_level(logging.WARNING, logger="aiocopick"):
        for _ in range(2):
            runs = await layer.list_runs()
            assert runs == await layer.list_runs("")
            assert [located.key for located in runs.located] == [run.key]
            assert runs.skipped == (f"ExperimentRuns/{name}",)
    assert len(caplog.records) == 1
    caplog.records[0].getMessage().encode()
    assert (await layer.list_runs(name[:3])).skipped == runs.skipped
    listed = await layer.list_run(run)
    assert listed.skipped == tuple(sorted(strange))
    assert [located.ref.kind for located in listed.located] == ["voxel_spacing", "tomogram", "picks"]
    async with layer.scan([run] * FEW) as listings:
        async for _, found in listings:
            assert found == listed
    (spacing, tomogram, _) = listed.located
    assert (await layer.list_run(run, frozenset({"picks"}))).skipped[:1] == tuple(strange[:1])
    assert (await layer.list_voxel_spacing(spacing)).skipped == tuple(strange[2:4])
    assert (await layer.list_objects()).skipped == (f"Objects/{name}.zarr",)
    store = layer.zarr_store(tomogram)
    assert [key async for key in store.list_dir("")] == [".zgroup"]
    assert [key async for key in store.list()] == [".zgroup"]
    await layer.aclose()


@pytest.mark.asyncio
@pytest.mark.parametrize("collapses", [True, False])
async def test_keys_of_an_object_store_that_cannot_be_asked_for_are_told(
    moto_server: MotoServer, collapses: bool
) -> None:
    bucket = moto_server.new_bucket()
    runs = [f"ExperimentRuns/TS_{number}" for number in range(FEW + 1)]
    contents = {f"{run}/Picks/u_1_ribosome.json": b"[]" for run in runs}
    contents |= {
        "ExperimentRuns//Picks/u_1_ribosome.json": b"[]",
        "ExperimentRuns/TS\\1/Picks/u_1_ribosome.json": b"[]",
        f"{runs[1]}/Picks/u_1_a\\b.json": b"[]",
        f"{runs[1]}/Picks//u_1_ribosome.json": b"[]",
        f"{runs[1]}//Picks/u_1_ribosome.json": b"[]",
        f"{runs[1]}/Segmentations/10.000_u_1_a\\b.zarr/.zgroup": b"{}",
    }
    moto_server.seed(bucket, contents)
    layer = FilesystemLayer(CopickConfigFS(root=f"s3://{bucket}", fs_args=moto_server.fs_args()))
    if not collapses:
        layer.storage._core.capabilities = replace(layer.storage.capabilities, delimiter=False)  # type: ignore[attr-defined]
    listing = await layer.list_runs()
    assert [located.key for located in listing.located] == runs
    assert listing.skipped == ("ExperimentRuns//", "ExperimentRuns/TS\\1")
    async with layer.scan(listing.located) as listings:
        found = {run.key: answer async for run, answer in listings}
    for run in runs:
        answer = found[run]
        assert isinstance(answer, Listing)
        assert [located.ref.kind for located in answer.located] == ["picks"]
        strange = (f"{run}/Picks/u_1_a\\b.json", f"{run}/Segmentations/10.000_u_1_a\\b.zarr")
        assert answer.skipped == (strange if run == runs[1] else ())
    await layer.aclose()


@pytest.mark.asyncio
async def test_a_misspelt_option_opens_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="readonly"):
        async with aiocopick.open(tmp_path, readonly=True):
            pytest.fail("opened")
