"""Imports run one way: a room imports only the rooms above it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "aiocopick"

# From the ground up, as ARCHITECTURE.md draws them. `testing` may import any room, and none imports it.
ROOMS = [
    "_version",
    "errors",
    "extras",
    "progress",
    "concurrency",
    "models",
    "layout",
    "formats",
    "storage",
    "volumes",
    "pictures",
    "layers",
    "entities",
    "tables",
    "sync",
    "opening",
    "compat",
    "upkeep",
    "distributed",
    "training",
    "convert",
    "pages",
    "sample",
    "cli",
    "testing",
]

# The specification wants `CopickConfigFS.fs()`, which needs a filesystem: one lazy import upwards.
ALLOWED = {("models/config.py", "storage")}


def room_of(path: Path) -> str:
    """The room a source file belongs to."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """Rooms that a file imports, wherever in the file the import stands."""
    rooms: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [node.module or ""]
            if node.module == "aiocopick":
                names = [f"aiocopick.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("aiocopick.")}
    return rooms & set(ROOMS)


FILES = sorted(path for path in SOURCE.rglob("*.py") if path != SOURCE / "__init__.py")


def test_every_room_is_known() -> None:
    unknown = {room_of(path) for path in FILES} - set(ROOMS) - {"__main__"}
    assert not unknown


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_room_imports_only_rooms_above_it(path: Path) -> None:
    room = room_of(path)
    if room in ("testing", "__main__"):
        return
    above = set(ROOMS[: ROOMS.index(room) + 1])
    wrong = {
        other for other in imported_rooms(path) - above if (path.relative_to(SOURCE).as_posix(), other) not in ALLOWED
    }
    assert not wrong, f"{path.relative_to(SOURCE)} imports {sorted(wrong)}, which lie below it"
