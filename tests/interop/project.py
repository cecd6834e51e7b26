"""Projects written by copick itself, and what copick says of a project.

    project = project_in_cache(python)           # shared: do not write to it
    mine = project.copy_to(tmp_path / "mine")    # to write to
    said = describe(python, mine.config)         # what copick finds there

A project is made once and kept in the cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.servers.cache import cache_folder, made_once

HERE = Path(__file__).parent
WRITE = HERE / "write_project.py"
ADD_ODDITIES = HERE / "add_oddities.py"
DESCRIBE = HERE / "describe_copick.py"


@dataclass(frozen=True, slots=True)
class CopickProject:
    """A project on local disk with copick's own config.

    Attributes
    ----------
    folder : Path
        Holds `project` (the root), `config.json` and, with the odd one, `elsewhere` (what a link leads to).
    """

    folder: Path

    @property
    def root(self) -> Path:
        """Root of the project: the folder that holds `ExperimentRuns`."""
        return self.folder / "project"

    @property
    def config(self) -> Path:
        """copick's config file for `root`."""
        return self.folder / "config.json"

    def copy_to(self, folder: Path) -> CopickProject:
        """Copy everything to a folder that does not exist yet; links stay links."""
        shutil.copytree(self.folder, folder, symlinks=True, ignore=shutil.ignore_patterns(".complete"))
        copy = CopickProject(folder)
        copy.write_config(copy.config, f"local://{copy.root}", {"auto_mkdir": True})
        return copy

    def write_config(self, path: Path, url: str, fs_args: Mapping[str, Any]) -> Path:
        """Write a config of copick for this project at another URL, with the arguments of its filesystem."""
        config = json.loads(self.config.read_text())
        config |= {"overlay_root": url, "overlay_fs_args": dict(fs_args)}
        path.write_text(json.dumps(config, indent=4))
        return path


def project_in_cache(python: Path) -> CopickProject:
    """The project as the copick of an environment writes it; made once per version of the script."""

    def make(folder: Path) -> None:
        _run(python, WRITE, folder)

    return CopickProject(made_once(_folder(f"project-by-{environment_of(python)}", WRITE), make))


def odd_project_in_cache(python: Path) -> CopickProject:
    """The same project with what others have left in it; see `add_oddities.py`."""

    def make(folder: Path) -> None:
        folder.rmdir()
        project_in_cache(python).copy_to(folder)
        _run(python, ADD_ODDITIES, folder)

    return CopickProject(made_once(_folder(f"odd-project-by-{environment_of(python)}", WRITE, ADD_ODDITIES), make))


def describe(python: Path, config: Path, *, data: bool = True) -> dict[str, Any]:
    """Everything copick finds through a config; see `describe_copick.py` for the form of the answer."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "description.json"
        _run(python, DESCRIBE, config, output, *(() if data else ("--no-data",)))
        said: dict[str, Any] = json.loads(output.read_bytes())
    return said


def describe_once(python: Path, project: CopickProject) -> dict[str, Any]:
    """`describe` of a project in the cache, kept beside it."""
    kept = _folder(f"{project.folder.name}-read-by-{environment_of(python)}", DESCRIBE)

    def make(folder: Path) -> None:
        _run(python, DESCRIBE, project.config, folder / "description.json")

    said: dict[str, Any] = json.loads((made_once(kept, make) / "description.json").read_bytes())
    return said


def environment_of(python: Path) -> str:
    """Name of the environment of an interpreter: `copick-` and the version."""
    return python.parents[1].name


def _folder(name: str, *scripts: Path) -> Path:
    digest = hashlib.sha256(b"".join(script.read_bytes() for script in scripts)).hexdigest()[:12]
    return cache_folder("projects") / f"{name}-{digest}"


def _run(python: Path, script: Path, *arguments: str | Path) -> None:
    done = subprocess.run(
        [str(python), str(script), *map(str, arguments)],
        capture_output=True,
        check=False,
        # copick's environment has nothing of this checkout, and what a test run sets for Python is not for it.
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
    )
    if done.returncode:
        raise RuntimeError(f"{script.name} failed: {done.stderr.decode(errors='replace')[-2000:]}")
