"""A docstring begins with a verb or a noun, as in the documentation of Python and numpy."""

from __future__ import annotations

import ast
from pathlib import Path

import aiocopick

SOURCES = Path(aiocopick.__file__).parent

BEGINNINGS = {"What", "Whatever", "Whether", "Where", "Wherever", "How", "Which", "Who", "Whoever", "Whose", "As"}


def docstrings(source: str) -> list[tuple[int, str]]:
    """Return the line and the text of each docstring, those of attributes included."""
    return [
        (statement.lineno, statement.value.value)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        for statement in node.body
        if isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    ]


def badly_begun(source: str) -> list[str]:
    """Return the docstrings that begin with a word of :data:`BEGINNINGS`."""
    return [
        f"{line}: {text.strip().splitlines()[0]}"
        for line, text in docstrings(source)
        if text.split() and text.split()[0].rstrip(",:.") in BEGINNINGS
    ]


def test_docstrings_begin_with_a_verb_or_a_noun() -> None:
    found = [
        f"{path.relative_to(SOURCES)}:{problem}"
        for path in sorted(SOURCES.rglob("*.py"))
        for problem in badly_begun(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_a_bad_beginning_is_found() -> None:
    source = (
        'class Box:\n    name: str\n    """Whether it is so."""\n    def size(self):\n        """Return the size."""\n'
    )
    assert badly_begun(source) == ["3: Whether it is so."]
