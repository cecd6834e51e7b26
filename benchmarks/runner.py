"""Take the samples: subjects in turn, a process each, everything written down."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from benchmarks import machine
from benchmarks.datasets import Dataset
from benchmarks.process import SampleError, figures
from benchmarks.profiles import Experiment
from benchmarks.results import Cell, Sample
from benchmarks.subjects import BEFORE, SUBJECTS, Subject, is_there
from benchmarks.targets import Target
from benchmarks.works import WORKS, Work

Addresses: TypeAlias = Mapping[str, str]
Project: TypeAlias = Callable[[], AbstractContextManager[Addresses]]


class Runner:
    """Takes the samples of experiments on one target.

    Parameters
    ----------
    target : Target
        Where the projects go.
    interpreters : mapping of str to Path
        Python by environment; subjects without one are left out.
    sample_seconds : float
        A sample that takes longer is stopped and is an error.
    budget_seconds : float
        A subject that has used this much in one group gets no further rounds: what takes minutes needs no repeats to
        be told from what takes seconds.
    at_once : int
        Samples under way at a time. More than one is for finding out whether everything works: nothing is counted then,
        and no time means anything.
    against : Path or None
        Another checkout of the library, for the subjects of the environment that is named so.
    say : callable
        Told a line for each sample.
    """

    def __init__(
        self,
        target: Target,
        interpreters: Mapping[str, Path],
        *,
        sample_seconds: float,
        budget_seconds: float,
        at_once: int,
        against: Path | None = None,
        say: Callable[[str], None],
    ) -> None:
        self._target = target
        self._interpreters = interpreters
        self._sample_seconds = sample_seconds
        self._budget_seconds = budget_seconds
        self._at_once = at_once
        self._against = against
        self._commits = {BEFORE: machine.commit(against)} if against is not None else {}
        self._commit = machine.commit()
        self._kept: dict[Hashable, Addresses] = {}
        self._say = say

    def run(self, experiment: Experiment) -> list[Cell]:
        """All cells of an experiment on this target."""
        if self._target.kind not in experiment.targets:
            return []
        return [cell for parameters in experiment.sizes() for cell in self._at_size(experiment, parameters)]

    def _at_size(self, experiment: Experiment, parameters: Mapping[str, Any]) -> list[Cell]:
        work = WORKS[experiment.work]
        subjects = [
            SUBJECTS[name]
            for name in experiment.subjects_at(parameters)
            if SUBJECTS[name].environment in self._interpreters
            and is_there(SUBJECTS[name])
            and SUBJECTS[name].does(work.name, parameters, self._target.kind)
        ]
        if not subjects:
            return []
        with self._project(work, parameters) as project:
            return [
                Cell(
                    experiment=experiment.name,
                    work=work.name,
                    parameters=parameters,
                    target=self._target.kind,
                    latency=latency,
                    subject=name,
                    command=_shown(_command(SUBJECTS[name], work.name, parameters), SUBJECTS[name]),
                    commit=self._commits.get(SUBJECTS[name].environment, self._commit),
                    taken=machine.now(),
                    samples=tuple(samples),
                )
                for latency in experiment.latencies_among(self._target.latencies)
                for name, samples in self._turns(
                    subjects,
                    experiment.repeats,
                    partial(self._sample, work.name, parameters, project, latency),
                ).items()
            ]

    @contextmanager
    def _project(self, work: Work, parameters: Mapping[str, Any]) -> Iterator[Project]:
        """Something to enter around each sample: the same project for all, or one each when the work changes it."""
        if work.dataset is None:
            yield lambda: nullcontext({"url": ""})
            return
        if (name := work.shared(parameters)) in self._kept:
            yield lambda: nullcontext(self._kept[name])
            return
        with work.dataset(parameters) as dataset:
            if name is not None:
                # Writing it takes longer than most that is done with it; it goes with its target.
                self._kept[name] = self._target.seed(dataset)
                yield lambda: nullcontext(self._kept[name])
            elif work.changes:
                yield lambda: self._seeded(dataset)
            else:
                with self._seeded(dataset) as addresses:
                    yield lambda: nullcontext(addresses)

    @contextmanager
    def _seeded(self, dataset: Dataset) -> Iterator[Addresses]:
        addresses = self._target.seed(dataset)
        try:
            yield addresses
        finally:
            self._target.remove(addresses)

    def _turns(
        self, subjects: Sequence[Subject], repeats: int, sample: Callable[[int, Subject], Sample]
    ) -> dict[str, list[Sample]]:
        taken: dict[str, list[Sample]] = {subject.name: [] for subject in subjects}
        for turn in range(repeats):
            # Another one begins each round, so that nobody always runs behind the same neighbour.
            first = turn % len(subjects)
            asked = [
                subject
                for subject in (*subjects[first:], *subjects[:first])
                if not any(one.error for one in taken[subject.name])
                and sum(one.wall for one in taken[subject.name]) <= self._budget_seconds
            ]
            with ThreadPoolExecutor(self._at_once) as pool:
                for subject, found in zip(asked, pool.map(partial(sample, turn), asked), strict=True):
                    taken[subject.name].append(found)
        return taken

    def _sample(
        self,
        work: str,
        parameters: Mapping[str, Any],
        project: Project,
        latency: int,
        turn: int,
        subject: Subject,
    ) -> Sample:
        command = [str(self._interpreters[subject.environment]), *_command(subject, work, parameters)]
        with project() as addresses:
            target = self._target.reach(addresses, latency)
            if self._at_once > 1:
                target.pop("server", None)
            try:
                checkout = self._against if subject.environment == BEFORE else None
                found = Sample(round=turn, **figures(command, target, self._sample_seconds, checkout))
            except SampleError as error:
                found = Sample(round=turn, error=str(error))
        outcome = f"FAILED: {found.error}" if found.error else f"{found.wall:9.3f} s"
        sizes = " ".join(f"{name}={value}" for name, value in parameters.items())
        self._say(f"{self._target.kind} {latency} ms  {work} {sizes}  {subject.name:24} {outcome}")
        return found


def _command(subject: Subject, work: str, parameters: Mapping[str, Any]) -> list[str]:
    return ["-m", "benchmarks.child", subject.name, work, json.dumps(parameters)]


def _shown(arguments: Sequence[str], subject: Subject) -> str:
    return f"[{subject.environment}] python {shlex.join(arguments)}"
