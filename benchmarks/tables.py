"""Results as Markdown tables, which read well on a terminal, too."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import layouts, summary
from benchmarks.results import Cell, Results
from benchmarks.summary import Spread
from benchmarks.works import WORKS

BASE = "aiocopick"
HEADER = ("subject", "wall", "spread", f"× {BASE}", "CPU", "peak memory", "requests", "also", "n")


def everything(results: Results) -> str:
    """All groups, each with its heading."""
    return "\n\n".join(f"{heading(cells[0])}\n\n{table(cells)}" for cells in summary.groups(results.cells))


def heading(cell: Cell) -> str:
    """What a group did, on one line."""
    return f"**{WORKS[cell.work].title}**: {size(cell)}{place(cell)}"


def size(cell: Cell) -> str:
    """The parameters of a cell in words, followed by a comma; empty without parameters."""
    words = {
        "layout": lambda value: layouts.LAYOUTS[value].about,
        "again": lambda value: "metadata known" if value else "",
        "run": lambda value: "",
        "connected": lambda value: "connected before" if value else "",
        "shrink": lambda value: f"shrunk {value} times",
    }
    parts = [
        words[name](value) if name in words else value if name == "region" else f"{value:,} {name}"
        for name, value in cell.parameters.items()
    ]
    return "".join(f"{part}, " for part in parts if part)


def place(cell: Cell) -> str:
    """Where a cell ran, in words."""
    name = {"disk": "local disk", "moto": "moto", "minio": "MinIO", "late": "a late store", "url": "the given store"}[
        cell.target
    ]
    return f"{name} at {cell.latency} ms" if cell.target in ("minio", "late") else name


def table(cells: Sequence[Cell]) -> str:
    """One group: a row for each subject."""
    base = next((cell for cell in cells if cell.subject == BASE), None)
    rows = [_row(cell, base) for cell in cells]
    widths = [max(3, *(len(row[column]) for row in (HEADER, *rows))) for column in range(len(HEADER))]
    rule = [("-" * width) if column == 0 else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    return "\n".join(_line(row, widths) for row in (HEADER, rule, *rows))


def seconds(value: float) -> str:
    """Seconds with the unit that reads best."""
    if value >= 100:
        return f"{value:.0f} s"
    if value >= 1:
        return f"{value:.3g} s"
    if value >= 1e-3:
        return f"{value * 1e3:.3g} ms"
    return f"{value * 1e6:.3g} µs"


def times(value: float) -> str:
    """A ratio."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def mebibytes(value: float) -> str:
    """Memory."""
    return f"{value / 2**20:.0f} MiB"


def requests(cell: Cell) -> str:
    """Requests of one sample; the smallest and the largest when samples differ."""
    counts = sorted({sample.request_count for sample in cell.good if sample.request_count is not None})
    return "" if not counts else f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"


def notes(cell: Cell) -> str:
    """Further figures of a cell's last sample."""
    if not cell.good:
        return ""
    found = cell.good[-1].notes
    words = {
        "stored_bytes": lambda value: f"{value / 1e6:.3g} MB stored",
        "seconds_each": lambda value: f"{seconds(value)} each",
    }
    return ", ".join(words[name](value) for name, value in found.items() if name in words)


def _row(cell: Cell, base: Cell | None) -> tuple[str, ...]:
    wall, cpu = summary.of(cell, summary.wall), summary.of(cell, summary.cpu)
    memory = summary.spread(sample.memory_peak for sample in cell.good)
    if wall is None or cpu is None or memory is None:
        return (cell.subject, "failed", *[""] * (len(HEADER) - 3), "0")
    ratio = None if base is None else summary.ratio(cell, base)
    return (
        cell.subject,
        seconds(wall.median),
        "" if wall.count == 1 else f"{seconds(wall.low)} to {seconds(wall.high)}",
        _ratio(ratio),
        seconds(cpu.median),
        mebibytes(memory.median),
        requests(cell),
        notes(cell),
        str(wall.count),
    )


def _ratio(ratio: Spread | None) -> str:
    if ratio is None:
        return ""
    if ratio.count == 1 or ratio.low == ratio.high:
        return times(ratio.median)
    return f"{times(ratio.median)} ({times(ratio.low)} to {times(ratio.high)})"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        value.ljust(width) if column == 0 else value.rjust(width)
        for column, (value, width) in enumerate(zip(row, widths, strict=True))
    ]
    return f"| {' | '.join(cells)} |"
