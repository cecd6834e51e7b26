"""The late store lists as S3 does."""

from __future__ import annotations

import json

import pytest
from benchmarks.datasets import listing
from benchmarks.late_store import Keys, LateStore
from benchmarks.subjects.keys import KINDS
from hypothesis import given, strategies as st

import aiocopick

NAMES = st.lists(st.text("ab-.", min_size=1, max_size=3), min_size=1, max_size=4, unique=True)
INNER = st.lists(
    st.sampled_from(["a", "a/b", "v.zarr/0", "v.zarr/1", "v.zarr-1", "w/v.zarr/0"]), min_size=1, unique=True
)
ASKED = st.sampled_from(["", "p/", "p/Exp", "p/ExperimentRuns/", "p/ExperimentRuns/a", "p/ExperimentRuns/a/", "q/",
                         "p/ExperimentRuns/a/v.", "p/ExperimentRuns/b/w/"])  # fmt: skip


@given(NAMES, INNER, ASKED, st.sampled_from(["", "/", ".zarr/", "runs/"]), st.data())
def test_a_listing_is_that_of_all_keys(
    names: list[str], inner: list[str], prefix: str, delimiter: str, data: st.DataObject
) -> None:
    keys = Keys("p/ExperimentRuns/", names, dict.fromkeys(inner, b"1"))
    every = sorted(f"p/ExperimentRuns/{name}/{key}" for name in names for key in inner)
    assert sorted(keys) == every
    after = data.draw(st.sampled_from(["", *every, *[f"{key.rpartition('/')[0]}/\U0010ffff" for key in every]]))
    wanted: dict[str, int | None] = {}
    for key in every:
        at = key.find(delimiter, len(prefix)) if delimiter else -1
        shown = key if at < 0 else key[: at + len(delimiter)]
        if key.startswith(prefix) and shown > after:
            wanted[shown] = 1 if at < 0 else None
    assert dict(keys.lines(prefix, delimiter, after)) == wanted


@pytest.mark.asyncio
async def test_projects_are_crawled_and_requests_counted() -> None:
    project = listing(40, chunks=30)
    with LateStore([0]) as store:
        store.add("p", project.names, {**project.run, **project.filling})
        client = {"endpoint_url": f"http://127.0.0.1:{store.ports[0]}", "region_name": "us-east-1"}
        fs_args = {"key": "a", "secret": "b", "client_kwargs": client}
        async with aiocopick.open("s3://late/p", fs_args=fs_args) as root:
            async with root.crawl(kinds=set(KINDS)) as runs:
                found = [run async for run in runs]
            assert [run.name for run in found] == list(project.names)
            assert [len(await run.picks()) for run in found] == [3] * 40
            [picks, *_] = await found[7].picks()
            assert (await picks.numpy())[0].shape == (20, 3)
        assert store.counts == {"ListObjectsV2": 2, "GetObject": 1}
        assert json.loads(store.answer("GET", "/counts", {})[1]) == store.counts
