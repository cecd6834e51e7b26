"""What changed between two catalogues."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from aiocopick.errors import FormatError
from aiocopick.tables import changes
from aiocopick.tables.changes import CHANGE_COLUMNS
from tests.tables.handmade import picks_ref, run_ref, table_of


def found(old: pa.Table, new: pa.Table) -> list[tuple[str, str, str | None, str | None]]:
    return [(row["change"], row["kind"], row["run"], row["user_id"]) for row in changes(old, new).to_pylist()]


def test_equal_catalogues_have_no_changes() -> None:
    table = table_of(run_ref(), (picks_ref(), {"etag": "1"}))
    assert changes(table, table).num_rows == 0
    assert changes(table, table).column_names == list(CHANGE_COLUMNS)


def test_what_is_new_gone_and_different_is_told_apart() -> None:
    old = table_of(run_ref("a"), (picks_ref("a", "kept"), {"etag": "1"}), (picks_ref("a", "gone"), {"etag": "1"}))
    new = table_of(
        run_ref("a"), (picks_ref("a", "kept"), {"etag": "2"}), (picks_ref("a", "made"), {"etag": "1"}), run_ref("b")
    )
    assert found(old, new) == [
        ("changed", "picks", "a", "kept"),
        ("added", "picks", "a", "made"),
        ("added", "run", "b", None),
        ("removed", "picks", "a", "gone"),
    ]


@pytest.mark.parametrize(
    ("before", "after", "is_change"),
    [
        ({"etag": "1", "size": 5, "modified": 1.0}, {"etag": "1", "size": 5, "modified": 2.0}, False),
        ({"size": 5, "modified": 1.0}, {"size": 5, "modified": 1.0}, False),
        ({"size": 5, "modified": 1.0}, {"size": 5, "modified": 1.5}, True),
        ({"size": 5, "modified": 1.0}, {"size": 6, "modified": 1.0}, True),
        ({}, {}, False),
    ],
)
def test_a_file_changed_with_its_etag_or_else_with_size_or_time(
    before: dict[str, Any], after: dict[str, Any], is_change: bool
) -> None:
    result = changes(table_of(run_ref(), (picks_ref(), before)), table_of(run_ref(), (picks_ref(), after)))
    assert result.num_rows == is_change


def test_what_an_unreadable_run_holds_is_not_removed() -> None:
    old = table_of(run_ref("a"), picks_ref("a"), run_ref("b"), picks_ref("b"))
    new = table_of(run_ref("a"), run_ref("b"), picks_ref("b"), errors={"a": "denied"})
    assert found(old, new) == []
    assert found(new, old) == []


def test_kinds_and_runs_that_were_not_asked_for_are_not_removed() -> None:
    old = table_of(run_ref("a"), picks_ref("a"), run_ref("b"), picks_ref("b"))
    assert found(old, table_of(run_ref("a"), run_ref("b"), kinds={"meshes"})) == []
    assert found(old, table_of(run_ref("a"), runs="a*")) == [("removed", "picks", "a", "u")]
    assert found(old, table_of(run_ref("a"), runs=["a"])) == [("removed", "picks", "a", "u")]


def test_another_table_is_refused() -> None:
    with pytest.raises(FormatError, match="column"):
        changes(pa.table({"x": [1]}), table_of())
