"""The first listing of a process, before s3fs is imported: the request and the entries are those of s3fs's client, and what
is not understood is left to it.
"""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest

from aiocopick.errors import AccessDeniedError, StorageTimeoutError
from aiocopick.storage import open_storage
from aiocopick.storage.backends.base import Backend, LaterError, Page
from aiocopick.storage.backends.s3 import S3Backend
from aiocopick.storage.backends.s3_first import FirstListing
from aiocopick.storage.keys import parse_root
from aiocopick.storage.settings import Settings
from aiocopick.testing import Answer, FaultServer
from tests.servers.s3 import MinioServer, MotoServer, S3Server

KEYS = {"key": "access", "secret": "secret/with+signs"}
HERE = {"endpoint_url": "http://127.0.0.1:9000"}


async def first(root: str = "s3://bucket/p", **fs_args: Any) -> FirstListing | None:
    settings = Settings(root=root, fs_args=fs_args)
    return await FirstListing.of(settings, parse_root(root))


@pytest.fixture
def always_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask first without s3fs, although the tests have imported it."""

    async def early(backend: S3Backend) -> Backend | None:
        return await FirstListing.of(backend.settings, backend.root)

    monkeypatch.setattr(S3Backend, "early", early)


@pytest.fixture(params=["moto", "minio"])
def server(request: pytest.FixtureRequest) -> S3Server:
    found: S3Server = request.getfixturevalue(f"{request.param}_server")
    return found


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fs_args", "variables"),
    [
        (KEYS | {"client_kwargs": {"region_name": "eu-north-1"}}, {}),
        (KEYS | {"token": "token="}, {"AWS_DEFAULT_REGION": ""}),
        (KEYS, {"AWS_SESSION_TOKEN": "of-other-keys", "AWS_DEFAULT_REGION": "eu-west-3"}),
        ({}, {}),
        ({}, {"AWS_SESSION_TOKEN": "token", "AWS_CA_BUNDLE": "/some/bundle.pem"}),
        ({"anon": True}, {}),
        ({"anon": True} | KEYS, {}),
    ],
)
async def test_the_request_is_that_of_botocore(
    fs_args: dict[str, Any], variables: dict[str, str], moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    fs_args = {"endpoint_url": moto_server.url} | fs_args
    root = f"s3://{moto_server.new_bucket()}/p"
    storage = open_storage(Settings(root=root, fs_args=fs_args))
    await storage.list("")
    backend: Any = storage._connection().backend  # type: ignore[attr-defined]
    form = backend._direct._forms["ListObjectsV2"]
    credentials, now, query = await backend._direct._frozen(), time.time(), "delimiter=%2F&list-type=2&prefix=p%2F"
    url, headers = form.request("", None, credentials, now, query)
    await storage.aclose()
    early = await first(root, **fs_args)
    assert early is not None
    ours, sent = early._form.request("", None, early._keys, now, query)
    ours_agent, agent = sent.pop("user-agent"), headers.pop("user-agent")
    assert agent.startswith(ours_agent)
    assert (ours, sent) == (url, headers)


@pytest.mark.asyncio
@pytest.mark.parametrize("setting", ["endpoint_url", "client_kwargs", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
async def test_the_endpoint_is_found_where_s3fs_finds_it(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://last:9000")
    order = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "client_kwargs", "endpoint_url"]
    fs_args: dict[str, Any] = {}
    for name in order[: order.index(setting) + 1]:
        address = f"http://{name.replace('_', '-').lower()}:9000"
        if name.startswith("AWS"):
            monkeypatch.setenv(name, address)
        else:
            fs_args[name] = {"endpoint_url": address} if name == "client_kwargs" else address
    early = await first(**fs_args)
    assert early is not None
    assert early._form._base == f"http://{setting.replace('_', '-').lower()}:9000/bucket"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("fs_args", "variables"),
    [
        ({}, {}),
        ({"endpoint_url": "https://s3.example.org"}, {}),
        ({"endpoint_url": "http://user@127.0.0.1:9000"}, {}),
        ({"endpoint_url": "http://127.0.0.1:9000/path"}, {}),
        ({"endpoint_url": "http://s3.eu-west-1.amazonaws.com"}, {}),
        (HERE | {"key": "alone"}, {}),
        (HERE | {"key": "", "secret": ""}, {}),
        (HERE | {"token": "alone"}, {}),
        (HERE | KEYS | {"token": "two\r\nlines: x"}, {}),
        (HERE | {"profile": "other"}, {}),
        (HERE | {"requester_pays": True}, {}),
        (HERE | {"s3_additional_kwargs": {"RequestPayer": "requester"}}, {}),
        (HERE | {"config_kwargs": {"s3": {"addressing_style": "virtual"}}}, {}),
        (HERE | {"client_kwargs": {"verify": False}}, {}),
        (HERE | {"client_kwargs": {"region_name": "eu\nnorth"}}, {}),
        (HERE, {"AWS_PROFILE": "other"}),
        (HERE, {"AWS_REQUEST_CHECKSUM_CALCULATION": "when_required"}),
        (HERE, {"AWS_SECRET_ACCESS_KEY": ""}),
        ({"endpoint_url": "http://elsewhere:9000"}, {"HTTP_PROXY": "http://proxy:8080"}),
        (HERE, {"AWS_CONFIG_FILE": __file__}),
        (HERE, {"AWS_SHARED_CREDENTIALS_FILE": __file__}),
    ],
)
async def test_whatever_else_is_said_is_left_to_s3fs(
    fs_args: dict[str, Any], variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert await first(**fs_args) is None


@pytest.mark.asyncio
@pytest.mark.parametrize("bucket", ["bucket.with.dots", "b--x-s3", "arn:aws:s3:x", "some-s3alias", "UPPER"])
async def test_buckets_that_have_addresses_of_their_own_are_left_to_s3fs(bucket: str) -> None:
    assert await first("s3://plain-bucket", **HERE) is not None
    assert await first(f"s3://{bucket}/p", **HERE) is None


@pytest.mark.asyncio
async def test_a_configuration_in_the_home_is_left_to_s3fs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("AWS_CONFIG_FILE")
    assert await first(**HERE) is not None
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text("[default]\nregion = eu-north-1\n")
    assert await first(**HERE) is None


@pytest.mark.asyncio
async def test_the_entries_are_those_of_s3fs(server: S3Server) -> None:
    bucket = server.new_bucket()
    names = [f"p/dir/{number:04}" for number in range(1100)] + ["p/a b~ü&+.json", "p/v.zarr/0/0.0", "p/v.zarr/.zgroup"]
    server.seed(bucket, dict.fromkeys(names, b"content"))
    settings = Settings(root=f"s3://{bucket}/p", fs_args=server.fs_args())
    early = await FirstListing.of(settings, parse_root(settings.root))
    assert early is not None
    backend = S3Backend(settings, parse_root(settings.root))
    await backend.connect()

    async def ask(backend: Backend) -> list[Any]:
        pages: list[Page] = []
        for prefix, delimiter in (("", "/"), ("", ".zarr/"), ("dir", None), ("v.zarr", "/"), ("missing", "/")):
            pages.append(await backend.list_page(prefix, delimiter))
        pages.append(await backend.list_page("dir", None, start_after="dir/0999"))
        return [*pages, await backend.stat("dir"), await backend.stat("a b~ü&+.json"), await backend.stat("")]

    assert [_without_token(item) for item in await ask(early)] == [_without_token(item) for item in await ask(backend)]
    with pytest.raises(FileNotFoundError):
        await early.stat("missing")
    await backend.close()


def _without_token(item: Any) -> Any:
    """MinIO's tokens are made anew for each answer."""
    return (item.entries, item.token is None, item.cut, item.marked) if isinstance(item, Page) else item


LISTING = b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>p/a</Key></Contents></ListBucketResult>"
XML = {"content-type": "application/xml"}


def chunked(body: bytes) -> bytes:
    return b"5;ext=1\r\n" + body[:5] + b"\r\n" + f"{len(body) - 5:X}".encode() + b"\r\n" + body[5:] + b"\r\n0\r\n\r\n"


@pytest.mark.asyncio
async def test_a_body_in_chunks_is_understood() -> None:
    async with FaultServer() as server:
        server.always(Answer(200, XML | {"transfer-encoding": "chunked"}, chunked(LISTING)))
        early = await first(endpoint_url=server.url)
        assert early is not None
        assert [row[0] for row in (await early.list_page("", "/")).entries] == ["a"]
        headers = server.requests[0].headers
    assert (headers["accept-encoding"], headers["connection"]) == ("identity", "close")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "action",
    [
        "403", "503", "redirect http://127.0.0.1:1/", "reset", "truncate", "no-length", "endless",
        Answer(200, {"content-type": "text/html"}, b"<html><body>Log in</body></html>"),
        Answer(200, XML, b"<ListBucketResult><Other/></ListBucketResult>"),
        Answer(200, XML, LISTING.replace(b"p/a", b"elsewhere/a")),
        Answer(200, XML | {"content-encoding": "gzip"}, LISTING),
        Answer(200, XML | {"transfer-encoding": "chunked"}, chunked(LISTING).replace(b"5;ext", b"-5;ext")),
        Answer(200, XML | {"transfer-encoding": "gzip, chunked"}, chunked(LISTING)),
        Answer(200, XML | {"a": "a" * 100_000}, LISTING),
        Answer(206, XML, LISTING),
    ],
)  # fmt: skip
async def test_what_is_no_listing_is_left_to_s3fs(action: str | Answer) -> None:
    async with FaultServer(contents={"/bucket": LISTING}) as server:
        server.always(action)
        early = await first(endpoint_url=server.url)
        assert early is not None
        with pytest.raises(LaterError):
            await early.list_page("", "/")
        assert len(server.requests) == 1


@pytest.mark.asyncio
async def test_a_server_that_is_not_there_is_left_to_s3fs() -> None:
    async with FaultServer() as server:
        address = server.url
    early = await first(endpoint_url=address)
    assert early is not None
    with pytest.raises(LaterError):
        await early.list_page("", "/")


@pytest.mark.asyncio
@pytest.mark.usefixtures("always_first")
async def test_only_the_first_request_is_sent_so(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = server.new_bucket()
    server.seed(bucket, {"p/ExperimentRuns/TS_1/Picks/a_b_c.json": b"{}"})
    connected: list[str] = []
    connect = S3Backend.connect

    async def noted(backend: S3Backend) -> None:
        connected.append(backend.root.url)
        await connect(backend)

    monkeypatch.setattr(S3Backend, "connect", noted)
    storage = open_storage(Settings(root=f"s3://{bucket}/p", fs_args=server.fs_args()))
    with server.counting() as counts:
        assert [entry.name for entry in await storage.list("ExperimentRuns")] == ["TS_1"]
        assert (connected, storage.stats.engine) == ([], None)
        assert [entry.name for entry in await storage.list("ExperimentRuns")] == ["TS_1"]
        assert len(connected) == 1
    assert counts == {"ListObjectsV2": 2}
    assert (storage.stats.requests, storage.stats.retries, storage.stats.in_flight) == ({"list": 2}, 0, 0)
    await storage.aclose()


@pytest.mark.asyncio
@pytest.mark.usefixtures("always_first")
async def test_a_read_comes_from_the_client_at_once(moto_server: MotoServer) -> None:
    bucket = moto_server.new_bucket()
    moto_server.seed(bucket, {"p/a": b"content"})
    storage = open_storage(Settings(root=f"s3://{bucket}/p", fs_args=moto_server.fs_args()))
    assert await storage.read("a") == b"content"
    assert storage.stats.requests == {"read": 1}
    await storage.aclose()


@pytest.mark.asyncio
@pytest.mark.usefixtures("always_first")
async def test_errors_are_those_of_s3fs(minio_server: MinioServer) -> None:
    bucket = minio_server.new_bucket()
    storage = open_storage(Settings(root=f"s3://{bucket}/p", fs_args=minio_server.denied_fs_args()))
    with pytest.raises(AccessDeniedError, match="Cannot list"):
        await storage.list("ExperimentRuns")
    assert storage.stats.requests == {"list": 2}
    await storage.aclose()


@pytest.mark.asyncio
@pytest.mark.usefixtures("always_first")
async def test_a_server_that_stalls_is_given_up() -> None:
    async with FaultServer() as server:
        server.always("stall")
        storage = open_storage(Settings(root="s3://bucket/p", fs_args={"endpoint_url": server.url}, timeout=0.2))
        with pytest.raises(StorageTimeoutError, match=r"no answer within 0\.2 s"):
            await storage.list("ExperimentRuns")
        # On a slow machine the first one may be given up before it was sent.
        sent = len(server.requests)
        task = asyncio.create_task(storage.options(timeout=60).list("ExperimentRuns"))
        while len(server.requests) == sent:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await storage.aclose()


def test_the_keys_are_not_shown() -> None:
    early = asyncio.run(first(**HERE))
    assert early is not None
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in repr(vars(early))
