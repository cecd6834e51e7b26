"""A catalogue in a file is decoded in parts, and answers and is checked as the whole table."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

import aiocopick
from aiocopick.entities import AsyncRoot
from aiocopick.errors import FormatError
from aiocopick.layout.refs import ObjectRef, Ref
from aiocopick.tables import catalog
from aiocopick.tables.index import CatalogIndex
from aiocopick.tables.opened import with_catalog
from aiocopick.tables.stored import StoredTable
from tests.tables.handmade import picks_ref, run_ref, table_of
from tests.tables.test_layer import listing

RUNS = [f"TS_{number:02d}" for number in range(20)]


def table() -> pa.Table:
    refs: list[Ref] = [ObjectRef(name="ribosome"), ObjectRef(name="virus")]
    for name in RUNS:
        refs += [run_ref(name), picks_ref(name, "u"), picks_ref(name, "v")]
    return table_of(*((ref, {"size": 7, "modified": 1.25}) for ref in refs), errors={"TS_19": "denied"})


def stored(whole: pa.Table, group: int = 7, most: int = 2**30) -> StoredTable:
    buffer = io.BytesIO()
    pa.parquet.write_table(whole, buffer, row_group_size=group)
    return StoredTable(buffer.getvalue(), "catalog.parquet", most)


def answers(index: CatalogIndex) -> list[object]:
    found = [index.runs(), index.objects(), index.objects_error()]
    for name in (*RUNS, *RUNS[::-3], "unknown"):
        found += [index.found(name), index.run(name), index.error(name)]
    return found


@pytest.mark.parametrize("group", [1, 2, 3, 7, 61, 62, 1000])
@pytest.mark.parametrize("rows", [1, 4, 4096])
def test_rows_are_found_whatever_the_groups(group: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stored._ROWS_AT_ONCE", "stored._AT_LEAST", "index._HEADS", "index._BLOCK"):
        monkeypatch.setattr(f"aiocopick.tables.{name}", rows)
    whole = table()
    expected = answers(CatalogIndex(whole))
    index = CatalogIndex(stored(whole, group))
    assert answers(index) == expected
    assert answers(pickle.loads(pickle.dumps(index))) == expected
    assert stored(whole, group).read().equals(whole)


def test_other_types_and_orders_are_read_whole() -> None:
    whole = table()
    expected = answers(CatalogIndex(whole))
    shuffled = whole.take(list(range(0, len(whole), 2)) + list(range(1, len(whole), 2)))
    at = whole.column_names.index("key")
    encoded = whole.set_column(at, "key", whole["key"].dictionary_encode())
    large = whole.set_column(at, "key", whole["key"].cast(pa.large_string()))
    more = whole.append_column("more", whole["size"]).select(["more", *reversed(whole.column_names)])
    for other in (shuffled, encoded, large, more):
        assert answers(CatalogIndex(stored(other))) == expected


def last(name: str, value: object) -> pa.Table:
    whole = table()
    values = [*whole[name].to_pylist()[:-1], value]
    return whole.set_column(whole.column_names.index(name), name, pa.array(values, whole.schema.field(name).type))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("kind", None, "has no kind"),
        ("key", None, "has no key"),
        ("run", None, "has no run"),
        ("key", "ExperimentRuns/TS_00", "lists ExperimentRuns/TS_00 twice"),
        ("key", "ExperimentRuns/TS_19", "lists ExperimentRuns/TS_19 twice"),
    ],
)
def test_a_bad_row_in_the_last_group_is_refused_at_once(
    name: str, value: object, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiocopick.tables.index._BLOCK", 5)
    for catalogue in (last(name, value), stored(last(name, value))):
        with pytest.raises(FormatError, match=message):
            CatalogIndex(catalogue)


def test_of_a_large_group_no_more_is_decoded_than_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stored._ROWS_AT_ONCE", "stored._AT_LEAST", "index._BLOCK"):
        monkeypatch.setattr(f"aiocopick.tables.{name}", 3)
    whole = table()
    asked = stored(whole, len(whole))
    index = CatalogIndex(asked)
    decoded: list[int] = []
    decode = StoredTable._decode

    def counted(*args: Any, **settings: Any) -> Iterator[Any]:
        for batch in decode(*args, **settings):
            decoded.append(len(batch))
            yield batch

    monkeypatch.setattr(StoredTable, "_decode", counted)
    assert len(index.run("TS_04").located) == 2
    # Two objects and three rows a run.
    assert 17 <= sum(decoded) < 24
    index.run("TS_02")
    assert sum(decoded) < 24
    for name in RUNS:
        index.run(name)
    assert sum(decoded) < 3 * len(whole)


@pytest.mark.parametrize("hashes", ["aiocopick.tables.index._hashes", "aiocopick.tables.index._LONGEST"])
def test_different_keys_may_have_one_hash(hashes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # The second takes any key for one that is too long.
    same = {"_hashes": lambda keys: np.zeros(len(keys), np.uint64), "_LONGEST": 1}
    monkeypatch.setattr(hashes, same[hashes.rpartition(".")[2]])
    test_names_that_sort_apart_from_their_keys_are_no_duplicates(monkeypatch)
    key = "ExperimentRuns/TS_00"
    test_a_bad_row_in_the_last_group_is_refused_at_once("key", key, f"lists {key} twice", monkeypatch)


@pytest.mark.parametrize(
    "key", ["", "a", "1234567", "12345678", "123456789", "\u00e4\u00f6\u00fc", "\U0001f52c" * 9, "long" * 5000]
)
def test_a_key_of_any_length_is_found_twice(key: str) -> None:
    whole = table()
    at = whole.column_names.index("key")
    others = [f"{key}\0", f"{key} ", f"x{key}", key[:-1], key[1:] + "y"]
    keys = [*dict.fromkeys([key, *others, *whole["key"].to_pylist()])][: len(whole)]
    distinct, twice = (whole.set_column(at, "key", pa.array(found)) for found in (keys, [*keys[:-1], key]))
    for make in (lambda whole: whole, stored):
        assert len(CatalogIndex(make(distinct)).runs().located) == len(RUNS)
        with pytest.raises(FormatError, match="twice"):
            CatalogIndex(make(twice))


def test_a_key_may_be_in_two_layers_and_not_twice_in_one() -> None:
    one = table()
    at = one.column_names.index("layer")
    both = pa.concat_tables([one, one.set_column(at, "layer", pa.array(["lower"] * len(one)))])
    for catalogue in (both, stored(both)):
        for layer in ("filesystem", "lower"):
            assert answers(CatalogIndex(catalogue, layer)) == answers(CatalogIndex(one))
        with pytest.raises(FormatError, match="twice"):
            CatalogIndex(catalogue)
    twice = pa.concat_tables([both, one.slice(5, 1)])
    for catalogue in (twice, stored(twice)):
        assert answers(CatalogIndex(catalogue, "lower")) == answers(CatalogIndex(one))
        with pytest.raises(FormatError, match="twice"):
            CatalogIndex(catalogue, "filesystem")


def test_names_that_sort_apart_from_their_keys_are_no_duplicates(monkeypatch: pytest.MonkeyPatch) -> None:
    # A hyphen comes before the slash that follows the name of a run.
    monkeypatch.setattr("aiocopick.tables.index._BLOCK", 2)
    names = ["TS", "TS-1", "TS-1-b", "TS.x", "TS_2"]
    index = CatalogIndex(stored(table_of(*(ref for name in names for ref in (run_ref(name), picks_ref(name)))), 2))
    assert [place.ref for place in index.runs().located] == [run_ref(name) for name in names]
    assert [len(index.run(name).located) for name in names] == [1] * 5


def test_a_part_is_decoded_no_further_than_the_limit() -> None:
    whole = table()
    with pytest.raises(FormatError, match=r"catalog\.parquet holds more than the 100 bytes"):
        CatalogIndex(stored(whole, most=100))


@pytest.mark.asyncio
async def test_one_run_of_a_file_is_found_without_the_others(sample: AsyncRoot) -> None:
    root = await with_catalog(sample, stored(await catalog(sample), 2))
    assert await listing(root) == await listing(sample)
    found = await root.get_run("TS_002")
    assert found is not None
    assert len(await found.picks()) == 4
    assert await root.get_run("TS_009") is None
    await root.delete_run("TS_002")
    assert await root.get_run("TS_002") is None
    await root.new_run("TS_007")
    assert await root.get_run("TS_007") is not None


@pytest.mark.asyncio
async def test_a_row_without_a_layer_is_not_lost() -> None:
    layers = [{"root": f"memory://{name}-rows", "layer_name": name} for name in ("filesystem", "lower")]
    async with aiocopick.open(aiocopick.CopickConfigMultilayer(layers=layers)) as both:
        with pytest.raises(FormatError, match="has no layer"):
            await with_catalog(both, last("layer", None))


@pytest.mark.asyncio
@pytest.mark.parametrize("column", ["etag", "size", "modified"])
async def test_a_broken_column_that_was_not_checked_is_an_error_of_its_runs_alone(
    sample: AsyncRoot, column: str
) -> None:
    buffer = io.BytesIO()
    whole = await catalog(sample)
    pa.parquet.write_table(whole, buffer, row_group_size=4, compression="zstd")
    data = bytearray(buffer.getvalue())
    place = pa.parquet.ParquetFile(io.BytesIO(data)).metadata.row_group(0).column(whole.column_names.index(column))
    first = place.dictionary_page_offset or place.data_page_offset
    data[first : first + place.total_compressed_size] = b"\xff" * place.total_compressed_size
    root = await with_catalog(sample, StoredTable(bytes(data), "catalog.parquet", 2**30))
    async with root.crawl() as runs:
        errors = {run.name: run.error async for run in runs}
    assert {name for name, error in errors.items() if error is not None} == {"TS_001"}
    assert isinstance(errors["TS_001"], FormatError)
    assert "catalog.parquet cannot be read as Parquet" in str(errors["TS_001"])
