"""Figures of many samples: medians, and ratios between subjects that took turns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import median

from benchmarks.results import Cell, Sample

Figure = Callable[[Sample], float]


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with the smallest and the largest value."""

    median: float
    low: float
    high: float
    count: int


def spread(values: Iterable[float]) -> Spread | None:
    """Spread of some values, None of none."""
    found = sorted(values)
    return Spread(median(found), found[0], found[-1], len(found)) if found else None


def wall(sample: Sample) -> float:
    """Seconds."""
    return sample.wall


def cpu(sample: Sample) -> float:
    """Seconds of processor time of the subject's process."""
    return sample.cpu


def of(cell: Cell, figure: Figure) -> Spread | None:
    """A figure over a cell's samples."""
    return spread(figure(sample) for sample in cell.good)


def ratio(cell: Cell, base: Cell, figure: Figure = wall) -> Spread | None:
    """A cell's figure as a multiple of another's: sample by sample of the same round, then the median of that.

    Both ran within the same minute, so what else the machine did in that minute falls out.
    """
    of_base = {sample.round: figure(sample) for sample in base.good}
    return spread(figure(sample) / of_base[sample.round] for sample in cell.good if of_base.get(sample.round, 0) > 0)


def groups(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Cells that answer the same question side by side, in the order they were taken."""
    found: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.group, []).append(cell)
    return list(found.values())
