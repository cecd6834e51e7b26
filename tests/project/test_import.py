"""`import aiocopick` stays light: what is heavy is imported by the function that needs it."""

from __future__ import annotations

import subprocess
import sys

HEAVY = [
    "zarr",
    "trimesh",
    "s3fs",
    "gcsfs",
    "adlfs",
    "aiohttp",
    "pyarrow",
    "pandas",
    "dask",
    "obstore",
    "PIL",
    "typer",
    "rich",
]


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = f"import sys, aiocopick; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there() -> None:
    code = "import aiocopick; [getattr(aiocopick, name) for name in aiocopick.__all__]"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
