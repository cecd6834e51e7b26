"""The contract of every root, as a pytest class: derive from it and add a fixture that returns your root.

::

    class TestMine(RootContract):
        @pytest_asyncio.fixture
        async def root(self):
            async with aiocopick.open(url, user_id="someone", pickable_objects=CONTRACT_OBJECTS) as root:
                yield root
"""

# ruff: noqa: D102 - tests speak through their names
from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from typing import Any

import anyio.to_thread
import numpy as np
import pytest

from aiocopick.errors import AlreadyExistsError, InvalidNameError, NotFoundError, UnknownObjectError


class Awaited:
    """A facade object, called in a thread and awaited.

    Parameters
    ----------
    blocking : CopickRootFS, CopickRunFS, ...
        The wrapped object. Its results are wrapped in the same way.
    """

    def __init__(self, blocking: Any) -> None:
        self.blocking = blocking

    def __repr__(self) -> str:
        return f"Awaited({self.blocking!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Awaited) and bool(self.blocking == other.blocking)

    def __hash__(self) -> int:
        return hash(self.blocking)

    def __getattr__(self, name: str) -> Any:
        if not inspect.iscoroutinefunction(getattr(type(self.blocking.aio), name, None)):
            return _awaited(getattr(self.blocking, name))

        async def call(*args: Any, **kwargs: Any) -> Any:
            def work() -> Any:
                # Cached nouns are properties there.
                value = getattr(self.blocking, name)
                return value(*args, **kwargs) if callable(value) else value

            return _awaited(await anyio.to_thread.run_sync(work))

        return call

    async def crawl(self, *args: Any, **kwargs: Any) -> AsyncIterator[Awaited]:
        """Yield the runs of a crawl, which runs in a thread."""
        for run in await anyio.to_thread.run_sync(lambda: list(self.blocking.crawl(*args, **kwargs))):
            yield Awaited(run)


def _awaited(value: Any) -> Any:
    # Lists of points are not wrapped: they are edited in place.
    if isinstance(value, list) and any(hasattr(item, "aio") for item in value):
        return [_awaited(item) for item in value]
    return Awaited(value) if hasattr(value, "aio") else value


CONTRACT_OBJECTS: list[dict[str, Any]] = [
    {"name": "ribosome", "is_particle": True, "label": 1, "color": [0, 255, 0, 255], "radius": 120.0},
    {"name": "membrane", "is_particle": False, "label": 2, "color": [255, 0, 0, 255]},
    {"name": "actin", "is_particle": False, "label": 3, "color": [0, 0, 255, 255]},
]
"""Pickable objects of the project that the contract is run on, as a config JSON has them."""

POSITIONS = np.array([[1.0, 2.0, 3.0], [4.5, 5.25, 6.125], [100.0, 0.0, 7.0]])
VOLUME = np.random.default_rng(7).normal(size=(12, 10, 9)).astype(np.float32)


async def _run(root: Any, name: str = "TS_1") -> Any:
    run = await root.get_run(name)
    assert run is not None
    return run


async def _fill(root: Any, name: str = "TS_1") -> Any:
    """A run with something of each kind."""
    run = await root.new_run(name)
    await (await run.new_picks("ribosome", "1")).from_numpy(POSITIONS)
    await (await run.new_picks("ribosome", "0", "tool")).from_numpy(POSITIONS[:1])
    await run.new_mesh("membrane", "1")
    await (await run.new_filaments("actin", "1")).from_numpy([np.arange(9.0).reshape(3, 3)])
    spacing = await run.new_voxel_spacing(10.0)
    tomogram = await spacing.new_tomogram("wbp")
    await tomogram.from_numpy(VOLUME)
    await (await tomogram.new_features("sobel")).from_numpy(VOLUME)
    await (await run.new_segmentation(10.0, "membrane", "1")).from_numpy((VOLUME > 0).astype(np.uint8))
    await run.new_segmentation(10.0, "all", "1", is_multilabel=True)
    return run


async def _everything(run: Any) -> list[Any]:
    """Return everything that a run holds, without caches."""
    found = [*await run.query_picks(), *await run.query_meshes(), *await run.query_filaments()]
    found += await run.query_segmentations()
    for spacing in await run.query_voxelspacings():
        found.append(spacing)
        for tomogram in await spacing.query_tomograms():
            found += [tomogram, *await tomogram.query_features()]
    return [entity.ref for entity in found]


class RootContract:
    """Needs an async fixture ``root``: an empty project that can be written to, with ``user_id="someone"`` and the
    pickable objects ``CONTRACT_OBJECTS``. A blocking root goes in as ``Awaited(root)``.
    """

    @pytest.mark.asyncio
    async def test_an_empty_project_has_no_runs(self, root: Any) -> None:
        assert await root.query() == []
        assert await root.runs() == []
        assert await root.get_run("TS_1") is None
        assert not root.read_only

    @pytest.mark.asyncio
    async def test_runs_are_created_once_listed_in_order_and_deleted(self, root: Any) -> None:
        for name in ("TS_2", "TS_10", "TS_1"):
            await root.new_run(name)
        assert [run.name for run in await root.query()] == ["TS_1", "TS_10", "TS_2"]
        with pytest.raises(AlreadyExistsError):
            await root.new_run("TS_1")
        assert (await root.new_run("TS_1", exist_ok=True)).name == "TS_1"
        with pytest.raises(InvalidNameError):
            await root.new_run("TS/3")
        await root.delete_run("TS_10")
        assert [run.name for run in await root.runs()] == ["TS_1", "TS_2"]
        assert [run.name for run in await root.query()] == ["TS_1", "TS_2"]

    @pytest.mark.asyncio
    async def test_points_come_back_as_they_were_stored(self, root: Any) -> None:
        transforms = np.tile(np.eye(4), (3, 1, 1))
        transforms[1, :3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
        transforms[2, :3, 3] = [1.0, -2.0, 0.5]
        picks = await (await root.new_run("TS_1")).new_picks("ribosome", "1")
        await picks.from_numpy(POSITIONS, transforms, instance_ids=[3, 0, 7], scores=[0.5, 1.0, 0.25])
        root.refresh()
        (found,) = await (await _run(root)).query_picks()
        positions, matrices = await found.numpy()
        np.testing.assert_array_equal(positions, POSITIONS)
        np.testing.assert_array_equal(matrices, transforms)
        assert (await found.instance_ids()).tolist() == [3, 0, 7]
        assert (await found.scores()).tolist() == [0.5, 1.0, 0.25]
        assert (found.user_id, found.session_id, found.pickable_object_name) == ("someone", "1", "ribosome")

    @pytest.mark.asyncio
    async def test_points_are_replaced_and_edited(self, root: Any) -> None:
        run = await root.new_run("TS_1")
        picks = await run.new_picks("ribosome", "1")
        await picks.from_numpy(POSITIONS)
        await picks.from_numpy(POSITIONS[:2] * 2)
        (found,) = await run.query_picks()
        await found.load()
        found.points.pop()
        await found.store()
        (found,) = await run.query_picks()
        np.testing.assert_array_equal((await found.numpy())[0], POSITIONS[:1] * 2)

    @pytest.mark.asyncio
    async def test_meshes_come_back_as_they_were_stored(self, root: Any) -> None:
        import trimesh

        run = await root.new_run("TS_1")
        mesh = await run.new_mesh("membrane", "1")
        box = trimesh.creation.box((1.0, 2.0, 3.0))
        vertices = np.asarray(box.vertices)
        await mesh.load()
        # Of a wrapper, the entity behind it is what is changed.
        getattr(mesh, "blocking", mesh).mesh = box
        await mesh.store()
        (found,) = await run.query_meshes()
        loaded = await found.load()
        shape = loaded.to_geometry() if hasattr(loaded, "to_geometry") else loaded
        np.testing.assert_allclose(np.sort(np.asarray(shape.vertices), axis=0), np.sort(vertices, axis=0))

    @pytest.mark.asyncio
    async def test_filaments_come_back_as_they_were_stored(self, root: Any) -> None:
        run = await root.new_run("TS_1")
        lines = [np.arange(9.0).reshape(3, 3), np.ones((2, 3)) * [[1.0], [2.0]]]
        await (await run.new_filaments("actin", "1")).from_numpy(lines, instance_ids=[4, 7])
        (found,) = await run.query_filaments()
        for line, stored in zip(lines, await found.numpy(), strict=True):
            np.testing.assert_array_equal(stored, line)

    @pytest.mark.asyncio
    async def test_volumes_come_back_as_they_were_stored(self, root: Any) -> None:
        run = await _fill(root)
        (spacing,) = await run.query_voxelspacings()
        (tomogram,) = await spacing.query_tomograms()
        np.testing.assert_array_equal(await tomogram.numpy(), VOLUME)
        part = await tomogram.numpy(x=slice(1, 4), y=slice(2, 9), z=slice(5, None))
        np.testing.assert_array_equal(part, VOLUME[5:, 2:9, 1:4])
        levels = await tomogram.levels()
        assert [level.voxel_size for level in levels] == [(size,) * 3 for size in (10.0, 20.0, 40.0)]
        (features,) = await tomogram.query_features()
        np.testing.assert_array_equal(await features.numpy(), VOLUME)

    @pytest.mark.asyncio
    async def test_a_region_of_a_segmentation_is_changed(self, root: Any) -> None:
        run = await _fill(root)
        (binary,) = await run.get_segmentations(name="membrane")
        await binary.set_region(np.full((2, 1, 1), 3, np.uint8), z=slice(0, 2), y=slice(1, 2), x=slice(4, 5))
        expected = (VOLUME > 0).astype(np.uint8)
        expected[0:2, 1, 4] = 3
        (found,) = [item for item in await run.query_segmentations() if item.name == "membrane"]
        np.testing.assert_array_equal(await found.numpy(), expected)

    @pytest.mark.asyncio
    async def test_nothing_is_listed_twice_and_all_of_it_in_order(self, root: Any) -> None:
        run = await _fill(root)
        refs = await _everything(run)
        assert len(set(refs)) == len(refs) == 9
        for query in (run.query_picks, run.query_segmentations):
            listed = [entity.ref for entity in await query()]
            assert listed == sorted(listed)
        # Making what is there already adds nothing.
        await run.new_picks("ribosome", "1", exist_ok=True)
        await run.new_segmentation(10.0, "membrane", "1", exist_ok=True)
        await (await run.new_voxel_spacing(10.0, exist_ok=True)).new_tomogram("wbp", exist_ok=True)
        assert sorted(await _everything(run)) == sorted(refs)

    @pytest.mark.asyncio
    async def test_names_that_are_taken_or_unknown_are_refused(self, root: Any) -> None:
        run = await _fill(root)
        for attempt in (
            run.new_picks("ribosome", "1"),
            run.new_mesh("membrane", "1"),
            run.new_filaments("actin", "1"),
            run.new_segmentation(10.0, "membrane", "1"),
            run.new_voxel_spacing(10.0004),
        ):
            with pytest.raises(AlreadyExistsError):
                await attempt
        with pytest.raises(UnknownObjectError):
            await run.new_picks("unheard-of", "1")

    @pytest.mark.asyncio
    async def test_filters_take_one_value_or_several(self, root: Any) -> None:
        run = await _fill(root)
        assert [picks.user_id for picks in await run.get_picks("ribosome")] == ["someone", "tool"]
        assert [picks.user_id for picks in await run.get_picks(user_id="tool")] == ["tool"]
        assert len(await run.get_picks(session_id=["0", "1"])) == 2
        assert [item.name for item in await run.get_segmentations(is_multilabel=True)] == ["all"]
        assert await run.get_voxel_spacing(10.0004) is not None
        assert await run.get_voxel_spacing(11.0) is None

    @pytest.mark.asyncio
    async def test_what_is_deleted_is_gone(self, root: Any) -> None:
        run = await _fill(root)
        (picks,) = await run.get_picks(user_id="tool")
        await picks.delete()
        with pytest.raises(NotFoundError):
            await picks.load()
        await run.delete_meshes("membrane")
        await run.delete_segmentations(name="all", is_multilabel=True)
        (spacing,) = await run.query_voxelspacings()
        await spacing.delete_tomograms("wbp")
        left = {ref.kind for ref in await _everything(run)}
        assert left == {"picks", "filaments", "segmentation", "voxel_spacing"} | (left & {"features"})
        assert [item.user_id for item in await run.query_picks()] == ["someone"]
        await root.delete_run("TS_1")
        assert await root.query() == []

    @pytest.mark.asyncio
    async def test_a_crawl_shows_all_runs_with_their_lists(self, root: Any) -> None:
        for name in ("TS_3", "TS_1", "TS_2"):
            await (await (await root.new_run(name)).new_picks("ribosome", "1")).from_numpy(POSITIONS)
        seen = {}
        async for run in root.crawl(load=("picks",)):
            assert run.error is None
            (picks,) = await run.picks()
            seen[run.name] = len(picks.points)
        assert seen == {"TS_1": 3, "TS_2": 3, "TS_3": 3}
        assert list(seen) == sorted(seen)
        assert len(await root.resolve("ribosome:someone/1")) == 3

    @pytest.mark.asyncio
    async def test_everything_lies_in_a_layer_of_the_root(self, root: Any) -> None:
        run = await _fill(root)
        layers = [layer.name for layer in root.layers]
        for entity in (run, *await run.picks(), *await run.segmentations(), *await run.voxel_spacings()):
            assert entity.layer.name in layers
            assert not entity.read_only
        assert [item.name for item in await root.query(layers=[run.layer.name])] == ["TS_1"]


__all__ = ["CONTRACT_OBJECTS", "Awaited", "RootContract"]
