"""R22: a file that is larger than one of its kind may be, or does not end, is refused before it is in memory."""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import aiocopick
from aiocopick.errors import CopickError, FormatError, StorageError
from aiocopick.models import CopickConfigFS
from aiocopick.models.file_sizes import LARGEST
from aiocopick.storage import open_storage
from aiocopick.sync import CopickRootFS
from aiocopick.upkeep import copy
from tests.memory import traced
from tests.reliability.places import ALL, DISK, HTTP, MEMORY, NETWORK, Place

MEBIBYTE = 2**20
META = "ExperimentRuns/TS_1/.meta"
PICKS = "ExperimentRuns/TS_1/Picks/u_1_o.json"
FILAMENTS = "ExperimentRuns/TS_1/Filaments/u_1_o.json"
MESH = "ExperimentRuns/TS_1/Meshes/u_1_o.glb"
TOMOGRAM = "ExperimentRuns/TS_1/VoxelSpacing10.000/wbp.zarr"
DOCUMENTS = [f"{TOMOGRAM}/.zattrs", f"{TOMOGRAM}/0/.zarray", f"{TOMOGRAM}/zarr.json"]
KINDS = {
    META: "metadata",
    **dict.fromkeys(DOCUMENTS, "metadata"),
    PICKS: "picks",
    FILAMENTS: "filaments",
    MESH: "meshes",
}


async def _refused(work: Callable[[], Awaitable[object]], path: str, figure: int, kind: str) -> None:
    with pytest.raises(CopickError) as caught:
        await work()
    text = str(caught.value)
    assert path in text
    assert str(figure) in text
    assert f"max_file_bytes={{{kind!r}: ...}}" in text
    assert isinstance(caught.value, (FormatError, StorageError))


async def _first(storage: Any, key: str) -> object:
    """Read a file as bulk reads do."""
    async with storage.read_many_versioned([key]) as results:
        async for _, result in results:
            if isinstance(result, CopickError):
                raise result
            return result
    raise AssertionError


async def _through(storage: Any, key: str) -> object:
    async with storage.read_through([key], lambda _, data: len(data)) as results:
        async for _, result in results:
            if isinstance(result, CopickError):
                raise result
            return result
    raise AssertionError


@pytest.mark.asyncio
@pytest.mark.parametrize("place", ALL, indirect=True)
async def test_a_file_that_is_too_large_is_refused_by_every_way_of_reading(place: Place, measured: Any) -> None:
    writing = open_storage(place.writing)
    await writing.write_many((key, bytes(1001)) for key in KINDS)
    await writing.aclose()
    storage = open_storage(place.config(max_file_bytes=1000, retries=0))
    ways: list[Callable[[str], Awaitable[object]]] = [
        storage.read,
        storage.read_versioned,
        lambda key: _first(storage, key),
        lambda key: _through(storage, key),
    ]
    for key, kind in KINDS.items():
        for way in ways:
            before = storage.stats.requests["read"]
            await _refused(lambda way=way, key=key: way(key), storage.path_of(key), 1000, kind)  # type: ignore[misc]
            assert storage.stats.requests["read"] == before + 1
    # Exactly as large is not too large; kinds that are not named keep their limits; a view may have others.
    for option in (1001, dict.fromkeys(LARGEST, 1001), {"configs": 1}):
        view = storage.options(max_file_bytes=option)
        for key in KINDS:
            assert await view.read(key) == bytes(1001)
            assert await _through(view, key) == 1001
    await storage.aclose()
    measured(f"{len(KINDS) * len(ways)} of {len(KINDS) * len(ways)} reads refused, one request each")


@pytest.mark.asyncio
@pytest.mark.parametrize("place", NETWORK, indirect=True)
@pytest.mark.parametrize("way", ["endless", "endless no-length"])
async def test_an_answer_without_an_end_is_refused(place: Place, way: str, measured: Any) -> None:
    assert place.server is not None
    storage = open_storage(place.config(max_file_bytes={"picks": MEBIBYTE, "meshes": MEBIBYTE}, retries=0))
    # The first read of S3 is botocore's, later ones are not.
    writing = open_storage(place.writing)
    await writing.write(META, b"{}")
    await writing.aclose()
    place.server.always(way)
    with place.memory() as memory:
        await _refused(lambda: storage.read(PICKS), storage.path_of(PICKS), MEBIBYTE, "picks")
        place.server.always(None)
        assert await storage.read(META) == b"{}"
        place.server.always(way)
        await _refused(lambda: storage.read(PICKS), storage.path_of(PICKS), MEBIBYTE, "picks")
        await _refused(lambda: _first(storage, MESH), storage.path_of(MESH), MEBIBYTE, "meshes")
        await _refused(lambda: storage.read(META), storage.path_of(META), 16 * MEBIBYTE, "metadata")
    await storage.aclose()
    assert memory.peak < 64 * MEBIBYTE
    measured(f"refused; {memory.peak // MEBIBYTE} MiB")


@pytest.mark.asyncio
@pytest.mark.parametrize("place", [MEMORY, DISK, "s3", "obstore", HTTP], indirect=True)
async def test_a_project_with_one_in_it(place: Place) -> None:
    writing = open_storage(place.writing)
    contents = {META: b"{}" + b" " * 17 * MEBIBYTE, PICKS: b'{"points": []}' + b" " * MEBIBYTE}
    await writing.write_many(contents.items())
    async with place.open(max_file_bytes={"picks": MEBIBYTE}) as root:
        [run] = await root.query()
        await _refused(run.load_meta if hasattr(run, "load_meta") else run.meta, META, 16 * MEBIBYTE, "metadata")
        [picks] = await run.query_picks()
        await _refused(picks.load, PICKS, MEBIBYTE, "picks")
    await writing.aclose()
    with place.open_sync(max_file_bytes=32 * MEBIBYTE) as raised:
        assert raised.runs[0].picks[0].points == []


@pytest.mark.asyncio
@pytest.mark.parametrize("place", ALL, indirect=True)
@pytest.mark.parametrize(
    ("zarr_format", "options"),
    [(2, {}), (3, {}), (3, {"chunks": (8, 8, 8), "shards": (16, 16, 16)})],
    ids=["zarr2", "zarr3", "shards"],
)
async def test_a_chunk_is_no_larger_than_its_array_says(
    place: Place, zarr_format: int, options: dict[str, Any], measured: Any
) -> None:
    data = np.random.default_rng(1).normal(size=(16, 16, 16)).astype(np.float32)
    figure = 2 * data.nbytes + 32 * (8 if options else 1) + 65_536
    async with aiocopick.AsyncRoot(place.writing.model_copy(update={"zarr_format": zarr_format})) as writing:
        spacing = await (await writing.new_run("TS_1")).new_voxel_spacing(10.0)
        written = await spacing.new_tomogram("wbp")
        await written.from_numpy(data, levels=1, **options)
    storage = open_storage(place.writing)
    chunk = f"{TOMOGRAM}/0/0/0/0"
    whole = await storage.read(chunk)
    async with place.open(retries=0) as root:
        [run] = await root.query()
        [spacing] = await run.query_voxelspacings()
        [tomogram] = await spacing.query_tomograms()
        assert np.array_equal(await tomogram.numpy(), data)
        reads: list[Callable[[], Awaitable[object]]] = [tomogram.numpy, lambda: tomogram.numpy(x=slice(0, 3))]

        async def refused() -> None:
            for read in reads:
                # An endless answer to a range is already refused as a wrong answer, or ends with the connection.
                with pytest.raises(
                    (FormatError, StorageError), match=chunk if options else f"{figure} bytes"
                ) as caught:
                    await read()
                assert chunk in str(caught.value)

        await storage.write(chunk, whole + bytes(4 * MEBIBYTE))
        with place.memory() as memory:
            if not options:
                await refused()
            if place.server is not None:
                for way in ("endless", "endless no-length"):
                    place.server.always(way)
                    await refused()
                place.server.always(None)
        await storage.write(chunk, whole)
        assert np.array_equal(await tomogram.numpy(), data)
    await storage.aclose()
    # The server of faults is in this process, too.
    assert memory.peak < 64 * MEBIBYTE
    measured(f"refused at {figure} bytes; {memory.peak / MEBIBYTE:.1f} MiB")


@pytest.mark.asyncio
@pytest.mark.parametrize("place", NETWORK, indirect=True)
@pytest.mark.parametrize("way", ["copy", "compare", "copy up"])
async def test_a_copy_reads_no_more_of_a_chunk_than_was_listed(place: Place, way: str, measured: Any) -> None:
    data = np.arange(512, dtype=np.uint8).reshape(8, 8, 8)
    async with aiocopick.AsyncRoot(place.writing) as writing:
        spacing = await (await writing.new_run("TS_1")).new_voxel_spacing(10.0)
        await (await spacing.new_tomogram("wbp")).from_numpy(data, levels=1)
    # Web servers list no sizes; there, the limit for chunks holds.
    below = place.config(retries=0, read_only=True, max_file_bytes={"chunks": MEBIBYTE})
    above = CopickConfigFS(root=f"memory://{uuid.uuid4().hex}", user_id="someone", session_id="1")
    async with aiocopick.AsyncRoot(below) as source, aiocopick.AsyncRoot(above) as target:

        async def work() -> str:
            if way != "copy up":
                return str((await copy(source, target)).errors)
            stack = aiocopick.AsyncRoot.stack([target, source])
            [tomogram] = [found async for found in aiocopick.select(stack, kinds="tomograms")]
            with pytest.raises(CopickError) as caught:
                await tomogram.set_region(data[:1], z=slice(0, 1))
            return str(caught.value)

        if way == "compare":
            # What has no size in its listing is compared as well.
            assert [await work() for _ in range(2)] == ["{}", "{}"]
        assert place.server is not None
        for action in ("endless", "endless no-length"):
            place.server.plan("0/0/0/0", [action] * 9)
            place.server.plan("0%2F0%2F0%2F0", [action] * 9)
            with place.memory() as memory:
                text = await work()
            assert memory.peak < 16 * MEBIBYTE
            # A checksum of the store is compared without reading the source.
            if way != "compare" or text != "{}":
                assert f"{TOMOGRAM}/0/0/0/0" in text
                why = rf"larger than the ({MEBIBYTE} bytes that max_file_bytes|\d+ bytes that were listed)"
                assert re.search(why, text) or way == "compare"
    measured(f"refused; {memory.peak / MEBIBYTE:.1f} MiB")


@pytest.mark.skipif(not hasattr(os, "truncate"), reason="this system cannot make sparse files")
@pytest.mark.asyncio
async def test_two_gigabytes_of_meta_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / META
    path.parent.mkdir(parents=True)
    path.touch()
    os.truncate(path, 2 * 2**30)
    storage = open_storage(CopickConfigFS(root=str(tmp_path)))
    with traced() as memory:
        for way in (storage.read, lambda key: _first(storage, key)):
            await _refused(lambda way=way: way(META), str(path), 16 * MEBIBYTE, "metadata")  # type: ignore[misc]
    assert memory.peak < MEBIBYTE


@pytest.mark.asyncio
async def test_other_filesystems_read_no_more_than_they_may(tmp_path: Path) -> None:
    import zipfile

    archive = tmp_path / "project.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(META, b"{}" + b" " * 200 * MEBIBYTE)
        file.writestr(PICKS, b'{"points": []}')
    storage = open_storage(CopickConfigFS(root="zip://", fs_args={"fo": str(archive)}))
    with traced() as memory:
        await _refused(lambda: storage.read(META), META, 16 * MEBIBYTE, "metadata")
        await _refused(lambda: _first(storage, META), META, 16 * MEBIBYTE, "metadata")
    assert memory.peak < 64 * MEBIBYTE
    assert await storage.read(PICKS) == b'{"points": []}'
    await storage.aclose()


@pytest.mark.asyncio
async def test_a_config_that_is_too_large(tmp_path: Path) -> None:
    content = json.dumps({"root": str(tmp_path), "pickable_objects": []}).encode() + b" " * 17 * MEBIBYTE
    path = tmp_path / "config.json"
    path.write_bytes(content)
    MemoryFileSystem().pipe("/r22/config.json", content)
    for source in (str(path), "memory://r22/config.json"):

        async def work(source: str = source) -> None:
            await aiocopick.open(source)

        await _refused(work, source, 16 * MEBIBYTE, "configs")
        assert (await aiocopick.open(source, max_file_bytes={"configs": 18 * MEBIBYTE})).url
        with pytest.raises(CopickError, match="max_file_bytes"):
            aiocopick.open_sync(source)
    ways: tuple[Any, ...] = (aiocopick.from_file, CopickRootFS.from_file, CopickConfigFS.from_file)
    for blocking in ways:
        with pytest.raises(FormatError, match=f"{16 * MEBIBYTE} bytes that max_file_bytes allows for configs"):
            blocking(str(path))
        for limits in (18 * MEBIBYTE, {"configs": 18 * MEBIBYTE}):
            opened = blocking(str(path), max_file_bytes=limits)
            assert getattr(opened, "config", opened).max_file_bytes == limits
        with pytest.raises(FormatError, match="the 100 bytes that max_file_bytes"):
            blocking(path, max_file_bytes=100)


@pytest.mark.parametrize("option", [0, -1, {"picks": 0}, {"pictures": 5}, "much", [1]])
def test_what_is_no_limit(option: Any) -> None:
    with pytest.raises(ValueError, match="max_file_bytes"):
        CopickConfigFS(root="memory://r22", max_file_bytes=option)


def test_a_limit_is_kept_as_it_was_given() -> None:
    assert CopickConfigFS(root="memory://r22").max_file_bytes == LARGEST
    for option in (5, {"picks": 5}):
        config = CopickConfigFS(root="memory://r22", max_file_bytes=option)
        assert config.to_dict()["max_file_bytes"] == option
    assert "max_file_bytes" not in CopickConfigFS(root="memory://r22").to_dict()
