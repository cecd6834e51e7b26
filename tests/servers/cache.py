"""The folder that keeps what is slow to make: servers, environments of other copicks, their projects.

`.test-cache/` in the checkout, or `$AIOCOPICK_TEST_CACHE`, so that several checkouts can share one. Standard library only:
the scripts use this before anything is installed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def cache_folder(kind: str) -> Path:
    """Folder of the cache for one kind of thing, made when missing."""
    root = Path(os.environ.get("AIOCOPICK_TEST_CACHE") or REPOSITORY / ".test-cache").resolve()
    folder = root / kind
    folder.mkdir(parents=True, exist_ok=True)
    ignore = root / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")
    return folder


def is_complete(folder: Path) -> bool:
    """Whether `made_once` has finished this folder."""
    return (folder / ".complete").exists()


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Fill `folder` with `make(folder)` unless that was done before; other processes wait for the one that does it.

    A marker written last tells a finished folder from one whose making failed or was killed: that one is made anew.
    """
    if is_complete(folder):
        return folder
    with _locked(folder.with_name(f"{folder.name}.lock")):
        if not is_complete(folder):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            make(folder)
            (folder / ".complete").touch()
    return folder


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    import fcntl  # POSIX only, as the servers are

    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
