"""Batches of boxes: what is in them, in which order, and how many requests they cost."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import anyio
import numpy as np
import pytest
import pytest_asyncio

import aiocopick
from aiocopick import AsyncRoot, Batch, NotFoundError, random_places
from aiocopick.testing import CountingStorage, LatencyStorage
from aiocopick.training import plan
from tests.servers.s3 import MotoServer
from tests.training.projects import (
    CHUNKS,
    OBJECTS,
    PICKS,
    SIZE,
    add_run,
    address,
    batches,
    config,
    joined,
    names,
    of,
    places,
    voxels,
    write,
)
from tests.volumes.projects import wrap

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def root() -> AsyncIterator[AsyncRoot]:
    """Four runs in memory."""
    async with aiocopick.open(config(address())) as opened:
        yield await write(opened)


@pytest.mark.parametrize("ahead", [False, True])
async def test_boxes_are_those_of_the_picks_of_all_runs_in_order(root: AsyncRoot, ahead: bool) -> None:
    found = await batches(of(root), ahead=ahead)
    assert [len(batch) for batch in found] == [5, 5, 5, 5, 4]
    expected = [
        ("TS_" + str(number), "ribosome:curator/1", at, *position)
        for number in range(4)
        for at, position in enumerate(places(number).tolist())
    ]
    assert names(found) == expected
    assert {label for batch in found for label in batch.labels.tolist()} == {3}
    assert repr(found[0]) == "Batch(shape=(5, 8, 8, 8), dtype=float32, runs=['TS_0'])"
    for batch in found:
        assert batch.boxes.dtype == np.float32
        assert batch.segmentation is None
        for box, run, position in zip(batch.boxes, batch.runs, batch.positions, strict=True):
            x, y, z = (position / SIZE).astype(int) - 4
            np.testing.assert_array_equal(box, voxels(int(run[3:]))[z : z + 8, y : y + 8, x : x + 8])


async def test_each_chunk_is_read_once_for_all_boxes_of_a_volume(root: AsyncRoot) -> None:
    counted = wrap(root, CountingStorage)
    boxes = of(root, negatives=random_places(3), labels="membrane:tool")
    await batches(boxes)
    times = Counter(counted.calls)
    chunks = {key: count for (verb, key), count in times.items() if verb == "read" and "/0/" in key}
    assert len(chunks) > 40
    assert set(chunks.values()) == {1}
    # Nothing else is read twice either: the picks, and the metadata of the volumes.
    assert max(count for (verb, _), count in times.items() if verb == "read") == 1
    counted.calls.clear()
    await batches(boxes.epoch(1))
    again = Counter(counted.calls)
    assert {verb for verb, _ in again} == {"read"}
    assert all("/0/" in key and not key.endswith((".zarray", "zarr.json")) for _, key in again)
    assert set(again.values()) == {1}


async def test_requests_to_a_bucket(moto_server: MotoServer) -> None:
    place = config(f"s3://{moto_server.new_bucket()}/project", fs_args=moto_server.fs_args())
    async with aiocopick.open(place) as root:
        await write(root, 2)
    async with aiocopick.open(place) as root:
        boxes = of(root)
        with moto_server.counting() as first:
            found = names(await batches(boxes))
        chunks = set()
        for run, _, _, *position in found:
            corner = (np.asarray(position) / SIZE).astype(int) - 4
            for far in np.ndindex(2, 2, 2):
                chunks.add((run, *((corner + np.asarray(far) * 7) // CHUNKS[0]).tolist()))
        # The runs, and what is in each of them; its picks; format and level of its tomogram; and the chunks.
        assert first == {"ListObjectsV2": 1 + 2, "GetObject": 2 * (1 + 3) + len(chunks)}
        with moto_server.counting() as second:
            await batches(boxes.epoch(1))
        assert second == {"GetObject": len(chunks)}


async def test_a_volume_with_many_boxes_is_read_in_pieces_of_neighbours(
    root: AsyncRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = dict(zip(names(await batches(of(root))), joined(await batches(of(root))), strict=True))
    monkeypatch.setattr(plan, "PIECE_BYTES", 2 * 8**3 * 4)
    found = await batches(of(root))
    assert sorted(names(found)) == sorted(whole)
    for name, box in zip(names(found), joined(found), strict=True):
        np.testing.assert_array_equal(box, whole[name])
    corners = [tuple(int(at / SIZE - 4) // CHUNKS[0] for at in name[:2:-1]) for name in names(found)[:PICKS]]
    assert corners == sorted(corners)


async def test_the_order_depends_on_seed_and_epoch_alone(root: AsyncRoot) -> None:
    how: dict[str, Any] = {"shuffle": 7, "negatives": random_places(2, away=20)}
    boxes = of(root, seed=1, **how)
    first = await batches(boxes)
    wrap(root, lambda inner: LatencyStorage(inner, 0.001))
    for same, ahead in ((boxes, False), (boxes, True), (of(root, seed=1, prefetch=9, **how), True)):
        again = await batches(same, ahead=ahead)
        assert names(again) == names(first)
        np.testing.assert_array_equal(joined(again), joined(first))
    for other in (boxes.epoch(1), of(root, seed=2, **how)):
        different = await batches(other)
        assert names(different) != names(first)
        picks = [sorted(name for name in names(found) if name[1]) for found in (different, first)]
        assert picks[0] == picks[1]
        assert set(names(different)) != set(names(first))
    assert names(await batches(boxes.epoch(0))) == names(first)


async def test_shuffled_boxes_are_all_there_once_and_mixed_across_runs(root: AsyncRoot) -> None:
    found = names(await batches(of(root, shuffle=100)))
    assert sorted(found) == names(await batches(of(root)))
    assert len({name[0] for name in found[:6]}) > 1


async def test_shards_are_disjoint_and_together_everything(root: AsyncRoot) -> None:
    everything = names(await batches(of(root)))
    for count in (1, 2, 3, 6):
        for epoch in (0, 3):
            parts = [
                names(await batches(of(root, shard=(index, count), shuffle=4).epoch(epoch))) for index in range(count)
            ]
            assert sorted(name for part in parts for name in part) == everything
    # The runs of a shard stay its own, so that what is cached of them is used again.
    first, second = (of(root, shard=(1, 2), shuffle=4).epoch(epoch) for epoch in (0, 1))
    assert {name[0] for name in names(await batches(first))} == {name[0] for name in names(await batches(second))}


@pytest.mark.parametrize("ahead", [False, True])
async def test_an_early_exit_leaves_nothing_running_and_can_be_repeated(root: AsyncRoot, ahead: bool) -> None:
    wrap(root, lambda inner: LatencyStorage(inner, 0.001))
    boxes = of(root, shuffle=3)
    if ahead:
        async with boxes as found:
            first = await anext(found)
    else:
        first = await anext(aiter(boxes))
    # The test itself fails if a task is left.
    assert names(await batches(boxes))[:5] == names([first])


async def test_a_step_that_is_cancelled_loses_no_boxes(root: AsyncRoot) -> None:
    slow = wrap(root, lambda inner: LatencyStorage(inner, 0.01))
    found = aiter(of(root))
    seen: list[Batch] = []
    for seconds in (0.005, 0.015, 0.025, 0.035):
        with anyio.move_on_after(seconds):
            seen.append(await anext(found))
    slow.seconds = 0
    seen += [batch async for batch in found]
    assert names(seen) == names(await batches(of(root)))


async def test_only_boxes_of_some_batches_are_in_memory(root: AsyncRoot) -> None:
    counted = wrap(root, CountingStorage)
    boxes = of(root, batch=PICKS, prefetch=1)
    await anext(aiter(boxes))
    runs = {key.split("/")[1] for verb, key in counted.calls if verb == "read" and "/0/" in key}
    assert runs == {"TS_0"}
    counted.calls.clear()
    async with of(root, batch=PICKS, prefetch=2) as found:
        await anext(found)
        # It would go on if nothing stopped it.
        await anyio.sleep(0.05)
    runs = {key.split("/")[1] for verb, key in counted.calls if verb == "read" and "/0/" in key}
    assert len(runs) <= 3


async def test_labels_are_cut_at_the_same_places(root: AsyncRoot) -> None:
    for batch in await batches(of(root, labels="membrane:tool/0")):
        assert batch.segmentation is not None
        assert batch.segmentation.shape == batch.boxes.shape
        for mask, position in zip(batch.segmentation, batch.positions, strict=True):
            x, y, z = (position / SIZE).astype(int) - 4
            filled = np.zeros((32, 32, 32), np.uint8)
            filled[10:14, 3:30, 20] = 1
            np.testing.assert_array_equal(mask, filled[z : z + 8, y : y + 8, x : x + 8])


async def test_labels_of_objects_can_be_chosen(root: AsyncRoot) -> None:
    run = await root.get_run("TS_0")
    assert run is not None
    await (await run.new_picks("apo-ferritin")).from_numpy(places(9, 2))
    found = await batches(of(root, "*:curator", labels={"ribosome": 1}, runs="TS_0"))
    assert sorted(np.concatenate([batch.labels for batch in found]).tolist()) == [-1] * 2 + [1] * PICKS
    found = await batches(of(root, ["apo-ferritin", "ribosome"], runs=["TS_0"], negatives=random_places(1)))
    assert sorted(np.concatenate([batch.labels for batch in found]).tolist()) == [0] + [3] * PICKS + [5] * 2


async def test_a_coarser_level_is_found_by_its_voxel_size() -> None:
    async with aiocopick.open(config(address())) as root:
        run = await add_run(root, 0, levels=2)
        [spacing] = await run.voxel_spacings()
        [tomogram] = await spacing.tomograms()
        expected = await tomogram.extract(places(0), (4, 6, 8), "1")
        found = await batches(of(root, voxel_size=20, size=(4, 6, 8)))
        np.testing.assert_array_equal(joined(found), expected)
        with pytest.raises(NotFoundError, match=r"TS_0.* at 15 angstrom.*wbp@10\.0"):
            await batches(of(root, voxel_size=15))
        with pytest.raises(NotFoundError, match="at 40 angstrom"):
            await batches(of(root, voxel_size=40))


async def test_a_run_without_tomogram_fails_or_is_left_out() -> None:
    async with aiocopick.open(config(address())) as root:
        await write(root, 2)
        bare = await root.new_run("TS_bare")
        await (await bare.new_picks("ribosome")).from_numpy(places(0))
        empty = await root.new_run("TS_empty")
        await (await empty.new_picks("ribosome")).from_numpy(places(0))
        await (await empty.new_voxel_spacing(SIZE)).new_tomogram("wbp")
        with pytest.raises(NotFoundError, match="TS_bare has no tomogram 'wbp' at 10 angstrom"):
            await batches(of(root))
        with pytest.raises(NotFoundError, match="TS_empty"):
            await batches(of(root, runs="TS_e*"))
        for ahead in (False, True):
            boxes = of(root, on_error="skip")
            found = await batches(boxes, ahead=ahead)
            assert {run for batch in found for run in batch.runs} == {"TS_0", "TS_1"}
            assert set(boxes.errors) == {"TS_bare", "TS_empty"}
        with pytest.raises(NotFoundError, match="has no segmentation"):
            await batches(of(root, labels="cell:nobody"))
        with pytest.raises(NotFoundError, match="no run 'TS_9'"):
            await batches(of(root, runs=["TS_0", "TS_9"]))


async def test_runs_without_picks_give_no_boxes_and_are_no_error() -> None:
    async with aiocopick.open(config(address())) as root:
        await write(root, 2)
        await add_run(root, 2, count=0)
        await (await (await root.new_run("TS_3")).new_picks("ribosome")).from_numpy(np.empty((0, 3)))
        await root.new_run("TS_4")
        assert {name[0] for name in names(await batches(of(root)))} == {"TS_0", "TS_1"}
        # Random places are drawn wherever there is a tomogram.
        found = names(await batches(of(root, negatives=random_places(2))))
        assert Counter(name[0] for name in found if not name[1]) == {"TS_0": 2, "TS_1": 2, "TS_2": 2}
        assert await batches(of(root, "ribosome:nobody")) == []


async def test_boxes_outside_of_the_tomogram_are_filled_or_left_out() -> None:
    async with aiocopick.open(config(address())) as root:
        run = await add_run(root, 0, count=0)
        picks = await run.new_picks("ribosome")
        await picks.from_numpy([[10.0, 160.0, 160.0], [160.0, 160.0, 160.0], [9000.0, 160.0, 160.0]])
        boxes = of(root, fill=-7)
        [batch] = await batches(boxes)
        assert batch.indices.tolist() == [0, 1]
        assert boxes.skipped == {"TS_0": 1}
        assert (batch.boxes[0, :, :, :3] == -7).all()
        assert not (batch.boxes[0, :, :, 3:] == -7).any()
        boxes = of(root, outside="skip")
        [batch] = await batches(boxes)
        assert batch.indices.tolist() == [1]
        assert boxes.skipped == {"TS_0": 2}
        await picks.from_numpy([[9000.0, 160.0, 160.0]])
        with pytest.warns(aiocopick.PointsOutsideWarning, match=r"TS_0: all 1 picks are outside of .*wbp\.zarr"):
            assert await batches(of(root)) == []


async def test_bad_arguments_are_refused_at_once(root: AsyncRoot) -> None:
    for wrong, message in (
        ({"size": 0}, "box"),
        ({"size": (8, 8)}, "box"),
        ({"voxel_size": 0}, "voxel_size"),
        ({"batch": 0}, "batch"),
        ({"shuffle": -1}, "shuffle"),
        ({"shard": (2, 2)}, "shard 2 of 2"),
        ({"shard": (0, 0)}, "shard"),
        ({"shard": 3}, "shard"),
        ({"outside": "crop"}, "outside"),
        ({"on_error": "warn"}, "on_error"),
        ({"dtype": "u1", "fill": -1}, "fill"),
        ({"uri": None}, "nothing to cut"),
    ):
        with pytest.raises(ValueError, match=message):
            of(root, **wrong)
    with pytest.raises(aiocopick.InvalidNameError):
        of(root, "wbp@10")
    with pytest.raises(TypeError, match="labels"):
        of(root, labels=5)
    with pytest.raises(TypeError, match="root of a project"):
        of("project")
    with pytest.raises(ValueError, match="epoch"):
        of(root).epoch(-1)


async def test_a_pickled_iterator_gives_the_same_boxes() -> None:
    # Memory of another process is another one, but this is the same.
    async with aiocopick.open(config(address())) as root:
        await write(root, 2)
        boxes = of(root, shuffle=3).epoch(2)
        first = names(await batches(boxes))
        assert names(await batches(pickle.loads(pickle.dumps(boxes)))) == first


async def test_overlays_add_their_picks(tmp_path: Any) -> None:
    async with aiocopick.open(config(str(tmp_path / "static"))) as root:
        await write(root, 1)
    overlay = aiocopick.CopickConfigFSSpec(
        overlay_root=str(tmp_path / "overlay"),
        static_root=str(tmp_path / "static"),
        pickable_objects=OBJECTS,
        user_id="curator",
        session_id="2",
    )
    async with aiocopick.open(overlay) as root:
        run = await root.get_run("TS_0")
        assert run is not None
        await (await run.new_picks("ribosome")).from_numpy(places(5, 2))
        found = names(await batches(of(root)))
        assert Counter(name[1] for name in found) == {"ribosome:curator/1": PICKS, "ribosome:curator/2": 2}


# --- random places ----------------------------------------------------------------------------------------------------


async def test_random_boxes_are_inside_and_away_from_picks(root: AsyncRoot) -> None:
    found = await batches(of(root, negatives=random_places(2, per_pick=0.5, away=50), outside="skip"))
    random = [name for name in names(found) if not name[1]]
    assert len(random) == 4 * (2 + PICKS // 2)
    for run, _, index, *position in random:
        assert index == -1
        assert (np.asarray(position) >= 40).all()
        assert (np.asarray(position) <= 280).all()
        assert np.linalg.norm(places(int(run[3:])) - position, axis=1).min() >= 50


async def test_random_boxes_of_a_mask_are_spread_over_it(root: AsyncRoot) -> None:
    sampler = random_places(60, inside="membrane:tool")
    found = names(await batches(of(root, None, negatives=sampler)))
    assert len(found) == 4 * 60
    voxel = np.array([name[3:] for name in found]) / SIZE
    assert (voxel[:, 0] == 20).all()
    assert set(voxel[:, 2]) == {10, 11, 12, 13}
    # Each of 27 columns is as probable as any other.
    assert len(set(voxel[:, 1])) > 20
    assert voxel[:, 1].min() >= 3
    assert voxel[:, 1].max() < 30
    apart = random_places(4, inside="membrane:tool", away=60)
    for run, uri, _, *position in names(await batches(of(root, negatives=apart))):
        if not uri:
            assert np.linalg.norm(places(int(run[3:])) - position, axis=1).min() >= 60
    with pytest.raises(NotFoundError, match="no segmentation"):
        await batches(of(root, negatives=random_places(1, inside="cell")))


async def test_places_too_close_to_picks_are_fewer_rather_than_wrong(root: AsyncRoot) -> None:
    found = names(await batches(of(root, negatives=random_places(3, away=10_000))))
    assert len(found) == 4 * PICKS


async def test_a_sampler_of_ones_own_gets_the_place(root: AsyncRoot) -> None:
    async def middle(place: aiocopick.training.Place, random: np.random.Generator) -> Any:
        assert place.tomogram.tomo_type == "wbp"
        assert len(place.positions) == PICKS
        [mask] = await place.run.get_segmentations(name="membrane")
        assert (await mask.numpy()).any()
        return [(place.low + place.high) / 2]

    found = [name for name in names(await batches(of(root, negatives=middle))) if not name[1]]
    assert [name[3:] for name in found] == [(160, 160, 160)] * 4
    with pytest.raises(ValueError, match=r"positions must have shape"):
        await batches(of(root, negatives=lambda place, random: [[1.0, 2.0]]))


async def test_bad_samplers_are_refused_at_once() -> None:
    for wrong in ({}, {"count": -1}, {"count": 1, "away": -1}, {"per_pick": float("nan")}):
        with pytest.raises(ValueError, match=r"must be a number|needs count"):
            random_places(**wrong)  # type: ignore[arg-type]
    with pytest.raises(aiocopick.InvalidNameError):
        random_places(1, inside="a:b:c@10")
