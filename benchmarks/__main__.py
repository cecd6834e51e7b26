"""Run the benchmarks and print what they found.

    python -m benchmarks --profile tiny                     every work once; a minute
    python -m benchmarks --profile quick                    every question at small sizes
    python -m benchmarks --profile published --out run.json the figures of docs/benchmarks.md; forty minutes
    python -m benchmarks --profile published --estimate     how long that takes, by experiment
    python -m benchmarks --profile published --minutes 25 --out run.json, and then
    python -m benchmarks --profile published --continue run.json --out run.json    the same in two halves
    python -m benchmarks --profile published --only loop --continue run.json --again --out run.json    one part anew
    python -m benchmarks --against ../other-checkout --only crawl --targets late   another commit and this one in turns
    python -m benchmarks --profile full --out run.json      everything of everybody; many hours
    python -m benchmarks --only crawl --targets minio --latency 20 --subjects aiocopick copick-2.0.0a6
    python -m benchmarks --url s3://bucket/empty-prefix --only crawl
    python -m benchmarks --report run.json                  write the page and its plots from a run

Servers that are not installed are named and left out; `python scripts/servers.py install` fetches them. Environments
with copick itself are made when they are missing, except by the tiny profile. Exit code 1 when a subject failed or when
two subjects that did the same work found different things.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import estimate, machine, promises, results, suite, tables
from benchmarks.profiles import BUDGETS, PROFILES, Experiment
from benchmarks.results import KEPT, Results
from benchmarks.subjects import SUBJECTS, before
from benchmarks.suite import Settings
from benchmarks.targets import TARGETS


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    if chosen.list:
        _list()
        return 0
    if chosen.report:
        from benchmarks.report import write

        write(results.load(chosen.report))
        return 0
    experiments = _experiments(chosen)
    if not experiments:
        print("nothing to do: no experiment matches (see --list)", file=sys.stderr)
        return 2
    earlier = results.load(chosen.go_on) if chosen.go_on else None
    budget = chosen.budget_seconds or BUDGETS.get(chosen.profile, 120.0)
    if chosen.estimate:
        known = earlier or (results.load(KEPT) if KEPT.exists() else None)
        print(estimate.table(experiments, _targets(chosen), budget, () if known is None else known.cells))
        return 0
    if chosen.against is not None and not (chosen.against / "src" / "aiocopick").is_dir():
        print(f"{chosen.against} is no checkout of aiocopick", file=sys.stderr)
        return 2
    tiny = chosen.profile == "tiny"
    settings = Settings(
        targets=_targets(chosen),
        url=chosen.url,
        pythons=dict(pair.split("=", 1) for pair in chosen.python),
        make_environments=not tiny,
        sample_seconds=chosen.sample_seconds,
        budget_seconds=budget,
        against=None if chosen.against is None else chosen.against.resolve(),
        at_once=chosen.at_once or (os.cpu_count() or 1 if tiny else 1),
        minutes=chosen.minutes,
    )
    command = shlex.join(["python", "-m", "benchmarks", *_published(sys.argv[1:])])
    if earlier and (differing := machine.differences(earlier.machine)):
        print(f"{chosen.go_on} is of another machine ({', '.join(differing)}): begin a new run", file=sys.stderr)
        return 2
    found = suite.run(
        experiments, settings, command, lambda results: _keep(results, chosen.out), earlier, again=chosen.again
    )
    _keep(found, chosen.out)
    print(tables.everything(found))
    old = promises.of_before(found)
    then = {} if old is None else {promise.about: value for promise, value in promises.judged(old)}
    for promise, value in promises.judged(found):
        was = f"{then[promise.about]:.3g} before, now " if promise.about in then else ""
        print(f"{'kept  ' if promise.is_kept(value) else 'MISSED'} {promise.about}: {was}{value:.3g} ({promise.bound})")
    for name, reason in found.missing.items():
        print(f"LEFT OUT {name}: {reason}")
    for line in found.errors:
        print(f"FAILED {line}", file=sys.stderr)
    return 1 if found.errors else 0


def _keep(found: Results, path: Path | None) -> None:
    if path is not None:
        found.save(path)


def _experiments(chosen: argparse.Namespace) -> list[Experiment]:
    """The profile's experiments, narrowed to what the command line asks for."""
    kept = []
    profile = PROFILES[chosen.profile]
    # A name of both is the experiment's: the work may be that of many.
    names = {experiment.name for experiment in profile}
    works = set(chosen.only or ()) - names
    for experiment in profile:
        if chosen.only and experiment.name not in chosen.only and experiment.work not in works:
            continue
        sizes_of = dict(experiment.sizes_of)
        if chosen.runs and "runs" in sizes_of:
            sizes_of["runs"] = tuple(chosen.runs)
            if "run" in sizes_of:
                sizes_of["run"] = (f"TS_{min(chosen.runs) // 2:05}",)
        kept.append(
            replace(
                experiment,
                sizes_of=sizes_of,
                subjects=_subjects(experiment, chosen),
                latencies=tuple(chosen.latency) if chosen.latency else experiment.latencies,
                repeats=chosen.repeats or experiment.repeats,
            )
        )
    return [experiment for experiment in kept if experiment.subjects]


def _subjects(experiment: Experiment, chosen: argparse.Namespace) -> tuple[str, ...]:
    """Those of an experiment that are asked for, each of ours followed by itself at the other checkout, if there is one."""
    found = []
    for name in experiment.subjects:
        if not chosen.subjects or name in chosen.subjects:
            found.append(name)
            if chosen.against is not None and before(name) in SUBJECTS:
                found.append(before(name))
    return tuple(found)


def _targets(chosen: argparse.Namespace) -> list[str]:
    """The kinds of target that are asked for."""
    asked = chosen.targets or []
    return [*asked, "url"] if chosen.url else asked or list(TARGETS)


def _published(arguments: Sequence[str]) -> list[str]:
    """The command line without this machine's paths and the user's own addresses."""
    shown = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if equals and "/" in value:
            shown.append(f"{name}=...")
        else:
            shown.append("..." if "/" in argument else argument)
    return shown


def _list() -> None:
    for name, profile in PROFILES.items():
        print(f"profile {name}")
        for experiment in profile:
            sizes = ", ".join(f"{key} {'/'.join(map(str, values))}" for key, values in experiment.sizes_of.items())
            print(f"  {experiment.name:22} {experiment.work:16} on {', '.join(experiment.targets)}  {sizes}")
    print("subjects")
    for subject in SUBJECTS.values():
        print(f"  {subject.name:24} {subject.about}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--profile", choices=PROFILES, default="quick", help="which experiments; default: quick")
    parser.add_argument("--list", action="store_true", help="say what there is and stop")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these experiments or works of the profile")
    parser.add_argument("--subjects", nargs="+", metavar="NAME", choices=SUBJECTS, help="these subjects")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, help="these targets; default: all that are installed")
    parser.add_argument("--url", help="also a store of yours: an empty folder or prefix; what is put there is removed")
    parser.add_argument("--latency", nargs="+", type=int, metavar="MS", help="milliseconds added to each answer")
    parser.add_argument("--runs", nargs="+", type=int, metavar="N", help="numbers of runs, where a work has them")
    parser.add_argument("--repeats", type=int, metavar="N", help="rounds")
    parser.add_argument(
        "--at-once", type=int, metavar="N", help="samples at a time; default 1, for the tiny profile one a core"
    )
    parser.add_argument("--sample-seconds", type=float, default=1800, help="stop a sample after this long")
    parser.add_argument(
        "--budget-seconds",
        type=float,
        help="no further rounds for a subject that has used this much; default 120, for the published profile 15",
    )
    parser.add_argument(
        "--continue",
        dest="go_on",
        type=Path,
        metavar="FILE",
        help="go on with an earlier run: take what it lacks, and add it",
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="with --continue: take what is asked for again, in the place of what FILE has",
    )
    parser.add_argument("--against", type=Path, metavar="PATH", help="also measure the library of another checkout")
    parser.add_argument("--estimate", action="store_true", help="say how long the run takes and stop")
    parser.add_argument("--minutes", type=float, metavar="M", help="begin no experiment after this long")
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="ENVIRONMENT=PATH",
        help='use this interpreter, as in "copick 1.31.0=/path/to/python"; may be repeated',
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the results as JSON")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the documentation from such a file and stop")
    return parser


if __name__ == "__main__":
    sys.exit(main())
