"""Run the own test suites of copick and its tools on roots of ours, beside a run on copick's own, and write the table.

    python scripts/clients.py                 every suite but those that need gigabytes
    python scripts/clients.py utils web       these
    python scripts/clients.py torch           on demand: brings PyTorch
    python scripts/clients.py --table         run nothing, write the table from the last results

The environment, the sources and the results are kept in the cache of the tests. A suite is run twice by the same Python:
as it is, and with ``-p aiocopick.compat``. Of its failures those count that the first run does not have. Nothing fails
here because of a difference: the table in `docs/coming-from-copick.md` says what differs, and is to be read.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import xml.etree.ElementTree as ET
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.servers.cache import REPOSITORY, cache_folder, made_once

PAGE = REPOSITORY / "docs" / "coming-from-copick.md"
BEGIN = "<!-- clients: written by `tox -e clients` -->"
END = "<!-- clients: end -->"


@dataclass(frozen=True)
class Suite:
    """The tests of one client."""

    package: str
    version: str
    tests: str = "tests"  # within its source
    arguments: tuple[str, ...] = ()
    on_demand: bool = False

    @property
    def release(self) -> str:
        return f"{self.package}=={self.version}"


SUITES = {
    # The benchmark times writes.
    "copick": Suite("copick", "2.0.0a6", arguments=("--ignore=tests/test_zarr_v3_benchmark.py",)),
    "utils": Suite("copick-utils", "2.0.0a7"),
    "shared-ui": Suite("copick-shared-ui", "2.0.0a4", arguments=("-m", "not integration")),
    "napari": Suite("napari-copick", "2.0.0a3", tests="src/napari_copick/_tests"),
    "web": Suite("copick-web", "1.0.0a3"),
    "torch": Suite("copick-torch", "2.0.0a3", on_demand=True),
}
TOOLS = (
    "pytest", "pytest-qt", "pytest-timeout", "pytest-xdist", "pyqt6", "napari", "pooch", "ome-zarr-models>=1.7,<2",
    "moto[server,s3]>=5.1", "smbprotocol", "httpx",
)  # fmt: skip
SETTINGS = {"BACKEND": "local", "COPICK_TEST_ZARR_FORMAT": "v2", "QT_QPA_PLATFORM": "offscreen", "OMP_NUM_THREADS": "1"}

# Differences that are meant: what the failure says, and why. The first that fits counts.
REASONS = (
    (
        r"_assert_v3_group|zarr_format == 3|test_typed_proxy_supports_head_and_ranges",
        "volumes are zarr 2 unless `zarr_format` says 3",
    ),
    (r"DepositError|^test_deposit::", "`copick deposit` links files of copick's own classes of file systems only"),
    (r"identity_rejects\[.*scores must be finite", "NaN is taken for a score that is not known: null in the file"),
    (r"'CopickRootFS' == 'CopickRootFSSpec'", "asks for the name of copick's class"),
    (r"test_add_features_delegates_feature_major_write", "replaces a method of copick's class; ours has its own"),
)


def _run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=env, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def environment(name: str, suites: list[Suite]) -> Path:
    """Python with these clients and what aiocopick stands on; aiocopick itself is read from the checkout."""

    def make(folder: Path) -> None:
        _run(getattr(sys, "_base_executable", sys.executable), "-m", "venv", folder)
        ours = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dependencies"]
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run(*pip, *[suite.release for suite in suites], *TOOLS, *ours)

    return made_once(cache_folder("clients") / name, make) / "bin" / "python"


def source(python: Path, suite: Suite) -> Path:
    """Unpacked source of a release, tests and all."""

    def make(folder: Path) -> None:
        pip = [python, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        _run(*pip, "--no-binary", suite.package, "--dest", folder, suite.release)
        (archive,) = folder.glob("*.tar.gz")
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")

    folder = made_once(cache_folder("clients") / f"source-{suite.package}-{suite.version}", make)
    (unpacked,) = (path for path in folder.iterdir() if path.is_dir())
    return unpacked


def corpus(python: Path) -> dict[str, str]:
    """Variables that show copick's tests the stand-in for their archive."""
    tests = source(python, SUITES["copick"]) / "tests"
    script = REPOSITORY / "tests" / "interop" / "client_corpus.py"

    def make(folder: Path) -> None:
        digest = _run(python, script, folder / "data", tests).strip().splitlines()[-1]
        (folder / "digest").write_text(digest)

    folder = made_once(cache_folder("clients") / "corpus-1", make)
    return {"COPICK_TEST_DATA_CACHE": str(folder / "data"), "COPICK_TEST_DATA_DIGEST": (folder / "digest").read_text()}


def results_path(name: str, kind: str) -> Path:
    return cache_folder("clients") / f"results-{name}-{kind}.xml"


def only_path(name: str) -> Path:
    return cache_folder("clients") / f"only-{name}.txt"


def run(name: str, only: str | None) -> None:
    """Both runs of a suite, side by side."""
    suite = SUITES[name]
    everyday = [other for other in SUITES.values() if not other.on_demand]
    python = environment(f"env-{name}", [*everyday, suite]) if suite.on_demand else environment("env", everyday)
    folder = source(python, suite)
    variables = {**os.environ, **SETTINGS, "PYTHONPATH": str(REPOSITORY / "src")}
    if name == "copick":
        variables |= corpus(python)
    only_path(name).write_text(only or "")
    running = []
    for kind, plugin in (("copick", []), ("ours", ["-p", "aiocopick.compat"])):
        report = results_path(name, kind)
        report.unlink(missing_ok=True)
        command = [python, "-m", "pytest", *plugin, suite.tests, *suite.arguments, "-q", "--tb=short", "--timeout=300"]
        command += ["-p", "no:cacheprovider", f"--junitxml={report}", "-o", "junit_family=xunit1"]
        command += ["-k", only] if only else []
        with report.with_suffix(".txt").open("w") as output:
            words = [str(part) for part in command]
            running.append(subprocess.Popen(words, cwd=folder, env=variables, stdout=output, stderr=output))
    print(f"{suite.release}: see {results_path(name, '*').with_suffix('.txt')}", flush=True)
    for process in running:
        process.wait()
    if not all(results_path(name, kind).exists() for kind in ("copick", "ours")):
        sys.exit(f"{suite.release}: no results")


def outcomes(report: Path) -> dict[str, str | None]:
    """Tests of a report that were not skipped: None, or the text of the failure."""
    found: dict[str, str | None] = {}
    for case in ET.parse(report).iter("testcase"):
        if case.find("skipped") is not None:
            continue
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        troubles = [*case.findall("failure"), *case.findall("error")]
        found[name] = "\n".join(f"{node.get('message')}\n{node.text}" for node in troubles) if troubles else None
    return found


def reason(name: str, failure: str) -> str:
    for pattern, said in REASONS:
        if re.search(pattern, f"{name}\n{failure}"):
            return said
    lines = [line[1:].strip() for line in failure.splitlines() if line.startswith("E ")]
    # No path of this machine goes into the documentation.
    return f"`{re.sub(r'/[^ ]*', '...', lines[0])[:90]}`" if lines else "see the run"


def table() -> str:
    """Markdown of the last results."""
    rows, differences, missing, partial = [], [], [], []
    for name, suite in SUITES.items():
        reports = [results_path(name, kind) for kind in ("copick", "ours")]
        if not all(report.exists() for report in reports):
            missing.append(suite.release)
            continue
        if only := only_path(name).read_text():
            partial.append(f"Of {suite.release}, the tests of `-k '{only}'`.")
        theirs, ours = (outcomes(report) for report in reports)
        both = [test for test in ours if test in theirs]
        passed = [sum(side[test] is None for test in both) for side in (theirs, ours)]
        rows.append(f"| {suite.package} {suite.version} | {len(both)} | {passed[0]} | {passed[1]} |")
        grouped: dict[str, list[str]] = defaultdict(list)
        for test in both:
            failure = ours[test]
            if failure is not None and theirs[test] is None:
                grouped[reason(test, failure)].append(re.sub(r"\[.*", "", test))
        for said, tests in grouped.items():
            names = ", ".join(f"`{test}`" for test in sorted(set(tests)))
            differences.append(f"| {suite.package} | {len(tests)} | {said.replace('|', '&#124;')} | {names} |")
    lines = [
        "| suite | tests run | pass on copick's roots | pass on ours |", "|---|---|---|---|", *rows, "",
        "Tests that pass on copick's roots alone:", "",
        "| suite | tests | why | which |", "|---|---|---|---|", *differences,
    ]  # fmt: skip
    if missing:
        partial.append(f"Not run: {', '.join(missing)}.")
    if partial:
        lines += ["", " ".join(partial)]
    return "\n".join(lines)


def write_table() -> None:
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}")
    print(f"wrote the table in {PAGE}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", metavar="suite", help=f"one of {', '.join(SUITES)}")
    parser.add_argument("--table", action="store_true", help="run nothing, write the table from the last results")
    parser.add_argument(
        "--only", metavar="EXPRESSION", help="tests that pytest's -k would take; the table is not written"
    )
    given = parser.parse_args()
    if unknown := [name for name in given.suites if name not in SUITES]:
        parser.error(f"unknown suite {', '.join(unknown)}: choose from {', '.join(SUITES)}")
    if not given.table:
        for name in given.suites or [name for name, suite in SUITES.items() if not suite.on_demand]:
            run(name, given.only)
    write_table()
    return 0


if __name__ == "__main__":
    sys.exit(main())
