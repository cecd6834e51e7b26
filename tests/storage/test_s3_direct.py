"""Reads that are signed here are those that botocore would have sent; where that is not known, botocore sends them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given, strategies as st

from aiocopick.concurrency.threads import in_thread
from aiocopick.errors import AccessDeniedError, NotFoundError
from aiocopick.storage import Storage, open_storage, retries
from aiocopick.storage.backends import s3_direct
from aiocopick.storage.backends.s3 import _session
from aiocopick.storage.backends.s3_direct import SignedTemplate
from aiocopick.storage.settings import Settings
from aiocopick.testing import FaultServer
from tests.servers.s3 import MinioServer, MotoServer

CREDENTIALS = ReadOnlyCredentials("access", "secret/with+signs", "token=")
BASE = "https://s3.example.org:9000/bucket/prefix/"
KEYS = st.text(st.characters(codec="utf-8", exclude_characters="?#\x00", exclude_categories=["Cc"]), min_size=1)


def signed(key: str, credentials: Any = CREDENTIALS, base: str = BASE, **headers: str) -> Any:
    """A GET as botocore's own signer signs it."""
    request = AWSRequest("GET", base + quote(key, safe="/~"), headers={"User-Agent": "test", **headers})
    S3SigV4Auth(credentials, "s3", "eu-north-1").add_auth(request)
    return request.prepare()


def signature_of(headers: Any) -> str:
    return str({name.lower(): value for name, value in headers.items()}["authorization"])


@given(KEYS, KEYS, st.sampled_from([None, "bytes=3-9", "bytes=-4"]))
def test_the_signature_is_botocores(first: str, key: str, part: str | None) -> None:
    form = SignedTemplate.of(signed(first), first, CREDENTIALS)
    assert form is not None
    expected = signed(key, **({} if part is None else {"Range": part}))
    date = {name.lower(): value for name, value in expected.headers.items()}["x-amz-date"]
    moment = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    url, headers = form.request(key, part, CREDENTIALS, moment)
    assert url == expected.url
    assert headers["authorization"] == signature_of(expected.headers)


@pytest.mark.parametrize("base", ["http://host:80/b/", "https://host/", "http://[::1]:9000/b/"])
def test_the_host_is_signed_as_it_is_sent(base: str) -> None:
    assert SignedTemplate.of(signed("key", base=base), "key", CREDENTIALS) is not None


def test_renewed_credentials_are_used() -> None:
    form = SignedTemplate.of(signed("a"), "a", CREDENTIALS)
    renewed = ReadOnlyCredentials("other", "another", None)
    assert form is not None
    _, headers = form.request("b", None, renewed, 0.0)
    assert "Credential=other/19700101/" in headers["authorization"]
    assert "x-amz-security-token" not in headers


def test_what_is_signed_otherwise_is_left_to_botocore() -> None:
    other = ReadOnlyCredentials("access", "another secret", None)
    assert SignedTemplate.of(signed("key"), "key", other) is None
    assert SignedTemplate.of(signed("key"), "key", None) is None
    assert SignedTemplate.of(signed("key"), "other", CREDENTIALS) is None
    assert SignedTemplate.of(signed("key", **{"x-amz-checksum-mode": "ENABLED"}), "key", CREDENTIALS) is None
    older = signed("key")
    older.headers["Authorization"] = "AWS access:c2lnbmF0dXJl"
    assert SignedTemplate.of(older, "key", CREDENTIALS) is None


def test_public_data_is_not_signed() -> None:
    request = AWSRequest("GET", f"{BASE}key", headers={"User-Agent": "test"}).prepare()
    form = SignedTemplate.of(request, "key", None)
    assert form is not None
    url, headers = form.request("other key", None, None, 0.0)
    assert url == f"{BASE}other%20key"
    assert "authorization" not in headers


@pytest_asyncio.fixture
async def storage(moto_server: MotoServer) -> AsyncIterator[Storage]:
    bucket = moto_server.new_bucket()
    opened = open_storage(Settings(root=f"s3://{bucket}/p", fs_args=moto_server.fs_args()))
    await opened.write("a b~ü.json", b"0123456789")
    yield opened
    await opened.aclose()


@pytest.mark.asyncio
async def test_botocore_is_asked_once(
    storage: Storage, moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aiobotocore.client import AioBaseClient

    calls: list[str] = []
    call = AioBaseClient._make_api_call

    async def counted(self: Any, operation: str, arguments: Any) -> Any:
        calls.append(operation)
        return await call(self, operation, arguments)

    monkeypatch.setattr(AioBaseClient, "_make_api_call", counted)
    with moto_server.counting() as counts:
        assert await storage.read("a b~ü.json") == b"0123456789"
        assert await storage.read("a b~ü.json", (2, 5)) == b"234"
        assert await storage.read("a b~ü.json", (-3, None)) == b"789"
        assert await storage.read("a b~ü.json", (50, 60)) == b""
        _, etag = await storage.read_versioned("a b~ü.json")
        with pytest.raises(NotFoundError):
            await storage.read("missing")
    assert etag == "781e5e245d69b566979b86e28d23f2c7"
    assert calls == ["GetObject"]
    assert counts == {"GetObject": 6}


@pytest.mark.asyncio
async def test_a_session_of_the_users_sees_every_request(storage: Storage, moto_server: MotoServer) -> None:
    seen: list[str] = []
    session = await in_thread(_session, {})
    session.get_component("event_emitter").register(
        "before-send.s3.GetObject", lambda request, **_: seen.append(request.url)
    )
    own = open_storage(Settings(root=storage.url, fs_args={**moto_server.fs_args(), "session": session}))
    for _ in range(3):
        await own.read("a b~ü.json")
    await own.aclose()
    assert len(seen) == 3


@pytest.mark.asyncio
async def test_a_refused_signature_is_left_to_botocore(
    minio_server: MinioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_storage(Settings(root=f"s3://{minio_server.new_bucket()}", fs_args=minio_server.fs_args()))
    await opened.write("key", b"0123456789")
    assert await opened.read("key") == b"0123456789"
    # As if this machine's clock were decades late.
    monkeypatch.setattr(
        s3_direct, "time", SimpleNamespace(time=lambda: 0.0, gmtime=time.gmtime, strftime=time.strftime)
    )
    with minio_server.counting() as counts:
        assert await opened.read("key") == b"0123456789"
        assert await opened.read("key", (2, 5)) == b"234"
    await opened.aclose()
    # MinIO counts no request whose signature it refuses.
    assert counts == {"GetObject": 2}


@pytest.mark.asyncio
@pytest.mark.parametrize("first", ["500", "503", "reset", "short"])
async def test_refusals_after_the_first_read_mean_the_same(
    storage: Storage, moto_server: MotoServer, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "pause", lambda attempt: 0.0)
    async with FaultServer(moto_server.url) as server:
        arguments = moto_server.fs_args()
        arguments["client_kwargs"]["endpoint_url"] = server.url
        faulty = open_storage(Settings(root=storage.url, fs_args=arguments, retries=1))
        assert await faulty.read("a b~ü.json") == b"0123456789"
        server.plan(".json", [first])
        assert await faulty.read("a b~ü.json") == b"0123456789"
        server.plan(".json", ["403"])
        with pytest.raises(AccessDeniedError):
            await faulty.read("a b~ü.json")
        assert await faulty.read("a b~ü.json") == b"0123456789"
        await faulty.aclose()
    assert server.counts["GET"] == 5
