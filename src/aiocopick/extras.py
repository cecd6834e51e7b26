"""Packages that are not installed with the library: the error for a missing one names the extra that has it."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

from aiocopick.errors import MissingPackageError

EXTRAS = {
    "adlfs": "azure",
    "copick": "copick",
    "dask": "dask",
    "distributed": "dask",
    "mrcfile": "convert",
    "neuroglancer": "viewer",
    "obstore": "fast",
    "pandas": "table",
    "pillow": "pictures",
    "pyarrow": "table",
    "scipy": "table",
    "sshfs": "ssh",
    "starfile": "convert",
    "starlette": "serve",
    "tifffile": "convert",
    "uvicorn": "serve",
    "xarray": "xarray",
}
"""Extra of a package; a test compares it with the extras of the project."""

_ALSO = {"PIL": "pillow", "azure": "adlfs", "asyncssh": "sshfs"}
"""Packages that come with one of those."""

_NAME = re.compile(r"[A-Za-z_][\w.\-]*")
_QUOTED = re.compile(r"""["']([A-Za-z][\w.\-]*)["']""")


def optional(module: str, what: str) -> Any:
    """Import an optional module.

    Parameters
    ----------
    module : str
        Its full name.
    what : str
        The feature that needs it, for the message.

    Raises
    ------
    MissingPackageError
        It is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingPackageError(f"{what} needs {advice(error, module)}.") from error


def advice(error: ImportError, module: str = "") -> str:
    """Return the missing package and the command that installs it: ``pyarrow: pip install 'aiocopick[table]'``."""
    # Some libraries raise an ImportError of their own, which only mentions the package.
    names = [error.name or "", *_NAME.findall(str(error)), module]
    packages = [_ALSO.get(top, top) for name in names if (top := name.partition(".")[0])]
    package = next((name for name in packages if name in EXTRAS), None)
    if package is not None:
        return f"{package}, which is not installed: pip install 'aiocopick[{EXTRAS[package]}]'"
    quoted = _QUOTED.search(str(error)) if error.name is None else None
    missing = (quoted[1] if quoted else error.name or module).partition(".")[0].replace("_", "-")
    return f"{missing}, which is not installed: pip install {missing}" if missing else f"another package ({error})"


__all__ = ["EXTRAS", "advice", "optional"]
