"""Storages that answer 403 for what is absent: a zarr 2 volume has no ``zarr.json``, and a sparse one not every chunk."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from anyio import to_thread

import aiocopick
from aiocopick.errors import AccessDeniedError, NotFoundError
from aiocopick.testing import Answer, FaultServer, Request, WrappedStorage
from tests.volumes.places import Place
from tests.volumes.projects import SIZE, noise, project, spacing_of, tomogram_of, wrap

pytestmark = pytest.mark.asyncio

FORMATS = pytest.mark.parametrize("zarr_format", [2, 3])
DATA = noise(12, 12, 12)


class Forbidding(WrappedStorage):
    """Denies what is absent, and listings if asked to."""

    listable = True
    denied: tuple[str, ...] = ()

    async def around(self, verb: str, key: str, call: Any) -> Any:
        if (verb == "list" and not self.listable) or any(name in key for name in self.denied):
            raise AccessDeniedError(f"Cannot {verb} {key}: denied", path=key)
        try:
            return await call()
        except NotFoundError as error:
            raise AccessDeniedError(f"Cannot {verb} {key}: denied", path=key) from error


@FORMATS
@pytest.mark.parametrize("listable", [True, False])
async def test_a_volume_is_read_where_what_is_absent_is_denied(memory: Place, zarr_format: int, listable: bool) -> None:
    async with project(memory, zarr_format=zarr_format) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(DATA, levels=2)
        features = await tomogram.new_features("edges")
        await features.from_numpy(DATA)
        found = await root.get_object("ribosome")
        await found.from_numpy(DATA, SIZE)
        storage = wrap(root, Forbidding)
        storage.listable = listable
        for volume in (tomogram, features, found):
            volume.refresh()
            np.testing.assert_array_equal(await volume.numpy(), DATA)
            assert (await volume.levels())[0].shape == DATA.shape


@FORMATS
async def test_denied_is_never_unwritten(memory: Place, zarr_format: int) -> None:
    async with project(memory, zarr_format=zarr_format) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(DATA, levels=2)
        storage = wrap(root, Forbidding)
        # All of the volume; its levels; each chunk.
        for denied in (("wbp.zarr",), ("/0/", "/1/"), ("/0/0",)):
            storage.denied = denied
            tomogram.refresh()
            with pytest.raises(AccessDeniedError):
                await tomogram.numpy()
        storage.denied = ("/1/",)
        tomogram.refresh()
        np.testing.assert_array_equal(await tomogram.numpy(), DATA)
        with pytest.raises(AccessDeniedError):
            await tomogram.numpy("1")


async def test_a_group_document_that_is_listed_and_denied_is_said(memory: Place) -> None:
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(DATA)
        storage = wrap(root, Forbidding)
        storage.denied = (".zattrs",)
        tomogram.refresh()
        with pytest.raises(AccessDeniedError, match="zattrs"):
            await tomogram.numpy()


@FORMATS
async def test_a_web_server_that_answers_403(local: Place, zarr_format: int) -> None:
    data = np.zeros((12, 12, 12), np.float32)
    data[:4] = 3
    async with project(local, zarr_format=zarr_format, runs=["TS_1"]) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(data, levels=1, chunks=(4, 4, 4))
        picks = await tomogram.voxel_spacing.run.new_picks("ribosome", "1")
        await picks.from_numpy([[1.0, 2, 3]])
    folder = Path(local.root)
    volume = folder / "ExperimentRuns/TS_1/VoxelSpacing10.000/wbp.zarr"
    for chunk in (volume / "0" / "2").rglob("*"):
        if chunk.is_file():
            chunk.unlink()

    def answer(request: Request) -> Answer:
        path = folder / unquote(request.path.partition("?")[0]).strip("/")
        return Answer(body=path.read_bytes()) if path.is_file() else Answer(403)

    server = await to_thread.run_sync(lambda: FaultServer().__enter__())
    try:
        server.always(answer)
        options: dict[str, Any] = {"runs": ["TS_1"], "fs_args": {}}
        async with aiocopick.open(server.url, **options) as root:
            volumes = await _by_name(root)
            np.testing.assert_array_equal(await volumes.numpy(z=slice(0, 4)), data[:4])
            with pytest.raises(AccessDeniedError, match="forbidden_is_absent"):
                await volumes.numpy()
        async with aiocopick.open(server.url, forbidden_is_absent=True, **options) as root:
            volumes = await _by_name(root)
            np.testing.assert_array_equal(await volumes.numpy(), data)
            with pytest.raises(AccessDeniedError):
                await root.layers[0].storage.list("ExperimentRuns")  # type: ignore[attr-defined]
    finally:
        await to_thread.run_sync(lambda: server.__exit__(None, None, None))


async def _by_name(root: Any) -> Any:
    """The tomogram, without any listing."""
    from aiocopick.entities.run import AsyncRun
    from aiocopick.entities.tomogram import AsyncTomogram
    from aiocopick.entities.voxel_spacing import AsyncVoxelSpacing
    from aiocopick.layout.refs import RunRef, TomogramRef, VoxelSpacingRef

    def known(cls: Any, parent: Any, ref: Any) -> Any:
        return cls._of(parent, ref, root._stack.assumed(ref))

    run = known(AsyncRun, root, RunRef(run="TS_1"))
    spacing = known(AsyncVoxelSpacing, run, VoxelSpacingRef(run="TS_1", voxel_size=SIZE))
    return known(AsyncTomogram, spacing, TomogramRef(run="TS_1", voxel_size=SIZE, tomo_type="wbp"))


async def test_metadata_that_is_denied_is_not_needed_where_nothing_is_written(memory: Place) -> None:
    async with project(memory) as root:
        await spacing_of(root)
    async with project(memory, read_only=True) as root:
        [run] = await root.runs()
        storage = wrap(root, Forbidding)
        storage.denied = (".meta",)
        await run.load_meta()
    async with project(memory) as root:
        [run] = await root.runs()
        storage = wrap(root, Forbidding)
        storage.denied = (".meta",)
        with pytest.raises(AccessDeniedError):
            await run.load_meta()
