"""A project listed from a catalogue: no listing is sent, and what is read can be checked against it."""

from __future__ import annotations

import pickle
from pathlib import Path
from threading import get_ident
from typing import Any

import pyarrow as pa
import pytest

import aiocopick
from aiocopick.entities import AsyncRoot
from aiocopick.errors import ConflictError, FormatError, LayerError
from aiocopick.sample import sample_config, write_sample
from aiocopick.tables import catalog, changes, index, select, store_table
from aiocopick.tables.held import held
from aiocopick.tables.opened import file_arguments, with_catalog
from aiocopick.tables.schema import metadata_of
from tests.servers.fixtures import MakeWebServer
from tests.servers.s3 import MotoServer
from tests.tables.handmade import picks_ref, run_ref, table_of


async def listing(root: AsyncRoot) -> list[tuple[Any, str]]:
    """Every entity of a project, and its key."""
    found: list[tuple[Any, str]] = []
    async for run in root.crawl():
        assert run.error is None
        found += [(run.ref, run.key), *((entity.ref, entity.key) for entity in await held(run))]
    return found


@pytest.mark.asyncio
async def test_it_lists_what_the_storage_lists_and_asks_nothing(s3_sample: AsyncRoot) -> None:
    table = await catalog(s3_sample)
    expected = await listing(s3_sample)
    fresh = await aiocopick.open(s3_sample.config)
    root = await with_catalog(fresh, table)
    assert await listing(root) == expected
    assert await root.ensure()
    assert [run.name for run in await root.query()] == ["TS_001", "TS_002", "TS_003"]
    found = await root.get_run("TS_002")
    assert found is not None
    assert len(await found.query_picks()) == 4
    assert await found.get_voxel_spacing(10) is not None
    assert await root.get_run("TS_009") is None
    assert root.stats.requests.total() == 0
    await root.aclose()


@pytest.mark.asyncio
async def test_a_catalogue_is_checked_beside_the_event_loop(sample: AsyncRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    table, threads = await catalog(sample), list[int]()
    check = index._refuse_twice
    monkeypatch.setattr(index, "_refuse_twice", lambda *args: (threads.append(get_ident()), check(*args)))
    await with_catalog(sample, table)
    assert len(threads) == 1
    assert get_ident() not in threads


@pytest.mark.asyncio
async def test_files_are_read_and_only_read(s3_sample: AsyncRoot, moto_server: MotoServer) -> None:
    table = await catalog(s3_sample)
    with moto_server.counting() as counts:
        root = await aiocopick.open(s3_sample.config, catalog=table, verify="etag")
        points = 0
        async with root.crawl(load={"picks"}) as runs:
            async for run in runs:
                assert run.error is None
                for picks in await run.picks():
                    positions, _ = await picks.to_numpy()
                    points += len(positions)
        await root.aclose()
    assert points > 50
    assert counts == {"GetObject": 12}


@pytest.mark.asyncio
async def test_a_plain_web_server_can_be_crawled(tmp_path: Path, web_server: MakeWebServer) -> None:
    async with aiocopick.open(sample_config(tmp_path / "project")) as local:
        await write_sample(local, runs=2, volumes=False)
        await store_table(await catalog(local), tmp_path / "catalog.parquet")
        expected = await listing(local)
    server = web_server(tmp_path / "project")
    async with aiocopick.open(server.url, catalog=tmp_path / "catalog.parquet", must_exist=True) as root:
        assert await listing(root) == expected
        run = await root.get_run("TS_001")
        assert run is not None
        for picks in await run.picks():
            await picks.load()
        assert dict(root.stats.requests) == {"read": 4}
    with aiocopick.open_sync(server.url, catalog=tmp_path / "catalog.parquet", verify="etag") as facade:
        assert [run.name for run in facade.runs] == ["TS_001", "TS_002"]
    with pytest.raises(aiocopick.NotFoundError):
        await aiocopick.open(server.url, catalog=tmp_path / "missing.parquet")


@pytest.mark.asyncio
async def test_a_file_that_changed_is_refused_when_asked(s3_sample: AsyncRoot) -> None:
    table = await catalog(s3_sample)
    async for run in s3_sample.crawl(runs="TS_001"):
        (changed,) = await run.get_picks("ribosome", user_id="curator")
        await changed.from_numpy([[1, 2, 3]])
    checked = await with_catalog(s3_sample, table, "etag")
    trusting = await with_catalog(s3_sample, table)
    for root in (checked, trusting):
        runs = {run.name: run async for run in root.crawl(load={"picks"})}
        assert runs["TS_002"].error is None
        assert isinstance(runs["TS_001"].error, ConflictError) == (root is checked)
    run = await checked.get_run("TS_001")
    assert run is not None
    (picks,) = await run.get_picks("ribosome", user_id="curator")
    with pytest.raises(ConflictError, match="curator_1_ribosome"):
        await picks.load()


@pytest.mark.asyncio
async def test_without_etags_size_and_time_are_compared(sample: AsyncRoot) -> None:
    table = await catalog(sample)
    without = table.set_column(table.column_names.index("etag"), "etag", _nulls(table))
    root = await with_catalog(sample, without, "etag")
    run = await root.get_run("TS_001")
    assert run is not None
    unchanged, changed = (await run.get_picks(user_id="curator"))[:2]
    before = sample.stats.requests["stat"]
    await unchanged.load()
    assert sample.stats.requests["stat"] == before + 1
    storage = sample.layers[0].storage  # type: ignore[attr-defined]
    await storage.write(changed.key, b"[]")
    with pytest.raises(ConflictError):
        await changed.load()


def _nulls(table: pa.Table) -> pa.Array:
    return pa.nulls(table.num_rows, pa.string())


@pytest.mark.asyncio
async def test_what_is_made_and_deleted_through_it_is_listed_so(sample: AsyncRoot) -> None:
    root = await with_catalog(sample, await catalog(sample))
    run = await root.get_run("TS_002")
    assert run is not None
    made = await run.new_picks("ribosome", "9", user_id="me")
    await made.from_numpy([[1, 2, 3]])
    (gone,) = await run.get_picks("ribosome", user_id="curator")
    await gone.delete()
    await root.delete_run("TS_001")
    new = await root.new_run("TS_004")
    await new.new_voxel_spacing(5)
    root.refresh()
    assert [run.name for run in await root.query()] == ["TS_002", "TS_003", "TS_004"]
    sample.refresh()
    assert await listing(root) == await listing(sample)
    # A run that is made again holds nothing of what it held.
    again = await root.new_run("TS_001")
    again.refresh()
    assert await again.picks() == []
    assert await listing(await with_catalog(sample, await catalog(sample))) == await listing(root.options(timeout=5))


@pytest.mark.asyncio
async def test_kinds_it_was_made_without_are_no_empty_lists(sample: AsyncRoot) -> None:
    root = await with_catalog(sample, await catalog(sample, {"picks"}))
    async for run in root.crawl(kinds={"picks"}):
        assert run.error is None
        assert len(await run.picks()) == 4
    async for run in root.crawl(kinds={"meshes"}):
        assert isinstance(run.error, LayerError)
        assert "meshes" in str(run.error)
    found = await root.get_run("TS_001")
    assert found is not None
    assert len(await found.query_picks()) == 4
    with pytest.raises(LayerError):
        await found.query_meshes()
    fresh = await root.get_run("TS_002")
    assert fresh is not None
    assert len(await fresh.picks()) == 4
    for ask in (fresh.meshes, fresh.voxel_spacings, lambda: fresh.get_voxel_spacing(10.0)):
        with pytest.raises(LayerError, match="picks"):
            await ask()
    async for run in root.crawl():
        assert isinstance(run.error, LayerError)


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["tomograms", "features"])
async def test_volumes_come_with_what_they_hang_on(sample_with_volumes: AsyncRoot, kind: str) -> None:
    table = await catalog(sample_with_volumes, {kind})
    assert set(table["kind"].to_pylist()) == {"run", "voxel_spacing", "tomogram", "features"}
    assert metadata_of(table)["kinds"] == ["features", "tomograms", "voxel_spacings"]
    root = await with_catalog(sample_with_volumes, table)
    async with select(root, kinds=kind) as found:
        assert [entity.kind async for entity in found] == [{"tomograms": "tomogram"}.get(kind, kind)] * 2
    run = await root.get_run("TS_001")
    assert run is not None
    (spacing,) = await run.voxel_spacings()
    (tomogram,) = await spacing.tomograms()
    assert [features.feature_type for features in await tomogram.features()] == ["gradient"]
    with pytest.raises(LayerError, match="picks"):
        await run.picks()


@pytest.mark.asyncio
async def test_a_run_that_could_not_be_read_is_not_empty(sample: AsyncRoot) -> None:
    root = await with_catalog(sample, table_of(run_ref("a"), run_ref("b"), picks_ref("b"), errors={"a": "denied"}))
    runs = {run.name: run async for run in root.crawl()}
    assert isinstance(runs["a"].error, LayerError)
    assert "denied" in str(runs["a"].error)
    assert runs["b"].error is None


@pytest.mark.asyncio
async def test_each_layer_lists_its_own_rows() -> None:
    config = aiocopick.CopickConfigMultilayer(
        layers=[
            {"root": "memory://upper", "layer_name": "upper", "priority": 1},
            {"root": "memory://lower", "layer_name": "lower"},
        ]
    )
    for name in ("upper", "lower"):
        async with aiocopick.open(f"memory://{name}") as alone:
            run = await alone.new_run(f"only-{name}")
            await (await run.new_picks("ribosome", "1", user_id=name)).store()
    async with aiocopick.open(config) as both:
        table = await catalog(both)
        assert set(table["layer"].to_pylist()) == {"upper", "lower"}
        root = await with_catalog(both, table)
        assert await listing(root) == await listing(both)
        found = await root.get_run("only-lower")
        assert found is not None
        assert found.layer.name == "lower"
        other = table.set_column(table.column_names.index("layer"), "layer", [["elsewhere"] * table.num_rows])
        with pytest.raises(LayerError, match="elsewhere"):
            await with_catalog(both, other)
    # One of the layers alone holds less than the catalogue says.
    async with aiocopick.open("memory://upper") as alone:
        with pytest.raises(LayerError, match="lower"):
            await with_catalog(alone, table)


@pytest.mark.asyncio
async def test_it_travels(sample: AsyncRoot) -> None:
    root = await with_catalog(sample, await catalog(sample))
    back = pickle.loads(pickle.dumps(root))
    assert await listing(back) == await listing(root)
    assert back == root


@pytest.mark.asyncio
async def test_other_tables_and_checks_are_refused(sample: AsyncRoot) -> None:
    with pytest.raises(FormatError):
        await with_catalog(sample, changes(await catalog(sample), await catalog(sample)))
    with pytest.raises(LayerError, match="md5"):
        await with_catalog(sample, await catalog(sample), "md5")  # type: ignore[arg-type]
    with pytest.raises(LayerError, match="catalog="):
        aiocopick.open(sample.config, verify="etag")


@pytest.mark.asyncio
async def test_a_table_is_reached_with_the_arguments_of_the_layer_beside_it() -> None:
    def layer(name: str, root: str, **fs_args: Any) -> dict[str, Any]:
        return {"root": root, "layer_name": name, "fs_args": fs_args, "read_only": name != "mine"}

    config = aiocopick.CopickConfigMultilayer(
        layers=[
            layer("public", "s3://public/project", anon=True),
            layer("mine", "s3://mine/project", key="k"),
            layer("disk", "/data/project"),
        ]
    )
    async with aiocopick.open(config) as root:
        assert file_arguments(root, "s3://mine/catalog.parquet") == {"fs_args": {"key": "k"}}
        assert file_arguments(root, "s3://public/catalog.parquet", to_write=True) == {"fs_args": {"anon": True}}
        assert file_arguments(root, "s3://other/catalog.parquet") == {"fs_args": {"anon": True}}
        assert file_arguments(root, "s3://other/catalog.parquet", to_write=True) == {"fs_args": {"key": "k"}}
        for elsewhere in ("gs://mine/catalog.parquet", "/data/catalog.parquet", "catalog.parquet"):
            assert file_arguments(root, elsewhere) == {}


@pytest.mark.parametrize(
    ("root", "file"),
    [
        ("https://data.example.org/project", "https://elsewhere.example.org/catalog.parquet"),
        ("https://data.example.org/project", "https://data.example.org:8443/catalog.parquet"),
        ("sftp://host/project", "sftp://other/catalog.parquet"),
        ("smb://host/project", "smb://other/catalog.parquet"),
        ("abfss://data@one.dfs.core.windows.net/project", "abfss://data@other.dfs.core.windows.net/catalog.parquet"),
        ("az://data/project", "az://data@other.blob.core.windows.net/catalog.parquet"),
    ],
)
def test_another_host_does_not_get_the_arguments_of_a_layer(root: str, file: str) -> None:
    project = aiocopick.AsyncRoot(aiocopick.CopickConfigFS(root=root, fs_args={"password": "secret"}))
    assert file_arguments(project, file) == {}
    beside = f"{root.rpartition('/')[0]}/catalog.parquet"
    assert file_arguments(project, beside) == {"fs_args": {"password": "secret"}}
