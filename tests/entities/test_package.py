from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import aiocopick


def test_every_public_name_is_there_and_declared_for_type_checkers() -> None:
    declared: dict[str, str] = {}
    for node in ast.walk(ast.parse(Path(aiocopick.__file__).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("aiocopick."):
            declared |= {alias.asname or alias.name: node.module for alias in node.names}
    declared.pop("__version__")
    assert declared == aiocopick._ROOMS
    for name, room in declared.items():
        assert getattr(aiocopick, name) is getattr(import_module(room), name)
    assert set(aiocopick.__all__) == {*declared, "__version__"}
    assert set(aiocopick.__all__) <= set(dir(aiocopick))
    assert len(aiocopick.__all__) == len(set(aiocopick.__all__))


def test_errors_and_models_are_all_exported() -> None:
    assert set(import_module("aiocopick.errors").__all__) <= set(aiocopick.__all__)
    models = set(import_module("aiocopick.models").__all__) - {"parse_config"}
    assert models <= set(aiocopick.__all__)


def test_opening_a_project_imports_no_reader_of_meshes_or_tables() -> None:
    code = (
        "import asyncio, sys, aiocopick; asyncio.run(aiocopick.open('memory://x')._open()); "
        "print([name for name in ('trimesh', 'pandas', 'pyarrow', 'dask', 's3fs', 'gcsfs', 'scipy') "
        "if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="opne"):
        _ = aiocopick.opne  # type: ignore[attr-defined]
