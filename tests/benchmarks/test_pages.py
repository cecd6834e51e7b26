"""The published figures are those of the published run."""

from __future__ import annotations

import re

import pytest
from benchmarks import plots, report, results
from benchmarks.profiles import PROFILES


@pytest.mark.parametrize("page", report.PAGES, ids=lambda page: page.name)
def test_a_page_says_what_the_kept_results_say(page) -> None:
    text = page.read_text()
    assert "<!-- generated: " in text
    assert report.filled(text, results.load(report.KEPT)) == text


def test_every_experiment_of_the_published_run_is_on_the_page() -> None:
    text = report.PAGES[0].read_text()
    shown = {name for block in re.findall(r"<!-- generated: experiment ([\w -]+) -->", text) for name in block.split()}
    drawn = {name for panels in plots.PLOTS.values() for panel in panels for name in panel.experiments}
    assert {experiment.name for experiment in PROFILES["published"]} <= shown | drawn


@pytest.mark.parametrize(
    "page", [page for page in report.PAGES if page.name != "cost-model.md"], ids=lambda page: page.name
)
def test_no_figure_in_a_table_is_typed(page) -> None:
    # The limits in cost-model.md are what the library asks for, and no measurement.
    text = re.sub(r"<!-- generated: .*?<!-- end -->", "", page.read_text(), flags=re.DOTALL)
    assert re.findall(r"^\|.*\d ?(?:s|ms|µs|MiB|req\.)(?: .*)?\|", text, re.MULTILINE) == []


def test_every_plot_of_the_pages_is_there() -> None:
    text = report.PAGES[0].read_text()
    shown = [line.partition("](")[2].rstrip(")") for line in text.splitlines() if line.startswith("![")]
    assert shown
    assert [name for name in shown if not (report.REPOSITORY / "docs" / name).is_file()] == []
