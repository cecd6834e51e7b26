"""What a run of the suite found: plain data, to and from JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.machine import REPOSITORY

SCHEMA = 2
KEPT = REPOSITORY / "benchmarks" / "results.json"
"""The published run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One process: seconds, bytes, requests; or the error it ended with.

    Parameters
    ----------
    round : int
        Samples of one round were taken one right after another.
    wall, cpu : float
        Seconds.
    process : float
        Seconds of its whole process, with what is not measured: for estimates of how long a run takes.
    memory_before, memory_peak : int
        Resident bytes of the process.
    requests : mapping of str to int or None
        Answered by the server, by operation; None when nobody counted.
    check : object
        What the subject found, to be compared with what others found.
    notes : mapping
        Further figures of this subject.
    error : str or None
        Why there are no figures.
    """

    round: int
    wall: float = 0.0
    cpu: float = 0.0
    process: float = 0.0
    memory_before: int = 0
    memory_peak: int = 0
    requests: Mapping[str, int] | None = None
    check: Any = None
    notes: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None

    @property
    def request_count(self) -> int | None:
        """Requests of all kinds, None when they were not counted."""
        return None if self.requests is None else sum(self.requests.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """All samples of one subject at one work of one size in one place.

    Parameters
    ----------
    experiment, work, parameters, target, latency, subject
        See :class:`benchmarks.profiles.Experiment`.
    command : str
        Command line of each sample, behind the environment that ran it.
    commit : str
        Commit that was measured, with a mark when the tree differed from it.
    taken : str
        Time in UTC.
    samples : tuple of Sample
        In the order of the rounds.
    """

    experiment: str
    work: str
    parameters: Mapping[str, Any]
    target: str
    latency: int
    subject: str
    command: str
    commit: str = ""
    taken: str = ""
    samples: tuple[Sample, ...]

    @property
    def good(self) -> tuple[Sample, ...]:
        """The samples that ended well."""
        return tuple(sample for sample in self.samples if sample.error is None)

    @property
    def group(self) -> tuple[Any, ...]:
        """What cells share whose subjects did the same thing."""
        return self.experiment, self.work, tuple(sorted(self.parameters.items())), self.target, self.latency


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """One run of the suite.

    Parameters
    ----------
    command : str
        Command line that made it.
    started, finished : str
        Times in UTC.
    commit : str
        The commits of its cells.
    machine : mapping
        See :func:`benchmarks.machine.facts`.
    environments : mapping
        Versions by environment.
    targets : mapping
        What stood behind each kind of target.
    subjects : mapping
        Who was measured, as the suite described them then.
    projects : str
        The projects that were listed and the volumes that were read, as the suite described them then.
    missing : mapping
        What could not be had, with the reason.
    cells : tuple of Cell
        The figures.
    """

    command: str
    started: str
    finished: str
    commit: str
    machine: Mapping[str, Any]
    environments: Mapping[str, Mapping[str, str]]
    targets: Mapping[str, str]
    subjects: Mapping[str, str]
    projects: str
    missing: Mapping[str, str]
    cells: tuple[Cell, ...]

    @property
    def errors(self) -> list[str]:
        """A line for each sample that failed, and for each group whose subjects disagree about what they found."""
        lines = [
            f"{cell.subject}: {cell.work} {dict(cell.parameters)} on {cell.target}: {sample.error}"
            for cell in self.cells
            for sample in cell.samples
            if sample.error is not None
        ]
        answers: dict[tuple[Any, ...], dict[str, set[str]]] = {}
        for cell in self.cells:
            for sample in cell.good:
                answer = json.dumps(sample.check, sort_keys=True)
                answers.setdefault(cell.group, {}).setdefault(answer, set()).add(cell.subject)
        for (_, work, parameters, target, _), found in answers.items():
            if len(found) > 1:
                said = "; ".join(f"{', '.join(sorted(subjects))}: {answer}" for answer, subjects in found.items())
                lines.append(f"subjects disagree on {work} {dict(parameters)} on {target}: {said}")
        return lines

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        cells = [json.dumps(cell) for cell in _rounded(asdict(self)["cells"])]
        head = json.dumps({"schema": SCHEMA, **asdict(replace(self, cells=()))}, indent=1)
        # A line for each cell: short enough to keep, long enough to compare two runs by.
        path.write_text(head.replace('"cells": []', '"cells": [\n' + ",\n".join(cells) + "\n]") + "\n")


def load(path: Path) -> Results:
    """Read what :meth:`Results.save` wrote."""
    data = json.loads(path.read_text())
    if data.pop("schema") != SCHEMA:
        raise ValueError(f"{path} was written by another version of the suite: run it again")
    cells = [
        Cell(**{**cell, "samples": tuple(Sample(**sample) for sample in cell["samples"])}) for cell in data.pop("cells")
    ]
    return Results(**data, cells=tuple(cells))


def _rounded(value: Any) -> Any:
    """The same with microseconds at most."""
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value
