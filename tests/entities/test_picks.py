from __future__ import annotations

import gzip
import json
import pickle

import numpy as np
import pytest

import aiocopick
from aiocopick.entities import AsyncPicks, AsyncRoot
from aiocopick.errors import FormatError, NotFoundError, NotLoadedError
from aiocopick.models import CopickLocation, CopickPicksFile, CopickPoint
from tests.entities.projects import POSITIONS, Counted, write_run

KEY = "ExperimentRuns/TS_1/Picks/someone_1_ribosome.json"


async def stored(counted: Counted, key: str = KEY) -> dict:
    return json.loads(await counted.storage.read(key))


async def picks_of(counted: Counted, content: object) -> AsyncPicks:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    await counted.storage.write(KEY, data)
    run = await counted.fresh().get_run("TS_1")
    assert run is not None
    return (await run.query_picks())[0]


@pytest.mark.asyncio
async def test_points_survive_the_way_there_and_back(root: AsyncRoot) -> None:
    async with root:
        run = await root.new_run("TS_1")
        picks = await run.new_picks("ribosome", "1")
        transforms = np.tile(np.eye(4), (2, 1, 1))
        transforms[1, :3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
        transforms[1, :3, 3] = [10, 20, 30]
        await picks.from_numpy(POSITIONS, transforms, [3, 4], [0.25, 0.75])
        other = (await (await AsyncRoot(root.config).query())[0].picks())[0]
        positions, matrices = await other.numpy()
        np.testing.assert_array_equal(positions, POSITIONS)
        np.testing.assert_array_equal(matrices, transforms)
        assert (await other.instance_ids()).tolist() == [3, 4]
        assert (await other.scores()).tolist() == [0.25, 0.75]
        np.testing.assert_array_equal(await other.full_positions(), POSITIONS + np.array([[0, 0, 0], [10, 20, 30]]))
        found, scores = await other.to_numpy()
        np.testing.assert_array_equal(found, POSITIONS)
        assert scores is not None
        assert scores.tolist() == [0.25, 0.75]
        assert [point.instance_id for point in other.points] == [3, 4]


@pytest.mark.asyncio
async def test_arrays_are_loaded_when_asked_for_and_points_are_not(counted: Counted) -> None:
    await write_run(counted.root, volumes=False)
    picks = (await (await counted.fresh().query())[0].picks())[0]
    with pytest.raises(NotLoadedError, match="load"):
        _ = picks.points
    with pytest.raises(NotLoadedError):
        _ = picks.data
    assert picks.trust_orientation is True
    with counted.requests(read=1):
        await picks.numpy()
        await picks.scores()
        await picks.to_numpy()
    assert picks._points is None
    assert len(picks.points) == 2
    picks.refresh()
    with pytest.raises(NotLoadedError):
        _ = picks.points


@pytest.mark.asyncio
async def test_arrays_given_away_are_not_those_that_are_stored(counted: Counted) -> None:
    run = await write_run(counted.root, volumes=False)
    picks = (await run.picks())[0]
    positions, transforms = await picks.numpy()
    positions[:], transforms[:] = 0, 0
    np.testing.assert_array_equal((await picks.numpy())[0], POSITIONS)
    given = POSITIONS.copy()
    await picks.from_numpy(given)
    given[:] = 0
    np.testing.assert_array_equal((await picks.numpy())[0], POSITIONS)


@pytest.mark.asyncio
async def test_once_touched_the_points_rule(counted: Counted) -> None:
    await write_run(counted.root, volumes=False)
    picks = (await (await counted.fresh().query())[0].picks())[0]
    file = await picks.load()
    assert isinstance(file, CopickPicksFile)
    assert file.points is picks.points
    picks.points[0].location.x = 99.0
    file.points.append(CopickPoint(location=CopickLocation(x=7, y=8, z=9)))
    assert (await picks.numpy())[0][:, 0].tolist() == [99.0, 4.5, 7.0]
    await picks.store()
    assert [point["location"]["x"] for point in (await stored(counted))["points"]] == [99.0, 4.5, 7.0]
    await picks.from_numpy(POSITIONS[:1])
    assert len(picks.points) == 1


@pytest.mark.asyncio
async def test_a_loaded_file_is_an_ordinary_model(counted: Counted) -> None:
    await write_run(counted.root, volumes=False)
    picks = (await (await counted.fresh().query())[0].picks())[0]
    file = await picks.load()
    assert "points" not in file.__dict__
    dumped = file.model_dump()
    assert len(dumped["points"]) == 2
    plain = CopickPicksFile(**dumped)
    assert file == plain
    assert plain == file
    assert json.loads(file.model_dump_json()) == json.loads(plain.model_dump_json())
    assert pickle.loads(pickle.dumps(file)) == plain
    assert file.model_copy(deep=True) == plain
    assert repr(file.points[0]) in repr(file)
    assert (file.pickable_object_name, file.run_name) == ("ribosome", "TS_1")


@pytest.mark.asyncio
async def test_assigned_points_stay_in_memory_and_are_stored(counted: Counted) -> None:
    run = await write_run(counted.root, volumes=False)
    picks = (await run.picks())[0]
    points = [CopickPoint(location=CopickLocation(x=1, y=2, z=3))]
    picks.points = points
    with counted.requests(write=1):
        await picks.store()
    assert picks.points is points
    picks.data = []
    await picks.store()
    assert (await stored(counted))["points"] == []


@pytest.mark.asyncio
async def test_without_data_store_does_nothing(counted: Counted) -> None:
    await write_run(counted.root, volumes=False)
    picks = (await (await counted.fresh().query())[0].picks())[0]
    with counted.requests():
        await picks.store()
        await picks._store()


@pytest.mark.asyncio
async def test_what_else_the_file_says_is_kept(counted: Counted) -> None:
    content = {
        "pickable_object_name": "ribosome",
        "user_id": "someone",
        "session_id": "1",
        "run_name": "another name",
        "voxel_spacing": 7.5,
        "unit": "angstrom",
        "points": [{"location": {"x": 1, "y": 2, "z": 3, "w": 4}, "note": "own"}],
        "trust_orientation": False,
        "colour": {"of": "somebody"},
    }
    picks = await picks_of(counted, content)
    await picks.from_numpy(POSITIONS)
    after = await stored(counted)
    for name in ("run_name", "voxel_spacing", "trust_orientation", "colour"):
        assert after[name] == content[name]
    assert len(after["points"]) == 2
    assert picks.trust_orientation is False

    picks = await picks_of(counted, content)
    picks.points = [CopickPoint(location=CopickLocation(x=1, y=2, z=3))]
    await picks.store()
    assert (await stored(counted))["colour"] == {"of": "somebody"}

    picks = await picks_of(counted, content)
    await picks.load()
    picks.points[0].score = 0.5
    await picks.store()
    point = (await stored(counted))["points"][0]
    assert (point["note"], point["location"]["w"], point["score"]) == ("own", 4, 0.5)


@pytest.mark.asyncio
async def test_the_path_wins_over_names_in_the_file(counted: Counted) -> None:
    picks = await picks_of(counted, {"pickable_object_name": "x", "user_id": "y", "session_id": "z", "points": []})
    file = await picks.load()
    assert (file.pickable_object_name, file.user_id, file.session_id) == ("ribosome", "someone", "1")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "content",
    [[{"location": {"x": 1, "y": 2, "z": 3}, "score": 0.5}], [{"x": 1, "y": 2, "z": 3, "score": 0.5}]],
    ids=["nested", "flat"],
)
async def test_the_bare_list_of_the_specification(counted: Counted, content: list) -> None:
    picks = await picks_of(counted, content)
    file = await picks.load()
    assert file.pickable_object_name == "ribosome"
    positions, scores = await picks.to_numpy()
    assert positions.tolist() == [[1, 2, 3]]
    assert scores is not None
    assert scores.tolist() == [0.5]


@pytest.mark.asyncio
async def test_points_without_a_score(counted: Counted) -> None:
    picks = await picks_of(counted, {"points": [{"location": {"x": 1, "y": 2, "z": 3}}]})
    assert (await picks.to_numpy())[1] is None
    assert (await picks.scores()).tolist() == [1.0]
    picks.points = [CopickPoint(location=CopickLocation(x=1, y=2, z=3), score=None)]
    assert (await picks.to_numpy())[1] is None


@pytest.mark.asyncio
async def test_missing_and_broken_files(counted: Counted) -> None:
    picks = await picks_of(counted, b"{ this is not JSON")
    for call in (picks.load(), picks.numpy(), picks._load()):
        with pytest.raises(FormatError, match=r"someone_1_ribosome\.json"):
            await call
    assert (await picks.run.query_picks()) == [picks]
    picks = await picks_of(counted, {"points": [], "voxel_spacing": "ten"})
    for call in (picks.load(), aiocopick.load([picks])):
        with pytest.raises(FormatError, match="voxel_spacing"):
            await call
    await picks.from_numpy(POSITIONS)
    assert len((await stored(counted))["points"]) == 2
    await picks.delete()
    picks.refresh()
    for call in (picks.load(), picks.numpy(), picks.scores()):
        with pytest.raises(NotFoundError, match=r"someone_1_ribosome\.json"):
            await call
    assert await picks._load() == []


@pytest.mark.asyncio
async def test_arrays_that_cannot_be_stored_leave_the_file_alone(counted: Counted) -> None:
    run = await write_run(counted.root, volumes=False)
    picks = (await run.picks())[0]
    before = await stored(counted)
    bad = [
        (([[1, 2]],), "shape"),
        (([[1, 2, float("nan")]],), "index 0"),
        ((POSITIONS, np.zeros((3, 4, 4))), "Number of positions and transforms"),
        ((POSITIONS, None, [1]), "instance_ids must have shape"),
        ((POSITIONS, None, [-1, 1]), "instance_ids must be >= 0"),
        ((POSITIONS, None, [0.5, 1]), "instance_ids must be integers"),
        ((POSITIONS, None, None, [1.0]), "scores must have shape"),
        ((POSITIONS, None, None, [1.0, float("inf")]), "scores must be finite"),
    ]
    for arguments, message in bad:
        with counted.requests(), pytest.raises(ValueError, match=message):
            await picks.from_numpy(*arguments)
    assert await stored(counted) == before
    np.testing.assert_array_equal((await picks.numpy())[0], POSITIONS)
    picks.points[0].location.x = float("inf")
    with counted.requests(), pytest.raises(ValueError, match="point 0"):
        await picks.store()


@pytest.mark.asyncio
async def test_arrays_can_be_set_without_storing(counted: Counted) -> None:
    run = await write_run(counted.root, volumes=False)
    picks = (await run.picks())[0]
    with counted.requests():
        await picks.from_numpy(POSITIONS[:1], store=False)
        assert len(picks.points) == 1
    with counted.requests(write=1):
        await picks.store()


@pytest.mark.asyncio
async def test_picks_made_by_hand(counted: Counted) -> None:
    run = await write_run(counted.root, volumes=False)
    picks = AsyncPicks(run=run, file=CopickPicksFile(pickable_object_name="apo", user_id="me", session_id="5"))
    picks.points = [CopickPoint(location=CopickLocation(x=1, y=2, z=3))]
    with counted.requests(read=1, write=1):
        await picks.store()
    assert picks in await run.query_picks()
    assert (await stored(counted, "ExperimentRuns/TS_1/Picks/me_5_apo.json"))["run_name"] == "TS_1"


@pytest.mark.asyncio
async def test_many_points_are_read_and_written_off_the_loop(root: AsyncRoot) -> None:
    async with root:
        run = await root.new_run("TS_1")
        picks = await run.new_picks("ribosome", "1")
        positions = np.random.default_rng(0).normal(size=(5000, 3)) * 1000
        await picks.from_numpy(positions)
        other = (await (await AsyncRoot(root.config).query())[0].picks())[0]
        np.testing.assert_array_equal((await other.numpy())[0], positions)
        assert len(other.points) == 5000
        await other.store()
        np.testing.assert_array_equal((await other.numpy())[0], positions)


@pytest.mark.asyncio
async def test_colors_come_from_the_config(counted: Counted) -> None:
    from aiocopick.errors import UnknownObjectError
    from aiocopick.models import PickableObject

    run = await write_run(counted.root)
    picks = (await run.picks())[0]
    assert picks.color == (100, 100, 100, 255)
    counted.root.config.pickable_objects.append(PickableObject(name="ribosome", is_particle=True, color=(1, 2, 3, 4)))
    assert picks.color == (1, 2, 3, 4)
    with pytest.raises(UnknownObjectError):
        _ = (await run.meshes())[0].color
    colors = {item.segmentation_type: item.color for item in await run.segmentations()}
    grey = [128, 128, 128, 0]
    assert colors == {"multilabel": grey, "panoptic": grey, "binary": grey, "instance": (1, 2, 3, 4)}


@pytest.mark.asyncio
async def test_what_a_file_leaves_open_is_still_open_after_an_edit_of_something_else(counted: Counted) -> None:
    place = {"location": {"x": 1.0, "y": 2.0, "z": 3.0}}
    content = {
        "pickable_object_name": "ribosome",
        "user_id": "someone",
        "session_id": "1",
        "points": [place | {"score": None, "instance_id": None}, place | {"score": 0.5}, place],
    }
    picks = await picks_of(counted, content)
    assert np.array_equal(await picks.scores(), [np.nan, 0.5, 1.0], equal_nan=True)
    assert (await picks.instance_ids()).tolist() == [0, 0, 0]

    def edit(points: list[CopickPoint]) -> None:
        assert [point.score for point in points] == [None, 0.5, 1.0]
        points[1].score = 0.75

    await picks.update(edit)
    content["points"][1]["score"] = 0.75
    assert await stored(counted) == content
    await picks.load()
    await picks.store()
    assert await stored(counted) == content

    await picks.from_numpy(*await picks.numpy(), instance_ids=await picks.instance_ids(), scores=await picks.scores())
    assert [point["score"] for point in (await stored(counted))["points"]] == [None, 0.75, 1.0]
    assert "voxel_spacing" not in await stored(counted)
    assert [point.score for point in picks.points] == [None, 0.75, 1.0]


@pytest.mark.asyncio
async def test_picks_that_were_packed_with_gzip_are_read_and_stored(counted: Counted) -> None:
    picks = await picks_of(counted, gzip.compress(b'{"points": [{"x": 1, "y": 2, "z": 3}], "unit": "angstrom"}'))
    await picks.update(lambda points: points * 2)
    assert len((await stored(counted))["points"]) == 2
