"""Take all samples of some experiments, on every target that they name and this machine has."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks import datasets, environments, machine
from benchmarks.profiles import Experiment
from benchmarks.results import Cell, Results
from benchmarks.runner import Runner
from benchmarks.subjects import BEFORE, OURS, SUBJECTS, is_there
from benchmarks.targets import TARGETS, Target, UrlTarget, missing

OLD = frozenset(name for name, subject in SUBJECTS.items() if subject.environment == BEFORE)


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
    against : Path or None
        Another checkout of the library, to be measured in turns with this one.
    sample_seconds, budget_seconds, at_once
        See :class:`benchmarks.runner.Runner`.
    minutes : float or None
        No experiment begins after this long; those left out are named in the results.
    """

    targets: Sequence[str] = tuple(TARGETS)
    url: str | None = None
    pythons: Mapping[str, str] = field(default_factory=dict)
    make_environments: bool = True
    against: Path | None = None
    sample_seconds: float = 1800
    budget_seconds: float = 120
    at_once: int = 1
    minutes: float | None = None


def run(
    experiments: Sequence[Experiment],
    settings: Settings,
    command: str,
    keep: Callable[[Results], None] = lambda results: None,
    before: Results | None = None,
    *,
    again: bool = False,
) -> Results:
    """All cells of all experiments; what cannot be had is named in the results.

    Parameters
    ----------
    experiments : sequence of Experiment
        In the order in which they are taken on each target.
    settings : Settings
        How.
    command : str
        Command line for the results.
    keep : callable
        Given what there is after each experiment, so that hours are not lost with the last minute.
    before : Results or None
        An earlier run on this machine to go on with: what it has taken is not taken again, and is part of the results.
    again : bool
        Take the experiments again that the earlier run has: what is taken now stands in the place of what was taken then.

    Returns
    -------
    Results
        Also when the user interrupts the run.
    """
    started, facts = machine.now(), machine.facts()
    end = math.inf if settings.minutes is None else time.monotonic() + 60 * settings.minutes
    names = {SUBJECTS[subject].environment for experiment in experiments for subject in experiment.subjects}
    interpreters, reasons = environments.find(
        names, settings.pythons, make=settings.make_environments, against=settings.against
    )
    asked = {subject: SUBJECTS[subject] for experiment in experiments for subject in experiment.subjects}
    for subject in asked.values():
        if not is_there(subject):
            reasons[subject.name] = f"{subject.needs} is not installed"
    useful = {kind for experiment in experiments for kind in experiment.targets}
    latencies = sorted({latency for experiment in experiments for latency in experiment.latencies})
    versions = {name: environments.versions(python) for name, python in interpreters.items() if name != BEFORE}
    if settings.against is not None:
        versions[BEFORE] = environments.before(versions[OURS], settings.against)
    cells: list[Cell] = [] if before is None else list(before.cells)
    taken = set() if again else {(cell.experiment, cell.target) for cell in cells}
    abouts: dict[str, str] = {}

    def so_far() -> Results:
        found = Results(
            command=command,
            started=started,
            finished=machine.now(),
            commit=", then ".join(dict.fromkeys(cell.commit for cell in cells if cell.subject not in OLD)),
            machine={**facts, "load_average_after": round(os.getloadavg()[0], 2)},
            environments=versions,
            targets=abouts,
            subjects={cell.subject: SUBJECTS[cell.subject].about for cell in cells if cell.subject in SUBJECTS},
            projects=datasets.ABOUT,
            missing=reasons,
            cells=tuple(cells),
        )
        return found if before is None else _continued(before, found)

    def take(kind: str) -> None:
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
                against=settings.against,
                say=lambda line: print(line, file=sys.stderr, flush=True),
            )
            for experiment in experiments:
                if (experiment.name, kind) in taken:
                    continue
                if time.monotonic() < end:
                    found = runner.run(experiment)
                    # A group stays whole: its subjects are compared with each other, round by round.
                    groups = {cell.group for cell in found}
                    cells[:] = [*[cell for cell in cells if cell.group not in groups], *found]
                    keep(so_far())
                elif kind in experiment.targets:
                    reasons[f"{experiment.name} on {kind}"] = f"the {settings.minutes:g} minutes of the run were over"

    try:
        for kind in settings.targets:
            if kind in useful:
                if reason := missing(kind):
                    reasons[kind] = reason
                else:
                    take(kind)
    except KeyboardInterrupt:
        reasons["the rest"] = "the run was interrupted"
    return so_far()


def _continued(before: Results, found: Results) -> Results:
    """A run that goes on with an earlier one, as one: all that differs between the two is told of both."""
    taken = {f"{cell.experiment} on {cell.target}" for cell in found.cells}
    # What was measured at another time under a name is described as it was then, unless all of it is new.
    now = {cell.subject for cell in found.cells} - {cell.subject for cell in before.cells if cell in found.cells}
    left = {name: reason for name, reason in before.missing.items() if name not in taken and name != "the rest"}
    return replace(
        found,
        command="; then ".join(dict.fromkeys([before.command, found.command])),
        started=before.started,
        machine={**before.machine, "load_average_after": found.machine["load_average_after"]},
        environments=_both(before.environments, found.environments),
        targets={**before.targets, **found.targets},
        subjects={**found.subjects, **{name: about for name, about in before.subjects.items() if name not in now}},
        projects=". Then: ".join(dict.fromkeys([before.projects, found.projects])),
        missing={**left, **found.missing},
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


def _both(
    before: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]
) -> dict[str, Mapping[str, str]]:
    """Versions of two runs: those that differ are told of both."""
    found = {**before, **now}
    for name in before.keys() & now.keys():
        found[name] = {
            package: ", then ".join(dict.fromkeys(one[package] for one in (before[name], now[name]) if package in one))
            for package in {**before[name], **now[name]}
        }
    return found
