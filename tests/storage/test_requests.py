"""What is sent, how often and where to: one request for each attempt, to no other host, by the proxy of the environment."""

from __future__ import annotations

import asyncio
import importlib
import re
import socket
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from aiocopick.errors import StorageError, StorageTimeoutError
from aiocopick.storage import Storage, open_storage, retries as retry_layer
from aiocopick.storage.backends import azure
from aiocopick.storage.backends.s3 import arguments_of
from aiocopick.storage.settings import Settings
from aiocopick.testing import Answer, FaultServer, Request
from tests.storage.test_answers import KINDS, fields, listing

CUSTOMER_KEY = "01234567890123456789012345678901"


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat at once."""
    monkeypatch.setattr(retry_layer, "pause", lambda attempt: 0.0)


@pytest_asyncio.fixture
async def opened(kind: str) -> AsyncIterator[tuple[FaultServer, Storage]]:
    async with FaultServer() as server:
        storage = open_storage(Settings(**fields(kind, server.url), retries=2))
        yield server, storage
        await storage.aclose()


def honest(request: Request) -> Answer:
    """Answer as each of the servers would to the little that is asked here."""
    headers = {"etag": '"1"', "x-goog-generation": "1", "last-modified": "Tue, 01 Jan 2030 00:00:00 GMT"}
    if request.method == "GET" and "range" in request.headers:
        return Answer(206, headers | {"content-range": "bytes 0-6/7"}, b"content")
    if request.method == "GET" and not request.path.endswith("dir/"):
        return Answer(200, headers, b"content")
    return Answer(200, {**headers, "content-type": "text/html"}, b'<h1>Index of</h1><a href="a">a</a>')


@pytest.mark.asyncio
async def test_a_kept_connection_that_breaks_is_counted(opened: tuple[FaultServer, Storage]) -> None:
    server, storage = opened
    server.always(honest)
    assert await storage.read("object") == b"content"
    for _ in range(3):
        server.requests.clear()
        before = storage.stats.requests["read"]
        server.plan("object", ["reset", "reset"])
        assert await storage.read("object") == b"content"
        assert len(server.requests) == 3
        assert storage.stats.requests["read"] - before == 3
    server.requests.clear()
    server.plan("object", ["reset"] * 10)
    with pytest.raises(StorageError):
        await storage.read("object")
    assert len(server.requests) == 3


@pytest.mark.asyncio
@pytest.mark.parametrize("fault", ["reset", "503"])
async def test_every_request_is_counted(opened: tuple[FaultServer, Storage], kind: str, fault: str) -> None:
    server, storage = opened
    server.always(honest)
    await storage.read("object")
    operations = {"list": lambda: storage.list("dir"), "read": lambda: storage.read("object")}
    if kind != "http":
        operations |= {
            "write": lambda: storage.write("object", b"1"),
            "delete": lambda: storage.delete_many(["object"]),
            "copy": lambda: storage.copy("object", "other"),
        }
    server.always(fault)
    for operation in operations.values():
        server.requests.clear()
        with pytest.raises(StorageError):
            await operation()
        assert len(server.requests) == 3


def keyed(kind: str, address: str) -> dict[str, Any]:
    """Return a config with every secret that its kind of storage can send."""
    config = fields(kind, address)
    if kind in ("s3", "obstore"):
        config["fs_args"] |= {
            "token": "canary-token",
            "s3_additional_kwargs": {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": CUSTOMER_KEY},
        }
    elif kind == "gs":
        config["fs_args"]["session_kwargs"] = {"headers": {"Authorization": "canary", "X-Key": "canary"}}
    elif kind == "http":
        config["root"] = config["root"].replace("http://", "http://user:canary@") + "?token=canary"
        config["fs_args"] = {"headers": {"X-Key": "canary"}}
    return config


@pytest.mark.asyncio
@pytest.mark.parametrize("status", ["301", "302", "303", "307", "308"])
@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "http"])
async def test_no_redirect_takes_anything_to_another_host(kind: str, status: str, given: bool) -> None:
    async with FaultServer() as other, FaultServer() as server:
        other.always(honest)
        config = (keyed if given else fields)(kind, server.url)
        storage = open_storage(Settings(**config, retries=0))
        server.always(honest if kind not in ("gs", "az") else "404")
        try:
            # S3 reads differently once the first one has succeeded.
            await storage.read("object")
        except StorageError:
            assert kind in ("gs", "az") or given
        except FileNotFoundError:
            assert kind in ("gs", "az")
        # obstore can be kept from other hosts, though not from other ports.
        target = other.url.replace("127.0.0.1", "localhost") if kind == "obstore" else other.url
        server.always(f"redirect {target}/elsewhere {status}")
        for operation in (
            lambda: storage.read("object"),
            lambda: storage.read("object", (0, 3)),
            lambda: storage.list("dir"),
            lambda: storage.stat("object"),
            lambda: storage.write("object", b"canary"),
            lambda: storage.write("object", b"canary", create=True),
            lambda: storage.delete_many(["object"]),
            lambda: storage.copy("object", "other"),
        ):
            with pytest.raises(StorageError):
                await operation()
        assert other.requests == []
        await storage.aclose()


@pytest.mark.asyncio
async def test_obstore_follows_a_redirect_to_another_port_and_no_other_host() -> None:
    """It sends the session token there as well, which the documentation says."""
    async with FaultServer() as other, FaultServer() as server:
        server.always(honest)
        other.always(honest)
        config = fields("obstore", server.url)
        config["fs_args"]["token"] = "canary"
        storage = open_storage(Settings(**config, retries=0))
        content = await storage.read("object")
        server.always(f"redirect {other.url}/elsewhere 307")
        assert await storage.read("object") == content
        assert {request.path for request in other.requests} == {"/elsewhere"}
        other.requests.clear()
        for host in ("localhost", "127.0.0.2", "[::1]"):
            server.always(f"redirect {other.url.replace('127.0.0.1', host)}/elsewhere 307")
            with pytest.raises(StorageError, match="redirects to another host"):
                await storage.read("object")
        assert other.requests == []
        await storage.aclose()


@pytest.mark.asyncio
async def test_http_follows_a_redirect_with_nothing_secret() -> None:
    async with FaultServer(contents={"/elsewhere": b"content"}) as other, FaultServer() as server:
        server.always(f"redirect {other.url}/elsewhere 307")
        storage = open_storage(Settings(**keyed("http", server.url)))
        assert await storage.read("object") == b"content"
        [request] = other.requests
        assert "canary" not in f"{request.target} {request.headers}"
        await storage.aclose()


@pytest.mark.asyncio
async def test_the_environment_names_the_proxy(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with FaultServer() as proxy:
        page = Answer(200, {"content-type": "text/html"}, b'<h1>Index of</h1><a href="a">a</a>')
        proxy.always(page if kind == "http" else listing("s3" if kind == "obstore" else kind, "p/dir/a"))
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.setenv(name, "elsewhere.test,.internal.test")
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, proxy.url.replace("http://", "http://user:pass@"))
        storage = open_storage(Settings(**fields(kind, "http://storage.test:8080"), retries=0))
        assert [entry.key for entry in await storage.list("dir")] == ["dir/a"]
        [request] = proxy.requests
        assert "storage.test" in request.target + request.headers["host"]
        assert request.headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"
        await storage.aclose()
        own = open_storage(Settings(**fields(kind, "http://storage.elsewhere.test:8080"), retries=0, timeout=5))
        with pytest.raises(StorageError):
            await own.list("dir")
        assert len(proxy.requests) == 1
        await own.aclose()


@pytest.mark.parametrize("kind", ["s3", "gs", "az"])
@pytest.mark.parametrize("how", ["is cancelled", "is late", "ends with its loop"])
def test_an_upload_that_is_given_up_leaves_no_connection(kind: str, how: str, open_connections: list[str]) -> None:
    # To import it for the first time takes as long as the deadline.
    importlib.import_module({"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}[kind])
    accepted: list[socket.socket] = []
    arrived = threading.Event()

    def accept() -> None:
        # It takes connections and never reads from them, so that the body stays on our side.
        while True:
            connection, _ = listening.accept()
            if arrived.is_set():
                connection.close()
                return
            accepted.append(connection)
            arrived.set()

    async def upload(address: str) -> None:
        timeout = 60 if how == "is cancelled" else 2
        storage = open_storage(Settings(**fields(kind, address), retries=0, timeout=timeout))
        task = asyncio.ensure_future(storage.write("large", bytes(30_000_000)))
        if how == "is cancelled":
            await asyncio.to_thread(arrived.wait)
            await asyncio.sleep(0.1)
            task.cancel()
        with pytest.raises((StorageError, asyncio.CancelledError)):
            await task
        if how != "ends with its loop":
            await storage.aclose()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=accept)
        thread.start()
        address = listening.getsockname()
        try:
            asyncio.run(upload(f"http://127.0.0.1:{address[1]}"))
        finally:
            arrived.set()
            socket.create_connection(address).close()
            thread.join()
            for connection in accepted:
                connection.close()
    assert accepted
    assert open_connections == []


@pytest.mark.asyncio
async def test_a_connection_to_azure_that_comes_too_late_leaves_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions: list[aiohttp.ClientSession] = []
    monkeypatch.setattr(azure, "prepared", lambda session: sessions.append(session) or session)
    found = azure._import
    monkeypatch.setattr(azure, "_import", lambda: (time.sleep(0.5), found())[1])
    storage = open_storage(Settings(**fields("az", "http://127.0.0.1:9"), retries=0, timeout=0.2))
    importlib.import_module("adlfs")
    with pytest.raises(StorageTimeoutError):
        await storage.read("large")
    assert [session.closed for session in sessions] == [True]
    await storage.aclose()


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["s3", "obstore", "gs", "az"])
async def test_a_look_at_one_name_asks_for_few(opened: tuple[FaultServer, Storage], kind: str) -> None:
    server, storage = opened
    server.always(listing(kind, "p/dir/a"))
    assert (await storage.stat("dir/a")).key == "dir/a"
    [request] = server.requests
    asked = re.search(r"(?:max-keys|maxResults|maxresults)=(\d+)", request.target)
    assert asked is not None
    assert int(asked[1]) <= 10


@pytest.mark.parametrize("place", ["fs_args", "client_kwargs"])
@pytest.mark.parametrize("address", ["http://localhost:9000", "https://s3.example.org", None])
def test_certificates_are_looked_at_unless_the_connection_is_plain(place: str, address: str | None) -> None:
    endpoint = {} if address is None else {"endpoint_url": address}
    given = endpoint if place == "fs_args" else {"client_kwargs": endpoint}
    arguments = arguments_of(Settings(root="s3://bucket", fs_args=given))
    assert arguments["client_kwargs"].get("verify", True) is (address != "http://localhost:9000")
