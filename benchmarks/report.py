"""Write the documentation's figures from one run: between markers, so that no figure is ever typed.

A block begins with ``<!-- generated: NAME -->`` and ends with ``<!-- end -->``; people write the text around it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from benchmarks import plots, promises, summary, tables
from benchmarks.machine import REPOSITORY
from benchmarks.results import KEPT, Cell, Results
from benchmarks.subjects import SUBJECTS
from benchmarks.works import WORKS

PAGES = (
    *[
        REPOSITORY / "docs" / name
        for name in ("benchmarks.md", "benchmark-tables.md", "cost-model.md", "cache.md", "train.md")
    ],
    REPOSITORY / "README.md",
)
FIGURES = REPOSITORY / "docs" / "benchmarks"

_BLOCK = re.compile(r"(<!-- generated: ([\w -]+) -->\n).*?(<!-- end -->)", re.DOTALL)

COLUMNS = {
    "copick 2.0.0a6": ("copick-2.0.0a6",),
    "in 16 threads": ("copick-2.0.0a6-threads",),
    "aiocopick, blocking": ("aiocopick-facade",),
    "aiocopick, async": ("aiocopick",),
    "best by hand": tuple(name for name, subject in SUBJECTS.items() if subject.floor),
}
"""The short version's columns, each with the subjects of which it shows the fastest."""

HEADLINES = (
    ("crawl", {"runs": 60}, "minio", 20),
    ("crawl", {"runs": 10_000}, "late", 50),
    ("crawl", {"runs": 100_000}, "late", 20),
    ("crawl_picks", {"runs": 200}, "minio", 20),
    ("loop_picks", {"runs": 100}, "minio", 20),
    ("one_run", {}, "minio", 20),
    ("picks_load", {"points": 100_000}, "disk", 0),
    ("picks_store", {"points": 100_000}, "disk", 0),
    ("volume_read", {"layout": "64", "region": "full"}, "minio", 20),
    ("volume_read", {"layout": "64", "region": "boxes"}, "minio", 20),
    ("volume_write", {"layout": "256", "levels": 3}, "minio", 20),
    ("train_boxes", {"runs": 4}, "minio", 20),
)


def write(results: Results) -> None:
    """Keep a run as the published one and bring the pages and plots in step with it."""
    results.save(KEPT)
    plots.draw(results, FIGURES)
    for page in PAGES:
        page.write_text(filled(page.read_text(), results))


def filled(text: str, results: Results) -> str:
    """A page with its blocks filled.

    Raises
    ------
    KeyError
        When a block has a name that nothing here makes.
    """

    def block(match: re.Match[str]) -> str:
        name, _, argument = match[2].partition(" ")
        content = BLOCKS[name](results, argument)
        return f"{match[1]}\n{content}\n\n{match[3]}"

    return _BLOCK.sub(block, text)


def machine(results: Results, argument: str) -> str:
    """What ran where, and when."""
    facts = results.machine
    lines = [
        f"- {facts['processor']}, {facts['cores']} cores, {facts['memory_gib']} GiB, {facts['system']}",
        f"- load average {facts['load_average']} before and {facts['load_average_after']} after",
        f"- {results.started} to {results.finished}, commit {_commits(results)}",
        f"- `{results.command}`",
        *[f"- {kind}: {about}" for kind, about in results.targets.items()],
        *[f"- left out: {name} ({reason})" for name, reason in results.missing.items()],
    ]
    return "\n".join(lines)


def _commits(results: Results) -> str:
    """The commit, or which one each experiment was taken at, and on which day."""
    parts = {
        (cell.commit, cell.taken[:10]): dict.fromkeys(
            other.experiment
            for other in results.cells
            if (other.commit, other.taken[:10]) == (cell.commit, cell.taken[:10])
        )
        for cell in results.cells
    }
    if len({commit for commit, _ in parts}) < 2:
        return f"`{results.commit}`"
    return "; ".join(f"`{commit}` on {day}: {', '.join(names)}" for (commit, day), names in parts.items())


def projects(results: Results, argument: str) -> str:
    """What was listed and read."""
    return f"{results.projects}."


def versions(results: Results, argument: str) -> str:
    """Versions by environment."""
    packages = list(dict.fromkeys(name for found in results.environments.values() for name in found))
    header = ("environment", *packages)
    rows = [(name, *(found.get(package, "") for package in packages)) for name, found in results.environments.items()]
    return _markdown(header, rows)


def subjects(results: Results, argument: str) -> str:
    """Who was measured."""
    used = dict.fromkeys(cell.subject for cell in results.cells)
    return "\n".join(f"- `{name}`: {results.subjects[name]}" for name in used)


def headlines(results: Results, argument: str) -> str:
    """The short version: seconds."""
    rows = []
    for work, parameters, target, latency in HEADLINES:
        cells = [
            cell
            for cell in results.cells
            if (cell.work, cell.target, cell.latency) == (work, target, latency)
            and not cell.parameters.keys() & {"again", "concurrency", "connected", "chunks"}
            and parameters.items() <= cell.parameters.items()
        ]
        if cells:
            # Several experiments may have asked the same; the first one that did is the one to look up.
            group = summary.groups(cells)[0]
            name = f"{WORKS[work].title}: {tables.size(group[0])}{tables.place(group[0])}"
            rows.append((name, *[_fastest(group, names) for names in COLUMNS.values()], _multiple(group)))
    return f"{_markdown(('', *COLUMNS, 'times faster than copick'), rows)}\n\n{results.projects}."


def costing(results: Results, argument: str) -> str:
    """Experiments of one work, a table for each place: wall, CPU and requests, with who is who."""
    cells = [cell for cell in results.cells if cell.experiment in argument.split()]
    if not cells:
        return "Not part of the last published run."
    parts = []
    for group in summary.groups(cells):
        rows = []
        for cell in group:
            wall, cpu = summary.of(cell, summary.wall), summary.of(cell, summary.cpu)
            if wall is not None and cpu is not None:
                about = results.subjects[cell.subject]
                rows.append((about, tables.seconds(wall.median), tables.seconds(cpu.median), tables.requests(cell)))
        parts.append(f"**{tables.size(group[0])}{tables.place(group[0])}**")
        parts.append(_markdown(("", "time", "processor time", "requests"), rows))
    return "\n\n".join(parts)


def experiment(results: Results, argument: str) -> str:
    """Experiments of one work: what was inside the clock, then a table for each place, sizes side by side."""
    cells = [cell for cell in results.cells if cell.experiment in argument.split()]
    if not cells:
        return "Not part of this run."
    parts = [WORKS[cells[0].work].about]
    for (target, latency), group in _by(cells, lambda cell: (cell.target, cell.latency)):
        del target, latency
        parts.append(f"**{tables.place(group[0])}**")
        parts.append(_side_by_side(group))
    return "\n\n".join(parts)


def costs(results: Results, argument: str) -> str:
    """What crawls of ours cost on servers, by number of runs."""
    found: dict[tuple[str, str, int], Cell] = {}
    for cell in results.cells:
        far = cell.target in ("moto", "late") or (cell.target == "minio" and cell.latency == 20)
        if (
            cell.subject == tables.BASE
            and cell.work in ("crawl", "crawl_picks")
            and far
            and set(cell.parameters) == {"runs"}
        ):
            found.setdefault((cell.target, cell.work, cell.parameters["runs"]), cell)
    rows = []
    for (_, work, _), cell in sorted(found.items()):
        wall, cpu = summary.of(cell, summary.wall), summary.of(cell, summary.cpu)
        memory = summary.of(cell, lambda sample: sample.memory_peak)
        if wall is not None and cpu is not None and memory is not None:
            name = f"{WORKS[work].title}: {tables.size(cell)}{tables.place(cell)}"
            times = (tables.seconds(wall.median), tables.seconds(cpu.median))
            rows.append((name, tables.requests(cell), *times, tables.mebibytes(memory.median)))
    return f"{results.projects}.\n\n{_markdown(('', 'requests', 'wall', 'CPU', 'peak memory'), rows)}"


def promised(results: Results, argument: str) -> str:
    """What the library promises, and whether this run kept it."""
    rows = [
        (promise.about, f"{value:.3g}", promise.bound, "kept" if promise.is_kept(value) else "**missed**")
        for promise, value in promises.judged(results)
    ]
    return _markdown(("", "figure", "bound", ""), rows)


def plot(results: Results, argument: str) -> str:
    """A plot, when the run has figures for it."""
    if not plots.is_drawn(results, argument):
        return "Not part of this run."
    panels = plots.PLOTS[argument]
    return f"![{'; '.join(panel.title for panel in panels)}](benchmarks/{argument}.svg)"


def everything(results: Results, argument: str) -> str:
    """All tables with spread, CPU, memory and requests."""
    return tables.everything(results)


BLOCKS: dict[str, Callable[[Results, str], str]] = {
    "machine": machine,
    "versions": versions,
    "projects": projects,
    "subjects": subjects,
    "headlines": headlines,
    "experiment": experiment,
    "costing": costing,
    "costs": costs,
    "promises": promised,
    "plot": plot,
    "everything": everything,
}


def _side_by_side(cells: Sequence[Cell]) -> str:
    """Rows of subjects, a column for each size: median seconds, how many times ours, requests."""
    sizes = [group for _, group in _by(cells, lambda cell: cell.group)]
    names = list(dict.fromkeys(cell.subject for cell in cells))
    rows = []
    for name in names:
        row = [f"`{name}`"]
        for group in sizes:
            of = {cell.subject: cell for cell in group}
            row.append(_entry(of.get(name), of.get(tables.BASE)))
        rows.append(tuple(row))
    return _markdown(("", *[tables.size(group[0]).removesuffix(", ") or "wall" for group in sizes]), rows)


def _entry(cell: Cell | None, base: Cell | None) -> str:
    if cell is None:
        return ""
    wall = summary.of(cell, summary.wall)
    if wall is None:
        return "failed"
    ratio = None if base is None or base is cell else summary.ratio(cell, base)
    counted = tables.requests(cell)
    return (
        tables.seconds(wall.median)
        + ("" if ratio is None else f" (× {tables.times(ratio.median)})")
        + (f", {counted} req." if counted else "")
        + (f", {tables.notes(cell)}" if tables.notes(cell) else "")
    )


def _fastest(cells: Sequence[Cell], names: Sequence[str]) -> str:
    medians = [spread.median for cell in cells if cell.subject in names and (spread := summary.of(cell, summary.wall))]
    return tables.seconds(min(medians)) if medians else ""


def _multiple(cells: Sequence[Cell]) -> str:
    """How many times as long copick takes as ours, async where there is that, round by round."""
    of = {cell.subject: cell for cell in cells}
    ours = of.get(tables.BASE) or of.get("aiocopick-facade")
    theirs = of.get("copick-2.0.0a6")
    found = None if ours is None or theirs is None else summary.ratio(theirs, ours)
    return "" if found is None else tables.times(found.median)


def _by(
    cells: Sequence[Cell], key: Callable[[Cell], tuple[object, ...]]
) -> list[tuple[tuple[object, ...], list[Cell]]]:
    found: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        found.setdefault(key(cell), []).append(cell)
    return list(found.items())


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
