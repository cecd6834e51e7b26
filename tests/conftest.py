"""What every test can use: the servers, and projects written by copick itself. And what holds for every test."""

from __future__ import annotations

import functools
import gc
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import s3fs  # noqa: F401 - until then, the first listing is another way's, whichever test it is in
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import HealthCheck, settings

from aiocopick import sample
from aiocopick.storage import written
from aiocopick.storage.backends import memory
from tests.interop.fixtures import (
    copick1_odd_project,
    copick1_project,
    copick1_python,
    copick2_project,
    copick2_python,
    environment_summary,
)
from tests.isolation import isolate_environment, loopback_only
from tests.leftovers import coroutine_of, watched_connections, without_leftovers
from tests.reliability.scoreboard import scoreboard
from tests.servers.fixtures import (
    RAN,
    azure_server,
    gcs_server,
    minio_server,
    moto_server,
    s3_server,
    server_summary,
    toxiproxy_server,
    web_server,
)

__all__ = [
    "azure_server",
    "copick1_odd_project",
    "copick1_project",
    "copick1_python",
    "copick2_project",
    "copick2_python",
    "gcs_server",
    "minio_server",
    "moto_server",
    "s3_server",
    "toxiproxy_server",
    "web_server",
]

MARKS = {
    "minio_server": "minio",
    "toxiproxy_server": "toxiproxy",
    "gcs_server": "gcs",
    "azure_server": "azure",
    "copick1_python": "interop",
    "copick2_python": "interop",
}
# The first test that asks for one of copick's environments waits until it is installed.
INTEROP_TIMEOUT = 900
SCOREBOARD = Path(__file__).parent / "reliability"
# What is repeated on these servers, by a parameter, is run on others by the README's command.
FURTHER = {"minio_server", "azure_server"}

isolate_environment()

# A deadline would be an assertion about time, and so is the check that values are drawn quickly.
settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The same examples each time: a run tells of the change that it checks, and not of what it happened to draw.
settings.register_profile("repeatable", settings.get_profile("search"), derandomize=True)
settings.load_profile("repeatable")


@pytest.fixture(scope="session", autouse=True)
def stay_on_this_machine() -> Iterator[None]:
    """Refuse connections to other machines."""
    with loopback_only():
        yield


@pytest.fixture(scope="session", autouse=True)
def imagine_samples_once() -> Iterator[None]:
    """Imagine a scene of the sample project once: it is the same each time, and takes longer than writing it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "_imagine", functools.cache(sample._imagine))
        yield


@pytest.fixture(autouse=True)
def forget_memory() -> Iterator[None]:
    """Remove what a test left in the memory filesystem, and the counts of its changes: who lists looks at all of them."""
    before, folders, counted = set(MemoryFileSystem.store), MemoryFileSystem.pseudo_dirs.copy(), set(written._counts)
    yield
    with memory._lock:
        for path in MemoryFileSystem.store.keys() - before:
            del MemoryFileSystem.store[path]
        MemoryFileSystem.pseudo_dirs[:] = folders
    with written._lock:
        for place in written._counts.keys() - counted:
            del written._counts[place]


@pytest.fixture(scope="session")
def open_connections() -> Iterator[list[str]]:
    """Connections that were open when their loop ended."""
    with watched_connections() as left:
        yield left


@pytest.fixture(autouse=True)
def close_connections(open_connections: list[str]) -> Iterator[None]:
    """Fail a test whose loop, or the loop of a server in a thread, ended with open connections."""
    yield
    found = open_connections.copy()
    open_connections.clear()
    assert not found, f"the test left {len(found)} connections open: {', '.join(found)}"


def pytest_configure(config: pytest.Config) -> None:
    """Run the rows of the scoreboard where they are what was asked for: by default they are left out."""
    asked_for = all(SCOREBOARD.name in Path(argument.partition("::")[0]).parts for argument in config.args)
    if asked_for and _by_default(config):
        config.option.markexpr = config.option.markexpr.replace("reliability or ", "")


def _by_default(config: pytest.Config) -> bool:
    return f"-m={config.option.markexpr}" in config.getini("addopts")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even collect the scoreboard where all of it is left out: its rows are a fifth of all tests."""
    return True if collection_path == SCOREBOARD and _by_default(config) else None


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Use all cores for whole rooms; single files and tests run in this process, where a debugger can stop them."""
    if any(".py" in argument for argument in config.args):
        config.option.dist = "no"
        return 0
    return None


def _asked_for_by_name(item: pytest.Item) -> set[str]:
    """Fixtures that a test gets by ``request.getfixturevalue``, built from a value that it is parametrised with."""
    callspec = getattr(item, "callspec", None)
    params = {} if callspec is None else callspec.params
    # Other numbers (formats, counts) name no version of copick.
    versions = {f"copick{value}_python" for name, value in params.items() if name == "version"}
    texts = [value for value in params.values() if isinstance(value, str)]
    return versions | {form.format(text) for text in texts for form in ("{}", "{}_server", "{}_python")}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by the fixtures they use, so that `-m "not minio"` means what it says, and by profile."""
    for item in items:
        by_name = _asked_for_by_name(item)
        names = set(getattr(item, "fixturenames", ())) | by_name
        for mark in {MARKS[name] for name in names & MARKS.keys()}:
            item.add_marker(mark)
            if mark == "interop" and item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(INTEROP_TIMEOUT))
        if not item.path.is_relative_to(SCOREBOARD):
            if by_name & FURTHER:
                item.add_marker("slow")
        elif not any(map(item.get_closest_marker, ("reliability_full", "interop"))):
            item.add_marker("reliability")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect without the garbage collector, which would look at thousands of tests again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Watch the tasks of tests that are coroutines."""
    target = coroutine_of(item)
    if target is None:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(*target, without_leftovers(getattr(*target)))
        yield


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the controller of parallel workers the names of what this worker has used."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["ran"] = sorted(session.config.stash.get(RAN, set()))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Collect the names of what a worker has used; one that crashed sent none."""
    node.config.stash.setdefault(RAN, set()).update(getattr(node, "workeroutput", {}).get("ran", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which servers and which copicks the run had."""
    terminalreporter.section("servers and other copicks")
    for line in [*server_summary(config), *environment_summary(config)]:
        terminalreporter.write_line(line)
    if rows := list(scoreboard(terminalreporter)):
        terminalreporter.section("scoreboard of reliability")
        for line in rows:
            terminalreporter.write_line(line)
