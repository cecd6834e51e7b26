"""The same work on two processes of a Dask cluster."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
import pytest_asyncio

import aiocopick
from aiocopick.distributed import crawl, map_runs
from aiocopick.distributed.jobs import batched
from aiocopick.entities import AsyncRoot, AsyncRun
from aiocopick.sample import sample_config, write_sample
from aiocopick.tables.schema import metadata_of
from tests.distributed.cluster import DieOnce, Unloadable, count_points, two_workers

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with two_workers() as running:
        yield running


@pytest_asyncio.fixture
async def project(tmp_path: Path) -> AsyncIterator[AsyncRoot]:
    """Twelve runs on disk, one of them with a broken file."""
    async with aiocopick.open(sample_config(tmp_path)) as root:
        await write_sample(root, runs=12, volumes=False)
        (tmp_path / "ExperimentRuns/TS_005/Picks/curator_1_ribosome.json").write_text("{")
        yield root


def test_runs_are_cut_into_consecutive_parts() -> None:
    names = [f"TS_{number:04d}" for number in range(1001)]
    for threads in (1, 2, 7, 64, 5000):
        parts = batched(names, threads)
        assert [name for part in parts for name in part] == names
        assert max(map(len, parts)) <= 250
    assert batched([], 4) == []
    assert batched(["a"], 4) == [("a",)]


@pytest.mark.asyncio
@pytest.mark.parametrize("stats", [False, True])
async def test_a_crawl_by_workers_equals_a_local_one(project: AsyncRoot, client: Any, stats: bool) -> None:
    local = await aiocopick.catalog(project, stats=stats)
    seen: list[str] = []
    found = await crawl(project, client=client, stats=stats, progress=seen.append)
    assert found.to_pylist() == local.to_pylist()
    assert found.schema == local.schema
    assert metadata_of(found) == metadata_of(local)
    assert sorted(seen) == [f"TS_{number:03d}" for number in range(1, 13)]


@pytest.mark.asyncio
async def test_a_root_of_the_facade_is_as_good(project: AsyncRoot, client: Any, tmp_path: Path) -> None:
    blocking = await anyio.to_thread.run_sync(aiocopick.open_sync, str(tmp_path))
    found = await crawl(blocking, client=client)
    assert found.to_pylist() == (await aiocopick.catalog(project)).to_pylist()
    mapped = await map_runs(blocking, count_points, client=client, runs="TS_001")
    assert mapped.table.num_rows > 0
    for call in (crawl(project.url, client=client), map_runs(project.url, count_points, client=client)):  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="open one with"):
            await call


@pytest.mark.asyncio
async def test_kinds_runs_and_earlier_catalogues_count_as_in_a_local_crawl(project: AsyncRoot, client: Any) -> None:
    local = await aiocopick.catalog(project, {"picks"}, runs="TS_00*", stats=True)
    found = await crawl(project, client=client, kinds={"picks"}, runs="TS_00*", stats=True, since=local)
    assert found.to_pylist() == local.to_pylist()
    assert metadata_of(found) == metadata_of(local)


@pytest.mark.asyncio
async def test_a_project_without_runs_is_an_empty_table(client: Any, tmp_path: Path) -> None:
    async with aiocopick.open(tmp_path) as root:
        assert (await crawl(root, client=client)).num_rows == 0
        mapped = await map_runs(root, count_points, client=client)
        assert (mapped.table.column_names, mapped.table.num_rows, mapped.errors) == (["run"], 0, {})


@pytest.mark.asyncio
async def test_a_function_of_each_run_gives_one_table(project: AsyncRoot, client: Any) -> None:
    found = await map_runs(project, count_points, client=client, kinds={"picks"}, load={"picks"})
    assert list(found.errors) == ["TS_005"]
    assert "curator_1_ribosome.json" in found.errors["TS_005"]
    rows = found.table.to_pylist()
    assert [row["run"] for row in rows] == [f"TS_{n:03d}" for n in range(1, 13) if n != 5 for _ in range(4)]
    workers = {row["worker"] for row in rows}
    assert os.getpid() not in workers
    table = await aiocopick.points(project, on_error="skip")
    expected = [run for run in table["run"].to_pylist() if run != "TS_005"]
    assert sum(row["points"] for row in rows) == len(expected)


@pytest.mark.asyncio
async def test_what_a_function_raises_is_an_error_of_its_run(project: AsyncRoot, client: Any) -> None:
    async def fail(run: AsyncRun) -> Any:
        if run.name == "TS_003":
            raise ZeroDivisionError("no particles")
        return {"name": run.name} if run.name == "TS_004" else None

    found = await map_runs(project, fail, client=client)
    assert found.errors == {"TS_003": "ZeroDivisionError: no particles"}
    assert found.table.to_pylist() == [{"run": "TS_004", "name": "TS_004"}]

    async def nonsense(run: AsyncRun) -> Any:
        return 5

    found = await map_runs(project, nonsense, client=client, runs="TS_001")
    assert "int" in found.errors["TS_001"]


@pytest.mark.asyncio
async def test_a_worker_that_dies_loses_nothing(project: AsyncRoot, client: Any, tmp_path: Path) -> None:
    before = set(client.scheduler_info()["workers"])
    expected = await map_runs(project, count_points, client=client)
    marker = tmp_path / "died"
    found = await map_runs(project, DieOnce(marker), client=client)
    assert marker.exists(), "no worker died"
    assert set(client.scheduler_info()["workers"]) != before
    columns = ["run", "object_name", "points"]
    assert found.table.select(columns).to_pylist() == expected.table.select(columns).to_pylist()
    assert found.errors == expected.errors
    assert (await crawl(project, client=client)).to_pylist() == (await aiocopick.catalog(project)).to_pylist()


@pytest.mark.asyncio
async def test_runs_that_no_worker_could_do_are_errors(project: AsyncRoot, client: Any) -> None:
    root = Unloadable(project.config)
    names = [run.name for run in await root.query()]
    found = await crawl(root, client=client, kinds={"picks"}, retries=0)
    assert [(row["run"], row["kind"]) for row in found.to_pylist()] == [(name, "run") for name in names]
    assert all("cannot open projects" in error for error in found["error"].to_pylist())
    mapped = await map_runs(root, count_points, client=client, retries=0)
    assert list(mapped.errors) == names
    assert mapped.table.num_rows == 0


@pytest.mark.asyncio
async def test_a_run_called_like_a_glob_stands_for_itself(client: Any, tmp_path: Path) -> None:
    async with aiocopick.open(tmp_path) as root:
        for name in ("a", "a*", "ab", "[ab]"):
            await root.new_run(name)
        found = await crawl(root, client=client)
        assert found["run"].to_pylist() == ["[ab]", "a", "a*", "ab"]
        assert found["error"].null_count == 4


@pytest.mark.asyncio
@pytest.mark.parametrize("runs", ["TS_099", ["TS_002", "TS_099", "TS_001"], ["TS_00[12]", "TS_099"]])
async def test_a_run_that_was_named_and_is_not_there_is_an_error(project: AsyncRoot, client: Any, runs: Any) -> None:
    found = await crawl(project, client=client, runs=runs)
    assert found.to_pylist() == (await aiocopick.catalog(project, runs=runs)).to_pylist()
    assert "no run" in found.to_pylist()[-1]["error"]
    mapped = await map_runs(project, count_points, client=client, runs=runs)
    assert list(mapped.errors) == ["TS_099"]
    assert "no run" in mapped.errors["TS_099"]


@pytest.mark.asyncio
async def test_what_a_crawl_refuses_is_refused_before_anything_is_sent(project: AsyncRoot, client: Any) -> None:
    with pytest.raises(ValueError, match="tomograms"):
        await map_runs(project, count_points, client=client, load={"tomograms"})
    with pytest.raises(aiocopick.InvalidNameError, match="pick"):
        await map_runs(project, count_points, client=client, kinds={"pick"})


@pytest.mark.asyncio
async def test_what_travels_is_the_configuration(project: AsyncRoot) -> None:
    import pickle

    secret = "canary-secret"
    root = aiocopick.AsyncRoot(
        aiocopick.CopickConfigFS(root="s3://bucket/project", fs_args={"key": "k", "secret": secret})
    )
    assert secret not in repr(root)
    back = pickle.loads(pickle.dumps(root))
    assert back.config == root.config


@pytest.mark.asyncio
async def test_a_client_of_this_loop_works_as_well(project: AsyncRoot, client: Any) -> None:
    from distributed import Client

    async with Client(client.scheduler.address, asynchronous=True) as own:
        found = await crawl(project, client=own)
        mapped = await map_runs(project, count_points, client=own, runs="TS_001")
    assert found.to_pylist() == (await aiocopick.catalog(project)).to_pylist()
    assert mapped.table.num_rows == 4
