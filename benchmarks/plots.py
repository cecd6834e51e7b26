"""Results as plots: SVG, the same bytes for the same figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import summary
from benchmarks.results import Cell, Results
from benchmarks.tables import seconds

# One colour for each family, which colour-blind readers can tell apart; the line tells its members.
STYLES: dict[str, tuple[str, str]] = {
    "aiocopick": ("#0072b2", "-"),
    "aiocopick-s3fs": ("#0072b2", ":"),
    "aiocopick-facade": ("#56b4e9", "-"),
    "copick-1.31.0": ("#d55e00", "--"),
    "copick-1.31.0-threads": ("#e69f00", "--"),
    "copick-2.0.0a6": ("#d55e00", "-"),
    "copick-2.0.0a6-threads": ("#e69f00", "-"),
}
FLOORS = ("-.", ":", "--", "-", (0, (1, 4)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One pair of axes: a line for each subject.

    Parameters
    ----------
    title : str
        What was done.
    experiments : tuple of str
        Whose cells are shown, on one target and at one latency unless that is the abscissa.
    along : str
        Parameter on the abscissa; ``latency`` for the latency.
    label : str
        What the abscissa shows.
    figure : callable
        From :mod:`benchmarks.summary`.
    ordinate : str
        What the ordinate shows.
    target : str
        Kind of target.
    latency : int or None
        Milliseconds, None for all.
    """

    title: str
    experiments: tuple[str, ...]
    along: str
    label: str
    target: str
    latency: int | None = None
    figure: summary.Figure = summary.wall
    ordinate: str = "seconds"


PLOTS: dict[str, tuple[Panel, ...]] = {
    "crawl-runs": (
        Panel(
            title="List everything, MinIO at 20 ms",
            experiments=("crawl",),
            along="runs",
            label="runs",
            target="minio",
            latency=20,
        ),
        Panel(
            title="List everything, a late store at 50 ms",
            experiments=("crawl-late",),
            along="runs",
            label="runs",
            target="late",
            latency=50,
        ),
    ),
    "crawl-latency": (
        Panel(
            title="List everything, MinIO",
            experiments=("crawl-latency",),
            along="latency",
            label="milliseconds added to each answer",
            target="minio",
        ),
        Panel(
            title="List everything, MinIO at 20 ms",
            experiments=("crawl-concurrency",),
            along="concurrency",
            label="requests (or threads) at a time",
            target="minio",
            latency=20,
        ),
    ),
    "crawl-memory": (
        Panel(
            title="Peak memory of listing everything, a late store at 50 ms",
            experiments=("crawl-late",),
            along="runs",
            label="runs",
            target="late",
            latency=50,
            figure=lambda sample: sample.memory_peak / 2**20,
            ordinate="MiB",
        ),
        Panel(
            title="CPU of listing everything, a late store at 50 ms",
            experiments=("crawl-late",),
            along="runs",
            label="runs",
            target="late",
            latency=50,
            figure=summary.cpu,
            ordinate="CPU seconds",
        ),
    ),
    "picks": (
        Panel(
            title="Load one file of picks, local disk",
            experiments=("picks-load",),
            along="points",
            label="points",
            target="disk",
            latency=0,
        ),
        Panel(
            title="Store one file of picks, local disk",
            experiments=("picks-store",),
            along="points",
            label="points",
            target="disk",
            latency=0,
        ),
    ),
}


def draw(results: Results, folder: Path) -> None:
    """Write the plots that these results have figures for, and remove the others."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, panels in PLOTS.items():
        path = folder / f"{name}.svg"
        if is_drawn(results, name):
            _figure(panels, [_series(results.cells, panel) for panel in panels], path)
        else:
            path.unlink(missing_ok=True)


def is_drawn(results: Results, name: str) -> bool:
    """Whether each panel of a plot has a line, which takes two points."""
    return all(any(len(points) > 1 for points in _series(results.cells, panel).values()) for panel in PLOTS[name])


Points = list[tuple[float, summary.Spread]]


def _series(cells: Sequence[Cell], panel: Panel) -> dict[str, Points]:
    lines: dict[str, Points] = {}
    for cell in cells:
        here = cell.experiment in panel.experiments and cell.target == panel.target
        spread = summary.of(cell, panel.figure)
        if here and panel.latency in (None, cell.latency) and spread is not None:
            along = cell.latency if panel.along == "latency" else cell.parameters[panel.along]
            lines.setdefault(cell.subject, []).append((along, spread))
    return {subject: sorted(points, key=lambda point: point[0]) for subject, points in lines.items()}


def _label(shown_as: Callable[[float], str], value: float, position: int) -> str:
    return shown_as(value)


def _figure(panels: Sequence[Panel], series: Sequence[dict[str, Points]], path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter

    # Fixed names of elements and no date, so that the file changes only with the figures.
    with plt.rc_context(
        {"svg.hashsalt": "aiocopick", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    ):
        figure, axes = plt.subplots(1, len(panels), figsize=(5 * len(panels), 4), squeeze=False, layout="constrained")
        shown: dict[str, Any] = {}
        for panel, lines, ax in zip(panels, series, axes[0], strict=True):
            for number, (subject, points) in enumerate(lines.items()):
                colour, dash = STYLES.get(subject, ("#666666", FLOORS[number % len(FLOORS)]))
                low = [spread.median - spread.low for _, spread in points]
                high = [spread.high - spread.median for _, spread in points]
                shown[subject] = ax.errorbar(
                    [along for along, _ in points],
                    [spread.median for _, spread in points],
                    yerr=(low, high),
                    color=colour,
                    linestyle=dash,
                    linewidth=2.2 if subject.startswith("aiocopick") else 1.3,
                    marker="o",
                    markersize=3,
                    capsize=2,
                    label=subject,
                )
            ax.set(title=panel.title, xlabel=panel.label, ylabel=panel.ordinate)
            if panel.along != "latency":
                ax.set_xscale("log")
            ticks = sorted({along for points in lines.values() for along, _ in points})
            ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
            ax.set_xticks([], minor=True)
            ax.set_yscale("log")
            shown_as = seconds if panel.ordinate.endswith("seconds") else "{:.0f}".format
            ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
            ax.yaxis.set_major_formatter(partial(_label, shown_as))
            ax.yaxis.set_minor_formatter(NullFormatter())
            ax.grid(alpha=0.3)
        figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=4, frameon=False)
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)
