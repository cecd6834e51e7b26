"""Entities across runs, by URI."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

import aiocopick
from aiocopick.entities import AsyncRoot
from aiocopick.errors import FormatError, InvalidNameError, LayerError, NotLoadedError
from aiocopick.tables import Selection, select

BROKEN = "ExperimentRuns/TS_002/Picks/curator_1_ribosome.json"


async def both_ways(selection: Selection) -> list[Any]:
    """What a selection holds; step by step and reading ahead are the same."""
    steps = [entity async for entity in selection]
    async with selection as ahead:
        read = [entity async for entity in ahead]
    assert [entity.ref for entity in steps] == [entity.ref for entity in read]
    assert steps == sorted(steps)
    return read


async def break_file(root: AsyncRoot) -> None:
    await root.layers[0].storage.write(BROKEN, b"{")  # type: ignore[attr-defined]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("uri", "kinds", "count"),
    [
        ("ribosome:curator/1", None, 3),
        ("ribosome", None, 6),
        ("*:curator/*", None, 6),
        ("re:ribo.*:cur.*/1", None, 3),
        ("nothing", None, 0),
        ("membrane", "meshes", 3),
        ("microtubule:curator", {"filaments"}, 3),
        ("*", {"picks", "meshes", "filaments"}, 18),
        (["ribosome:curator", "apo-ferritin:curator"], None, 6),
        (None, {"voxel_spacings"}, 3),
        (None, None, 21),
    ],
)
async def test_a_uri_selects_across_runs(sample: AsyncRoot, uri: Any, kinds: Any, count: int) -> None:
    assert len(await both_ways(select(sample, uri, kinds=kinds))) == count


@pytest.mark.asyncio
async def test_volumes_are_selected_by_voxel_size(sample_with_volumes: AsyncRoot) -> None:
    for uri, names in {
        "wbp@10": ["wbp@10.0"],
        "wbp@10.0:gradient": ["wbp@10.0:gradient"],
        "*@5.0": [],
        "membrane:*/*@10.0": ["membrane:membrain/0@10.0"],
        "cell:curator/1@10.0?multilabel=true": ["cell:curator/1@10.0?multilabel=true"],
    }.items():
        found = await both_ways(select(sample_with_volumes, uri, runs="TS_001"))
        assert [entity.uri for entity in found] == names


@pytest.mark.asyncio
async def test_runs_restrict_it(sample: AsyncRoot) -> None:
    found = await both_ways(select(sample, "ribosome:curator", runs="TS_00[13]"))
    assert [picks.run.name for picks in found] == ["TS_001", "TS_003"]
    found = await both_ways(select(sample, "ribosome:curator", runs=["TS_002"]))
    assert [picks.run.name for picks in found] == ["TS_002"]


@pytest.mark.asyncio
async def test_only_what_is_selected_is_loaded(s3_sample: AsyncRoot) -> None:
    before = s3_sample.stats.requests["read"]
    async with select(s3_sample, "ribosome:curator", load=True) as found:
        async for picks in found:
            assert len(picks.points) >= 3
    assert s3_sample.stats.requests["read"] == before + 3
    async for picks in select(s3_sample.options(), "ribosome:curator"):
        with pytest.raises(NotLoadedError):
            _ = picks.points


@pytest.mark.asyncio
async def test_what_cannot_be_read_is_raised_or_noted(sample: AsyncRoot) -> None:
    await break_file(sample)
    with pytest.raises(FormatError, match="TS_002"):
        _ = [picks async for picks in select(sample, "ribosome:curator", load=True)]
    with pytest.raises(FormatError, match="TS_002"):
        async with select(sample, "ribosome:curator", load=True) as found:
            _ = [picks async for picks in found]
    selection = select(sample, "ribosome:curator", load=True, on_error="skip")
    assert [picks.run.name for picks in await both_ways(selection)] == ["TS_001", "TS_003"]
    assert [path.endswith(BROKEN) for path in selection.errors] == [True]


@pytest.mark.asyncio
async def test_a_missing_run_is_raised_or_noted(sample: AsyncRoot) -> None:
    with pytest.raises(aiocopick.NotFoundError):
        _ = [picks async for picks in select(sample, "*", runs=["TS_001", "TS_099"])]
    selection = select(sample, "*", runs=["TS_001", "TS_099"], on_error="skip")
    assert len(await both_ways(selection)) == 4
    assert list(selection.errors) == ["TS_099"]


@pytest.mark.asyncio
async def test_it_may_be_left_at_any_time(sample: AsyncRoot) -> None:
    selection = select(sample, "*", load=True)
    async for _ in selection:
        break
    async with selection as found:
        async for _ in found:
            break
    with anyio.move_on_after(0):
        async with selection as found:
            async for _ in found:
                await anyio.sleep_forever()
    with pytest.raises(RuntimeError, match="mine"):
        await _fail_inside(selection)
    first, second = aiter(select(sample, "ribosome")), aiter(select(sample, "apo-ferritin"))
    names = [(await anext(iterator)).pickable_object_name for iterator in (first, second, first, second)]
    assert names == ["ribosome", "apo-ferritin"] * 2


async def _fail_inside(selection: Selection) -> None:
    async with selection as found:
        async for _ in found:
            raise RuntimeError("mine")


@pytest.mark.asyncio
async def test_what_is_no_uri_is_refused_at_once(sample: AsyncRoot) -> None:
    for uri, kinds in [("a:b:c", None), ("re:(", None), ("x", "planets"), ("x", {"voxel_spacings"})]:
        with pytest.raises(InvalidNameError):
            select(sample, uri, kinds=kinds)
    # One of several kinds that it can name is enough.
    assert select(sample, "wbp@10", kinds=["picks", "tomograms"]).scope.nouns == {"tomograms"}
    with pytest.raises(LayerError):
        select(sample, "x", on_error="ignore")  # type: ignore[arg-type]
