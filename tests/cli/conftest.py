"""A sample project on disk, written once."""

from __future__ import annotations

import shutil
from pathlib import Path

import anyio
import pytest

import aiocopick
from aiocopick.sample import sample_config, write_sample


@pytest.fixture(scope="session")
def sample_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample project with volumes and its config; not to be changed."""
    folder = tmp_path_factory.mktemp("sample")

    async def write() -> None:
        config = sample_config(folder)
        async with aiocopick.open(config) as root:
            await write_sample(root, runs=3)
        (folder / "copick_config.json").write_text(config.to_json(), encoding="utf-8")

    anyio.run(write)
    return folder


@pytest.fixture
def own_sample(sample_folder: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return Path(shutil.copytree(sample_folder, tmp_path / "project"))
