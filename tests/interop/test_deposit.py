"""Projects that copick's own deposit made: links to the files and volumes of another project."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

import aiocopick
from tests.interop.project import CopickProject

DEPOSIT = """
import sys
from copick.ops.deposit import deposit
deposit(sys.argv[1], sys.argv[2], picks_uris=["*:*/*"], segmentations_uris=["*:*/*@*"], tomograms_uris=["*@*"], n_workers=1)
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.asyncio
@pytest.mark.parametrize("version", [1, 2])
async def test_what_is_changed_in_a_deposit_leaves_the_deposited_project_as_it_is(
    request: pytest.FixtureRequest, tmp_path: Path, version: int
) -> None:
    made: CopickProject = request.getfixturevalue(f"copick{version}_project")
    original = made.copy_to(tmp_path / "original")
    python = request.getfixturevalue(f"copick{version}_python")
    deposited = tmp_path / "deposited"
    subprocess.run([python, "-c", DEPOSIT, original.config, deposited], check=True, capture_output=True)
    links = [path for path in deposited.rglob("*") if path.is_symlink()]
    assert {path.suffix for path in links} == {".json", ".zarr"}
    before = contents(tmp_path / "original")

    async with aiocopick.open(str(deposited), user_id="u", session_id="1") as root:
        for run in await root.runs():
            for spacing in await run.voxel_spacings():
                first, *others = await spacing.tomograms()
                shape = (await first.levels())[0].shape
                await first.from_numpy(np.zeros(shape, np.float32), levels=1)
                for tomogram in others:
                    await tomogram.delete()
            segmentations = await run.segmentations()
            for segmentation in segmentations[:1]:
                await segmentation.from_numpy(np.ones((4, 4, 4), np.uint8), levels=1)
            for segmentation in segmentations[1:]:
                await segmentation.delete()
            for number, picks in enumerate(await run.picks()):
                if number % 2:
                    await picks.delete()
                else:
                    await picks.from_numpy(np.zeros((1, 3)))
    assert contents(tmp_path / "original") == before
    assert not any(path.is_symlink() for path in links)
