"""No message advises to delete or overwrite: what we do not understand may be somebody's only copy."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import aiocopick

SOURCES = Path(aiocopick.__file__).parent

ADVICE = re.compile(
    r"\b(delete|remove|replace|overwrite|discard|erase|restore) (it|them|this|that)\b"
    r"|overwrite=True|(write|store) (it|one|the \w+) (again|anew|with)",
    re.IGNORECASE,
)

# After a conflict, which version stays is the user's choice; the other one is named first.
CHOICE = "load it and repeat the change, or keep this version"


def _messages(source: str) -> list[str]:
    tree = ast.parse(source)
    documents = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents
    ]


def test_no_message_advises_to_delete_or_overwrite() -> None:
    found = [
        f"{path.relative_to(SOURCES)}: {text}"
        for path in SOURCES.rglob("*.py")
        for text in _messages(path.read_text(encoding="utf-8"))
        if ADVICE.search(text) and "\n" not in text.strip() and CHOICE not in text
    ]
    assert found == []


def test_such_advice_would_be_found() -> None:
    assert [text for text in _messages('raise OSError(f"{path} is broken; delete it.")') if ADVICE.search(text)]
