"""Deleting what was named."""

from __future__ import annotations

from collections import Counter

import pytest

from aiocopick.entities import AsyncRoot
from aiocopick.errors import CopickError, ReadOnlyError
from aiocopick.tables import catalog
from aiocopick.upkeep import matching, remove


async def kinds_of(root: AsyncRoot) -> Counter[str]:
    return Counter((await catalog(root))["kind"].to_pylist())


@pytest.mark.asyncio
async def test_what_matches_is_deleted_and_nothing_else(sample: AsyncRoot) -> None:
    before = await kinds_of(sample)
    chosen = await matching(sample, "ribosome:template-matching")
    assert len(chosen) == 2
    assert await kinds_of(sample) == before
    assert await remove(chosen) == {}
    assert await kinds_of(sample) == before - Counter(picks=2)


@pytest.mark.asyncio
async def test_whole_runs_are_deleted_by_name(sample: AsyncRoot) -> None:
    assert await remove(await matching(sample, runs="TS_001")) == {}
    assert set((await catalog(sample))["run"].to_pylist()) == {"TS_002", None}


@pytest.mark.asyncio
async def test_a_tomogram_goes_with_its_features(sample: AsyncRoot) -> None:
    chosen = await matching(sample, kinds={"tomograms", "features"}, runs="TS_001")
    assert len(chosen) == 2
    assert await remove(chosen) == {}
    found = await kinds_of(sample)
    assert (found["tomogram"], found["features"], found["voxel_spacing"]) == (1, 1, 2)


@pytest.mark.asyncio
async def test_what_lies_inside_goes_first(sample: AsyncRoot) -> None:
    deleted: list[str] = []
    chosen = await matching(sample, kinds={"voxel_spacings", "tomograms", "features", "segmentations"})
    assert await remove(chosen, progress=deleted.append) == {}
    kinds = {item.path: item.kind for item in chosen}
    depths = {"voxel_spacing": 0, "tomogram": 1, "features": 2, "segmentation": 2}
    order = [depths[kinds[path]] for path in deleted]
    assert len(order) == len(chosen)
    assert order == sorted(order, reverse=True)


@pytest.mark.asyncio
async def test_something_has_to_be_named(sample: AsyncRoot) -> None:
    with pytest.raises(CopickError, match="what to delete"):
        await matching(sample)


@pytest.mark.asyncio
async def test_what_cannot_be_deleted_is_said(sample: AsyncRoot) -> None:
    protected = sample.options(read_only=True)
    failed = await remove(await matching(protected, "ribosome:curator"))
    assert len(failed) == 2
    assert all(isinstance(error, ReadOnlyError) for error in failed.values())
