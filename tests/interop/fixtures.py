"""Fixtures of copick itself; `tests/conftest.py` makes them known to every test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.environments import PRERELEASE, STABLE, VERSIONS, RegistryUnreachableError, interpreter, is_made
from tests.interop.project import CopickProject, odd_project_in_cache, project_in_cache
from tests.servers.fixtures import RAN


def _interpreter(version: str, config: pytest.Config) -> Path:
    try:
        python = interpreter(version)
    except RegistryUnreachableError as error:
        pytest.skip(
            f"copick {version} is not installed and the package registry does not answer: run "
            f"`python scripts/copick_env.py {version}` when it does ({error})"
        )
    config.stash.setdefault(RAN, set()).add(version)
    return python


@pytest.fixture(scope="session")
def copick1_python(pytestconfig: pytest.Config) -> Path:
    """Python with copick 1.31 (zarr 2)."""
    return _interpreter(STABLE, pytestconfig)


@pytest.fixture(scope="session")
def copick2_python(pytestconfig: pytest.Config) -> Path:
    """Python with copick 2.0 (zarr 3)."""
    return _interpreter(PRERELEASE, pytestconfig)


@pytest.fixture(scope="session")
def copick1_project(copick1_python: Path) -> CopickProject:
    """A project written by copick 1.31, on disk; shared by all tests: `copy_to` a folder to write."""
    return project_in_cache(copick1_python)


@pytest.fixture(scope="session")
def copick2_project(copick2_python: Path) -> CopickProject:
    """The same project written by copick 2.0, so its volumes are zarr 3; shared by all tests."""
    return project_in_cache(copick2_python)


@pytest.fixture(scope="session")
def copick1_odd_project(copick1_python: Path) -> CopickProject:
    """copick 1.31's project with odd names, hidden files, raw frames, links and broken files; shared by all tests."""
    return odd_project_in_cache(copick1_python)


def environment_summary(config: pytest.Config) -> list[str]:
    """A line per version of copick: whether it ran, was not asked for, or is missing."""
    used = config.stash.get(RAN, set())
    lines = []
    for version in VERSIONS:
        if version in used:
            lines.append(f"ran      copick {version}")
        elif is_made(version):
            lines.append(f"unused   copick {version}: installed, but no selected test asked for it")
        else:
            lines.append(f"MISSING  copick {version}: run `python scripts/copick_env.py {version}`")
    return lines
