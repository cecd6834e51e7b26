"""The interpreters that run samples: this one, and one for each copick, made when wanted."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.interop.environments import NotMadeError, interpreter, is_made

from benchmarks import machine
from benchmarks.subjects import BEFORE, COPICK_1, COPICK_2, OURS

SHOWN = (
    "copick", "aiocopick", "zarr", "s3fs", "fsspec", "aiobotocore", "obstore", "tensorstore", "numpy", "pydantic", "trimesh",
)  # fmt: skip

_ASK = """
import json, platform, sys
from importlib.metadata import PackageNotFoundError, version
found = {"python": platform.python_version()}
for name in sys.argv[1:]:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def find(
    names: Iterable[str], chosen: Mapping[str, str], *, make: bool, against: Path | None = None
) -> tuple[dict[str, Path], dict[str, str]]:
    """Interpreters by environment, and the reasons why others are not there.

    Parameters
    ----------
    names : iterable of str
        Environments that subjects ask for.
    chosen : mapping of str to str
        Interpreters that the user gave, by environment.
    make : bool
        Whether to make what is missing.
    against : Path or None
        Another checkout of the library, which this interpreter then runs, too.
    """
    found: dict[str, Path] = {}
    reasons: dict[str, str] = {}
    for name in sorted(set(names)):
        if name in chosen:
            found[name] = Path(chosen[name])
        elif name == OURS or (name == BEFORE and against is not None):
            found[name] = Path(sys.executable)
        elif name in (COPICK_1, COPICK_2):
            version = name.split()[1]
            if not (make or is_made(version)):
                reasons[name] = f"not made yet: run `python scripts/copick_env.py {version}`"
                continue
            try:
                found[name] = interpreter(version)
            except NotMadeError as error:
                reasons[name] = str(error)
    return found, reasons


def before(versions_of_ours: Mapping[str, str], against: Path) -> dict[str, str]:
    """Versions of the environment of another checkout: ours, but for its commit."""
    return {**versions_of_ours, "aiocopick": f"at {machine.commit(against)}"}


def versions(python: Path) -> dict[str, str]:
    """Versions of Python and of the packages that matter, as that interpreter sees them."""
    done = subprocess.run([python, "-c", _ASK, *SHOWN], capture_output=True, text=True, check=True)
    answer: dict[str, str] = json.loads(done.stdout)
    return answer
