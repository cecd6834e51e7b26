"""Points of many picks as one table."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as compute
import pytest

import aiocopick
from aiocopick.entities import AsyncRoot
from aiocopick.errors import FormatError, InvalidNameError
from aiocopick.tables import load_table, points, select, store_table
from aiocopick.tables.schema import POINT_COLUMNS, metadata_of

BROKEN = "ExperimentRuns/TS_002/Picks/curator_1_ribosome.json"


@pytest.mark.asyncio
async def test_a_row_per_point_in_the_order_of_the_runs(sample: AsyncRoot) -> None:
    table = await points(sample, "ribosome:*")
    assert table.column_names == list(POINT_COLUMNS)
    positions, transforms, scores, runs = [], [], [], []
    async for picks in select(sample, "ribosome:*", load=True):
        where, how = await picks.numpy()
        positions.append(where)
        transforms.append(how)
        scores.append(await picks.scores())
        runs += [(picks.run.name, picks.pickable_object_name, picks.user_id, picks.session_id)] * len(where)
    found = np.stack([table[axis].to_numpy() for axis in "xyz"], axis=1)
    assert np.array_equal(found, np.concatenate(positions))
    matrices = np.array(table["transform"].to_pylist()).reshape(-1, 4, 4)
    assert np.array_equal(matrices, np.concatenate(transforms))
    assert table["instance_id"].to_pylist() == [0] * table.num_rows
    names = zip(*(table[name].to_pylist() for name in ("run", "object_name", "user_id", "session_id")), strict=True)
    assert list(names) == runs
    given = table["user_id"].to_numpy(zero_copy_only=False) == "template-matching"
    assert np.array_equal(table["score"].to_numpy()[given], np.concatenate(scores)[given])


@pytest.mark.asyncio
async def test_files_without_scores_have_none() -> None:
    async with aiocopick.open("memory://unscored") as root:
        run = await root.new_run("a")
        storage = root.layers[0].storage  # type: ignore[attr-defined]
        await storage.write("ExperimentRuns/a/Picks/v_1_ribosome.json", b'[{"x": 1, "y": 2, "z": 3}]')
        picks = await run.new_picks("ribosome", "1", user_id="u")
        picks.points = [
            aiocopick.CopickPoint(location={"x": 1, "y": 2, "z": 3}, score=0.25),  # type: ignore[arg-type]
            aiocopick.CopickPoint(location={"x": 4, "y": 5, "z": 6}, score=0.5, instance_id=7),  # type: ignore[arg-type]
        ]
        await picks.store()
        table = await points(root)
        assert table["user_id"].to_pylist() == ["u", "u", "v"]
        assert table["score"].to_pylist() == [0.25, 0.5, None]
        assert table["instance_id"].to_pylist() == [0, 7, 0]
        await root.delete_run("a")
        assert (await points(root)).num_rows == 0


@pytest.mark.asyncio
async def test_what_a_file_says_to_be_null_is_null() -> None:
    async with aiocopick.open("memory://nulls") as root:
        await root.new_run("a")
        storage = root.layers[0].storage  # type: ignore[attr-defined]
        places = [
            b'{"x": 1, "y": 2, "z": 3, "score": %b}' % said
            for said in (b"null", b'0.5, "instance_id": null', b'"0.25"')
        ]
        await storage.write("ExperimentRuns/a/Picks/v_1_ribosome.json", b"[" + b",".join(places) + b"]")
        table = await points(root)
        assert table["score"].to_pylist() == [None, 0.5, 0.25]
        assert table["instance_id"].to_pylist() == [0, None, 0]


@pytest.mark.asyncio
async def test_unchanged_picks_are_not_read_again(s3_sample: AsyncRoot, tmp_path: object) -> None:
    first = await points(s3_sample)
    await store_table(first, f"{tmp_path}/points.parquet")
    earlier = await load_table(f"{tmp_path}/points.parquet")
    before = s3_sample.stats.requests["read"]
    assert (await points(s3_sample, since=earlier)).equals(first)
    assert s3_sample.stats.requests["read"] == before
    async for picks in select(s3_sample, "ribosome:curator", runs="TS_002"):
        await picks.from_numpy([[1, 2, 3]])
    before = s3_sample.stats.requests["read"]
    again = await points(s3_sample, since=earlier)
    assert s3_sample.stats.requests["read"] == before + 1
    assert again.equals(await points(s3_sample))


@pytest.mark.asyncio
async def test_a_table_that_was_filtered_saves_no_reads_and_does_no_harm(s3_sample: AsyncRoot) -> None:
    first = await points(s3_sample)
    filtered = first.filter(compute.equal(first["object_name"], "ribosome"))
    assert (await points(s3_sample, since=filtered)).equals(first)


@pytest.mark.asyncio
async def test_what_cannot_be_read_is_raised_or_left_out(sample: AsyncRoot) -> None:
    await sample.layers[0].storage.write(BROKEN, b"{")  # type: ignore[attr-defined]
    with pytest.raises(FormatError, match="TS_002"):
        await points(sample)
    table = await points(sample, "ribosome:curator", on_error="skip")
    assert set(table["run"].to_pylist()) == {"TS_001", "TS_003"}
    assert list(metadata_of(table)["errors"]) == [f"filesystem:{BROKEN}"]


@pytest.mark.asyncio
async def test_other_uris_and_tables_are_refused(sample: AsyncRoot) -> None:
    with pytest.raises(InvalidNameError):
        await points(sample, "a:b:c")
    with pytest.raises(InvalidNameError, match="'wbp@10' names a tomogram, and picks are asked for"):
        await points(sample, "wbp@10")
    with pytest.raises(FormatError, match=r"column 'x'; make it with aiocopick\.points"):
        await points(sample, since=(await points(sample)).drop_columns(["x"]))
