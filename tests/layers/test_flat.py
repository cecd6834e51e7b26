"""Runs listed by ranges of keys are what they are when each is listed on its own."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from aiocopick.errors import CopickError, StorageError, StorageTimeoutError
from aiocopick.layers import flat
from aiocopick.layers.filesystem import FilesystemLayer
from aiocopick.layout.listing import Listing, Located
from aiocopick.layout.paths import key_of
from aiocopick.layout.refs import RunRef
from aiocopick.models import CopickConfigFS
from aiocopick.storage import open_storage
from aiocopick.storage.base import FirstPage
from aiocopick.storage.scan import behind
from aiocopick.testing import CountingStorage, WrappedStorage

INSIDE = (
    ".meta",
    "VoxelSpacing10.000/.meta",
    "VoxelSpacing10.000/wbp.zarr/.zgroup",
    "VoxelSpacing10.000/wbp_sobel_features.zarr/0/0/0/0",
    "VoxelSpacing5/odd.zarr/.zattrs",
    "Picks/u_1_ribosome.json",
    "Picks/unparsable.json",
    "Meshes/u_1_membrane.glb",
    "Filaments/u_1_actin.json",
    "Segmentations/10.000_u_1_all-multilabel.zarr/.zgroup",
    "PanopticSegmentations/10.000_u_1_all.zarr/.zgroup",
    "frames/0001.tif",
    "note.txt",
)


def make_layer(wrap: type[WrappedStorage] = CountingStorage) -> FilesystemLayer:
    config = CopickConfigFS(root=f"memory://{uuid.uuid4().hex}/project")
    return FilesystemLayer(config, wrap(open_storage(config)))


def located(names: Iterable[str]) -> list[Located]:
    return [Located(RunRef(run=name), key_of(RunRef(run=name))) for name in names]


async def fill(layer: FilesystemLayer, runs: dict[str, Iterable[str]]) -> None:
    await layer.storage.write_many(
        (f"ExperimentRuns/{name}/{inside}", b"{}") for name, insides in runs.items() for inside in insides
    )


async def scanned(layer: FilesystemLayer, names: Iterable[str]) -> list[tuple[Located, Listing | CopickError]]:
    async with layer.scan(located(names)) as answers:
        return [answer async for answer in answers]


async def one_by_one(layer: FilesystemLayer, names: Iterable[str]) -> list[tuple[Located, Listing]]:
    return [(run, await layer.list_run(run)) for run in located(names)]


names = st.text(st.sampled_from("abTS_01-. é!~"), min_size=1, max_size=6).filter(
    lambda name: not name.startswith(".") and name.strip() == name
)


projects = st.dictionaries(
    st.one_of(names, names.map(lambda name: f"{name}.zarr")),
    st.lists(st.sampled_from(INSIDE), min_size=1, unique=True),
    min_size=1,
    max_size=30,
)


@given(
    runs=projects,
    data=st.data(),
)
@settings(deadline=None, max_examples=60)
@pytest.mark.asyncio
async def test_ranges_and_single_runs_hold_the_same(runs: dict[str, list[str]], data: st.DataObject) -> None:
    layer = make_layer()
    await fill(layer, runs)
    chosen = data.draw(st.lists(st.sampled_from(sorted(runs)), unique=True))
    assert await scanned(layer, chosen) == await one_by_one(layer, chosen)


@given(
    runs=projects,
    share=st.floats(0, 1),
    sparse=st.booleans(),
)
@settings(deadline=None, max_examples=60)
@pytest.mark.asyncio
async def test_a_first_page_of_any_length_changes_nothing(
    runs: dict[str, list[str]], share: float, sparse: bool
) -> None:
    layer = make_layer()
    await fill(layer, runs)
    whole = await layer.first_page()
    assert whole is not None
    entries = whole.entries[: int(share * len(whole.entries))]
    first_page = FirstPage(entries, behind(entries[-1]) if entries else "", sparse)
    for first in (whole, first_page):
        async with layer.scan(located(runs), first_page=first) as answers:
            assert [answer async for answer in answers] == await one_by_one(layer, runs)


@pytest.mark.asyncio
async def test_what_a_first_page_says_is_not_asked_for_again() -> None:
    layer = make_layer()
    assert isinstance(layer.storage, CountingStorage)
    all_names = [f"TS_{index:03}" for index in range(40)]
    await fill(layer, dict.fromkeys(all_names, INSIDE[:6]))
    whole = await layer.first_page()
    assert whole is not None
    half = whole.entries[: len(whole.entries) // 2 + 3]
    for first, requests in (
        (whole, 0),
        # One range of a page, and its end.
        (FirstPage(half, behind(half[-1])), 2),
        # The folder of each run, and the three in it: the page shows one of the first run.
        (FirstPage(half[:3], behind(half[2]), sparse=True), 40 * 4 - 1),
        (FirstPage(half[:7], behind(half[6]), sparse=True), 39 * 4),
    ):
        layer.storage.calls.clear()
        async with layer.scan(located(all_names), first_page=first) as answers:
            assert [len(listing.located) async for _, listing in answers if isinstance(listing, Listing)] == [6] * 40
        assert layer.storage.count() == layer.storage.count("list") == requests


@pytest.mark.asyncio
async def test_many_runs_cost_a_page_for_each_thousand_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = make_layer()
    all_names = [f"TS_{index:03}" for index in range(40)]
    await fill(layer, dict.fromkeys(all_names, INSIDE[:6]))
    assert isinstance(layer.storage, CountingStorage)
    layer.storage.calls.clear()
    assert len(await scanned(layer, all_names)) == 40
    # Two ranges of a page, and the end of each, which the wrapper counts as well.
    assert layer.storage.count() == layer.storage.count("list") <= 4
    monkeypatch.setattr(flat, "BLOCK", 10)
    layer.storage.calls.clear()
    assert [run.ref.run for run, _ in await scanned(layer, all_names[::-1])] == all_names[::-1]  # type: ignore[attr-defined]
    assert layer.storage.count() <= 8


@pytest.mark.asyncio
async def test_what_lies_between_and_beside_is_not_read_for_long() -> None:
    layer = make_layer()
    chosen = [f"TS_{index}" for index in range(9)]
    frames = [f"frames/{index:05}.tif" for index in range(3000)]
    await fill(layer, {name: [INSIDE[5], *(frames if name == "TS_4" else [])] for name in chosen})
    found = await scanned(layer, chosen)
    assert found == await one_by_one(layer, chosen)
    assert all(isinstance(listing, Listing) and len(listing.located) == 1 for _, listing in found)


@pytest.mark.asyncio
async def test_every_tenth_run_is_cheaper_by_pages_than_one_by_one() -> None:
    layer = make_layer()
    assert isinstance(layer.storage, CountingStorage)
    all_names = [f"TS_{index:03}" for index in range(240)]
    picks = [f"Picks/u_{index}_ribosome.json" for index in range(10)]
    await fill(layer, dict.fromkeys(all_names, picks))
    layer.storage.calls.clear()
    found = await scanned(layer, all_names[::10])
    assert [len(listing.located) for _, listing in found if isinstance(listing, Listing)] == [10] * 24
    # The memory's pages are endless: one, and its end.
    assert layer.storage.count() == layer.storage.count("list") == 2


def failing(error: StorageError, times: int) -> type[WrappedStorage]:
    class Failing(WrappedStorage):
        left = times

        async def around(self, verb: str, key: str, call: Callable[[], Awaitable[object]]) -> object:  # type: ignore[override]
            if verb == "list" and Failing.left:
                Failing.left -= 1
                raise error
            return await call()

    return Failing


@pytest.mark.asyncio
async def test_a_range_that_fails_is_asked_for_run_by_run() -> None:
    layer = make_layer(failing(StorageError("broken", path="x"), 3))
    chosen = [f"TS_{index}" for index in range(10)]
    await fill(layer, dict.fromkeys(chosen, INSIDE[5:6]))
    found = await scanned(layer, chosen)
    # The range, then two of the runs.
    assert [isinstance(listing, StorageError) for _, listing in found].count(True) == 2
    assert [run.ref.run for run, _ in found] == chosen  # type: ignore[attr-defined]


@pytest.mark.asyncio
async def test_a_range_that_times_out_is_not_asked_for_again() -> None:
    layer = make_layer(failing(StorageTimeoutError("slow", path="x"), 1))
    chosen = [f"TS_{index}" for index in range(10)]
    await fill(layer, dict.fromkeys(chosen, INSIDE[5:6]))
    assert all(isinstance(listing, StorageTimeoutError) for _, listing in await scanned(layer, chosen))


@pytest.mark.asyncio
async def test_many_runs_on_disk_are_one_request(tmp_path: Path) -> None:
    config = CopickConfigFS(root=str(tmp_path))
    layer = FilesystemLayer(config)
    names = [f"TS_{index:03}" for index in range(400)]
    for name in names:
        for inside in ("Picks/u_1_ribosome.json", "Meshes/u_1_membrane.glb", ".meta"):
            path = tmp_path / "ExperimentRuns" / name / inside
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    found = await scanned(layer, names)
    assert [len(listing.located) for _, listing in found if isinstance(listing, Listing)] == [2] * 400
    # Of 64 runs each.
    assert layer.stats.requests == {"list": 7}
    await layer.aclose()


@pytest.mark.asyncio
async def test_ranges_warn_of_names_once_as_single_runs_do(caplog: pytest.LogCaptureFixture) -> None:
    layer = make_layer()
    chosen = [f"TS_{index}" for index in range(10)]
    await fill(layer, dict.fromkeys(chosen, ("Picks/unparsable.json",)))
    await scanned(layer, chosen)
    await scanned(layer, chosen)
    assert [record.message.count("unparsable.json") for record in caplog.records] == [1] * 10


@pytest.mark.asyncio
async def test_ranges_hide_volumes_that_are_being_copied() -> None:
    layer = make_layer()
    chosen = [f"TS_{index}" for index in range(10)]
    await fill(layer, dict.fromkeys(chosen, ("VoxelSpacing10.000/wbp.zarr/0", "VoxelSpacing10.000/.wbp.zarr.copying")))
    found = await scanned(layer, chosen)
    assert found == await one_by_one(layer, chosen)
    kinds = [[item.ref.kind for item in listing.located] for _, listing in found if isinstance(listing, Listing)]
    assert kinds == [["voxel_spacing"]] * 10
