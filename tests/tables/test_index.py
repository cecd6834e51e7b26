"""A catalogue answers as a listing does."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest
from hypothesis import given, strategies as st

from aiocopick.errors import FormatError
from aiocopick.layout.refs import ObjectRef, PicksRef, Ref, RunRef
from aiocopick.tables.index import CatalogIndex
from tests.tables.handmade import picks_ref, run_ref, table_of

names = st.lists(st.sampled_from([f"TS_{number}" for number in range(8)]), unique=True)


@given(names, st.randoms())
def test_every_run_gets_its_rows_whatever_their_order(runs: list[str], shuffle: random.Random) -> None:
    users = {name: [f"user-{number}" for number in range(index)] for index, name in enumerate(runs)}
    refs: list[Ref] = [RunRef(run=name) for name in runs]
    refs += [picks_ref(name, user) for name in runs for user in users[name]]
    shuffle.shuffle(refs)
    index = CatalogIndex(table_of(*refs))
    assert [place.ref.run for place in index.runs().located] == sorted(runs)  # type: ignore[attr-defined]
    for name in shuffle.sample(runs, len(runs)):
        listed = [place.ref for place in index.run(name).located]
        assert listed == sorted(picks_ref(name, user) for user in users[name])
    assert index.run("unknown").located == ()


def test_thousands_of_rows_are_found_in_any_order() -> None:
    runs = [f"TS_{number:04d}" for number in range(3000)]
    index = CatalogIndex(
        table_of(*(ref for name in runs for ref in (run_ref(name), picks_ref(name), picks_ref(name, "v"))))
    )
    for name in (*runs[:5], runs[-1], runs[1500], *runs[100:110], runs[0]):
        listed = [place.ref for place in index.run(name).located]
        assert listed == [picks_ref(name), picks_ref(name, "v")]


def test_objects_belong_to_no_run() -> None:
    index = CatalogIndex(table_of(ObjectRef(name="ribosome"), run_ref(), picks_ref()))
    assert [place.ref for place in index.objects().located] == [ObjectRef(name="ribosome")]
    assert [type(place.ref) for place in index.run("a").located] == [PicksRef]


def test_an_empty_catalogue_lists_nothing() -> None:
    index = CatalogIndex(table_of())
    assert index.runs().located == index.objects().located == index.run("a").located == ()


def test_why_a_run_could_not_be_read_is_kept() -> None:
    index = CatalogIndex(table_of(run_ref("a"), run_ref("b"), errors={"b": "denied"}))
    assert (index.error("a"), index.error("b"), index.error("c")) == (None, "denied", None)


def test_another_table_is_refused() -> None:
    with pytest.raises(FormatError, match="kind"):
        CatalogIndex(pa.table({"run": ["a"]}))


def changed(name: str, values: pa.Array) -> pa.Table:
    table = table_of(ObjectRef(name="ribosome"), run_ref(), picks_ref())
    return table.set_column(table.column_names.index(name), name, values)


def test_texts_of_other_programs_are_read() -> None:
    table = table_of(ObjectRef(name="ribosome"), run_ref(), picks_ref())
    for kind in (pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.string_view()):
        columns = [
            column.cast(kind) if pa.types.is_string(column.type) and kind != pa.dictionary(pa.int32(), pa.string())
            else column.dictionary_encode() if pa.types.is_string(column.type)
            else column
            for column in table.columns
        ]  # fmt: skip
        index = CatalogIndex(pa.table(columns, names=table.column_names))
        assert [place.ref for place in index.objects().located] == [ObjectRef(name="ribosome")]
        assert [place.ref for place in index.runs().located] == [run_ref()]
        assert [place.ref for place in index.run("a").located] == [picks_ref()]


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("run", pa.array([None, 1, 1]), "column 'run'"),
        ("key", pa.array([1.0, 2.0, 3.0]), "column 'key'"),
        ("size", pa.array(["a", "b", "c"]), "column 'size'"),
        ("is_multilabel", pa.array(["a", "b", "c"]), "column 'is_multilabel'"),
        ("kind", pa.array(["object", None, "picks"]), "has no kind"),
        ("key", pa.array(["a", None, "b"]), "has no key"),
        ("key", pa.array(["a", "b", "b"]), "lists b twice"),
    ],
)
def test_rows_that_would_be_lost_or_listed_twice_are_refused(name: str, values: pa.Array, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        CatalogIndex(changed(name, values))


@pytest.mark.parametrize("metadata", [b"{", b"[]", b"\xff"])
def test_metadata_that_is_broken_is_refused(metadata: bytes) -> None:
    with pytest.raises(FormatError, match="metadata of the table"):
        CatalogIndex(table_of(run_ref()).replace_schema_metadata({b"aiocopick": metadata}))
