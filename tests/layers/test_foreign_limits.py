"""What may go wrong with a project that is not ours, and what must not come of it."""

from __future__ import annotations

import pickle
import sys
import threading
import time
from typing import Any

import anyio
import numpy as np
import pytest
from blockbuster import BlockingError, blockbuster_ctx

from aiocopick import AsyncRoot, CopickConfigForeign, CopickRootFS, LayerError, ReadOnlyError, StorageTimeoutError
from aiocopick.layers.foreign import ForeignLayer
from aiocopick.tables.catalog import catalog
from aiocopick.tables.index import CatalogIndex
from aiocopick.tables.layer import CatalogLayer
from tests.layers.strangers import POSITIONS, PROJECT, Stranger, memory, stranger


def opened_elsewhere() -> CopickRootFS:
    """What a config names can be opened in any process."""
    return CopickRootFS.stack([{"root": memory(), **PROJECT}])


@pytest.mark.asyncio
async def test_a_slow_project_runs_into_the_timeout_of_its_view_and_blocks_nobody() -> None:
    answer, asked = threading.Event(), anyio.Event()
    loop_is_free = False

    def wait(name: str) -> None:
        anyio.from_thread.run_sync(asked.set)
        answer.wait()

    foreign, _ = stranger(wait)
    ours = AsyncRoot.stack([{"root": memory(), **PROJECT}])
    await ours.new_run("TS_9")
    root = AsyncRoot.stack([ours, foreign])
    try:
        with pytest.raises(StorageTimeoutError, match="timeout"):
            await root.options(timeout=0.05).query()
        assert root.stats.in_flight == 0
        asked = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(root.query)
            await asked.wait()
            # The foreign project has not answered, and ours is asked meanwhile.
            assert [run.name for run in await root.query(layers=["filesystem"])] == ["TS_9"]
            loop_is_free = True
            answer.set()
    finally:
        answer.set()
    assert loop_is_free
    assert [run.name for run in await root.runs()] == ["TS_1", "TS_9"]


@pytest.mark.asyncio
async def test_what_it_blocks_on_is_never_the_loop() -> None:
    calls: list[str] = []

    def block(name: str) -> None:
        calls.append(name)
        time.sleep(0)

    foreign, _ = stranger(block)
    with blockbuster_ctx("tests.layers") as guard:
        assert guard.functions["time.sleep"]
        root = AsyncRoot.stack([foreign, {"root": memory(), **PROJECT}])
        async with root.crawl(load=("picks", "meshes")) as runs:
            (run,) = [run async for run in runs]
        (picks,) = await run.picks()
        await picks.from_numpy(POSITIONS[:1])
        (spacing,) = await run.voxel_spacings()
        (tomogram,) = await spacing.tomograms()
        await tomogram.set_region(2, z=slice(0, 1))
        assert (await tomogram.numpy())[0, 0, 0] == 2
        await run.new_segmentation(10.0, "membrane", "7")
        await run.delete_meshes()
        await root.new_run("TS_2")
        await root.delete_run("TS_2")
        with pytest.raises(BlockingError, match="sleep"):
            block("on the loop")
    assert {"query", "query_picks", "new_segmentation", "new_run", "delete_run"} <= set(calls)


def test_a_stack_with_a_foreign_layer_travels_when_its_project_does() -> None:
    class Local(Stranger):
        """Nothing that pickle finds again."""

    foreign = Local(opened_elsewhere(), set(), lambda name: None)
    with pytest.raises(LayerError, match=r"Local cannot be sent to another process"):
        pickle.dumps(AsyncRoot.stack([foreign, memory()]))
    layer = ForeignLayer(opened_elsewhere, CopickConfigForeign(config_type="object", layer_name="theirs", priority=3))
    root = AsyncRoot.stack([layer, memory()])
    again = pickle.loads(pickle.dumps(root))
    assert [(item.name, item.priority) for item in again.layers] == [("theirs", 3), ("filesystem", 0)]
    assert again.layers[0]._opened.get().query() == []


@pytest.mark.asyncio
async def test_density_maps_of_a_foreign_project_are_read_copied_and_deleted() -> None:
    inner = opened_elsewhere()
    volume = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    inner.get_object("ribosome").from_numpy(volume, 7.0)
    foreign = Stranger(inner, set(), lambda name: None)
    below = ForeignLayer(foreign, CopickConfigForeign(config_type="object", read_only=True))
    root = AsyncRoot.stack([{"root": memory(), **PROJECT}, below])
    found = {item.name: item for item in await root.query_objects()}
    assert [(name, item.layer.name) for name, item in found.items() if item._sources] == [("ribosome", "copick")]
    ribosome = found["ribosome"]
    np.testing.assert_array_equal(await ribosome.numpy(), volume)
    assert (await ribosome.levels())[0].voxel_size == (7.0,) * 3
    await ribosome.set_region(-1, z=slice(0, 1))
    assert ribosome.layer.name == "filesystem"
    assert (await ribosome.numpy()).min() == -1
    assert inner.get_object("ribosome").numpy().min() == 0
    # Alone, and writable: a map is replaced, and deleted though the abstract API deletes none.
    (writable, *_) = await AsyncRoot.stack([foreign]).query_objects()
    await writable.from_numpy(volume * 2, 5.0)
    inner.refresh()
    np.testing.assert_array_equal(inner.get_object("ribosome").numpy(), volume * 2)
    await writable.delete()
    inner.refresh()
    assert inner.get_object("ribosome").numpy() is None


@pytest.mark.asyncio
async def test_volumes_beside_an_old_zarr_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    foreign, _ = stranger()
    root = AsyncRoot.stack([foreign])
    (run,) = await root.query()
    (tomogram,) = await (await run.voxel_spacings())[0].tomograms()
    monkeypatch.setitem(sys.modules, "aiocopick.layers.foreign.store", None)
    with pytest.raises(LayerError, match=r"wbp.*zarr>=3"):
        await tomogram.numpy()


@pytest.mark.asyncio
async def test_members_that_are_restricted_to_runs_show_no_others() -> None:
    foreign, _ = stranger()
    places = [memory(), memory()]
    for place in places:
        async with AsyncRoot.stack([{"root": place, **PROJECT}]) as single:
            for name in ("TS_1", "TS_2"):
                await (await single.new_run(name)).new_picks("ribosome", str(places.index(place)))
    members: list[Any] = [
        {"root": places[0], "runs": ["TS_2"], "layer_name": "second", **PROJECT},
        {"root": places[1], "layer_name": "both"},
        ForeignLayer(foreign, CopickConfigForeign(config_type="object", runs=["TS_3"])),
    ]
    root = AsyncRoot.stack(members)
    expected = {"TS_1": ["both"], "TS_2": ["second", "both"]}
    assert {run.name: [source.layer.name for source in run.sources] for run in await root.query()} == expected
    assert {run.name: len(await run.query_picks()) async for run in root.crawl()} == {"TS_1": 1, "TS_2": 2}
    for run in await AsyncRoot.stack(members).query():
        assert len(await run.picks()) == len(await run.query_picks()) == len(expected[run.name])
    single = AsyncRoot.stack(members[:1])
    assert await single.get_run("TS_1") is None
    assert [run.name for run in await single.runs()] == ["TS_2"]
    (missing,) = [run async for run in single.crawl(runs=["TS_1"])]
    assert missing.error is not None
    assert await AsyncRoot.stack(members).get_run("TS_1") == (await root.runs())[0]


@pytest.mark.asyncio
async def test_nothing_is_deleted_when_a_part_of_it_is_read_only_in_a_foreign_layer() -> None:
    class Sealed(Stranger):
        """A project that can be changed, but for its picks and tomograms."""

        def __getattr__(self, name: str) -> Any:
            if name == "read_only" and type(self._inner).__name__ in ("CopickPicksFS", "CopickTomogramFS"):
                return True
            return super().__getattr__(name)

    inner = opened_elsewhere()
    run = inner.new_run("TS_1")
    run.new_picks("ribosome", "1").from_numpy(POSITIONS)
    run.new_mesh("membrane", "1")
    run.new_voxel_spacing(10.0).new_tomogram("wbp").from_numpy(np.ones((4, 4, 4), np.float32))
    ours = AsyncRoot.stack([{"root": memory(), **PROJECT}])
    members = [ours, Sealed(inner, set(), lambda name: None)]
    mine = await ours.new_run("TS_1")
    await (await mine.new_picks("ribosome", "2")).from_numpy(POSITIONS)
    await (await mine.new_voxel_spacing(10.0)).new_tomogram("denoised")

    async def everything() -> list[str]:
        (run,) = await AsyncRoot.stack(members).query()
        found: list[Any] = [*await run.query_picks(), *await run.query_meshes()]
        for spacing in await run.query_voxelspacings():
            for tomogram in await spacing.query_tomograms():
                found += [tomogram]
                if tomogram.tomo_type == "wbp":
                    assert (await tomogram.numpy()).all()
        return [item.uri for item in found]

    before = await everything()
    assert len(before) == 5
    listed = CatalogLayer(ForeignLayer(members[1]), CatalogIndex(await catalog(AsyncRoot.stack([members[1]]))))
    (sealed,) = (await listed.list_runs()).located
    with pytest.raises(ReadOnlyError):
        await listed.check_deletion(sealed)
    (run,) = await AsyncRoot.stack(members).query()
    (spacing,) = await run.voxel_spacings()
    for deletion in (
        run.delete(),
        run.delete_picks(),
        spacing.delete(),
        spacing.delete_tomograms(),
        (await spacing.tomograms())[1].delete(),
        AsyncRoot.stack(members).delete_run("TS_1"),
    ):
        with pytest.raises(ReadOnlyError, match="copick"):
            await deletion
        assert await everything() == before
    await run.delete_meshes()
    await run.delete_picks(session_id="2")
    assert len(await everything()) == 3
