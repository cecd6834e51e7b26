"""The scoreboard: a line for each row and backend, with what was measured."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

_FILE = re.compile(r"tests/reliability/(test_(?:r(\d\d)|copick)_\w+\.py)::")
_OUTCOMES = {"passed": "pass", "failed": "FAIL", "error": "FAIL", "skipped": "skip"}


def _title(name: str) -> str:
    """The first line of the row's file."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8").partition("\n")[0].strip('"').rstrip(".")


def scoreboard(reporter: pytest.TerminalReporter) -> Iterator[str]:
    """The lines of the table, in the order of the rows; none when no row was run."""
    lines: Counter[tuple[str, str, str, str]] = Counter()
    titles: dict[str, str] = {}
    for outcome, said in _OUTCOMES.items():
        for report in reporter.stats.get(outcome, ()):
            match = _FILE.search(report.nodeid)
            if match is None or (outcome == "passed" and report.when != "call"):
                continue
            row = f"R{int(match.group(2) or 99)}"
            titles.setdefault(row, _title(match.group(1)))
            known = dict(report.user_properties)
            measured = known.get("measured", report.nodeid.rpartition("::")[2])
            if outcome == "skipped" and isinstance(report.longrepr, tuple):
                measured = report.longrepr[2].removeprefix("Skipped: ")
            lines[(row, known.get("backend", ""), said, measured)] += 1
    for row in sorted(titles, key=lambda name: int(name[1:])):
        yield titles[row]
        for line in sorted(line for line in lines if line[0] == row):
            _, backend, said, measured = line
            yield f"  {said:4}  {backend:9} {measured}" + (f" ({lines[line]} tests)" if lines[line] > 1 else "")
