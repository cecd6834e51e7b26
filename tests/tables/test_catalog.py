"""A project as a table."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import aiocopick
from aiocopick.entities import AsyncRoot
from aiocopick.errors import FormatError, InvalidNameError
from aiocopick.sample import sample_config, write_sample
from aiocopick.tables import catalog, changes, load_table, store_table
from aiocopick.tables.held import held
from aiocopick.tables.rows import located_of, rows_of
from aiocopick.tables.schema import STATS_COLUMNS, catalog_columns, encode_metadata, metadata_of


def reads(root: AsyncRoot) -> int:
    return root.stats.requests["read"]


@pytest.mark.asyncio
async def test_a_row_per_entity(sample_with_volumes: AsyncRoot) -> None:
    table = await catalog(sample_with_volumes)
    assert table.column_names == list(catalog_columns())
    assert Counter(table["kind"].to_pylist()) == {
        "object": 2,
        "run": 2,
        "voxel_spacing": 2,
        "tomogram": 2,
        "features": 2,
        "picks": 8,
        "mesh": 2,
        "segmentation": 4,
        "filaments": 2,
    }
    expected = []
    async for run in sample_with_volumes.crawl():
        expected += [run._located, *(entity._located for entity in await held(run))]
    rows = [row for row in rows_of(table) if row["kind"] != "object"]
    assert [(place.ref, place.key, place.size, place.etag) for place in map(located_of, rows)] == [
        (place.ref, place.key, place.size, place.etag) for place in expected
    ]
    assert set(table["layer"].to_pylist()) == {"filesystem"}
    assert table["error"].null_count == table.num_rows
    assert metadata_of(table)["url"] == sample_with_volumes.url


@pytest.mark.asyncio
async def test_it_costs_no_request_beyond_the_crawl(s3_sample: AsyncRoot) -> None:
    root = await aiocopick.open(s3_sample.config)
    await catalog(root, {"picks", "meshes"})
    assert root.stats.requests.total() <= 1 + 3
    assert reads(root) == 0
    await root.aclose()


@pytest.mark.asyncio
async def test_kinds_and_runs_restrict_it(sample: AsyncRoot) -> None:
    table = await catalog(sample, ["picks"], runs="TS_00[13]")
    assert Counter(table["kind"].to_pylist()) == {"run": 2, "picks": 8}
    assert set(table["run"].to_pylist()) == {"TS_001", "TS_003"}
    assert (await catalog(sample, "meshes", runs=["TS_002"])).num_rows == 2
    with pytest.raises(InvalidNameError, match="planets"):
        await catalog(sample, {"planets"})


@pytest.mark.asyncio
async def test_an_empty_project_is_an_empty_table() -> None:
    async with aiocopick.open("memory://nothing-here") as root:
        table = await catalog(root, stats=True)
    assert table.num_rows == 0
    assert table.column_names == list(catalog_columns(stats=True))


@pytest.mark.asyncio
async def test_statistics_are_read_from_the_files(sample_with_volumes: AsyncRoot) -> None:
    table = await catalog(sample_with_volumes, stats=True)
    rows = {(row["run"], row["kind"], row["user_id"], row["object_name"], row["name"]): row for row in rows_of(table)}
    run = await sample_with_volumes.get_run("TS_001")
    assert run is not None
    (picks,) = await run.get_picks("ribosome", user_id="template-matching")
    _, scores = await picks.to_numpy()
    assert scores is not None
    row = rows["TS_001", "picks", "template-matching", "ribosome", None]
    assert (row["points"], row["score_min"], row["score_max"]) == (len(scores), scores.min(), scores.max())
    assert rows["TS_001", "mesh", "curator", "membrane", None]["faces"] == 1280
    assert rows["TS_001", "filaments", "curator", "microtubule", None]["points"] == 33
    tomogram = rows["TS_001", "tomogram", None, None, None]
    assert (tomogram["shape"], tomogram["dtype"], tomogram["levels"]) == ([40, 80, 80], "float32", 3)
    features = rows["TS_001", "features", None, None, None]
    assert features["shape"] == [3, 40, 80, 80]
    assert rows["TS_001", "segmentation", "curator", None, "cell"]["dtype"] == "uint8"
    assert rows[None, "object", None, None, "ribosome"]["shape"] == [32, 32, 32]
    assert all(rows["TS_001", "run", None, None, None][name] is None for name in STATS_COLUMNS)


@pytest.mark.asyncio
async def test_what_cannot_be_read_is_an_error_of_its_row(sample: AsyncRoot) -> None:
    storage = sample.layers[0].storage  # type: ignore[attr-defined]
    await storage.write("ExperimentRuns/TS_002/Picks/curator_1_ribosome.json", b"{")
    run = await sample.get_run("TS_003")
    assert run is not None
    await run.new_segmentation(10.0, "membrane", "1", user_id="unfinished")
    table = await catalog(sample, stats=True)
    failed = [row for row in rows_of(table) if row["error"] is not None]
    assert [row["key"] for row in failed] == ["ExperimentRuns/TS_002/Picks/curator_1_ribosome.json"]
    assert "TS_002" in failed[0]["error"]
    unfinished = [row for row in rows_of(table) if row["user_id"] == "unfinished"]
    assert [row["levels"] for row in unfinished] == [0]


@pytest.mark.asyncio
async def test_unchanged_files_are_not_read_again(s3_sample: AsyncRoot) -> None:
    files = {"picks", "meshes", "filaments"}
    root = s3_sample
    first = await catalog(root, files, stats=True)
    before = reads(root)
    again = await catalog(root, files, stats=True, since=first)
    assert reads(root) == before
    assert again.to_pylist() == first.to_pylist()
    run = await root.get_run("TS_002")
    assert run is not None
    (picks,) = await run.get_picks("ribosome", user_id="curator")
    await picks.from_numpy([[1, 2, 3]])
    before = reads(root)
    third = await catalog(root, files, stats=True, since=again)
    assert reads(root) == before + 1
    found = changes(again, third).to_pylist()
    assert [(row["change"], row["key"]) for row in found] == [("changed", picks.key)]
    assert [row["points"] for row in rows_of(third) if row["key"] == picks.key] == [1]


@pytest.mark.asyncio
async def test_a_catalogue_without_statistics_saves_no_reads(sample: AsyncRoot) -> None:
    plain = await catalog(sample)
    before = reads(sample)
    assert (await catalog(sample, {"picks"}, stats=True, since=plain))["points"].null_count == 3
    assert reads(sample) == before + 12


@pytest.mark.asyncio
async def test_progress_names_every_run(sample: AsyncRoot) -> None:
    seen: list[str] = []
    await catalog(sample, progress=seen.append)
    assert seen == ["TS_001", "TS_002", "TS_003"]


@pytest.mark.asyncio
async def test_tables_go_to_parquet_and_back(s3_sample: AsyncRoot, tmp_path: object) -> None:
    table = await catalog(s3_sample, stats=True)
    for target, fields in [
        (f"{tmp_path}/catalog.parquet", {}),
        (f"{s3_sample.url}/catalog.parquet", {"fs_args": s3_sample.config.fs_args}),
        ("memory://catalog.parquet", {}),
    ]:
        await store_table(table, target, **fields)
        back = await load_table(target, **fields)
        assert back.equals(table)
        assert metadata_of(back) == metadata_of(table)


@pytest.mark.asyncio
async def test_a_file_that_is_no_parquet_is_a_format_error(tmp_path: object) -> None:
    path = f"{tmp_path}/x.parquet"
    with open(path, "wb") as file:
        file.write(b"abc")
    with pytest.raises(FormatError, match=r"x\.parquet"):
        await load_table(path)
    with pytest.raises(aiocopick.NotFoundError):
        await load_table(f"{tmp_path}/missing.parquet")


@pytest.mark.asyncio
async def test_a_small_file_of_many_equal_rows_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path, rows = tmp_path / "bomb.parquet", 1_000_000
    keys = pa.DictionaryArray.from_arrays(pa.repeat(0, rows).cast("int32"), ["k" * 99])
    pq.write_table(pa.table({"key": keys}), path)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(FormatError, match=r"bomb\.parquet holds more than the 1000000 bytes.*tables"):
        await load_table(path, max_file_bytes={"tables": 1_000_000})
    assert (await load_table(path, max_file_bytes={"tables": 1_000_000_000})).num_rows == rows


@pytest.mark.asyncio
async def test_an_earlier_table_of_another_project_is_warned_of(tmp_path: Path) -> None:
    tables: dict[str, tuple[Any, Any]] = {}
    for name in ("one", "other"):
        async with aiocopick.open(sample_config(tmp_path / name)) as root:
            await write_sample(root, runs=1, volumes=False)
            tables[name] = await catalog(root, stats=True), await aiocopick.points(root)
    entities, points = tables["other"]
    async with aiocopick.open(tmp_path / "one") as root:
        told = f"made of {tmp_path / 'other'}, and this is {root.url}"
        with pytest.warns(UserWarning, match=f"The earlier catalogue was {told}"):
            await catalog(root, stats=True, since=entities)
        with pytest.warns(UserWarning, match=f"The earlier table of points was {told}"):
            await aiocopick.points(root, since=points)
        # However the place is spelled, and where nobody says, there is nothing to warn of.
        for url in (f"file://{root.url}/", f"{root.url}/../one"):
            spelled = entities.replace_schema_metadata(encode_metadata({"url": url}))
            await catalog(root, stats=True, since=spelled)
        await catalog(root, stats=True, since=entities.replace_schema_metadata(None))
