"""Where a project is: the server of a bucket as a field, and paths that bring their own arguments."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pandas  # noqa: F401 - imported on first use by pyarrow, which blocks
import pytest
import upath

import aiocopick
from aiocopick.entities import AsyncRoot
from aiocopick.errors import FormatError
from aiocopick.models import CopickConfigFS, CopickConfigFSSpec, parse_config
from tests.entities.projects import write_run

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A new bucket, credentials in the environment, and the address of its server."""
    server = request.getfixturevalue("moto_server")
    for name, key in KEYS.items():
        monkeypatch.setenv(name, server.fs_args()[key])
    monkeypatch.setenv("AWS_DEFAULT_REGION", server.region)
    return f"s3://{server.new_bucket()}", server.url


@pytest.mark.asyncio
@pytest.mark.parametrize("engine", ["s3fs", "obstore"])
async def test_the_endpoint_is_a_field(bucket: tuple[str, str], engine: str, tmp_path: Path) -> None:
    url, endpoint = bucket
    shared: dict[str, Any] = {"endpoint_url": endpoint, "user_id": "me"}
    async with aiocopick.open(f"{url}/p", engine=engine, **shared) as root:
        await write_run(root)
    document = {"overlay_root": str(tmp_path / "overlay"), "static_root": f"{url}/p"} | shared
    path = tmp_path / "config.json"
    for form in ({"root": f"{url}/p"} | shared, document, {"layers": [f"{url}/p", str(tmp_path)]} | shared):
        path.write_text(json.dumps(form))
        async with aiocopick.open(path, engine=engine) as root:
            assert [run.name for run in await root.query()] == ["TS_1"]
    async with aiocopick.open(f"{url}/p", engine=engine, **shared) as root:
        stored = {"root": f"{url}/p", "user_id": "me"}
        await root.layers[0].storage.write("config.json", json.dumps(stored).encode())
    async with aiocopick.open(f"{url}/p/config.json", endpoint_url=endpoint, engine=engine) as root:
        assert root.layers[0].config.endpoint_url == endpoint
        assert len(await root.query()) == 1


@pytest.mark.asyncio
async def test_a_bucket_of_google_cloud(gcs_server) -> None:
    url = f"gs://{gcs_server.new_bucket()}/p"
    async with aiocopick.open(url, endpoint_url=gcs_server.url, fs_args={"token": "anon"}, user_id="me") as root:
        await write_run(root, volumes=False)
        assert len(await root.query()) == 1


def test_what_is_no_endpoint_is_refused() -> None:
    for root in ("/data", "memory://a", "https://host/p", "az://container/p"):
        with pytest.raises(FormatError, match="endpoint_url is for projects on S3 and Google Cloud"):
            parse_config({"root": root, "endpoint_url": "http://host"})
    with pytest.raises(FormatError, match=r"endpoint_url: .*begins with http"):
        parse_config({"root": "s3://b/p", "endpoint_url": "host:9000"})


def test_arguments_win_over_the_field() -> None:
    from aiocopick.storage.settings import Settings

    for given in ({"endpoint_url": "http://a"}, {"client_kwargs": {"endpoint_url": "http://a"}}):
        assert Settings.of(CopickConfigFS(root="s3://b", fs_args=given, endpoint_url="http://b")).fs_args == given


@pytest.mark.asyncio
async def test_a_path_with_its_arguments_is_a_source(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    server = request.getfixturevalue("moto_server")
    place = upath.UPath(f"s3://{server.new_bucket()}/p", **server.fs_args())
    async with aiocopick.open(place, user_id="me") as root:
        await write_run(root, volumes=False)
        document = json.dumps({"root": str(place), "fs_args": server.fs_args()})
        await anyio.to_thread.run_sync(place.parent.joinpath("config.json").write_text, document)
        table = await aiocopick.catalog(root)
        await aiocopick.store_table(table, place.parent / "catalog.parquet")
        assert (await aiocopick.load_table(place.parent / "catalog.parquet")).equals(table)
    sources: list[Any] = [
        place,
        place.parent / "config.json",
        {"root": place},
        CopickConfigFS(root=place),
        CopickConfigFSSpec(overlay_root=tmp_path, static_root=place),
        {"layers": [place]},
    ]
    for source in sources:
        async with aiocopick.open(source) as root:
            assert [run.name for run in await root.query()] == ["TS_1"]
    async with aiocopick.open(place, catalog=place.parent / "catalog.parquet") as root:
        assert len(await root.query()) == 1
    async with AsyncRoot.stack([place, str(tmp_path)]) as root:
        assert len(await root.query()) == 1
    async with aiocopick.open(upath.UPath(tmp_path), user_id="me") as root:
        assert await root.query() == []
    async with aiocopick.open(upath.UPath("memory://a/b"), user_id="me") as root:
        assert root.url == "memory://a/b"
