"""The server programs: which version is used, where it is found, how it is installed.

Each is looked for in the cache (the pinned version), then on PATH. Nothing here installs by itself: `scripts/servers.py
install` does, and tests only use what is there. Standard library only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.servers.cache import cache_folder, is_complete, made_once


class InstallError(RuntimeError):
    """A program could not be installed; the message says what failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One server program at its pinned version.

    Attributes
    ----------
    name : str
        What it is called here, in markers and on the command line.
    executable : str
        File name on PATH and in the cache.
    source : str
        Go module path or npm package.
    version : str
        Pinned version.
    tool : {"go", "npm", "apt-get"}
        What installs it; apt-get needs root, and installs what the system has.
    others : tuple of str
        Other names of the executable on PATH.
    inside : str
        Folder of the npm package that holds it.
    """

    name: str
    executable: str
    source: str
    version: str
    tool: Literal["go", "npm", "apt-get"]
    others: tuple[str, ...] = ()
    inside: str = ".bin"

    @property
    def folder(self) -> Path:
        """Where the pinned version is installed; a new pin is a new folder."""
        return cache_folder("servers") / f"{self.name}-{self.version}"

    def find(self) -> Path | None:
        """Path of the executable, or None when it is not installed."""
        if is_complete(self.folder):
            return self._installed(self.folder)
        on_path = next(filter(None, map(shutil.which, (self.executable, *self.others))), None)
        return Path(on_path) if on_path else None

    def install(self) -> Path:
        """Install the pinned version into the cache unless it is there.

        Raises
        ------
        InstallError
            When the tool is missing or fails.
        """
        if shutil.which(self.tool) is None:
            raise InstallError(f"{self.tool} is not on PATH")
        if self.tool == "apt-get":
            return self.find() or self._install_with_apt()
        made_once(self.folder, self._install_with_go if self.tool == "go" else self._install_with_npm)
        return self._installed(self.folder)

    def _installed(self, folder: Path) -> Path:
        return folder / (f"node_modules/{self.inside}" if self.tool == "npm" else ".") / self.executable

    def _install_with_apt(self) -> Path:
        if os.geteuid() != 0:
            raise InstallError(f"apt-get needs root: install the system's package {self.source}")
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        try:
            _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", self.source], quiet)
        except InstallError:
            # The lists of packages may be missing or old.
            _run(["apt-get", "update", "-qq"], quiet)
            _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", self.source], quiet)
        found = self.find()
        if found is None:
            raise InstallError(f"the package {self.source} has no {self.executable}")
        return found

    def _install_with_go(self, folder: Path) -> None:
        _run(["go", "install", f"{self.source}@{self.version}"], {"GOBIN": str(folder)})
        # Go names the executable after the last folder of the module path.
        [built] = folder.iterdir()
        built.rename(folder / self.executable)

    def _install_with_npm(self, folder: Path) -> None:
        package = f"{self.source}@{self.version}"
        _run(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), package], {})


PROGRAMS = {
    program.name: program
    for program in (
        Program(
            name="minio",
            executable="minio",
            source="github.com/minio/minio",
            # The last one built from source; binaries are no longer published.
            version="v0.0.0-20260212201848-7aac2a2c5b7c",
            tool="go",
        ),
        Program(
            name="toxiproxy",
            executable="toxiproxy-server",
            source="github.com/Shopify/toxiproxy/v2/cmd/server",
            version="v2.12.0",
            tool="go",
        ),
        Program(
            name="gcs",
            executable="fake-gcs-server",
            source="github.com/fsouza/fake-gcs-server",
            version="v1.56.1",
            tool="go",
        ),
        Program(name="azure", executable="azurite-blob", source="azurite", version="3.37.0", tool="npm"),
        Program(
            name="browser",
            executable="chromium",
            others=("chromium-browser", "google-chrome"),
            source="chromium",
            version="of the system",
            tool="apt-get",
        ),
        # Not a program, but a script that pages are examined with.
        Program(
            name="axe", executable="axe.min.js", source="axe-core", version="4.14.1", tool="npm", inside="axe-core"
        ),
    )
}


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise InstallError(f"`{' '.join(command[:2])}` failed: {' | '.join(lines[-3:]) or f'code {done.returncode}'}")
