"""Change the source in one place at a time, and see if a test notices: a seeded sample, each with the tests that run that line.

    python scripts/mutants.py                  the sample, continued where the last run ended
    python scripts/mutants.py --minutes 20     begin no mutant after 20 minutes; the next run goes on
    python scripts/mutants.py --again          survivors once more, with all tests that they have
    python scripts/mutants.py --room upkeep    mutants of this room alone, with its own tests
    python scripts/mutants.py --summary        run nothing, print the counts and the survivors

Results are kept in `.mutants/`, a JSON object in each line of `results.jsonl`. Delete the folder after the source has changed.
A first run records the tests that execute each line, room by room. A mutant runs the cheapest of its tests, in a copy of the
project, until one of them fails or the time is over; tests that need MinIO or another slow server run only where no other
test executes the line. At the end the tests that noticed something run on the unchanged source: a mutant whose test fails
there as well is forgotten, and sampled again by the next run.

Comparisons, conditions and constants are changed; statements are left out, too, such as a lock or an fsync.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import coverage
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
FOLDER = REPOSITORY / ".mutants"
SOURCES = ("storage/**/*.py", "concurrency/*.py", "layers/merge*.py", "formats/picks*.py", "upkeep/*.py")
ROOMS = ("storage", "concurrency", "formats", "layers", "upkeep")
# Imported once, before the process forks for each mutant.
PRELOADED = ("numpy", "pydantic", "zarr", "s3fs", "gcsfs", "adlfs", "obstore", "hypothesis", "pandas", "pyarrow", "trimesh",
             "aiobotocore.session", "rich.console", "typer")  # fmt: skip
OPTIONS = ("-q", "-x", "-n0", "-p", "no:cacheprovider", "--tb=line", "-W", "ignore::pytest.PytestAssertRewriteWarning")

SERVER_COST = 3.0
"""Seconds that the first test with a server takes longer: the server starts anew for each mutant."""
QUICK = "not (interop or slow or reliability_full)"
SERVERS = "servers"
"""The tests of storages that need a slow server, recorded apart: they run where no other test executes the line."""
MOST_VARIANTS = 5
"""Variants of one test to record and run: parametrized ones execute much the same lines."""
SLOW_SERVERS = "minio or gcs or azure or toxiproxy"

OPPOSITES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change of one file: the bytes from `start` to `stop` are replaced."""

    path: str
    line: int
    last_line: int
    start: int
    stop: int
    kind: str
    before: str
    after: str
    on_import: bool

    @property
    def name(self) -> str:
        return f"{self.path}:{self.start}:{self.after}"


class Finder(ast.NodeVisitor):
    """Collects the mutants of one file."""

    def __init__(self, path: str, source: bytes) -> None:
        self.path, self.source = path, source
        self.lines = [0]
        for line in source.splitlines(keepends=True):
            self.lines.append(self.lines[-1] + len(line))
        self.found: list[Mutant] = []
        self.within = 0

    def add(self, node: ast.expr | ast.stmt, kind: str, after: str) -> None:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self.lines[node.lineno - 1] + node.col_offset
        stop = self.lines[node.end_lineno - 1] + node.end_col_offset
        before = self.source[start:stop].decode()
        # Without a wait or a deadline nothing fails, it only takes longer.
        if not re.search("sleep|timeout|deadline", before):
            place = (self.path, node.lineno, node.end_lineno, start, stop)
            self.found.append(Mutant(*place, kind, before, after, on_import=not self.within))

    def condition(self, node: ast.expr) -> None:
        if not isinstance(node, ast.Compare | ast.BoolOp | ast.UnaryOp):
            self.add(node, "condition", f"(not ({ast.unparse(node)}))")

    # --- what is left alone -------------------------------------------------------------------------------------------

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            if default is not None:
                self.visit(default)
        self.within += 1
        for child in node.body:
            self.visit(child)
        self.within -= 1

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for child in node.body:
            self.visit(child)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Leave messages alone."""

    def visit_Import(self, node: ast.Import) -> None:
        """Leave imports alone."""

    # --- what is changed ----------------------------------------------------------------------------------------------

    def visit_Raise(self, node: ast.Raise) -> None:
        self.add(node, "removed", "pass")

    def visit_Expr(self, node: ast.Expr) -> None:
        text = ast.unparse(node)
        if isinstance(node.value, ast.Constant) or text.startswith("logger."):
            return
        if not isinstance(node.value, ast.Yield):
            self.add(node, "removed", "pass")
        self.generic_visit(node)

    def _removable(self, node: ast.stmt) -> None:
        self.add(node, "removed", "pass")
        self.generic_visit(node)

    visit_Delete = visit_AugAssign = visit_Continue = visit_Break = _removable  # noqa: N815

    def visit_Assign(self, node: ast.Assign) -> None:
        if isinstance(node.targets[0], ast.Attribute | ast.Subscript):
            self.add(node, "removed", "pass")
        if ast.unparse(node.targets[0]) != "__all__":
            self.visit(node.value)

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) != "TYPE_CHECKING":
            self.condition(node.test)
            self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.condition(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self.condition(test)
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for index, operator in enumerate(node.ops):
            changed: list[ast.cmpop] = [*node.ops]
            changed[index] = OPPOSITES[type(operator)]()
            self.add(node, "comparison", f"({ast.unparse(ast.Compare(node.left, changed, node.comparators))})")
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        self.add(node, "and/or", f"({ast.unparse(ast.BoolOp(other, node.values))})")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self.add(node, "not", f"({ast.unparse(node.operand)})")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, bool):
            self.add(node, "constant", str(not value))
        elif isinstance(value, int | float):
            self.add(node, "constant", repr(value + 1))
        # Prose has spaces.
        elif isinstance(value, str) and value and not any(map(str.isspace, value)):
            self.add(node, "constant", repr(value + "x"))
        elif isinstance(value, bytes) and value:
            self.add(node, "constant", repr(value + b"x"))


def all_mutants(rooms: Sequence[str]) -> list[Mutant]:
    found: list[Mutant] = []
    root = REPOSITORY / "src" / "aiocopick"
    for path in sorted({path for pattern in SOURCES for path in root.glob(pattern)}):
        if path.relative_to(root).parts[0] not in rooms:
            continue
        source = path.read_bytes()
        finder = Finder(path.relative_to(REPOSITORY).as_posix(), source)
        finder.visit(ast.parse(source))
        found += finder.found
    return found


def draw(mutants: list[Mutant], seed: int) -> list[Mutant]:
    """Put the mutants in a random order in which the kinds take turns: half of all are constants."""
    shuffled = random.Random(seed).sample(mutants, len(mutants))
    turns: Counter[str] = Counter()
    order: dict[str, int] = {}
    for mutant in shuffled:
        order[mutant.name] = turns[mutant.kind]
        turns[mutant.kind] += 1
    return sorted(shuffled, key=lambda mutant: order[mutant.name])


# --- tests by line ----------------------------------------------------------------------------------------------------


class Recorder:
    """A plugin of pytest that names the running test to coverage, keeps how long each takes, and takes few variants."""

    def __init__(self, recording: coverage.Coverage) -> None:
        self.recording = recording
        self.costs: dict[str, float] = {}
        self.served: list[str] = []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        variants: dict[str, list[pytest.Item]] = defaultdict(list)
        for item in items:
            variants[item.nodeid.partition("[")[0]].append(item)
        # Those between the ones that are taken would run the same lines.
        few = {id(item) for found in variants.values() for item in found[:: -(-len(found) // MOST_VARIANTS)]}
        config.hook.pytest_deselected(items=[item for item in items if id(item) not in few])
        items[:] = [item for item in items if id(item) in few]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.recording.switch_context(item.nodeid)
        begin = time.monotonic()
        result = yield
        self.recording.switch_context("")
        self.costs[item.nodeid] = time.monotonic() - begin
        if any(name.endswith("_server") and name != "web_server" for name in getattr(item, "fixturenames", ())):
            self.served.append(item.nodeid)
        return result


def record(room: str) -> None:
    """Run the tests of a room, and write which lines each one runs."""
    recording = coverage.Coverage(data_file=str(FOLDER / f"{room}.coverage"), source=[str(REPOSITORY / "src")])
    recorder = Recorder(recording)
    folder, marks = ("storage", SLOW_SERVERS) if room == SERVERS else (room, f"not ({SLOW_SERVERS})")
    recording.start()
    pytest.main(["-q", "-n0", "-p", "no:cacheprovider", "-m", f"({marks}) and {QUICK}", f"tests/{folder}"],
                plugins=[recorder])  # fmt: skip
    recording.stop()
    recording.save()
    (FOLDER / f"{room}.json").write_text(json.dumps({"costs": recorder.costs, "served": recorder.served}))


class Tests:
    """The tests that execute a line, the cheapest first."""

    def __init__(self, rooms: Sequence[str]) -> None:
        self.costs: dict[str, float] = {}
        self.served: set[str] = set()
        self.slow: set[str] = set()
        self.by_line: dict[str, dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        for room in [*rooms, *[SERVERS] * ("storage" in rooms)]:
            if not (FOLDER / f"{room}.json").exists():
                subprocess.run([sys.executable, __file__, "--record", room], cwd=REPOSITORY, check=True)
        for recorded in FOLDER.glob("*.json"):
            room = json.loads(recorded.read_text())
            self.costs |= room["costs"]
            self.served.update(room["served"])
            if recorded.stem == SERVERS:
                self.slow.update(room["costs"])
            data = coverage.CoverageData(str(recorded.with_suffix(".coverage")))
            data.read()
            for path in data.measured_files():
                lines = self.by_line[Path(path).relative_to(REPOSITORY).as_posix()]
                for line, names in data.contexts_by_lineno(path).items():
                    lines[line].update(names)

    def of(self, mutant: Mutant) -> list[str]:
        lines = self.by_line[mutant.path]
        names = {name for line in range(mutant.line, mutant.last_line + 1) for name in lines.get(line, ())}
        if mutant.on_import:
            # Any test of the file may notice: the line is executed once, by whichever test imports it first.
            names = {name for found in lines.values() for name in found}
        names &= self.costs.keys()
        return sorted(names - self.slow or names, key=self.costs.__getitem__)

    def within(self, names: list[str], seconds: float, most: int) -> list[str]:
        """The first tests that take so long together; at least one."""
        chosen: list[str] = []
        for name in names[:most]:
            seconds -= self.costs[name] + SERVER_COST * (name in self.served and self.served.isdisjoint(chosen))
            if chosen and seconds < 0:
                break
            chosen.append(name)
        return chosen


# --- runs -------------------------------------------------------------------------------------------------------------


class Copy:
    """A copy of the project in which one file at a time is changed."""

    def __init__(self, folder: str, test_files: list[str]) -> None:
        self.root = Path(folder)
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=REPOSITORY,
            check=True,
            capture_output=True,
        ).stdout
        for name in listed.decode().split("\0"):
            if name.startswith(("src/", "tests/", "scripts/", "pyproject.toml")) and (REPOSITORY / name).exists():
                target = self.root / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(REPOSITORY / name, target)
        for name in PRELOADED:
            with suppress(ImportError):
                importlib.import_module(name)
        # Writes the bytecode once; with mutants none is written.
        code, output = self.run(["--collect-only", *test_files], 600, bytecode=True)
        if code != 0:
            raise SystemExit(f"the tests cannot be collected:\n{output}")

    def run_mutant(self, mutant: Mutant, tests: list[str], limit: float) -> tuple[str, str]:
        """Return the outcome (killed, survived, timeout) and the test that noticed."""
        path = self.root / mutant.path
        source = path.read_bytes()
        for cached in (path.parent / "__pycache__").glob(f"{path.stem}.*.pyc"):
            cached.unlink()
        path.write_bytes(source[: mutant.start] + mutant.after.encode() + source[mutant.stop :])
        try:
            code, output = self.run(tests, limit)
        finally:
            path.write_bytes(source)
        noticed = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", output, re.MULTILINE)
        if code is None:
            return "timeout", ""
        if code == pytest.ExitCode.NO_TESTS_COLLECTED:
            return "not covered", ""
        return ("survived" if code == 0 else "killed"), noticed[1] if noticed else ""

    def run(self, arguments: list[str], limit: float, bytecode: bool = False) -> tuple[int | None, str]:
        """Run pytest in a forked child; return its exit code (None when the time is over) and its output."""
        with tempfile.TemporaryFile() as output:
            child = os.fork()
            if child == 0:
                self._become_pytest(arguments, output.fileno(), bytecode)
            until = time.monotonic() + limit
            code: int | None = None
            while time.monotonic() < until:
                done, status = os.waitpid(child, os.WNOHANG)
                if done:
                    code = os.waitstatus_to_exitcode(status)
                    break
                time.sleep(0.02)
            with suppress(ProcessLookupError):
                # Its servers and children, too.
                os.killpg(child, signal.SIGKILL)
            if code is None:
                os.waitpid(child, 0)
            output.seek(0)
            return code, output.read().decode(errors="replace")

    def _become_pytest(self, arguments: list[str], output: int, bytecode: bool) -> None:
        code = 70
        try:
            os.setsid()
            for stream in (1, 2):
                os.dup2(output, stream)
            os.chdir(self.root)
            sys.path[:0] = [str(self.root / "src"), str(self.root)]
            os.environ["PYTHONPATH"] = str(self.root / "src")
            sys.dont_write_bytecode = not bytecode
            if not bytecode:
                os.environ |= {"PYTHONDONTWRITEBYTECODE": "1", "AIOCOPICK_TEST_NO_BYTECODE": "1"}
            code = int(pytest.main([*OPTIONS, *arguments]))
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)


def read_results(path: Path) -> dict[str, dict[str, Any]]:
    """The last result of each mutant."""
    if not path.exists():
        return {}
    return {result["name"]: result for result in map(json.loads, path.read_text().splitlines())}


def keep(path: Path, result: dict[str, Any]) -> None:
    with path.open("a") as lines:
        lines.write(json.dumps(result) + "\n")


def run_sample(options: argparse.Namespace, results: Path) -> None:
    rooms = options.room or ROOMS
    tests = Tests(rooms)
    known = read_results(results)
    everything = all_mutants(rooms)
    if options.match:
        chosen = [mutant for mutant in everything if options.match in f"{mutant.path}:{mutant.line}: {mutant.after}"]
        known = {}
    else:
        chosen = draw(everything, options.seed)[: options.sample]
    left = {"survived", "timeout"} if options.again else {"forgotten"}
    todo = [mutant for mutant in chosen if known.get(mutant.name, {"outcome": "forgotten"})["outcome"] in left]
    seconds, most, limit = (100.0, 1000, 200.0) if options.again else (options.seconds, options.tests, options.limit)
    end = time.monotonic() + options.minutes * 60
    ran = set()
    print(f"{len(everything)} mutants, {len(chosen)} of them sampled, {len(todo)} to run", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(folder, sorted({name.partition("::")[0] for name in tests.costs}))
        for mutant in todo:
            if time.monotonic() > end:
                print("The time is over; the next run goes on from here.")
                break
            covering = tests.of(mutant)
            enough = tests.within(covering, seconds, most)
            begin = time.monotonic()
            outcome, by = copy.run_mutant(mutant, enough, limit) if enough else ("not covered", "")
            ran.add(mutant.name)
            keep(results, {
                "name": mutant.name, "outcome": outcome, "by": by, "tests": len(enough), "covering": len(covering),
                "seconds": round(time.monotonic() - begin, 1), **asdict(mutant),
            })  # fmt: skip
            print(
                f"{outcome:12}{mutant.path}:{mutant.line} {mutant.kind}: {mutant.before!r} -> {mutant.after}",
                flush=True,
            )
        forget_false_kills(copy, results, ran)


def forget_false_kills(copy: Copy, results: Path, ran: set[str]) -> None:
    """Run the tests that noticed something on the unchanged source; forget the mutants of those that fail."""
    known = {name: result for name, result in read_results(results).items() if name in ran}
    killers = sorted(
        {result["by"] for result in known.values() if result["outcome"] == "killed" and "::" in result["by"]}
    )
    if not killers:
        return
    _, output = copy.run(["--maxfail=1000", *killers], 1800)
    failing = set(re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", output, re.MULTILINE))
    for result in known.values():
        if result["outcome"] == "killed" and result["by"] in failing:
            keep(results, {**result, "outcome": "forgotten"})


def print_summary(results: Path) -> None:
    known = read_results(results)
    counts = Counter(result["outcome"] for result in known.values())
    for result in sorted(known.values(), key=lambda result: (result["path"], result["line"])):
        if result["outcome"] not in ("killed", "timeout"):
            before = " ".join(result["before"].split())
            print(f"{result['outcome']:12}{result['path']}:{result['line']} ({result['tests']}/{result['covering']} tests) "
                  f"{result['kind']}: {before} -> {result['after']}")  # fmt: skip
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.most_common()), f"of {len(known)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=400, help="mutants to draw (400)")
    parser.add_argument("--seed", type=int, default=1, help="of the drawing; the same seed draws the same mutants (1)")
    parser.add_argument("--room", action="append", choices=ROOMS, help="a room to take alone; may be repeated (all)")
    parser.add_argument("--seconds", type=float, default=5, help="tests for each mutant, as measured (5)")
    parser.add_argument("--tests", type=int, default=25, help="the most tests for each mutant (25)")
    parser.add_argument("--limit", type=float, default=20, help="seconds after which a mutant is given up (20)")
    parser.add_argument("--minutes", type=float, default=600, help="begin no mutant after so long (600)")
    parser.add_argument("--match", help="take all mutants of this place instead, such as disk.py:219:, once more")
    parser.add_argument("--again", action="store_true", help="run survivors and those given up again, with all tests")
    parser.add_argument("--summary", action="store_true", help="run nothing")
    parser.add_argument("--record", help=argparse.SUPPRESS)
    options = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    results = FOLDER / "results.jsonl"
    if options.record:
        record(options.record)
        return
    if not options.summary:
        run_sample(options, results)
    print_summary(results)


if __name__ == "__main__":
    main()
