"""Runs that came from one listing are listed together: the answer to a loop that asks each of them in turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aiocopick.concurrency.forks import Lock
from aiocopick.entities.crawl import prefetch

if TYPE_CHECKING:
    from aiocopick.sync.base import Blocking

COHORT = 1000
"""Runs listed together at most, so that the first run of a large project does not wait for the last."""


class Cohort:
    """Runs side by side in a listing. What is listed ahead is held by their twins until it is looked at."""

    __slots__ = ("_asked", "_lock", "_runs")

    def __init__(self, runs: Sequence[Any]) -> None:
        self._runs = runs
        self._asked = False
        self._lock = Lock()

    def list_once(self, run: Blocking[Any]) -> None:
        """List all runs of the cohort, if that was not done yet; a run that cannot be listed is left as it is."""
        if self._asked:
            return
        with self._lock:
            if not self._asked:
                run._call(prefetch, self._runs)
                self._asked = True


def assign_cohorts(runs: Sequence[Any]) -> None:
    """Make cohorts of runs, in the order of their listing."""
    for start in range(0, len(runs), COHORT):
        block = runs[start : start + COHORT]
        cohort = Cohort([run.aio for run in block])
        for run in block:
            run._cohort = cohort
