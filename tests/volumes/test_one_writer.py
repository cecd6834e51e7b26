"""A whole volume has one writer at a time: the second one is refused, and a killed one keeps others out for a while."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
import threading
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest

from aiocopick import CopickRootFS
from aiocopick.entities import AsyncRoot
from aiocopick.errors import ConflictError, NotFoundError
from aiocopick.layers.copying import lease_key
from aiocopick.storage import leases
from aiocopick.storage.base import Aged, Capabilities
from aiocopick.testing import CountingStorage, WrappedStorage
from aiocopick.upkeep import copy, examine
from tests.children import child
from tests.servers.s3 import MotoServer
from tests.volumes.places import Place, make_place
from tests.volumes.projects import noise, project, requests, spacing_of, tomogram_of, wrap

KEY = "ExperimentRuns/TS_1/VoxelSpacing10.000/wbp.zarr"
LEASE = "ExperimentRuns/TS_1/VoxelSpacing10.000/.wbp.zarr.lease"
OLD, NEW = noise(20, 20, 20), noise(12, 12, 12) + 1000


@pytest.fixture(params=["local", "memory", "moto", pytest.param("minio", marks=pytest.mark.minio), "gcs", "azure"])
def everywhere(request: pytest.FixtureRequest) -> Place:
    """A root on each storage that can keep writers apart."""
    if request.param in ("gcs", "azure"):
        server = request.getfixturevalue(f"{request.param}_server")
        scheme = {"gcs": "gs", "azure": "az"}[request.param]
        return Place(request.param, f"{scheme}://{server.new_bucket('volumes')}/project", server.fs_args())
    return make_place(request.param, request)


class Held:
    """Data that is not given before it is told to."""

    dtype = np.dtype(np.float32)

    def __init__(self, data: Any) -> None:
        self.shape = data.shape
        self._data = data
        self.asked = threading.Event()
        self.go_on = threading.Event()

    def __getitem__(self, item: Any) -> Any:
        self.asked.set()
        assert self.go_on.wait(60)
        return self._data[item]


@asynccontextmanager
async def writing(tomogram: Any, data: Any) -> AsyncIterator[Held]:
    """Another writer, in the middle of its work until the block is left; it has to come through."""
    held = Held(data)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(tomogram.from_numpy(held, levels=1))
        assert await anyio.to_thread.run_sync(held.asked.wait, 60)
        try:
            yield held
        finally:
            held.go_on.set()
        await task


async def found(place: Place) -> Any:
    async with project(place) as root:
        tomogram = await same_tomogram(root)
        return await tomogram.numpy()


async def same_tomogram(root: AsyncRoot) -> Any:
    run = await root.get_run("TS_1")
    assert run is not None
    spacing = await run.get_voxel_spacing(10)
    assert spacing is not None
    return await spacing.get_tomogram("wbp")


def test_where_the_lease_is() -> None:
    assert lease_key(KEY) == LEASE


@pytest.mark.asyncio
@pytest.mark.parametrize("what", ["new", "written before"])
async def test_the_second_writer_is_refused_before_it_writes(everywhere: Place, what: str) -> None:
    async with project(everywhere) as root, project(everywhere) as other:
        tomogram = await tomogram_of(root)
        if what == "written before":
            await tomogram.from_numpy(OLD, chunks=(10, 10, 10), levels=2)
        second = await same_tomogram(other)
        async with writing(tomogram, OLD):
            before = other.stats.requests["write"]
            for change in (second.from_numpy(NEW), second.delete(), (await other.get_run("TS_1")).delete()):
                with pytest.raises(ConflictError, match="is being written by another writer"):
                    await change
            assert other.stats.bytes_written == 0
            assert other.stats.requests["write"] - before == 2
            # It is no entity of anybody's.
            [run] = await other.query()
            assert [item.tomo_type for spacing in await run.voxel_spacings() for item in await spacing.tomograms()] == [
                "wbp"
            ]
            assert [item.problem for item in await examine(other) if item.path.endswith(".lease")] == [
                "volume being written"
            ]
        assert np.array_equal(await found(everywhere), OLD)
        await second.from_numpy(NEW, levels=1)
        assert np.array_equal(await found(everywhere), NEW)
        assert not await root.layer.storage.exists(LEASE)
        assert [item for item in await examine(other) if "lease" in item.problem] == []


@pytest.mark.asyncio
async def test_many_writers_at_once_never_mix(everywhere: Place) -> None:
    async with project(everywhere) as root:
        await tomogram_of(root)
    sizes = (10, 7, 5, 4)

    async def write(size: int) -> bool:
        async with project(everywhere) as root:
            tomogram = await same_tomogram(root)
            try:
                await tomogram.from_numpy(np.full((20, 20, 20), size, np.float32), chunks=(size,) * 3, levels=1)
            except ConflictError:
                return False
        return True

    for _ in range(3):
        done = await asyncio.gather(*map(write, sizes))
        assert any(done)
        data = await found(everywhere)
        assert set(np.unique(data)) <= {size for size, came_through in zip(sizes, done, strict=True) if came_through}
        assert len(np.unique(data)) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("zarr_format", [2, 3])
async def test_it_costs_two_requests(moto_server: MotoServer, bucket: Place, zarr_format: int) -> None:
    async with project(bucket, zarr_format=zarr_format) as root:
        tomogram = await tomogram_of(root)
        with moto_server.counting() as written:
            await tomogram.from_numpy(OLD, chunks=(10, 10, 10), levels=1)
        assert written == {"PutObject": 8 + 2 + 1, "DeleteObject": 1}
        with moto_server.counting() as read:
            await tomogram.numpy()
        assert read == {"GetObject": 8}
        counted = wrap(root, CountingStorage)
        await tomogram.from_numpy(OLD, chunks=(10, 10, 10), levels=1)
        assert [verb for verb, key in counted.calls if key == LEASE] == ["write", "delete"]
        del counted.calls[:]
        await tomogram.delete()
        assert [verb for verb, key in counted.calls if key == LEASE] == ["write", "delete"]
        del counted.calls[:]
        await (await spacing_of(root)).new_tomogram("denoised")
        assert not any(key.endswith(".lease") for _, key in counted.calls)


@pytest.mark.asyncio
async def test_a_region_needs_no_lease(everywhere: Place) -> None:
    async with project(everywhere) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(OLD, chunks=(10, 10, 10), levels=1)
        async with leases.sole_writer(root.layer.storage, LEASE, tomogram.path):
            await tomogram.set_region(7, z=slice(0, 5))
            await tomogram.zarr().delete("nothing")
        assert (await tomogram.numpy(z=slice(0, 5)) == 7).all()


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["local", pytest.param("minio", marks=pytest.mark.minio)])
async def test_a_killed_writer_keeps_others_out_for_a_while(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    place = make_place(kind, request)
    async with project(place) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(OLD, chunks=(10, 10, 10), levels=2)

        def kill() -> None:
            program = [sys.executable, "-m", "tests.volumes.lease_holder", place.root, json.dumps(place.fs_args)]
            with child(program) as writer:
                assert writer.stdout is not None
                assert writer.stdout.readline() == "writing\n"

        await anyio.to_thread.run_sync(kill)
        assert await root.layer.storage.exists(LEASE)
        with pytest.raises(ConflictError, match=r"process \d+ on "):
            await tomogram.from_numpy(NEW)
        with pytest.raises(NotFoundError):
            await found(place)
        monkeypatch.setattr(leases, "LIFETIME", 1.0)
        # The clock of this process counts for nothing.
        monkeypatch.setattr(leases.time, "time", lambda: 0.0) if kind == "minio" else None
        while (await root.layer.storage.read_aged(LEASE)).age <= 1:
            await anyio.sleep(0.2)
        findings = {item.problem for item in await examine(root) if item.path.endswith(".lease")}
        assert findings == {"lease of a killed writer"}
        await tomogram.from_numpy(NEW, levels=1)
        assert np.array_equal(await found(place), NEW)
        assert not await root.layer.storage.exists(LEASE)


@pytest.mark.asyncio
async def test_an_old_lease_is_taken_over_by_one_of_many(everywhere: Place) -> None:
    class Later(WrappedStorage):
        """An hour after the first lease was written."""

        async def read_aged(self, key: str) -> Aged:
            found = await self.inner.read_aged(key)
            assert found.age is not None
            return found._replace(age=found.age + 3600) if found.data == b"somebody" else found

    async with project(everywhere) as root:
        storage = Later(root.layer.storage)
        await storage.write(LEASE, b"somebody")
        held = [leases.Lease(storage, LEASE, KEY) for _ in range(8)]
        results = await asyncio.gather(*(lease.acquire() for lease in held), return_exceptions=True)
        assert results.count(None) == 1
        assert {type(result) for result in results if result is not None} == {ConflictError}


@pytest.mark.asyncio
@pytest.mark.parametrize("zarr_format", [2, 3])
async def test_who_was_taken_over_shows_nothing(
    memory: Place, monkeypatch: pytest.MonkeyPatch, zarr_format: int
) -> None:
    async with project(memory, zarr_format=zarr_format) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(OLD, levels=2)
        held = Held(NEW)
        task = asyncio.ensure_future(tomogram.from_numpy(held, levels=1))
        await anyio.to_thread.run_sync(held.asked.wait, 60)
        await root.layer.storage.write(LEASE, b"{}")
        held.go_on.set()
        with pytest.raises(ConflictError, match="taken over"):
            await task
        with pytest.raises(NotFoundError):
            await found(memory)
        # The lease is the other one's.
        assert await root.layer.storage.read(LEASE) == b"{}"


@pytest.mark.asyncio
async def test_a_long_write_renews_it_and_stops_when_it_is_lost(bucket: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "RENEWAL", 0.05)
    async with project(bucket) as root:
        storage = root.layer.storage
        tomogram = await tomogram_of(root)
        async with writing(tomogram, OLD):
            first = await storage.read(LEASE)
            while await storage.read(LEASE) == first:
                await anyio.sleep(0.05)
        assert np.array_equal(await found(bucket), OLD)

        async def lose() -> None:
            async with leases.sole_writer(storage, LEASE, KEY):
                await storage.write(LEASE, b"another one's")
                await anyio.sleep_forever()

        with pytest.raises(ConflictError, match="taken over"):
            await lose()
        assert await storage.read(LEASE) == b"another one's"


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["asyncio", "anyio"])
async def test_a_cancelled_writer_gives_it_back(everywhere: Place, how: str) -> None:
    async with project(everywhere) as root:
        tomogram = await tomogram_of(root)
        held = Held(OLD)
        scope = anyio.CancelScope()

        async def write() -> None:
            with scope:
                await tomogram.from_numpy(held, levels=1)

        task = asyncio.ensure_future(write())
        await anyio.to_thread.run_sync(held.asked.wait)
        assert await root.layer.storage.exists(LEASE)
        scope.cancel() if how == "anyio" else task.cancel()
        held.go_on.set()
        await asyncio.wait([task])
        assert task.cancelled() if how == "asyncio" else scope.cancelled_caught
        assert not await root.layer.storage.exists(LEASE)
        await tomogram.from_numpy(NEW, levels=1)
        assert np.array_equal(await found(everywhere), NEW)


@pytest.mark.asyncio
async def test_a_failing_writer_gives_it_back(everywhere: Place) -> None:
    class Broken(Held):
        def __getitem__(self, item: Any) -> Any:
            raise RuntimeError("no data")

    async with project(everywhere) as root:
        tomogram = await tomogram_of(root)
        with pytest.raises(RuntimeError, match="no data"):
            await tomogram.from_numpy(Broken(OLD))
        assert not await root.layer.storage.exists(LEASE)


@pytest.mark.asyncio
async def test_a_copy_is_a_writer_on_both_sides_of_a_stack(everywhere: Place, memory: Place) -> None:
    async with project(everywhere) as root, project(memory) as source:
        tomogram = await tomogram_of(root)
        await (await tomogram_of(source)).from_numpy(NEW)
        async with writing(tomogram, OLD):
            report = await copy(source, root, kinds="tomograms", overwrite=True)
            assert "is being written by another writer" in "".join(report.errors.values())
        assert np.array_equal(await found(everywhere), OLD)
        report = await copy(source, root, kinds="tomograms", overwrite=True)
        assert report.errors == {}
        assert np.array_equal(await found(everywhere), NEW)
        assert not await root.layer.storage.exists(LEASE)


@pytest.mark.asyncio
async def test_copying_up_is_a_writer(everywhere: Place, memory: Place) -> None:
    async with project(memory) as source:
        await (await tomogram_of(source)).from_numpy(OLD, chunks=(10, 10, 10), levels=1)
        lower = source.config.model_copy(update={"read_only": True, "layer_name": "lower"})
        upper = everywhere.config(layer_name="upper", priority=1)
        async with AsyncRoot.stack([upper, lower]) as stack:
            tomogram = await same_tomogram(stack)
            async with leases.sole_writer(stack.layer.storage, LEASE, KEY):
                with pytest.raises(ConflictError, match="is being written"):
                    await tomogram.set_region(7, z=slice(0, 5))
                with pytest.raises(ConflictError, match="is being written"):
                    await tomogram.from_numpy(NEW)
            await tomogram.set_region(7, z=slice(0, 5))
            assert (await tomogram.numpy(z=slice(0, 5)) == 7).all()
            assert not await stack.layer.storage.exists(LEASE)


@pytest.mark.asyncio
async def test_what_is_deleted_twice_leaves_no_folders(local: Place) -> None:
    async with project(local) as root:
        tomogram = await tomogram_of(root)
        await (await root.get_run("TS_1")).delete()
        await tomogram.delete()
        assert await root.query() == []
        assert not Path(local.root, "ExperimentRuns/TS_1").exists()


@pytest.mark.asyncio
async def test_where_nobody_can_be_kept_out_it_is_said_once(memory: Place) -> None:
    class Unconditional(WrappedStorage):
        @property
        def capabilities(self) -> Capabilities:
            return dataclasses.replace(self.inner.capabilities, conditional_writes=False)

    async with project(memory) as root:
        wrap(root, Unconditional)
        tomogram = await tomogram_of(root)
        with pytest.warns(UserWarning, match="no conditional writes"):
            await tomogram.from_numpy(OLD)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await tomogram.from_numpy(NEW)
        requests(root)
        assert np.array_equal(await tomogram.numpy(), NEW)


def test_the_facade_is_refused_too(local: Place) -> None:
    with CopickRootFS(local.config()) as root, CopickRootFS(local.config()) as other:
        tomogram = root.new_run("TS_1").new_voxel_spacing(10).new_tomogram("wbp")
        second = other.get_run("TS_1").get_voxel_spacing(10).get_tomogram("wbp")
        held = Held(OLD)
        thread = threading.Thread(target=lambda: tomogram.from_numpy(held, levels=1))
        thread.start()
        assert held.asked.wait(60)
        with pytest.raises(ConflictError, match="is being written"):
            second.from_numpy(NEW)
        held.go_on.set()
        thread.join(60)
        second.refresh()
        assert np.array_equal(second.numpy(), OLD)
