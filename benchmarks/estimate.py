"""How long a run will take, by what earlier ones took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.profiles import Experiment
from benchmarks.results import Cell
from benchmarks.subjects import SUBJECTS
from benchmarks.targets import TARGETS

OVERHEAD = 1.6
"""Seconds of a sample beside its work: starting, importing, connecting; with its share of writing projects."""
UNKNOWN = 1.5
"""Seconds of a work that no earlier run has done."""
LATENCIES = {"minio": (0, 5, 20, 50), "late": (0, 5, 20, 50)}


def table(experiments: Sequence[Experiment], targets: Sequence[str], budget: float, known: Sequence[Cell]) -> str:
    """A line for each experiment and target, and the sum."""
    lines, whole = [], 0.0
    for target in (target for target in targets if target in TARGETS):
        for experiment in experiments:
            if target in experiment.targets:
                samples, seconds = _of(experiment, target, budget, known)
                whole += seconds
                lines.append(f"{seconds:6.0f} s {samples:4} samples  {experiment.name} on {target}")
    return "\n".join([*lines, f"{whole / 60:6.1f} minutes in all"])


def _of(experiment: Experiment, target: str, budget: float, known: Sequence[Cell]) -> tuple[int, float]:
    samples, seconds = 0, 0.0
    for parameters in experiment.sizes():
        for latency in experiment.latencies_among(LATENCIES.get(target, (0,))):
            for name in experiment.subjects_at(parameters):
                if SUBJECTS[name].does(experiment.work, parameters, target):
                    wall, beside = _known(experiment.work, parameters, target, latency, name, known)
                    rounds = min(experiment.repeats, int(budget // wall) + 1 if wall else experiment.repeats)
                    samples += rounds
                    seconds += rounds * (wall + beside)
    return samples, seconds


def _known(
    work: str, parameters: Mapping[str, Any], target: str, latency: int, subject: str, known: Sequence[Cell]
) -> tuple[float, float]:
    """Seconds of the work of a sample, and of what is beside it."""
    found = [
        cell
        for cell in known
        if (cell.work, cell.subject, cell.target, cell.latency) == (work, subject, target, latency) and cell.good
    ]
    same = [cell for cell in found if cell.parameters == parameters]
    if not found:
        return UNKNOWN, OVERHEAD
    nearest = min(same or found, key=lambda cell: abs(_size(cell.parameters) - _size(parameters)))
    wall = median(sample.wall for sample in nearest.good)
    if not same and _size(nearest.parameters):
        wall *= max(1.0, _size(parameters) / _size(nearest.parameters))
    beside = [sample.process - sample.wall for sample in nearest.good if sample.process]
    return wall, median(beside) if beside else OVERHEAD


def _size(parameters: Mapping[str, Any]) -> float:
    return float(parameters.get("runs", parameters.get("points", 1)))
