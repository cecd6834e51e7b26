from __future__ import annotations

import pytest

from aiocopick.entities import AsyncRoot
from aiocopick.errors import (
    AlreadyExistsError,
    InvalidNameError,
    ReadOnlyError,
    UnknownObjectError,
)
from aiocopick.models import PickableObject
from tests.entities.projects import Counted, write_run


@pytest.mark.asyncio
async def test_what_is_new_is_stored_at_once(root: AsyncRoot) -> None:
    async with root:
        await write_run(root)
        other = AsyncRoot(root.config)
        run = await other.get_run("TS_1")
        assert run is not None
        assert len(await run.picks()) == 2
        mesh = (await run.meshes())[0]
        assert (await mesh.load()).is_empty
        assert await run.ensure()
        assert await run.load_meta() == run.meta
        spacing = (await run.voxel_spacings())[0]
        assert (await spacing.load_meta()).voxel_size == 10.0
        storage = root.layer.storage
        assert [entry.name for entry in await storage.list(f"{spacing.key}/wbp.zarr")] == [".zattrs", ".zgroup"]


@pytest.mark.asyncio
async def test_a_new_child_is_in_the_lists_that_are_known(counted: Counted) -> None:
    await write_run(counted.root, volumes=False)
    fresh = counted.fresh()
    run = (await fresh.runs())[0]
    await run.picks()
    picks = await run.new_picks("apo", "1")
    assert picks in await run.picks()
    assert any(item is picks for item in await run.picks())
    assert await run.picks() == sorted(await run.picks())
    spacing = await run.new_voxel_spacing(4.5)
    tomogram = await spacing.new_tomogram("wbp")
    features = await tomogram.new_features("edges")
    segmentation = await run.new_segmentation(4.5, "apo", "1")
    with counted.requests():
        assert spacing in await run.voxel_spacings()
        assert await spacing.tomograms() == [tomogram]
        assert await tomogram.features() == [features]
        assert await run.segmentations() == [segmentation]
    new = await fresh.new_run("TS_0")
    assert await fresh.runs() == [new, run]


@pytest.mark.asyncio
async def test_requests_of_making_things(counted: Counted) -> None:
    with counted.requests(stat=1, write=1):
        run = await counted.root.new_run("TS_1")
    with counted.requests(write=1):
        await run.new_picks("ribosome", "1")
    with counted.requests(write=1):
        await run.new_mesh("ribosome", "1")
    with counted.requests(write=1):
        spacing = await run.new_voxel_spacing(10)
    with counted.requests(write=2):
        await spacing.new_tomogram("wbp")
    cold = await counted.fresh().get_run("TS_1")
    assert cold is not None
    with counted.requests(write=1):
        await cold.new_picks("ribosome", "2")
    with counted.requests(list=1, write=1):
        await cold.new_voxel_spacing(20)
    with counted.requests(list=1, write=2):
        await cold.new_segmentation(10, "membrane", "1")


@pytest.mark.asyncio
async def test_a_taken_name(counted: Counted) -> None:
    run = await write_run(counted.root)
    spacing = (await run.voxel_spacings())[0]
    tomogram = (await spacing.get_tomograms("wbp"))[0]
    cold = await counted.fresh().get_run("TS_1")
    assert cold is not None
    for holder in (run, cold):
        with pytest.raises(AlreadyExistsError, match="exist_ok"):
            await holder.new_picks("ribosome", "1")
        with pytest.raises(AlreadyExistsError):
            await holder.new_mesh("membrane", "1")
        with pytest.raises(AlreadyExistsError):
            await holder.new_filaments("microtubule", "1")
        with pytest.raises(AlreadyExistsError):
            await holder.new_segmentation(10.0001, "membrane", "1")
        with pytest.raises(AlreadyExistsError):
            await holder.new_voxel_spacing(10.0)
    with pytest.raises(AlreadyExistsError):
        await counted.root.new_run("TS_1")
    with pytest.raises(AlreadyExistsError):
        await counted.fresh().new_run("TS_1")
    with pytest.raises(AlreadyExistsError):
        await spacing.new_tomogram("wbp")
    with pytest.raises(ValueError, match="sobel"):
        await tomogram.new_features("sobel")


@pytest.mark.asyncio
async def test_exist_ok_gives_what_is_there(root: AsyncRoot) -> None:
    async with root:
        run = await write_run(root)
        cold = await AsyncRoot(root.config).get_run("TS_1")
        assert cold is not None
        for holder in (run, cold):
            picks = await holder.new_picks("ribosome", "1", exist_ok=True)
            assert len((await picks.numpy())[0]) == 2
            assert (await holder.new_mesh("membrane", "1", exist_ok=True)).user_id == "someone"
            assert await holder.new_voxel_spacing(10, True) == (await run.voxel_spacings())[0]
            segmentation = await holder.new_segmentation(10, "membrane", "1", exist_ok=True)
            assert segmentation in await run.segmentations()
        assert await root.new_run("TS_1", True) == run
        spacing = (await run.voxel_spacings())[0]
        assert await spacing.new_tomogram("wbp", True) in await spacing.tomograms()


@pytest.mark.asyncio
async def test_names_are_cleaned_with_a_warning(counted: Counted) -> None:
    run = await counted.root.new_run("TS_1")
    with pytest.warns(UserWarning, match="has been sanitized") as warned:
        picks = await run.new_picks("cytosolic_ribosome", "my session", "some/one")
    assert len(warned) == 3
    assert picks.key == "ExperimentRuns/TS_1/Picks/some-one_my-session_cytosolic-ribosome.json"
    with pytest.warns(UserWarning, match="has been sanitized"):
        again = await run.new_picks("cytosolic_ribosome", "my-session", "some-one", exist_ok=True)
    assert again is picks
    spacing = await run.new_voxel_spacing(10)
    with pytest.warns(UserWarning, match="tomo type"):
        tomogram = await spacing.new_tomogram("weighted back_projection")
    assert tomogram.tomo_type == "weighted-back-projection"
    with pytest.warns(UserWarning, match="feature type"):
        assert (await tomogram.new_features("a_b")).feature_type == "a-b"


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a\\b", "tab\t", "x" * 256])
async def test_run_names_that_cannot_be_stored(counted: Counted, name: str) -> None:
    with counted.requests(), pytest.raises(InvalidNameError):
        await counted.root.new_run(name)


@pytest.mark.asyncio
async def test_names_that_cannot_be_stored(counted: Counted) -> None:
    run = await counted.root.new_run("TS_1")
    with counted.requests():
        for call in (
            run.new_picks("___", "1"),
            run.new_picks(".dot", "1"),
            run.new_mesh("a", ""),
            run.new_segmentation(10, "x-multilabel", "1"),
            run.new_segmentation(10, "x", "1", is_multilabel=True, is_instance=True),
            run.new_segmentation(0, "x", "1"),
            run.new_voxel_spacing(-1.0),
            run.new_voxel_spacing(0.0001),
            run.new_voxel_spacing(float("nan")),
        ):
            with pytest.raises(InvalidNameError):
                await call


@pytest.mark.asyncio
async def test_missing_ids(counted: Counted) -> None:
    run = await counted.root.new_run("TS_1")
    counted.root.user_id = None
    with pytest.raises(ValueError, match="user_id"):
        await run.new_picks("ribosome", "1")
    with pytest.raises(ValueError, match="session_id"):
        await run.new_picks("ribosome", user_id="someone")
    with pytest.raises(ValueError, match="user_id"):
        await run.new_segmentation(10, "ribosome", "1")
    counted.root.user_id, counted.root.session_id = "live", "7"
    assert (await run.new_picks("ribosome")).uri == "ribosome:live/7"


@pytest.mark.asyncio
async def test_unknown_objects(counted: Counted) -> None:
    run = await counted.root.new_run("TS_1")
    counted.root.config.pickable_objects.append(PickableObject(name="ribosome", is_particle=True))
    with counted.requests():
        for call in (
            run.new_picks("proteasome", "1"),
            run.new_mesh("proteasome", "1"),
            run.new_filaments("proteasome", "1"),
            run.new_segmentation(10, "proteasome", "1"),
        ):
            with pytest.raises(UnknownObjectError, match="proteasome"):
                await call
    await run.new_picks("ribosome", "1")
    await run.new_segmentation(10, "anything", "1", is_multilabel=True)
    counted.root.config.pickable_objects.append(PickableObject(name="proteasome", is_particle=True, label=2))
    await run.new_picks("proteasome", "1")


@pytest.mark.asyncio
async def test_a_read_only_project_refuses_every_change_before_a_request(counted: Counted) -> None:
    run = await write_run(counted.root)
    root = counted.root.options(read_only=True)
    run = (await root.query())[0]
    picks, mesh, filaments = (await run.picks())[0], (await run.meshes())[0], (await run.filaments())[0]
    spacing = (await run.voxel_spacings())[0]
    tomogram = (await spacing.tomograms())[1]
    features = (await tomogram.features())[0]
    segmentation = (await run.segmentations())[0]
    await picks.load()
    await mesh.load()
    await filaments.load()
    assert root.read_only
    assert picks.read_only
    with counted.requests():
        for call in (
            root.new_run("TS_2"),
            root.store_meta({}),
            run.new_picks("ribosome", "9"),
            run.new_mesh("ribosome", "9"),
            run.new_filaments("ribosome", "9"),
            run.new_segmentation(10, "ribosome", "9"),
            run.new_voxel_spacing(20),
            run.store_meta(),
            run._store_metadata(),
            run.delete(),
            run.delete_picks(),
            run.delete_meshes(),
            run.delete_filaments(),
            run.delete_segmentations(),
            run.delete_voxel_spacings(),
            spacing.new_tomogram("x"),
            spacing.store_meta(),
            spacing.delete(),
            spacing.delete_tomograms(),
            tomogram.new_features("x"),
            tomogram.delete(),
            tomogram.delete_features(),
            features.delete(),
            segmentation.delete(),
            picks.store(),
            picks._store(),
            picks.delete(),
            picks.from_numpy([[1, 2, 3]]),
            picks.update(lambda points: points),
            mesh.store(),
            mesh.delete(),
            filaments.store(),
            filaments.from_numpy([[[1, 2, 3], [4, 5, 6]]]),
            filaments.update(lambda lines: lines),
            filaments.delete(),
        ):
            with pytest.raises(ReadOnlyError):
                await call
    assert await root.ensure(create=True)
    assert await run.ensure(create=True)
    with pytest.raises(PermissionError):
        await root.delete_run("TS_1")
