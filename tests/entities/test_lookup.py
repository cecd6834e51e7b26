from __future__ import annotations

import pytest

from tests.entities.projects import Counted, write_run


@pytest.mark.asyncio
async def test_filters_take_one_value_or_several(counted: Counted) -> None:
    run = await write_run(counted.root)
    await run.new_picks("apo", "2")

    async def found(**filters: object) -> list[str]:
        return [item.uri for item in await run.get_picks(**filters)]  # type: ignore[arg-type]

    everything = ["ribosome:someone/1", "apo:someone/2", "ribosome:tool/0"]
    assert await found() == everything
    assert await found(object_name="apo") == ["apo:someone/2"]
    assert await found(object_name=("apo", "ribosome"), user_id=["tool"]) == ["ribosome:tool/0"]
    assert await found(session_id={"0", "2"}) == ["apo:someone/2", "ribosome:tool/0"]
    assert await found(object_name=(name for name in ["apo"])) == ["apo:someone/2"]
    assert await found(user_id=[]) == []
    assert await run.get_picks("apo", "someone", "2") == await run.get_picks(object_name="apo")
    assert await run.get_meshes(object_name="nothing") == []
    assert len(await run.get_filaments(session_id="1")) == 1


@pytest.mark.asyncio
async def test_segmentations_by_type_and_size(counted: Counted) -> None:
    run = await write_run(counted.root)

    async def found(**filters: object) -> list[str]:
        return [item.name for item in await run.get_segmentations(**filters)]  # type: ignore[arg-type]

    assert await found() == ["all", "membrane"]
    assert await found(is_multilabel=True) == ["all"]
    assert await found(is_multilabel=False) == ["membrane"]
    assert await found(is_instance=True) == ["ribosome"]
    assert await found(is_panoptic=True) == ["everything"]
    assert await found(is_instance=None, is_panoptic=None) == ["all", "everything", "membrane", "ribosome"]
    assert await found(voxel_size=10) == ["all", "membrane"]
    assert await found(voxel_size=[5.0, 10.0004]) == ["all", "membrane"]
    assert await found(voxel_size=5) == []
    assert {item.directory for item in await run.segmentations()} == {
        "Segmentations",
        "InstanceSegmentations",
        "PanopticSegmentations",
    }


@pytest.mark.asyncio
async def test_users_and_tools(counted: Counted) -> None:
    run = await write_run(counted.root)
    other = await run.new_picks("ribosome", "3", "colleague")
    assert [item.user_id for item in await run.tool_picks()] == ["tool"]
    assert [item.user_id for item in await run.user_picks()] == ["someone"]
    counted.root.user_id = None
    assert other in await run.user_picks()
    assert len(await run.user_picks()) == 2
    assert [item.name for item in await run.user_segmentations()] == ["all", "everything", "membrane", "ribosome"]
    counted.root.user_id = "someone"
    assert [item.name for item in await run.user_segmentations()] == ["all", "everything", "membrane", "ribosome"]
    assert await run.tool_segmentations() == []
    assert len(await run.user_meshes()) == 1
    assert await run.tool_meshes() == []


@pytest.mark.asyncio
async def test_a_run_by_name_is_one_request_and_fills_no_list(counted: Counted) -> None:
    await write_run(counted.root, volumes=False)
    fresh = counted.fresh()
    with counted.requests(stat=1):
        run = await fresh.get_run("TS_1")
    assert run is not None
    assert not fresh._runs.complete
    with counted.requests(stat=1):
        assert await fresh.get_run("TS_2") is None
    await fresh.runs()
    with counted.requests():
        assert await fresh.get_run("TS_1") is (await fresh.runs())[0]
        assert await fresh.get_run("TS_2") is None


@pytest.mark.asyncio
async def test_lookups_of_what_is_not_there(counted: Counted) -> None:
    run = await write_run(counted.root)
    spacing = await run.get_voxel_spacing(10.0)
    assert spacing is not None
    assert await run.get_voxel_spacing(7) is None
    assert await spacing.get_tomogram("none") is None
    assert await spacing.get_tomograms("none") == []
    tomogram = await spacing.get_tomogram("wbp")
    assert tomogram is not None
    assert await tomogram.get_features("none") is None
    assert (await tomogram.get_features("sobel")).feature_type == "sobel"
    assert len(await tomogram.get_features(["sobel", "none"])) == 1
    assert await counted.root.get_object("none") is None


@pytest.mark.asyncio
async def test_uris_find_entities_in_all_runs(counted: Counted) -> None:
    await write_run(counted.root, "TS_1")
    await write_run(counted.root, "TS_2")
    root = counted.fresh()
    assert [item.ref.run for item in await root.resolve("ribosome:someone/1")] == ["TS_1", "TS_2"]  # type: ignore[attr-defined]
    assert len(await root.resolve("*:*/*")) == 4
    assert [item.kind for item in await root.resolve("wbp@10.0")] == ["tomogram", "tomogram"]
    assert [item.kind for item in await root.resolve("wbp@10:sobel")] == ["features", "features"]
    assert len(await root.resolve("membrane:someone/1@10.0")) == 2
    assert len(await root.resolve("membrane:*", kind="mesh")) == 2
    assert await root.resolve("nothing:*/*") == []
    for entity in await root.resolve("*:*/*"):
        assert entity in await root.resolve(entity.uri)
