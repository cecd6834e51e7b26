"""Counts of a crawl, made while it runs."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import typer

from aiocopick.cli.printing import print_table
from aiocopick.cli.running import one_line
from aiocopick.entities import AsyncPicks
from aiocopick.errors import CopickError
from aiocopick.layout.refs import NOUN_OF, NOUNS
from aiocopick.tables.held import held, is_listed
from aiocopick.tables.rows import rows_of

if TYPE_CHECKING:
    import pyarrow as pa

    from aiocopick.entities import AsyncEntity, AsyncRoot, AsyncRun


@dataclass(slots=True)
class Survey:
    """Counts of a project.

    Parameters
    ----------
    source : str
        The project, without secrets.
    kinds : frozenset of str
        Plural nouns to count.
    """

    source: str
    kinds: frozenset[str] = frozenset(NOUNS)
    runs: int = 0
    entities: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    errors: list[dict[str, str]] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)

    async def add(
        self, run: AsyncRun, load: frozenset[str] = frozenset(), entities: Sequence[AsyncEntity] | None = None
    ) -> None:
        """Count a run that a crawl yielded, from its caches, or only some `entities` of it; `load` names the loaded
        kinds.
        """
        self.runs += 1
        if run.error is not None:
            self.errors.append({"run": run.name, "error": one_line(run.error)})
            if not is_listed(run):
                return
        counted = await held(run, self.kinds) if entities is None else entities
        self.entities.update(NOUN_OF[entity.kind] for entity in counted)
        read = [item for item in counted if isinstance(item, AsyncPicks)]
        for picks in read if "picks" in load else ():
            # A file that could not be read is already among the errors.
            with suppress(CopickError):
                positions, _ = await picks.to_numpy()
                self.points[picks.pickable_object_name] += len(positions)

    def add_table(self, table: pa.Table) -> None:
        """Count the rows of a catalogue."""
        for row in rows_of(table):
            if row["kind"] == "run":
                self.runs += 1
            elif row["kind"] in NOUN_OF:
                self.entities[NOUN_OF[row["kind"]]] += 1
            if row["kind"] == "picks" and row.get("points"):
                self.points[row["object_name"]] += row["points"]
            if row["error"] is not None:
                self.errors.append({"run": row["run"] or "", "error": one_line(row["error"])})

    def result(self, root: AsyncRoot) -> dict[str, Any]:
        """Return everything as plain data."""
        requests = {verb: count for verb, count in sorted(root.stats.requests.items()) if count}
        found: dict[str, Any] = {
            "source": self.source,
            "runs": self.runs,
            "entities": {noun: self.entities[noun] for noun in NOUNS if noun in self.kinds},
        }
        if self.points:
            found["points"] = dict(sorted(self.points.items()))
        return found | {
            "requests": requests,
            "bytes_read": root.stats.bytes_read,
            "seconds": round(time.perf_counter() - self.started, 3),
            "errors": self.errors,
        }


def print_result(found: dict[str, Any]) -> None:
    """Print the table at the end of a crawl, and a line for each run that could not be read."""
    rows: list[tuple[str, Any]] = [("runs", found["runs"])]
    rows += [(noun.replace("_", " "), count) for noun, count in found["entities"].items()]
    rows += [(f"points: {name}", count) for name, count in found.get("points", {}).items()]
    rows += [(f"{change} since", count) for change, count in found.get("changes", {}).items()]
    requests = found["requests"]
    by_verb = ", ".join(f"{count:,} {verb}" for verb, count in requests.items())
    total = sum(requests.values())
    rows.append(("requests", f"{total:,} ({by_verb})" if total else "0"))
    rows.append(("seconds", f"{found['seconds']:.2f}"))
    print_table(found["source"], ["what", "found"], rows)
    if "out" in found:
        typer.echo(f"The catalogue is in {found['out']}")
    if found["errors"]:
        print_table("could not be read", ["run", "why"], [(item["run"], item["error"]) for item in found["errors"]])
