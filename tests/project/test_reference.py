"""The reference names everything that is public, and its page of the command line is what the program says."""

from __future__ import annotations

import inspect
import os
import re
from functools import partialmethod
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import typer.cli
import typer.main
from typer.core import TyperCommand

from aiocopick.cli.app import program

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
COMMAND_LINE = REFERENCE / "command-line.md"
RECORD = "AIOCOPICK_RECORD=1 python -m pytest -n0 tests/project/test_reference.py"
MODULES = (
    "aiocopick",
    "aiocopick.convert",
    "aiocopick.distributed",
    "aiocopick.entities",
    "aiocopick.layers",
    "aiocopick.layers.foreign",
    "aiocopick.models",
    "aiocopick.pages",
    "aiocopick.sample",
    "aiocopick.storage",
    "aiocopick.sync",
    "aiocopick.tables",
    "aiocopick.testing",
    "aiocopick.training",
    "aiocopick.upkeep",
)


def shown() -> list[object]:
    """Everything that has a place in the reference; of a module, all that it defines."""
    found: list[object] = []
    for page in REFERENCE.glob("*.md"):
        for name in re.findall(r"^::: (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE):
            if name == "aiocopick.compat":  # needs copick, and has no names
                continue
            thing = resolved(name)
            found.append(thing)
            if isinstance(thing, ModuleType):
                found += [value for key, value in vars(thing).items() if not key.startswith("_")]
    return found


def resolved(name: str) -> object:
    """The object of a dotted name."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        parent, _, last = name.rpartition(".")
        return getattr(resolved(parent), last)


def public(module: str) -> list[str]:
    return [name for name in import_module(module).__all__ if not name.startswith("_")]


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_has_a_place(module: str) -> None:
    places = {id(thing) for thing in shown()}
    missing = [name for name in public(module) if id(getattr(import_module(module), name)) not in places]
    assert not missing, f"of {module}, no page in docs/reference shows {missing}"


@pytest.mark.parametrize("module", MODULES)
def test_every_public_method_has_a_text(module: str) -> None:
    """The pages leave out what has none."""
    missing = []
    for name in public(module):
        cls = getattr(import_module(module), name)
        if not inspect.isclass(cls):
            continue
        for base in cls.__mro__:
            for key, member in vars(base).items() if base.__module__.startswith("aiocopick") else ():
                is_own = inspect.isroutine(member) or isinstance(member, property)
                if is_own and not key.startswith(("_", "test_")) and not inspect.getdoc(getattr(cls, key, member)):
                    missing.append(f"{name}.{key}")
    assert not missing


def test_the_command_line_page_is_what_the_program_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    whole = partialmethod(TyperCommand.get_short_help_str, limit=200)  # else cut after 45 characters
    monkeypatch.setattr(TyperCommand, "get_short_help_str", whole)
    command = typer.main.get_command(program())
    text = typer.cli.get_docs_for_click(
        obj=command, ctx=typer.Context(command), name="aiocopick", title="Command line"
    ).rstrip()
    # Between backticks HTML is not unescaped.
    found = re.sub("&#x27;", "'", text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"')) + "\n"
    if os.environ.get("AIOCOPICK_RECORD"):
        COMMAND_LINE.write_text(found, encoding="utf-8")
    assert COMMAND_LINE.read_text(encoding="utf-8") == found, f"if that is meant, record it: {RECORD}"


def test_guides_read_picks_in_one_way() -> None:
    """``numpy()``, which ``from_numpy`` takes; the page of picks explains the other one."""
    pages = [*REFERENCE.parent.rglob("*.md"), REFERENCE.parents[1] / "README.md"]
    others = [page.name for page in pages if re.search(r"await \w+\.to_numpy\(", page.read_text(encoding="utf-8"))]
    assert others == []
    assert "## `numpy()` or `to_numpy()`" in (REFERENCE / "picks.md").read_text(encoding="utf-8")
