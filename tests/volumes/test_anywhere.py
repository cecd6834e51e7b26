"""The store works from a plain script, inside a running loop, in threads, in spawned processes and in Dask's workers."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
import zarr

from aiocopick.errors import ReadOnlyError
from tests.servers.s3 import S3Server
from tests.volumes import anywhere
from tests.volumes.places import Place
from tests.volumes.projects import noise, project, tomogram_of

pytestmark = pytest.mark.asyncio


@pytest.fixture(params=["local", pytest.param("moto", marks=pytest.mark.slow)])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A place that other processes reach."""
    if request.param == "local":
        return Place("local", str(tmp_path / "project"))
    server: S3Server = request.getfixturevalue("moto_server")
    return Place("moto", f"s3://{server.new_bucket('anywhere')}/project", server.fs_args())


async def prepare(place: Place, tmp_path: Path) -> tuple[Any, str]:
    """A volume of whole numbers, and a config that opens its project."""
    data = np.rint(noise(20, 20, 20))
    async with project(place) as root:
        await (await tomogram_of(root)).from_numpy(data, chunks=(8, 8, 8))
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"config_type": "filesystem", "root": place.root, "fs_args": place.fs_args}))
    return data, str(config)


@pytest.mark.parametrize("way", ["from_a_script", "inside_a_running_loop", "in_threads", "on_loops_of_their_own"])
async def test_each_way_in_a_process_of_its_own(shared: Place, tmp_path: Path, way: str) -> None:
    data, config = await prepare(shared, tmp_path)
    # Warnings are errors there as well: nothing may be left open at the end. (Not `-X dev`: aiohttp then refuses the
    # headers of moto, and asyncio reports slow imports.)
    flags = ["-W", "error", "-W", "ignore::DeprecationWarning"]
    command = [sys.executable, *flags, anywhere.__file__, way, config]
    done = await anyio.to_thread.run_sync(lambda: subprocess.run(command, capture_output=True, text=True, timeout=60))
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == data.sum(dtype="f8")
    assert done.stderr == ""


async def test_in_a_spawned_process(shared: Place, tmp_path: Path) -> None:
    data, _ = await prepare(shared, tmp_path)
    async with project(shared) as root:
        store = (await tomogram_of_existing(root)).zarr()

        def spawn() -> float:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                return pool.apply(anywhere.total, (store,))

        assert await anyio.to_thread.run_sync(spawn) == data.sum(dtype="f8")


async def tomogram_of_existing(root: Any) -> Any:
    [run] = await root.runs()
    [spacing] = await run.voxel_spacings()
    [tomogram] = await spacing.tomograms()
    return tomogram


@pytest.mark.slow
async def test_dask_tasks_run_in_threads_and_in_processes(shared: Place, tmp_path: Path) -> None:
    pytest.importorskip("dask", reason="dask is not installed")
    data, _ = await prepare(shared, tmp_path)
    async with project(shared) as root:
        tomogram = await tomogram_of_existing(root)
        array = await tomogram.to_dask()
        assert array.chunksize == (8, 8, 8)
        assert array.dtype == data.dtype
        assert pickle.loads(pickle.dumps(array)).shape == data.shape
        context = multiprocessing.get_context("spawn")

        def compute() -> tuple[float, float]:
            from concurrent.futures import ProcessPoolExecutor

            threaded = float(array.sum(dtype="f8").compute(scheduler="threads"))
            with ProcessPoolExecutor(2, mp_context=context) as pool:
                return threaded, float(array.sum(dtype="f8").compute(scheduler="processes", pool=pool))

        assert await anyio.to_thread.run_sync(compute) == (data.sum(dtype="f8"),) * 2


async def test_zarr_writes_through_the_store(place: Place) -> None:
    async with project(place) as root:
        tomogram = await tomogram_of(root)
        group = zarr.open_group(tomogram.zarr(), mode="r+")
        assert group.metadata.zarr_format == 2
        group.create_array("0", data=np.arange(27.0).reshape(3, 3, 3), chunks=(2, 2, 2))
        # There is no OME metadata: the level that is called as the finest one is taken for it.
        np.testing.assert_array_equal(await tomogram.numpy(), np.arange(27.0).reshape(3, 3, 3))
        [level] = await tomogram.levels()
        assert level.voxel_size == (10.0, 10.0, 10.0)


async def test_an_opened_array_is_zarrs_own(memory: Place) -> None:
    data = noise(9, 9, 9)
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(data, chunks=(4, 4, 4))
        array = await tomogram.open_array()
        assert isinstance(array, zarr.AsyncArray)
        np.testing.assert_array_equal(await array.getitem((slice(2, 5), 3)), data[2:5, 3])
        await array.setitem((0,), 7.0)
        assert (await tomogram.numpy(z=0) == 7).all()
    async with project(memory, read_only=True) as root:
        array = await (await tomogram_of_existing(root)).open_array()
        with pytest.raises(ReadOnlyError):
            await array.setitem((0,), 1.0)
