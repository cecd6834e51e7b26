"""Configurations of copick's own projects for the tests that run in copick's Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import copick

from aiocopick.testing import CONTRACT_OBJECTS


def copick_config(folder: Path, name: str = "theirs") -> dict[str, Any]:
    """A project that is all in one writable folder."""
    return {
        "config_type": "filesystem",
        "name": name,
        "description": "",
        "version": copick.__version__,
        "pickable_objects": CONTRACT_OBJECTS,
        "user_id": "someone",
        "overlay_root": f"local://{folder}",
        "overlay_fs_args": {"auto_mkdir": True},
    }
