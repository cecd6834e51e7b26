"""Rows and refs say the same."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from aiocopick.errors import FormatError
from aiocopick.layout.listing import Located
from aiocopick.tables.rows import TableBuilder, located_of, row_of, rows_of, version_of
from aiocopick.tables.schema import catalog_columns, metadata_of
from tests.tables.refs import refs

places = st.builds(
    Located,
    refs,
    st.text("abc/", min_size=1),
    st.none() | st.integers(0, 2**60),
    st.none() | st.text(max_size=8),
    # Whole microseconds: finer ones are rounded.
    st.none() | st.integers(0, 4_000_000_000_000_000).map(lambda value: value / 1_000_000),
)


@given(st.lists(places, max_size=20))
def test_a_table_gives_back_what_went_into_it(located: list[Located]) -> None:
    builder = TableBuilder(catalog_columns())
    for place in located:
        builder.add(row_of(place, "overlay"))
    table = builder.table({"url": "memory://x"})
    assert [located_of(row) for row in rows_of(table)] == located
    assert metadata_of(table)["url"] == "memory://x"
    assert set(table["layer"].to_pylist()) <= {"overlay"}


def test_a_version_is_the_etag_or_else_size_and_time() -> None:
    assert version_of({"etag": "a", "size": 1, "modified": 2}) == version_of({"etag": "a", "size": 9, "modified": 9})
    assert version_of({"size": 1, "modified": 2}) != version_of({"size": 1, "modified": 3})
    assert version_of({"size": 1}) is None
    assert version_of({"modified": 1}) is None


@pytest.mark.parametrize(
    "row",
    [
        {"kind": "planet", "key": "x"},
        {"kind": "picks", "key": "x", "run": "r"},
        {"kind": "run", "run": "r"},
        {"kind": None, "key": "x"},
    ],
)
def test_a_row_that_names_no_entity_is_a_format_error(row: dict[str, object]) -> None:
    with pytest.raises(FormatError):
        located_of(row)
