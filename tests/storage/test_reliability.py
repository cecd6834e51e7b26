"""What a storage does when its server fails: plain HTTP, and real object stores behind a scripted server."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from aiocopick.errors import (
    NotFoundError,
    StorageError,
    StorageTimeoutError,
)
from aiocopick.storage import Storage, open_storage, retries as retry_layer
from aiocopick.storage.settings import Settings
from aiocopick.testing import FaultServer
from tests.servers.azure import ACCOUNT
from tests.servers.s3 import MotoServer

CONTENT = bytes(range(256)) * 20
LARGE = random.Random(7).randbytes(2 * 2**20 + 17)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat at once: how long the pauses are is another test's business."""
    monkeypatch.setattr(retry_layer, "pause", lambda attempt: 0.0)


@pytest.fixture(
    params=[
        "s3",
        "obstore",
        "http",
        pytest.param("gs", marks=pytest.mark.gcs),
        pytest.param("az", marks=pytest.mark.azure),
    ]
)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest_asyncio.fixture
async def faulty(kind: str, request: pytest.FixtureRequest) -> AsyncIterator[tuple[FaultServer, Storage]]:
    if kind == "http":
        async with FaultServer(contents={"/p/object": CONTENT, "/p/large": LARGE}) as server:
            storage = open_storage(Settings(root=f"{server.url}/p", timeout=20))
            yield server, storage
            await storage.aclose()
        return
    behind = request.getfixturevalue({"gs": "gcs_server", "az": "azure_server"}.get(kind, "moto_server"))
    protocol, engine = ("s3", "obstore") if kind == "obstore" else (kind, "s3fs")
    bucket = behind.new_bucket()
    behind.seed(bucket, {"p/object": CONTENT, "p/large": LARGE})
    signed = {f"/{ACCOUNT}/{bucket}/p/object": CONTENT, f"/{ACCOUNT}/{bucket}/p/large": LARGE}
    async with FaultServer(upstream=behind.url, contents=signed) as server:
        arguments = moved(behind.fs_args(), behind.url, server.url)
        root = f"{protocol}://{bucket}/p"
        storage = open_storage(Settings(root=root, fs_args=arguments, timeout=20, engine=engine))
        yield server, storage
        await storage.aclose()


def moved(arguments: Any, old: str, new: str) -> Any:
    """Arguments of a filesystem, with one address in the place of another."""
    if isinstance(arguments, dict):
        return {name: moved(value, old, new) for name, value in arguments.items()}
    return arguments.replace(old, new) if isinstance(arguments, str) else arguments


# obstore does not say for how long the server asked.
@pytest.mark.parametrize("kind", ["s3", "http"])
@pytest.mark.asyncio
async def test_a_pause_longer_than_the_deadline_is_not_begun(faulty: tuple[FaultServer, Storage]) -> None:
    server, storage = faulty
    server.always("503 3600")
    started = time.monotonic()
    with pytest.raises(StorageError, match="503"):
        await storage.read("object")
    assert len(server.requests) == 1
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("kind", ["s3", "http"])
@pytest.mark.asyncio
async def test_the_server_may_ask_for_a_pause(
    faulty: tuple[FaultServer, Storage], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, storage = faulty
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(retry_layer.anyio, "sleep", sleep)
    server.plan("/object", ["503 7"])
    assert await storage.read("object") == CONTENT
    assert pauses == [7.0]


@pytest.mark.asyncio
async def test_a_large_body_is_received_whole_or_not_at_all(faulty: tuple[FaultServer, Storage]) -> None:
    server, storage = faulty
    assert await storage.read("object") == CONTENT
    server.plan("/large", ["ok", "truncate", "reset", "short", "503"])
    assert await storage.read("large") == LARGE
    assert await storage.read("large") == LARGE
    assert await storage.read("large", (1_500_000, None)) == LARGE[1_500_000:]
    server.always("stall")
    with pytest.raises(StorageTimeoutError):
        await storage.options(timeout=0.5).read("large")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await storage.read("large")
    assert storage.stats.in_flight == 0
    server.always("short")
    with pytest.raises(StorageError, match="cut short"):
        await storage.options(retries=0).read("large")


# The others sign no range, so that it can be dropped on its way: they have a row of the scoreboard.
@pytest.mark.parametrize("kind", [pytest.param("az", marks=pytest.mark.azure)])
@pytest.mark.asyncio
async def test_an_ignored_range_gives_the_right_bytes(faulty: tuple[FaultServer, Storage]) -> None:
    server, storage = faulty
    server.always("whole")
    assert await storage.read("object", (100, 300)) == CONTENT[100:300]
    assert await storage.read("object", (-10, None)) == CONTENT[-10:]
    assert await storage.read("object", (5000, 99999)) == CONTENT[5000:]


@pytest.mark.asyncio
async def test_a_root_has_the_timeout_it_asks_for(faulty: tuple[FaultServer, Storage]) -> None:
    server, patient = faulty
    settings = patient._core.settings
    hasty = open_storage(dataclasses.replace(settings, timeout=0.2))
    server.always("stall")
    with pytest.raises(StorageTimeoutError):
        await hasty.read("object")
    server.always("later 0.5")
    # The connections are shared, and were made by the root that waits least.
    assert await open_storage(settings).read("object") == CONTENT
    assert await hasty.options(timeout=20).read("object") == CONTENT
    with pytest.raises(StorageTimeoutError):
        await hasty.read("object")
    await hasty.aclose()


@pytest.mark.asyncio
async def test_a_closed_port_is_an_error_within_the_deadline(kind: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        string = f"AccountName=a;AccountKey=a2V5;BlobEndpoint={address}/a;DefaultEndpointsProtocol=http"
        s3 = {"key": "k", "secret": "s", "client_kwargs": {"endpoint_url": address}}
        others = {"http": {}, "gs": {"token": "anon", "endpoint_url": address}, "az": {"connection_string": string}}
        arguments: dict[str, Any] = others.get(kind, s3)
        root = f"{address}/p" if kind == "http" else f"{kind.replace('obstore', 's3')}://bucket/p"
        engine = "obstore" if kind == "obstore" else "s3fs"
        storage = open_storage(Settings(root=root, fs_args=arguments, timeout=60, engine=engine))
        for operation in (storage.list(""), storage.read("object")):
            with pytest.raises(StorageError, match="endpoint"):
                await operation
        await storage.aclose()


@pytest.mark.asyncio
async def test_a_host_that_never_answers_is_a_timeout() -> None:
    # An address that is never routed.
    arguments = {"key": "k", "secret": "s", "client_kwargs": {"endpoint_url": "http://192.0.2.1:9"}}
    storage = open_storage(Settings(root="s3://bucket/p", fs_args=arguments, timeout=0.5))
    with pytest.raises((StorageTimeoutError, StorageError)):
        await storage.list("")
    await storage.aclose()


@pytest.mark.parametrize("engine", ["s3fs", "obstore"])
@pytest.mark.asyncio
async def test_a_missing_bucket_says_so(moto_server: MotoServer, engine: str) -> None:
    storage = open_storage(Settings(root="s3://never-made/p", fs_args=moto_server.fs_args(), engine=engine))
    for operation in (lambda: storage.list(""), lambda: storage.read("x"), lambda: storage.write("x", b"")):
        with pytest.raises(NotFoundError, match="bucket never-made does not exist"):
            await operation()
    assert not await storage.exists("")
    await storage.aclose()


@pytest.mark.asyncio
async def test_credentials_do_not_follow_a_redirect_to_another_host() -> None:
    async with FaultServer(contents={"/elsewhere": b"content"}) as other, FaultServer() as server:
        server.plan("/p/object", [f"redirect {other.url}/elsewhere"])
        arguments = {"headers": {"X-Token": "canary-1"}, "client_kwargs": {"headers": {"Authorization": "canary-2"}}}
        root = f"{server.url.replace('http://', 'http://user:canary-3@')}/p?token=canary-4"
        storage = open_storage(Settings(root=root, fs_args=arguments))
        assert await storage.read("object") == b"content"
        assert any("canary-4" in request.target for request in server.requests)
        for request in other.requests:
            assert "canary" not in request.target
            assert "canary" not in repr(request.headers)
        await storage.aclose()
