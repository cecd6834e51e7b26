"""What napari is given, without napari: data, keyword arguments, type of layer, in zyx angstrom."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import anyio
import numpy as np
import pytest
import trimesh

import aiocopick
from tests.volumes.places import Place
from tests.volumes.projects import SIZE, noise, project, tomogram_of

pytestmark = pytest.mark.asyncio


async def test_volumes_and_labels(memory: Place) -> None:
    data = noise(8, 9, 10)
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(data)
        shown, keywords, kind = await aiocopick.layer_data(tomogram)
        assert kind == "image"
        assert keywords["scale"] == (SIZE,) * 3
        assert keywords["name"] == tomogram.uri
        np.testing.assert_array_equal(shown, data)
        coarse, keywords, _ = await aiocopick.layer_data(tomogram, zarr_group="1")
        assert coarse.shape == (4, 5, 5)
        assert keywords["scale"] == (2 * SIZE,) * 3
        features = await tomogram.new_features("embedding")
        await features.from_numpy(np.stack([data, data]))
        _, keywords, kind = await aiocopick.layer_data(features)
        assert (keywords["scale"], kind) == ((1.0, SIZE, SIZE, SIZE), "image")
        run = tomogram.voxel_spacing.run
        panoptic = await run.new_segmentation(SIZE, "all", "1", is_panoptic=True)
        labels = (data > 0).astype(int)
        await panoptic.from_numpy(np.stack([labels, 3 * labels]))
        for channel, expected in ((None, labels), ("instance", 3 * labels)):
            shown, keywords, kind = await aiocopick.layer_data(panoptic, channel=channel)
            np.testing.assert_array_equal(shown, expected)
            assert (keywords["scale"], kind) == ((SIZE,) * 3, "labels")
        with pytest.raises(TypeError, match="AsyncRun"):
            await aiocopick.layer_data(run)
    assert "napari" not in sys.modules


async def test_objects_of_the_facade_are_told_to_pass_their_twin(memory: Place) -> None:
    async with project(memory) as root:
        await (await tomogram_of(root)).from_numpy(noise(8, 9, 10))

    def blocking() -> tuple[Any, Any]:
        with aiocopick.open_sync(memory.root) as facade:
            tomogram = facade.runs[0].voxel_spacings[0].tomograms[0]
            with pytest.raises(TypeError, match="aio"):
                asyncio.run(aiocopick.layer_data(tomogram))
            return asyncio.run(aiocopick.layer_data(tomogram.aio))[0], tomogram.numpy()

    shown, data = await anyio.to_thread.run_sync(blocking)
    np.testing.assert_array_equal(shown, data)


async def test_all_levels_lazily(memory: Place) -> None:
    pytest.importorskip("dask", reason="dask is not installed")
    async with project(memory) as root:
        tomogram = await tomogram_of(root)
        await tomogram.from_numpy(noise(8, 9, 10))
        levels, keywords, kind = await aiocopick.layer_data(tomogram, lazy=True)
        assert [level.shape for level in levels] == [(8, 9, 10), (4, 5, 5), (2, 3, 3)]
        assert keywords["multiscale"] is True
        assert kind == "image"
        with pytest.raises(ValueError, match="lazy"):
            await aiocopick.layer_data(tomogram, lazy=True, zarr_group="0")


async def test_points_and_meshes_lie_on_volumes(memory: Place) -> None:
    async with project(memory) as root:
        run = (await tomogram_of(root)).voxel_spacing.run
        picks = await run.new_picks("ribosome", "1")
        positions = np.array([[10.0, 20.0, 30.0], [40.0, 50.0, 60.0]])
        await picks.from_numpy(positions, scores=[0.5, 0.7])
        shown, keywords, kind = await aiocopick.layer_data(picks)
        assert kind == "points"
        np.testing.assert_array_equal(shown, positions[:, ::-1])
        assert keywords["size"] == 300.0
        np.testing.assert_array_equal(keywords["features"]["score"], [0.5, 0.7])
        assert keywords["face_color"] == [0.0, 128 / 255, 1.0, 1.0]
        mesh = await run.new_mesh("membrane", "1")
        mesh.mesh = trimesh.creation.box(extents=(10, 20, 30))
        await mesh.store()
        (vertices, faces), keywords, kind = await aiocopick.layer_data(mesh)
        assert kind == "surface"
        assert np.ptp(vertices, axis=0).tolist() == [30, 20, 10]
        assert faces.shape == (12, 3)
        assert keywords["vertex_colors"].shape == (len(vertices), 4)


async def test_filaments_are_paths(memory: Place) -> None:
    async with project(memory) as root:
        run = (await tomogram_of(root)).voxel_spacing.run
        filaments = await run.new_filaments("membrane", "1")
        await filaments.from_numpy([np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])])
        await filaments.store()
        [line], keywords, kind = await aiocopick.layer_data(filaments)
        assert kind == "shapes"
        assert keywords["shape_type"] == "path"
        assert line.tolist() == [[3.0, 2.0, 1.0], [6.0, 5.0, 4.0]]
