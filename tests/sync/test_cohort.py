"""A loop over runs asks for them together."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from aiocopick import CopickConfigFS, CopickRootFS
from aiocopick.sync import ahead
from tests.entities.projects import Counted, fill
from tests.servers import MotoServer

NOUNS = ("voxel_spacings", "picks", "meshes", "segmentations", "filaments")


def test_the_first_look_lists_the_runs_beside_it(counted: Counted) -> None:
    first, *others = counted.root.runs
    assert len(first.picks) == 2
    with counted.requests(0):
        for run in others:
            assert [getattr(run, f"_{noun}") for noun in NOUNS] == [None] * 5
            assert [len(getattr(run, noun)) for noun in NOUNS] == [1, 2, 1, 1, 1]
            assert len(run.get_picks(session_id="0")) == 1
            spacing = run.get_voxel_spacing(10.0)
            assert spacing is not None
            assert len(spacing.tomograms[0].features) == 1


def test_a_run_that_is_asked_again_is_asked_alone(counted: Counted) -> None:
    first, second, third = counted.root.runs
    assert first.picks
    with counted.requests(1):
        second.refresh_picks()
    with counted.requests(0):
        assert third.picks
        assert second.picks


def test_a_run_that_was_looked_up_is_alone(counted: Counted) -> None:
    run = counted.root.get_run("TS_2")
    assert run is not None
    noted = len(counted.storage.calls)
    assert run.picks
    assert all("TS_2" in key for _, key in counted.storage.calls[noted:])


def test_another_listing_of_the_runs_makes_another_cohort(counted: Counted) -> None:
    assert counted.root.runs[0].picks
    old = counted.root.runs[1]
    counted.root.refresh()
    new = counted.root.runs[1]
    assert new is not old
    noted = len(counted.storage.calls)
    assert new.picks
    assert len(counted.storage.calls) > noted


def test_a_large_project_is_listed_in_parts(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "COHORT", 2)
    first, second, third = counted.root.runs
    noted = len(counted.storage.calls)
    assert first.picks
    assert not any("TS_3" in key for _, key in counted.storage.calls[noted:])
    with counted.requests(0):
        assert second.picks
    assert third.picks


def test_threads_that_look_at_once_ask_once(counted: Counted) -> None:
    runs = counted.root.runs
    noted = len(counted.storage.calls)
    assert counted.root.runs[0].picks
    alone = len(counted.storage.calls) - noted
    counted.root.refresh()
    runs = counted.root.runs
    barrier = threading.Barrier(3)

    def look(index: int) -> int:
        barrier.wait()
        return len(runs[index].picks)

    noted = len(counted.storage.calls)
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(look, range(3))) == [2, 2, 2]
    assert len(counted.storage.calls) - noted == alone


def test_prefetch_lists_and_loads_everything(counted: Counted) -> None:
    counted.root.prefetch(load={"picks", "meshes", "filaments"})
    with counted.requests(0):
        for run in counted.root.runs:
            assert run._picks is None
            assert [len(picks.points) for picks in run.picks] == [2, 2]
            assert run.meshes[0].mesh is not None
            assert len(run.filaments[0].filaments) == 1
    counted.root.refresh()
    counted.root.prefetch(kinds={"picks"})
    with counted.requests(0):
        assert [len(run.picks) for run in counted.root.runs] == [2, 2, 2]
    with pytest.raises(ValueError, match="kind"):
        counted.root.prefetch(kinds={"unicorns"})


def test_a_run_that_cannot_be_listed_fails_alone(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    from aiocopick.errors import StorageError

    inner = type(counted.storage).around

    async def around(self: object, verb: str, key: str, call: object) -> object:
        if "TS_2" in key:
            raise StorageError(f"{key} is broken", path=key)
        return await inner(self, verb, key, call)  # type: ignore[arg-type]

    monkeypatch.setattr(type(counted.storage), "around", around)
    first, second, third = counted.root.runs
    assert first.picks
    assert third.picks
    with pytest.raises(StorageError, match="TS_2"):
        _ = second.picks
    monkeypatch.undo()
    assert len(second.picks) == 2


@pytest.mark.timeout(300)
def test_two_hundred_runs_on_s3_cost_a_handful_of_listings(moto_server: MotoServer) -> None:
    bucket = moto_server.new_bucket()
    names = [f"TS_{index:03}" for index in range(200)]
    moto_server.seed(
        bucket,
        {
            f"project/ExperimentRuns/{name}/{key}": b"{}"
            for name in names
            for key in (
                ".meta",
                "VoxelSpacing10.000/wbp.zarr/.zgroup",
                "Picks/u_1_ribosome.json",
                "Meshes/u_1_membrane.glb",
            )
        },
    )
    config = CopickConfigFS(root=f"s3://{bucket}/project", fs_args=moto_server.fs_args())
    root = CopickRootFS(config)
    assert [len(run.picks) for run in root.runs] == [1] * 200
    assert sum(root.stats.requests.values()) <= 10
    fresh = CopickRootFS(config)
    found = [(len(run.voxel_spacings[0].tomograms), len(run.meshes), len(run.segmentations)) for run in fresh.runs]
    assert found == [(1, 1, 0)] * 200
    assert sum(fresh.stats.requests.values()) <= 10


def test_filled_projects_of_one_layer_and_of_two_are_listed_alike(config: CopickConfigFS) -> None:
    fill(CopickRootFS(config), ("TS_1", "TS_2"))
    root = CopickRootFS(config)
    assert [[len(getattr(run, noun)) for noun in NOUNS] for run in root.runs] == [[1, 2, 1, 1, 1]] * 2
