"""Projects are what the works take them for."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.datasets import CHUNKS, FEW, catalogued, listing
from benchmarks.subjects.keys import CATALOG

import aiocopick


@pytest.mark.asyncio
async def test_a_catalogue_of_many_runs_is_that_of_each(tmp_path: Path) -> None:
    import anyio

    dataset = await anyio.to_thread.run_sync(catalogued, 50)
    content = dataset.files[CATALOG]
    assert isinstance(content, bytes)
    path = tmp_path / CATALOG
    path.write_bytes(content)
    assert len(await aiocopick.load_table(str(path))) == 50 * 11
    async with aiocopick.open(str(tmp_path), catalog=str(path)) as root:
        run = await root.get_run("TS_00025")
        assert run is not None
        assert [picks.session_id for picks in await run.picks()] == ["1", "2", "3"]
        assert len(await run.segmentations()) == 2


def test_a_disk_is_spared_the_chunks_that_no_listing_sees() -> None:
    def chunks(keys: object) -> int:
        return sum("/wbp.zarr/0/" in key and not key.endswith(".zarray") for key in keys)  # type: ignore[attr-defined]

    project = listing(2)
    assert (chunks(project.run), chunks({**project.run, **project.filling})) == (FEW, CHUNKS)
    asked = listing(2, chunks=7)
    assert (chunks(asked.run), asked.filling) == (7, {})
