"""Environments of copick itself: one per version, because zarr 2 and zarr 3 do not share one.

Made in the cache by uv when it is there, by venv and pip otherwise. Standard library only.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.servers.cache import cache_folder, is_complete, made_once

STABLE = "1.31.0"  # zarr 2
PRERELEASE = "2.0.0a6"  # zarr 3
VERSIONS = (STABLE, PRERELEASE)

# What pip and uv say when they cannot reach the registry, or are told not to.
UNREACHABLE = (
    "failed to establish a new connection",
    "name resolution",
    "connection refused",
    "connection timed out",
    "failed to fetch",
    "error sending request",
    "network is unreachable",
    "network was disabled",
    "from versions: none",
)


class NotMadeError(RuntimeError):
    """The environment could not be made."""


class RegistryUnreachableError(NotMadeError):
    """The package registry did not answer."""


def environment_folder(version: str) -> Path:
    """Where the environment of a version is kept."""
    return cache_folder("environments") / f"copick-{version}"


def is_made(version: str) -> bool:
    """Whether the environment is there, so that `interpreter` returns at once."""
    return is_complete(environment_folder(version))


def interpreter(version: str) -> Path:
    """Python that imports this version of copick; the environment is made when it is missing.

    Raises
    ------
    RegistryUnreachableError
        When it is missing and the package registry does not answer.
    NotMadeError
        When it cannot be made for another reason.
    """

    def make(folder: Path) -> None:
        make_environment(folder, f"copick=={version}")

    return made_once(environment_folder(version), make) / "bin" / "python"


def make_environment(folder: Path, *arguments: str) -> Path:
    """Python of a new environment in the folder, with what ``pip install`` installs for these arguments."""
    python = folder / "bin" / "python"
    base = getattr(sys, "_base_executable", sys.executable)
    if uv := shutil.which("uv"):
        _run([uv, "venv", "--quiet", "--allow-existing", "--python", base, str(folder)])
        _run([uv, "pip", "install", "--quiet", "--python", str(python), *arguments])
    else:
        _run([base, "-m", "venv", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments])
    return python


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        output = f"{done.stdout}\n{done.stderr}".strip()
        message = f"`{' '.join(command)}` failed: {' | '.join(output.splitlines()[-4:])}"
        unreachable = any(sign in output.lower() for sign in UNREACHABLE)
        raise RegistryUnreachableError(message) if unreachable else NotMadeError(message)
