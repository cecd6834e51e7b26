from __future__ import annotations

import uuid
from pathlib import Path

import anyio
import numpy as np
import pytest

import aiocopick
from aiocopick.entities import AsyncRoot
from aiocopick.errors import AlreadyExistsError, LayerError, NotFoundError, ReadOnlyError
from aiocopick.models import CopickConfigFSSpec, CopickConfigMultilayer, CopickLocation, CopickPoint, PickableObject
from tests.entities.projects import POSITIONS, write_run


@pytest.fixture(params=["memory", "local", "s3"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> CopickConfigFSSpec:
    """CoPick's overlay and static form: the static project in memory, the overlay on each backend."""
    static = f"memory://{uuid.uuid4().hex}/static"
    if request.param == "s3":
        server = request.getfixturevalue("moto_server")
        root, arguments = f"s3://{server.new_bucket()}/overlay", server.fs_args()
    else:
        root, arguments = str(tmp_path) if request.param == "local" else f"memory://{uuid.uuid4().hex}/overlay", {}
    return CopickConfigFSSpec(
        overlay_root=root, overlay_fs_args=arguments, static_root=static, user_id="someone", session_id="1"
    )


async def layered(config: CopickConfigFSSpec, write: bool = True) -> AsyncRoot:
    static = await aiocopick.open(config.static_root, user_id="someone")
    await write_run(static, "TS_1")
    await write_run(static, "TS_2", volumes=False)
    root = AsyncRoot(config)
    if write:
        run = await root.get_run("TS_1")
        assert run is not None
        await (await run.new_picks("ribosome", "2")).from_numpy(POSITIONS)
        await root.new_run("TS_3")
    return root


def layers_of(entities) -> dict[str, str]:
    return {getattr(item, "uri", None) or item.name: item.layer.name for item in entities}


@pytest.mark.asyncio
async def test_two_layers_are_seen_as_one(config: CopickConfigFSSpec) -> None:
    async with await layered(config):
        root = AsyncRoot(config)
        runs = await root.query()
        assert {run.name: run.layer.name for run in runs} == {"TS_1": "overlay", "TS_2": "static", "TS_3": "overlay"}
        assert [[source.layer.name for source in run.sources] for run in runs] == [
            ["overlay", "static"],
            ["static"],
            ["overlay"],
        ]
        run = runs[0]
        assert layers_of(await run.picks()) == {
            "ribosome:someone/1": "static",
            "ribosome:someone/2": "overlay",
            "ribosome:tool/0": "static",
        }
        picks = await run.picks()
        assert [item.read_only for item in picks] == [True, False, True]
        assert len(await run.segmentations()) == 4
        tomograms = await (await run.voxel_spacings())[0].tomograms()
        assert layers_of(tomograms) == {"denoised@10.0": "static", "wbp@10.0": "static"}
        assert [len((await item.numpy())[0]) for item in picks] == [2, 2, 1]
        assert (await root.runs())[1] in await root.query(layers=["static"])
        assert [run.name for run in await root.query(layers="overlay")] == ["TS_1", "TS_3"]
        assert [item.uri for item in await run.query_picks(layers=["overlay"])] == ["ribosome:someone/2"]
        assert len(await run.picks()) == 3
        with pytest.raises(LayerError, match="middle"):
            await root.query(layers=["middle"])


@pytest.mark.asyncio
async def test_a_full_listing_sends_no_more_than_its_layers_on_their_own(config: CopickConfigFSSpec) -> None:
    async with await layered(config):
        root = AsyncRoot(config)
        for _ in range(2):
            before = root.stats.requests.copy()
            async with root.crawl() as runs:
                assert [run.name async for run in runs] == ["TS_1", "TS_2", "TS_3"]
            together = (root.stats.requests - before).total()
        alone = 0
        for layer in root.layers:
            single = await aiocopick.open(layer.config)
            before = single.stats.requests.copy()
            async with single.crawl() as runs:
                _ = [run async for run in runs]
            alone += (single.stats.requests - before).total()
            await single.aclose()
        assert together <= alone


@pytest.mark.asyncio
async def test_new_children_of_static_entities_go_to_the_overlay(config: CopickConfigFSSpec) -> None:
    async with await layered(config, write=False) as root:
        run = (await root.runs())[1]
        await run.voxel_spacings()
        assert run.layer.name == "static"
        mesh = await run.new_mesh("apo", "5")
        assert mesh.layer.name == "overlay"
        assert [source.layer.name for source in run.sources] == ["overlay", "static"]
        spacing = (await run.voxel_spacings())[0]
        tomogram = await spacing.new_tomogram("new")
        features = await tomogram.new_features("edges")
        segmentation = await run.new_segmentation(10, "membrane", "5")
        assert {item.layer.name for item in (tomogram, features, segmentation)} == {"overlay"}
        other = (await AsyncRoot(config).query())[1]
        assert mesh in await other.meshes()
        assert len(await other.meshes()) == 2
        assert await (await other.voxel_spacings())[0].tomograms() == [tomogram]
        static = await aiocopick.open(root.layers[1].config)
        assert len(await (await static.query())[1].meshes()) == 1


@pytest.mark.asyncio
async def test_what_static_holds_is_taken(config: CopickConfigFSSpec) -> None:
    async with await layered(config, write=False) as root:
        for run in (await root.get_run("TS_1"), (await root.query())[0]):
            assert run is not None
            with pytest.raises(AlreadyExistsError):
                await run.new_picks("ribosome", "1")
            with pytest.raises(AlreadyExistsError):
                await run.new_segmentation(10, "membrane", "1")
            with pytest.raises(AlreadyExistsError):
                await run.new_voxel_spacing(10)
        with pytest.raises(ValueError, match="TS_1"):
            await root.new_run("TS_1")


@pytest.mark.asyncio
async def test_an_edit_makes_a_twin_and_leaves_the_original(config: CopickConfigFSSpec) -> None:
    async with await layered(config, write=False) as root:
        run = (await root.runs())[0]
        picks = (await run.picks())[0]
        await picks.load()
        picks.points.pop()
        await picks.store()
        assert [source.layer.name for source in picks.sources] == ["overlay", "static"]
        await picks.from_numpy(POSITIONS[:1] * 3)
        other = (await AsyncRoot(config).query())[0]
        found = await other.picks()
        assert [item.uri for item in found] == ["ribosome:someone/1", "ribosome:tool/0"]
        assert (found[0].layer.name, found[1].layer.name) == ("overlay", "static")
        np.testing.assert_array_equal((await found[0].numpy())[0], POSITIONS[:1] * 3)
        static = await aiocopick.open(root.layers[1].config)
        original = (await (await static.query())[0].picks())[0]
        np.testing.assert_array_equal((await original.numpy())[0], POSITIONS)


@pytest.mark.asyncio
async def test_exist_ok_gives_the_writable_twin(config: CopickConfigFSSpec) -> None:
    async with await layered(config, write=False) as root:
        for run in (await root.get_run("TS_1"), (await root.query())[1]):
            assert run is not None
            picks = await run.new_picks("ribosome", "1", exist_ok=True)
            assert not picks.read_only
            np.testing.assert_array_equal((await picks.numpy())[0], POSITIONS)
        run = (await root.query())[0]
        mesh = await run.new_mesh("membrane", "1", exist_ok=True)
        assert not mesh.read_only
        await mesh.load()
        segmentation = await run.new_segmentation(10, "membrane", "1", exist_ok=True)
        assert not segmentation.read_only
        other = (await AsyncRoot(config).query())[0]
        assert segmentation in await other.segmentations()
        assert len(await other.segmentations()) == 4


@pytest.mark.asyncio
async def test_a_volume_is_copied_chunk_by_chunk(config: CopickConfigFSSpec) -> None:
    async with await layered(config, write=False) as root:
        static = root.layers[1].options()
        storage = (await aiocopick.open(static.config, read_only=False)).layer.storage
        files = {f"0/{index}/0/0": bytes([index]) for index in range(5)} | {"0/.zarray": b"{}", ".zattrs": b'{"a": 1}'}
        key = "ExperimentRuns/TS_1/VoxelSpacing10.000/wbp.zarr"
        for name, content in files.items():
            await storage.write(f"{key}/{name}", content)
        spacing = (await (await root.query())[0].voxel_spacings())[0]
        tomogram = await spacing.new_tomogram("wbp", exist_ok=True)
        assert tomogram.layer.name == "overlay"
        overlay = root.layers[0].storage
        for name, content in files.items():
            assert await overlay.read(f"{key}/{name}") == content


@pytest.mark.asyncio
async def test_what_is_read_only_is_not_deleted_and_nothing_beside_it(config: CopickConfigFSSpec) -> None:
    async with await layered(config) as root:
        run = (await root.query())[0]
        for call in (
            run.delete(),
            root.delete_run("TS_1"),
            root.delete_run("TS_2"),
            run.delete_picks(),
            (await run.picks())[0].delete(),
            (await run.voxel_spacings())[0].delete(),
            (await run.segmentations())[0].delete(),
        ):
            with pytest.raises(ReadOnlyError, match="static"):
                await call
        assert len(await run.query_picks()) == 3
        await run.delete_picks(session_id="2")
        assert len(await run.picks()) == 2
        await root.delete_run("TS_3")
        assert [item.name for item in await root.query()] == ["TS_1", "TS_2"]


@pytest.mark.asyncio
async def test_deleting_a_twin_shows_the_original(config: CopickConfigFSSpec) -> None:
    async with await layered(config, write=False) as root:
        run = (await root.query())[0]
        picks = (await run.picks())[0]
        await picks.from_numpy(POSITIONS[:1])
        await picks.delete()
        left = (await run.picks())[0]
        assert (left, left.layer.name) == (picks, "static")
        assert len((await left.numpy())[0]) == 2
        assert layers_of(await run.query_picks()) == layers_of(await run.picks())


@pytest.mark.asyncio
async def test_no_layer_can_be_written_to(config: CopickConfigFSSpec) -> None:
    await layered(config, write=False)
    root = AsyncRoot(config).options(read_only=True)
    assert root.read_only
    with pytest.raises(ReadOnlyError, match=r"overlay.*static"):
        await root.new_run("TS_9")
    run = (await root.query())[0]
    with pytest.raises(ReadOnlyError):
        await (await run.picks())[0].from_numpy(POSITIONS)
    with pytest.raises(ReadOnlyError):
        await run.store_meta()
    await root.aclose()


def memory_layer(name: str, **fields: object) -> dict[str, object]:
    return {"config_type": "filesystem", "root": f"memory://{uuid.uuid4().hex}/{name}", "layer_name": name, **fields}


@pytest.mark.asyncio
async def test_three_layers_by_priority_and_a_default_write_layer() -> None:
    layers = [memory_layer("low"), memory_layer("high", priority=5), memory_layer("middle", priority=2)]
    root = AsyncRoot(CopickConfigMultilayer(layers=layers, user_id="someone"))
    assert [layer.name for layer in root.layers] == ["high", "middle", "low"]
    assert root.layer.name == "high"
    config = CopickConfigMultilayer(layers=layers, user_id="someone", default_write_layer="middle")
    root = AsyncRoot(config)
    run = await root.new_run("TS_1")
    assert run.layer.name == "middle"
    picks = await run.new_picks("ribosome", "1")
    assert picks.layer.name == "middle"
    for name in ("low", "high"):
        single = await aiocopick.open(next(layer for layer in layers if layer["layer_name"] == name))
        single.user_id = "someone"
        await (await single.new_run("TS_1")).new_picks("ribosome", "1")
    run = (await root.query())[0]
    found = (await run.picks())[0]
    assert [source.layer.name for source in found.sources] == ["high", "middle", "low"]
    # It is seen in the highest layer, so that is where a change must go.
    await found.from_numpy(POSITIONS)
    assert found.layer.name == "high"
    with pytest.raises(LayerError, match="elsewhere"):
        AsyncRoot(CopickConfigMultilayer(layers=layers, default_write_layer="elsewhere"))


@pytest.mark.asyncio
async def test_a_change_that_a_read_only_layer_would_hide_is_refused() -> None:
    top, bottom = memory_layer("top", priority=1), memory_layer("bottom")
    single = await aiocopick.open(top, user_id="someone")
    await write_run(single, volumes=False)
    root = AsyncRoot(CopickConfigMultilayer(layers=[top | {"read_only": True}, bottom], user_id="someone"))
    run = (await root.query())[0]
    picks = (await run.picks())[0]
    with pytest.raises(LayerError, match="hide"):
        await picks.from_numpy(POSITIONS)
    assert (await run.new_picks("ribosome", "7")).layer.name == "bottom"


@pytest.mark.asyncio
async def test_an_entity_that_nobody_listed_is_looked_up_in_all_layers(config: CopickConfigFSSpec) -> None:
    from aiocopick.entities import AsyncPicks
    from aiocopick.models import CopickPicksFile

    async with await layered(config, write=False) as root:
        run = (await root.query())[0]
        file = CopickPicksFile(pickable_object_name="ribosome", user_id="someone", session_id="1")
        picks = AsyncPicks(run, file)
        assert len((await picks.numpy())[0]) == 2
        assert picks.layer.name == "static"
        missing = AsyncPicks(run, file.model_copy(update={"session_id": "99"}))
        with pytest.raises(NotFoundError):
            await missing.load()


@pytest.mark.asyncio
async def test_objects_of_several_layers() -> None:
    static = f"memory://{uuid.uuid4().hex}/static"
    config = CopickConfigFSSpec(
        overlay_root=f"memory://{uuid.uuid4().hex}/overlay",
        static_root=static,
        pickable_objects=[PickableObject(name="ribosome", is_particle=True)],
    )
    single = await aiocopick.open(static)
    await single.layer.storage.write("Objects/ribosome.zarr/.zgroup", b"{}")
    root = AsyncRoot(config)
    (ribosome,) = await root.pickable_objects()
    assert (ribosome.layer.name, ribosome.read_only) == ("static", True)
    assert ribosome.label == 1


@pytest.mark.asyncio
async def test_writers_of_a_file_that_lies_below_lose_nothing(config: CopickConfigFSSpec) -> None:
    async with await layered(config, write=False) as root:

        async def write(index: int) -> None:
            run = await AsyncRoot(root.config).get_run("TS_1")
            assert run is not None
            picks = (await run.query_picks())[0]
            point = CopickPoint(location=CopickLocation(x=100 + index, y=0, z=0))
            await picks.update(lambda points: points.append(point))

        async with anyio.create_task_group() as group:
            for index in range(5):
                group.start_soon(write, index)
        picks = (await (await AsyncRoot(config).query())[0].picks())[0]
        assert picks.layer.name == "overlay"
        assert sorted((await picks.numpy())[0][:, 0].tolist()) == [1.0, 4.5, 100.0, 101.0, 102.0, 103.0, 104.0]
