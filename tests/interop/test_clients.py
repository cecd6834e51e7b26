"""The table of the clients' own test suites is made of what their reports say."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripts import clients

PASSED = (
    '<testcase classname="tests.test_a" name="test_both"/><testcase classname="tests.test_a" name="test_one[local]"/>'
)
FAILED = (
    '<testcase classname="tests.test_a" name="test_both"/><testcase classname="tests.test_a" name="test_one[local]">'
    '<failure message="assert">E   TypeError: a | b</failure></testcase>'
)
SKIPPED = '<testcase classname="tests.test_a" name="test_none"><skipped/></testcase>'


def _report(name: str, kind: str, cases: str) -> None:
    clients.results_path(name, kind).write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOCOPICK_TEST_CACHE", str(tmp_path))


def test_failures_of_ours_alone_are_named_with_what_they_say() -> None:
    _report("utils", "copick", PASSED + SKIPPED)
    _report("utils", "ours", FAILED + SKIPPED)
    clients.only_path("utils").write_text("")
    lines = clients.table().splitlines()
    assert "| copick-utils 2.0.0a7 | 2 | 2 | 1 |" in lines
    assert "| copick-utils | 1 | `TypeError: a &#124; b` | `test_a::test_one` |" in lines


def test_failures_of_both_are_no_difference() -> None:
    _report("utils", "copick", FAILED)
    _report("utils", "ours", FAILED)
    clients.only_path("utils").write_text("")
    assert "test_one" not in clients.table()


def test_suites_that_were_not_run_whole_are_named() -> None:
    _report("utils", "copick", PASSED)
    _report("utils", "ours", PASSED)
    clients.only_path("utils").write_text("test_a")
    last = clients.table().splitlines()[-1]
    assert "Of copick-utils==2.0.0a7, the tests of `-k 'test_a'`." in last
    assert "Not run: copick==2.0.0a6, " in last
