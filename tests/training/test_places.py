"""Batches of boxes from every kind of storage, without and with a cache on disk, also out of shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import aiocopick
from tests.training.projects import CHUNKS, address, batches, config, joined, names, of, write

pytestmark = pytest.mark.asyncio
KINDS = [
    "disk",
    "web",
    "moto",
    pytest.param("gcs", marks=pytest.mark.gcs),
    pytest.param("azure", marks=pytest.mark.azure),
]


async def made(kind: str, request: pytest.FixtureRequest, folder: Path, **how: Any) -> dict[str, Any]:
    """Write a project where a kind of storage has it; return its address and arguments."""
    if kind in ("disk", "web"):
        given: dict[str, Any] = {"root": str(folder)}
    else:
        server = request.getfixturevalue(f"{kind}_server")
        protocol = {"moto": "s3", "gcs": "gs", "azure": "az"}[kind]
        given = {"root": f"{protocol}://{server.new_bucket()}/project", "fs_args": server.fs_args()}
    async with aiocopick.open(config(**given, zarr_format=3 if how else 2)) as root:
        await write(root, 2, **how)
    return {"root": request.getfixturevalue("web_server")(folder).url} if kind == "web" else given


@pytest.mark.parametrize("shards", [None, CHUNKS])
@pytest.mark.parametrize("kind", KINDS)
async def test_boxes_are_the_same_everywhere(
    kind: str, shards: Any, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    how = {} if shards is None else {"chunks": (8, 8, 8), "shards": shards}
    async with aiocopick.open(config(address(), zarr_format=3 if how else 2)) as root:
        expected = await batches(of(await write(root, 2, **how), labels="membrane:tool"))
    given = await made(kind, request, tmp_path / "project", **how)
    for cache in (False, tmp_path / "cache", tmp_path / "cache"):
        async with aiocopick.open(config(**given, cache=cache)) as root:
            found = await batches(of(root, labels="membrane:tool"), ahead=True)
            stats = root.stats
        assert names(found) == names(expected)
        np.testing.assert_array_equal(joined(found), joined(expected))
        for batch, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(batch.segmentation, other.segmentation)
    # Disk is not cached, and this web server tells no versions.
    if kind not in ("disk", "web"):
        assert stats.cache_bytes > joined(expected).size
        # Listings told that everything is current: of the runs, their picks, and each volume.
        assert set(+stats.requests) == {"list"}
