from __future__ import annotations

import numpy as np
import pytest
import trimesh

from aiocopick.entities import AsyncMesh, AsyncRoot
from aiocopick.errors import FormatError, NotFoundError, NotLoadedError
from aiocopick.models import CopickMeshMeta
from tests.entities.projects import Counted, write_run


@pytest.mark.asyncio
async def test_a_mesh_survives_the_way_there_and_back(root: AsyncRoot) -> None:
    async with root:
        run = await root.new_run("TS_1")
        mesh = await run.new_mesh("membrane", "1")
        box = trimesh.creation.box((10, 20, 30))
        mesh.mesh = box
        await mesh.store()
        assert mesh.mesh is box
        other = (await (await AsyncRoot(root.config).query())[0].meshes())[0]
        with pytest.raises(NotLoadedError):
            _ = other.mesh
        loaded = await other.load()
        assert isinstance(loaded, trimesh.parent.Geometry)
        assert loaded is other.mesh
        np.testing.assert_allclose(sorted(loaded.extents), [10, 20, 30])


@pytest.mark.asyncio
async def test_a_new_mesh_can_be_stored_with_nothing_set(counted: Counted) -> None:
    run = await counted.root.new_run("TS_1")
    mesh = await run.new_mesh("membrane", "1")
    assert (await mesh.to_napari())[0].shape == (0, 3)
    with counted.requests(write=1):
        await mesh.store()
    cold = (await (await counted.fresh().query())[0].meshes())[0]
    with counted.requests():
        await cold.store()


@pytest.mark.asyncio
async def test_one_vertex_and_one_degenerate_face_can_be_stored(counted: Counted) -> None:
    run = await counted.root.new_run("TS_1")
    mesh = await run.new_mesh("membrane", "1")
    mesh.mesh = trimesh.Trimesh(vertices=[[1, 2, 3]], faces=[[0, 0, 0]], process=False)
    await mesh.store()
    await (await run.query_meshes())[0].load()


@pytest.mark.asyncio
async def test_napari_has_its_axes_the_other_way_round(counted: Counted) -> None:
    run = await counted.root.new_run("TS_1")
    mesh = await run.new_mesh("membrane", "1")
    vertices = np.array([[3.0, 2.0, 1.0], [6.0, 5.0, 4.0], [9.0, 8.0, 7.5]])
    faces = np.array([[0, 1, 2]])
    with counted.requests():
        await mesh.from_napari(vertices, faces)
    assert mesh.mesh.vertices[0].tolist() == [1.0, 2.0, 3.0]
    back, triangles = await mesh.to_napari()
    np.testing.assert_array_equal(back, vertices)
    np.testing.assert_array_equal(triangles, faces)
    await mesh.store()
    other = (await run.query_meshes())[0]
    with counted.requests(read=1):
        back, triangles = await other.to_napari()
    np.testing.assert_allclose(back, vertices)
    np.testing.assert_array_equal(triangles, faces)


@pytest.mark.asyncio
async def test_an_empty_mesh_for_napari(counted: Counted) -> None:
    run = await counted.root.new_run("TS_1")
    vertices, faces = await (await run.new_mesh("membrane", "1")).to_napari()
    assert (vertices.shape, faces.shape) == ((0, 3), (0, 3))


@pytest.mark.asyncio
async def test_missing_and_broken_files(counted: Counted) -> None:
    run = await write_run(counted.root, volumes=False)
    mesh = (await run.query_meshes())[0]
    await counted.storage.write(mesh.key, b"this is not glTF")
    with pytest.raises(FormatError, match=r"someone_1_membrane\.glb"):
        await mesh.load()
    await mesh.delete()
    with pytest.raises(NotFoundError):
        await mesh.load()
    empty = await mesh._load()
    assert isinstance(empty, trimesh.Trimesh)
    assert empty.is_empty


@pytest.mark.asyncio
async def test_a_mesh_made_by_hand(counted: Counted) -> None:
    run = await counted.root.new_run("TS_1")
    meta = CopickMeshMeta(pickable_object_name="membrane", user_id="me", session_id="2")
    mesh = AsyncMesh(run=run, meta=meta, mesh=trimesh.creation.box())
    assert mesh.meta is meta
    await mesh._store()
    assert mesh in await run.query_meshes()
