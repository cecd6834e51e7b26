"""Take all samples of some experiments, on every target that they name and this machine has."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from benchmarks import environments, machine
from benchmarks.profiles import Experiment
from benchmarks.results import Cell, Results
from benchmarks.runner import Runner
from benchmarks.subjects import SUBJECTS
from benchmarks.targets import TARGETS, Target, UrlTarget, missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a run goes about it.

    Parameters
    ----------
    targets : sequence of str
        Kinds of target that may be used, in this order.
    url : str or None
        Root of a store of the user's, for the target ``url``.
    pythons : mapping of str to str
        Interpreters chosen by the user, by environment.
    make_environments : bool
        Whether missing environments with copick are made.
    sample_seconds, budget_seconds, at_once
        See :class:`benchmarks.runner.Runner`.
    minutes : float or None
        No experiment begins after this long; those left out are named in the results.
    """

    targets: Sequence[str] = tuple(TARGETS)
    url: str | None = None
    pythons: Mapping[str, str] = field(default_factory=dict)
    make_environments: bool = True
    sample_seconds: float = 1800
    budget_seconds: float = 120
    at_once: int = 1
    minutes: float | None = None


def run(experiments: Sequence[Experiment], settings: Settings, command: str) -> Results:
    """All cells of all experiments; what cannot be had is named in the results."""
    started, facts = _now(), machine.facts()
    end = math.inf if settings.minutes is None else time.monotonic() + 60 * settings.minutes
    names = {SUBJECTS[subject].environment for experiment in experiments for subject in experiment.subjects}
    interpreters, reasons = environments.find(names, settings.pythons, make=settings.make_environments)
    useful = {kind for experiment in experiments for kind in experiment.targets}
    latencies = sorted({latency for experiment in experiments for latency in experiment.latencies})
    cells: list[Cell] = []
    abouts: dict[str, str] = {}
    for kind in settings.targets:
        if kind not in useful:
            continue
        if reason := missing(kind):
            reasons[kind] = reason
            continue
        with _target(kind, latencies, settings) as target:
            abouts[kind] = target.about()
            if kind == "minio" and target.latencies != tuple(latencies):
                reasons["latency"] = "toxiproxy is not installed: run `python scripts/servers.py install toxiproxy`"
            runner = Runner(
                target,
                interpreters,
                sample_seconds=settings.sample_seconds,
                budget_seconds=settings.budget_seconds,
                at_once=settings.at_once,
                say=lambda line: print(line, file=sys.stderr, flush=True),
            )
            for experiment in experiments:
                if time.monotonic() < end:
                    cells += runner.run(experiment)
                elif kind in experiment.targets:
                    reasons[f"{experiment.name} on {kind}"] = f"the {settings.minutes:g} minutes of the run were over"
    return Results(
        command=command,
        started=started,
        finished=_now(),
        commit=machine.commit(),
        machine={**facts, "load_average_after": round(os.getloadavg()[0], 2)},
        environments={name: environments.versions(python) for name, python in interpreters.items()},
        targets=abouts,
        missing=reasons,
        cells=tuple(cells),
    )


@contextmanager
def _target(kind: str, latencies: Sequence[int], settings: Settings) -> Iterator[Target]:
    if kind == "url":
        assert settings.url is not None
        with UrlTarget(settings.url) as target:
            yield target
    else:
        with TARGETS[kind](latencies) as target:
            yield target


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
