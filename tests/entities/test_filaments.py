from __future__ import annotations

import json

import numpy as np
import pytest

from aiocopick.entities import AsyncFilaments, AsyncRoot
from aiocopick.errors import FormatError, NotFoundError, NotLoadedError
from aiocopick.models import CopickFilament, CopickFilamentsFile
from tests.entities.projects import Counted, write_run

LINES = [np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(4, 3)]


@pytest.mark.asyncio
async def test_lines_survive_the_way_there_and_back(root: AsyncRoot) -> None:
    async with root:
        run = await root.new_run("TS_1")
        filaments = await run.new_filaments("microtubule", "1")
        await filaments.from_numpy(
            LINES,
            instance_ids=[4, 2],
            polarity_known=[True, False],
            scores=[0.5, 1.0],
            radii=[125, None],
            voxel_spacing=7.5,
            metadata=[None, {"seen": 1}],
        )
        other = (await (await AsyncRoot(root.config).query())[0].filaments())[0]
        with pytest.raises(NotLoadedError):
            _ = other.filaments
        assert other.voxel_spacing is None
        for found, line in zip(await other.numpy(), LINES, strict=True):
            np.testing.assert_array_equal(found, line)
        assert (await other.instance_ids()).tolist() == [4, 2]
        found = await other.get(4)
        assert found is not None
        assert (found.polarity_known, found.radius, found.score) == (True, 125, 0.5)
        assert await other.get(1) is None
        assert other.voxel_spacing == 7.5
        assert other.filaments[1].metadata == {"seen": 1}


@pytest.mark.asyncio
async def test_what_else_the_file_says_is_kept(counted: Counted) -> None:
    run = await write_run(counted.root, volumes=False)
    key = (await run.filaments())[0].key
    content = json.loads(await counted.storage.read(key)) | {"voxel_spacing": 5.0, "by": "somebody"}
    await counted.storage.write(key, json.dumps(content).encode())
    cold = (await run.query_filaments())[0]
    with counted.requests(read=1, write=1):
        await cold.from_numpy(LINES)
    after = json.loads(await counted.storage.read(key))
    assert (after["voxel_spacing"], after["by"], len(after["filaments"])) == (5.0, "somebody", 2)


@pytest.mark.asyncio
async def test_assigned_filaments_are_stored(counted: Counted) -> None:
    run = await write_run(counted.root, volumes=False)
    filaments = (await run.query_filaments())[0]
    line = CopickFilament(instance_id=3, points=[(0, 0, 0), (1, 2, 3)])
    filaments.filaments = [line]
    assert filaments.filaments == [line]
    await filaments.store()
    assert (await (await run.query_filaments())[0].instance_ids()).tolist() == [3]
    with pytest.raises(ValueError, match="unique"):
        filaments.filaments = [line, line]


@pytest.mark.asyncio
async def test_lines_that_cannot_be_stored(counted: Counted) -> None:
    run = await write_run(counted.root, volumes=False)
    filaments = (await run.filaments())[0]
    with counted.requests():
        for arguments in (
            {"polylines": [LINES[0][:1]]},
            {"polylines": [LINES[0][:, :2]]},
            {"polylines": LINES, "instance_ids": [1]},
            {"polylines": LINES, "instance_ids": [1, 1]},
            {"polylines": LINES, "radii": [1, -1]},
            {"polylines": [LINES[0] * np.nan]},
        ):
            with pytest.raises(ValueError, match=r"."):
                await filaments.from_numpy(**arguments)
    assert len(await filaments.numpy()) == 1


@pytest.mark.asyncio
async def test_missing_and_broken_files(counted: Counted) -> None:
    run = await write_run(counted.root, volumes=False)
    filaments = (await run.query_filaments())[0]
    await counted.storage.write(filaments.key, b'{"filaments": 5}')
    with pytest.raises(FormatError, match=r"someone_1_microtubule\.json"):
        await filaments.load()
    await filaments.delete()
    with pytest.raises(NotFoundError):
        await filaments.load()
    assert await filaments._load() == []
    made = AsyncFilaments(run, CopickFilamentsFile(pickable_object_name="actin", user_id="me", session_id="1"))
    await made.from_numpy(LINES)
    assert made in await run.query_filaments()


@pytest.mark.asyncio
async def test_metadata_that_lines_are_made_with_is_stored(counted: Counted) -> None:
    run = await write_run(counted.root, volumes=False)
    names = {"pickable_object_name": "actin", "user_id": "new", "session_id": "1"}
    line = CopickFilament(instance_id=3, points=[(0, 0, 0), (1, 2, 3)])
    file = CopickFilamentsFile.model_validate(names | {"voxel_spacing": 5.0, "by": "me", "filaments": [line]})
    made = AsyncFilaments(run, file)
    assert made.voxel_spacing == 5.0
    await made.store()
    content = json.loads(await counted.storage.read(made.key))
    assert (content["voxel_spacing"], content["by"], len(content["filaments"])) == (5.0, "me", 1)
    # What is told of an existing file, before anybody read it.
    other = AsyncFilaments(run, CopickFilamentsFile.model_validate(names))
    other.meta.voxel_spacing = 6.0
    other.filaments = [line, line.model_copy(update={"instance_id": 4})]
    await other.store()
    content = json.loads(await counted.storage.read(made.key))
    assert (content["voxel_spacing"], content["by"], len(content["filaments"])) == (6.0, "me", 2)
