"""The published figures are those of the published run."""

from __future__ import annotations

import pytest
from benchmarks import report, results


@pytest.mark.parametrize("page", report.PAGES, ids=lambda page: page.name)
def test_a_page_says_what_the_kept_results_say(page) -> None:
    text = page.read_text()
    assert "<!-- generated: " in text
    assert report.filled(text, results.load(report.KEPT)) == text


def test_every_plot_of_the_pages_is_there() -> None:
    text = report.PAGES[0].read_text()
    shown = [line.partition("](")[2].rstrip(")") for line in text.splitlines() if line.startswith("![")]
    assert shown
    assert [name for name in shown if not (report.REPOSITORY / "docs" / name).is_file()] == []
