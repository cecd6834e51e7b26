"""Names that cannot be understood are left out, said once, and hide nothing."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import aiocopick


@pytest.mark.asyncio
async def test_a_strange_name_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "ExperimentRuns" / "TS_1" / "Picks"
    folder.mkdir(parents=True)
    for name in ("strange.json", "user_1_ribosome.json"):
        (folder / name).write_text("{}")
    with caplog.at_level(logging.WARNING, logger="aiocopick"):
        async with aiocopick.open(tmp_path) as root:
            for _ in range(2):
                run = (await root.query())[0]
                assert [picks.pickable_object_name for picks in await run.query_picks()] == ["ribosome"]
    assert [record.getMessage() for record in caplog.records] == [
        f"{folder / 'strange.json'} is not a name that CoPick gives, so it is left out."
    ]


@pytest.mark.asyncio
async def test_a_misspelt_option_opens_nothing(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="readonly"):
        async with aiocopick.open(tmp_path, readonly=True):
            pytest.fail("opened")
