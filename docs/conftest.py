"""Run the Python blocks of the documentation: `pytest docs`.

Each page is a namespace of its own, in a temporary folder that holds the sample project as `sample/` and its
configuration as `sample/copick_config.json`. A block that needs more than that is preceded by `<!-- skip: next -->`, or by
`<!-- skip: next if(missing("name"), reason="...") -->` if a package is all it needs.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

import aiocopick
from aiocopick.sample import sample_config, write_sample


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """The sample project, written once."""
    folder = tempfile.TemporaryDirectory(prefix="aiocopick-docs-", ignore_cleanup_errors=True)

    async def write() -> None:
        async with aiocopick.open(sample_config("sample")) as root:
            await write_sample(root)

    before = os.getcwd()
    os.chdir(folder.name)
    try:
        asyncio.run(write())
        Path("sample/copick_config.json").write_text(sample_config("sample").to_json(), encoding="utf-8")
    finally:
        os.chdir(before)
    return folder


def _setup(namespace: dict[str, Any]) -> None:
    namespace["missing"] = lambda package: find_spec(package) is None
    namespace["_before"] = os.getcwd()
    namespace["_folder"] = tempfile.mkdtemp(prefix="aiocopick-page-")
    shutil.copytree(Path(_folder().name) / "sample", Path(namespace["_folder"]) / "sample")
    os.chdir(namespace["_folder"])


def _teardown(namespace: dict[str, Any]) -> None:
    os.chdir(namespace["_before"])
    shutil.rmtree(namespace["_folder"])


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    pattern="*.md",
    excludes=["tour.md"],
    setup=_setup,
    teardown=_teardown,
).pytest()
