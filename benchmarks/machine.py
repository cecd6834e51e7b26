"""Facts about this machine and this checkout that a reader of the figures needs; nothing that names it."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]


def facts() -> dict[str, Any]:
    """Processor, memory, system, and how busy it was when asked."""
    return {
        "system": f"{platform.system()} {platform.release().partition('-')[0]} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_average": round(os.getloadavg()[0], 2),
    }


def differences(other: Mapping[str, Any]) -> list[str]:
    """Names of the facts in which this machine differs from another one; how busy they were is none."""
    return [name for name, value in facts().items() if name != "load_average" and other.get(name) != value]


def commit(checkout: Path = REPOSITORY) -> str:
    """Short name of the commit that is checked out, followed by ``+`` when tracked files differ from it."""
    try:
        name = _git(checkout, "rev-parse", "--short", "HEAD")
        # What a run writes is no change of what it measured.
        kept = ("src", "benchmarks", ":!benchmarks/results.json")
        changed = _git(checkout, "status", "--porcelain", "--untracked-files=no", "--", *kept)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{name}+" if changed else name


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git(checkout: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=checkout, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
