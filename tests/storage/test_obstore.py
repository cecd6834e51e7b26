"""The second engine for S3: that it speaks to the same place as the same user, in as many requests."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from aiocopick.errors import StorageError
from aiocopick.models import CopickConfigFS, parse_config
from aiocopick.storage import Storage, loops, open_storage
from aiocopick.storage.backends.obstore import ObstoreBackend
from aiocopick.storage.settings import Settings
from aiocopick.testing import FaultServer
from tests.servers.s3 import MotoServer, S3Server

CONTENT = b"content"


@pytest_asyncio.fixture
async def recorded(moto_server: MotoServer) -> AsyncIterator[tuple[FaultServer, str, dict[str, Any]]]:
    """A server that remembers what it was asked, a bucket with an object, and the arguments that reach it."""
    bucket = moto_server.new_bucket()
    moto_server.seed(bucket, {"object": CONTENT})
    async with FaultServer(upstream=moto_server.url) as server:
        arguments = moto_server.fs_args()
        arguments["client_kwargs"] = {**arguments["client_kwargs"], "endpoint_url": server.url}
        yield server, f"s3://{bucket}", arguments


def opened(root: str, arguments: dict[str, Any]) -> Storage:
    return open_storage(Settings(root=root, fs_args=arguments, engine="obstore"))


def backend_of(storage: Any) -> ObstoreBackend:
    backend = loops.connection(storage._core.key, storage, storage._core.make).backend
    assert isinstance(backend, ObstoreBackend)
    return backend


@pytest.mark.asyncio
async def test_a_read_is_one_request_and_so_is_a_write(s3_server: S3Server) -> None:
    storage = opened(f"s3://{s3_server.new_bucket()}", s3_server.fs_args())
    with s3_server.counting() as counts:
        await storage.write("object", CONTENT)
        await storage.write_many((f"objects/{number}", CONTENT) for number in range(20))
        assert await storage.read("object") == CONTENT
        assert await storage.read("object", (1, 3)) == CONTENT[1:3]
        async with storage.read_many([f"objects/{number}" for number in range(20)]) as results:
            assert [content async for _, content in results] == [CONTENT] * 20
    assert counts == {"PutObject": 21, "GetObject": 22}
    await storage.aclose()


@pytest.mark.asyncio
async def test_credentials_of_the_environment_are_not_mixed_with_those_given(
    recorded: tuple[FaultServer, str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, root, arguments = recorded
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "of-the-environment")
    storage = opened(root, arguments)
    assert await storage.read("object") == CONTENT
    [request] = server.requests
    assert arguments["key"] in request.headers["authorization"]
    assert "x-amz-security-token" not in request.headers
    await storage.aclose()


@pytest.mark.asyncio
async def test_renewed_credentials_are_used(recorded: tuple[FaultServer, str, dict[str, Any]]) -> None:
    from aiobotocore.credentials import AioCredentials

    server, root, arguments = recorded
    storage = opened(root, arguments)
    await storage.read("object")
    backend_of(storage)._client._request_signer._credentials = AioCredentials("renewed", "secret", "token")
    await storage.write("another", CONTENT)
    await storage.read("another")
    assert "renewed" not in server.requests[0].headers["authorization"]
    for request in server.requests[1:]:
        assert "Credential=renewed/" in request.headers["authorization"]
        assert request.headers["x-amz-security-token"] == "token"
    await storage.aclose()


@pytest.mark.asyncio
async def test_who_asks_anonymously_signs_nothing(recorded: tuple[FaultServer, str, dict[str, Any]]) -> None:
    server, root, arguments = recorded
    storage = opened(root, {"anon": True, "client_kwargs": arguments["client_kwargs"]})
    server.always("403")
    with pytest.raises(StorageError, match="access denied"):
        await storage.read("object")
    assert "authorization" not in server.requests[0].headers
    await storage.aclose()


@pytest.mark.asyncio
async def test_what_only_the_other_engine_can_say_is_said_by_it(
    recorded: tuple[FaultServer, str, dict[str, Any]],
) -> None:
    server, root, arguments = recorded
    storage = opened(root, {**arguments, "requester_pays": True})
    await storage.read("object")
    await storage.write("another", CONTENT)
    assert [request.headers.get("x-amz-request-payer") for request in server.requests] == ["requester"] * 2
    await storage.aclose()


@pytest.mark.asyncio
async def test_a_missing_package_is_named(
    recorded: tuple[FaultServer, str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, root, arguments = recorded
    monkeypatch.setitem(sys.modules, "obstore", None)
    storage = opened(root, arguments)
    with pytest.raises(StorageError, match=r"aiocopick\[fast\]"):
        await storage.read("object")


def test_the_engine_is_a_field_of_the_configuration() -> None:
    config = parse_config({"overlay_root": "s3://a/b", "static_root": "s3://c/d", "engine": "obstore"})
    assert [layer.engine for layer in config.layer_configs()] == ["obstore", "obstore"]  # type: ignore[attr-defined]
    assert open_storage(CopickConfigFS(root="s3://a/b", engine="obstore"))._core.backend is ObstoreBackend  # type: ignore[attr-defined]
    assert open_storage(CopickConfigFS(root="s3://a/b"))._core.backend is not ObstoreBackend  # type: ignore[attr-defined]
    assert open_storage(CopickConfigFS(root="/a/b", engine="obstore"))._core.root.protocol == "file"  # type: ignore[attr-defined]
