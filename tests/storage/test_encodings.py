"""Objects that the server says are gzip: read whole, from every kind of server; anything else that is packed is refused."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import aiocopick
from aiocopick.concurrency.threads import in_thread
from aiocopick.errors import CopickError, StorageError
from aiocopick.formats.mesh import encode_mesh
from aiocopick.sample import sample_config
from aiocopick.storage import open_storage
from aiocopick.testing import Answer
from aiocopick.upkeep import copy
from tests.reliability.places import HTTP, NETWORK, Place, make_place

RUN = "ExperimentRuns/TS_1"
PICKS = f"{RUN}/Picks/u_1_o.json"
FILAMENTS = f"{RUN}/Filaments/u_1_o.json"
MESH = f"{RUN}/Meshes/u_1_o.glb"
TOMOGRAM = f"{RUN}/VoxelSpacing10.000/wbp.zarr"
NAMES = {"pickable_object_name": "o", "user_id": "u", "session_id": "1", "run_name": "TS_1"}


@pytest.fixture(params=NETWORK)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    with make_place(request.param, request, tmp_path) as made:
        yield made


async def say_gzip(place: Place, contents: dict[str, bytes], encoding: str = "gzip") -> None:
    """Put contents that the server says are packed."""
    assert place.server is not None
    if place.kind == HTTP:
        for key, data in contents.items():
            answer = Answer(200, {"etag": '"1"', "content-encoding": encoding}, data)
            place.server.plan(f"/{key}", [answer] * 20)
        return
    storage = open_storage(place.writing)
    await storage.write_many(contents.items())
    await storage.aclose()
    bucket, _, prefix = place.root.partition("://")[2].partition("/")
    if place.kind == "gs":
        import gcsfs

        files = gcsfs.GCSFileSystem(**place.writing.fs_args, asynchronous=True, skip_instance_cache=True)
        await files._set_session()
        for key in contents:
            await files._setxattrs(f"{bucket}/{prefix}/{key}", fixed_key_metadata={"content_encoding": encoding})
        await files._session.close()
    elif place.kind == "az":
        from azure.storage.blob import ContentSettings
        from azure.storage.blob.aio import BlobServiceClient

        async with BlobServiceClient.from_connection_string(place.writing.fs_args["connection_string"]) as service:
            for key in contents:
                blob = service.get_blob_client(bucket, f"{prefix}/{key}")
                await blob.set_http_headers(ContentSettings(content_encoding=encoding))
    else:
        import s3fs

        files = s3fs.S3FileSystem(**place.writing.fs_args, asynchronous=True, skip_instance_cache=True)
        client = await files.set_session()
        for key, data in contents.items():
            await client.put_object(Bucket=bucket, Key=f"{prefix}/{key}", Body=data, ContentEncoding=encoding)
        await client.close()


@pytest.mark.asyncio
async def test_a_project_of_packed_objects(place: Place) -> None:
    voxels = np.arange(8**3, dtype="f4").reshape(8, 8, 8)
    async with aiocopick.AsyncRoot(place.writing) as root:
        run = await root.new_run("TS_1")
        spacing = await run.new_voxel_spacing(10)
        await (await spacing.new_tomogram("wbp")).from_numpy(voxels, levels=1)
    storage = open_storage(place.writing)
    async with storage.scan(TOMOGRAM, None) as pages:
        documents = [entry.key async for page in pages for entry in page if "/.z" in entry.key]
    assert len(documents) >= 3
    contents = {key: await storage.read(key) for key in documents}
    contents[f"{RUN}/.meta"] = b'{"note": "x"}'
    contents[PICKS] = json.dumps(NAMES | {"points": [{"location": {"x": 1, "y": 2, "z": 3}}]}).encode()
    contents[FILAMENTS] = json.dumps(NAMES | {"filaments": []}).encode()
    contents[MESH] = await in_thread(encode_mesh, None)
    packed = {key: gzip.compress(data) for key, data in contents.items()}
    await storage.write_many(packed.items())
    await storage.aclose()
    await say_gzip(place, packed)
    # The first read of S3 is another one than the next.
    for _ in range(2):
        async with place.open() as root:
            [run] = await root.query()
            [picks] = await run.query_picks()
            positions, _ = await picks.numpy()
            assert positions.tolist() == [[1.0, 2.0, 3.0]]
            [filaments] = await run.query_filaments()
            assert (await filaments.load()).filaments == []
            [mesh] = await run.query_meshes()
            assert len((await mesh.load()).geometry) == 0
            [spacing] = await run.query_voxelspacings()
            [tomogram] = await spacing.tomograms()
            assert np.array_equal(await tomogram.numpy(), voxels)


@pytest.mark.asyncio
@pytest.mark.parametrize("zarr_format", [2, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("is_gzip", [True, False], ids=["gzip", "not gzip"])
async def test_a_volume_of_packed_chunks_is_right_or_refused(
    place: Place, zarr_format: int, is_gzip: bool, tmp_path: Path
) -> None:
    voxels = np.arange(8**3, dtype="f4").reshape(8, 8, 8)
    async with aiocopick.AsyncRoot(place.writing.model_copy(update={"zarr_format": zarr_format})) as root:
        spacing = await (await root.new_run("TS_1")).new_voxel_spacing(10)
        await (await spacing.new_tomogram("wbp")).from_numpy(voxels, levels=1)
    chunk = f"{TOMOGRAM}/0/0/0/0"
    storage = open_storage(place.writing)
    content = await storage.read(chunk)
    await storage.aclose()
    await say_gzip(place, {chunk: gzip.compress(content) if is_gzip else content})
    async with place.open(retries=0) as source, aiocopick.AsyncRoot(sample_config(str(tmp_path / "copy"))) as target:
        [tomogram] = [found async for found in aiocopick.select(source, kinds="tomograms")]
        # The server may unpack it, and the size that it lists is still that of the packed one.
        right = place.kind == "gs" and is_gzip
        for region in ({}, {"z": slice(0, 2)}):
            if right:
                assert np.array_equal(await tomogram.numpy(**region), voxels[region.get("z", slice(None))])
            else:
                with pytest.raises(CopickError, match=re.escape(chunk)) as caught:
                    await tomogram.numpy(**region)
                assert "Content-Encoding: gzip" in str(caught.value) or place.kind == "gs"
        errors = str((await copy(source, target)).errors)
        assert chunk in errors
        if place.kind != "gs":
            assert "Content-Encoding: gzip" in errors
        elif is_gzip:
            assert "unpacked" in errors


@pytest.mark.asyncio
async def test_what_cannot_be_unpacked_is_refused(place: Place) -> None:
    data = gzip.compress(bytes(1000))
    assert place.server is not None
    storage = open_storage(place.config(retries=0))
    writing = open_storage(place.writing)
    await writing.write_many([("first", b"1"), ("a.json", data), ("a", data), ("b", data)])
    await writing.aclose()
    assert await storage.read("first") == b"1"
    await say_gzip(place, {"a.json": data, "a": data})
    if place.kind == "gs":
        # This one unpacks, for those who do not say that they can, and then has no parts to give.
        assert await storage.read("a.json") == bytes(1000)
        assert await storage.read("a") == bytes(1000)
    else:
        assert await storage.read("a.json") == data
        for key, span in (("a.json", (0, 4)), ("a", (0, 4)), ("a", None)):
            with pytest.raises(StorageError, match="Content-Encoding"):
                await storage.read(key, span)
    await say_gzip(place, {"b": data}, "br")
    with pytest.raises(StorageError, match="Content-Encoding"):
        await storage.read("b")
    await storage.aclose()


def test_an_archive_is_called_one(tmp_path: Path) -> None:
    import zipfile

    archive = tmp_path / "project.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(PICKS, json.dumps(NAMES | {"points": []}))
        file.writestr(f"{RUN}/large", bytes(17 * 2**20))
    for opening in (aiocopick.open_sync, aiocopick.from_file):
        with pytest.raises(aiocopick.FormatError, match=r"ZIP archive.*zip://.*fo"):
            opening(archive)
    root = aiocopick.open_sync("zip://", fs_args={"fo": str(archive)})
    assert [picks.points for run in root.runs for picks in run.picks] == [[]]
