"""The second engine for S3: that it speaks to the same place as the same user, in as many requests."""

from __future__ import annotations

import asyncio
import inspect
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import aiocopick
from aiocopick.errors import StorageError
from aiocopick.models import CopickConfigFS, parse_config
from aiocopick.storage import Storage, loops, open_storage
from aiocopick.storage.backends import obstore
from aiocopick.storage.backends.obstore import ObstoreBackend
from aiocopick.storage.settings import Settings
from aiocopick.testing import Answer, FaultServer
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
        # What the client holds is copied for those who may keep it.
        assert type(await storage.read("object")) is bytes
        async with storage.read_many([f"objects/{number}" for number in range(20)]) as results:
            assert [content async for _, content in results] == [CONTENT] * 20
    assert counts == {"PutObject": 21, "GetObject": 23}
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


PLAIN = {"key": "k", "secret": "s", "client_kwargs": {"endpoint_url": "http://e", "region_name": "r"}}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, "obstore"),
        ({"anon": True}, "obstore"),
        ({"profile": "lab", "use_listings_cache": False, "requester_pays": False}, "obstore"),
        (PLAIN, "obstore"),
        ({"config_kwargs": {"s3": {"addressing_style": "path"}, "signature_version": "s3v4"}}, "obstore"),
        ({"client_kwargs": {"verify": False}}, "obstore"),
        ({"client_kwargs": {"verify": "/etc/ssl/own.pem"}}, "s3fs"),
        ({"client_kwargs": {"config": object()}}, "s3fs"),
        ({"config_kwargs": {"proxies": {"https": "http://proxy"}}}, "s3fs"),
        ({"config_kwargs": {"client_cert": "/etc/ssl/own.pem"}}, "s3fs"),
        ({"config_kwargs": {"max_pool_connections": 4}}, "s3fs"),
        ({"config_kwargs": {"read_timeout": 4}}, "s3fs"),
        ({"config_kwargs": {"signature_version": "s3v4a"}}, "s3fs"),
        ({"config_kwargs": {"s3": {"use_accelerate_endpoint": True}}}, "s3fs"),
        ({"requester_pays": True}, "s3fs"),
        ({"s3_additional_kwargs": {"SSECustomerKey": "k"}}, "s3fs"),
        ({"session": object()}, "s3fs"),
        ({"version_aware": True}, "s3fs"),
        ({"of_a_later_release": 1}, "s3fs"),
        ({"client_kwargs": "nonsense"}, "s3fs"),
    ],
)
def test_the_engine_is_chosen_by_the_arguments(
    arguments: dict[str, Any], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert engine_of(CopickConfigFS(root="s3://a/b", fs_args=arguments)) == expected
    assert engine_of(CopickConfigFS(root="s3://a/b", fs_args=arguments, engine="obstore")) == "obstore"
    assert engine_of(CopickConfigFS(root="s3://a/b", fs_args=arguments, engine="s3fs")) == "s3fs"
    monkeypatch.setattr("aiocopick.storage.backends.obstore.find_spec", lambda name: None)
    assert engine_of(CopickConfigFS(root="s3://a/b", fs_args=arguments)) == "s3fs"


def engine_of(config: CopickConfigFS) -> str:
    storage: Any = open_storage(config)
    return "obstore" if storage._core.backend is ObstoreBackend else "s3fs"


def test_the_engine_is_a_field_of_the_configuration() -> None:
    config = parse_config({"overlay_root": "s3://a/b", "static_root": "s3://c/d", "engine": "s3fs"})
    assert [layer.engine for layer in config.layer_configs()] == ["s3fs", "s3fs"]  # type: ignore[attr-defined]
    assert open_storage(CopickConfigFS(root="/a/b", engine="obstore"))._core.root.protocol == "file"  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="engine"):
        CopickConfigFS(root="s3://a/b", engine="boto")  # type: ignore[arg-type]


@pytest.mark.asyncio
@pytest.mark.parametrize("engine", ["auto", "s3fs", "obstore"])
async def test_the_counters_say_which_engine_is_used(
    recorded: tuple[FaultServer, str, dict[str, Any]], engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, root, arguments = recorded
    storage = open_storage(Settings(root=root, fs_args=arguments, engine=engine))
    assert storage.stats.engine is None
    assert await storage.read("object") == CONTENT
    assert storage.stats.engine == storage.stats.as_dict()["engine"] == ("s3fs" if engine == "s3fs" else "obstore")
    await storage.aclose()
    if engine == "auto":
        # As where a pickled root arrives in an environment without the package.
        monkeypatch.setitem(sys.modules, "obstore", None)
        assert await storage.read("object") == CONTENT
        assert storage.stats.engine == "s3fs"
        await storage.aclose()


@pytest.mark.asyncio
async def test_a_project_shows_its_engine(recorded: tuple[FaultServer, str, dict[str, Any]]) -> None:
    from aiocopick.cli.info import _project

    _, root, arguments = recorded
    async with aiocopick.open(root, fs_args=arguments) as project:
        [layer] = (await _project(project))["layers"]
        assert layer["engine"] == project.stats.engine == "obstore"


@pytest.mark.asyncio
@pytest.mark.parametrize("verb", ["read", "write"])
@pytest.mark.parametrize(("status", "code"), [(301, "PermanentRedirect"), (400, "AuthorizationHeaderMalformed")])
async def test_a_bucket_in_another_region_is_left_to_s3fs(
    recorded: tuple[FaultServer, str, dict[str, Any]], verb: str, status: int, code: str
) -> None:
    server, root, arguments = recorded
    storage = open_storage(Settings(root=root, fs_args=arguments, engine="auto", retries=0))
    error = f"<Error><Code>{code}</Code><Message>another region</Message></Error>".encode()
    server.plan("/object", [Answer(status, {"content-type": "application/xml"}, error)])
    if verb == "read":
        assert await storage.read("object") == CONTENT
    else:
        assert await storage.write("object", b"new")
    assert len(server.requests) == 2
    assert await storage.read("object") == (CONTENT if verb == "read" else b"new")
    assert len(server.requests) == 3
    assert storage.stats.engine == "s3fs"
    await storage.aclose()


@pytest.mark.asyncio
@pytest.mark.parametrize("engine", ["auto", "s3fs", "obstore"])
@pytest.mark.parametrize("how", ["environment", "argument"])
async def test_contents_pass_the_proxy(engine: str, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with FaultServer() as proxy:
        proxy.always(lambda request: Answer(200, {"etag": '"v"'}, CONTENT if request.method == "GET" else b""))
        client = {"endpoint_url": "http://storage.test:8080", "region_name": "us-east-1"}
        arguments: dict[str, Any] = {"key": "k", "secret": "s", "client_kwargs": client}
        if how == "environment":
            for name in ("no_proxy", "NO_PROXY"):
                monkeypatch.setenv(name, "elsewhere.test")
            for name in ("http_proxy", "HTTP_PROXY"):
                monkeypatch.setenv(name, proxy.url)
        else:
            arguments["config_kwargs"] = {"proxies": {"http": proxy.url}}
        storage = open_storage(Settings(root="s3://bucket", fs_args=arguments, engine=engine, retries=0, timeout=20))
        assert await storage.read("object") == CONTENT
        await storage.write("object", CONTENT)
        assert storage.stats.engine == "s3fs"
        assert [request.method for request in proxy.requests] == ["GET", "PUT"]
        assert all("storage.test" in request.target for request in proxy.requests)
        await storage.aclose()


@pytest.mark.asyncio
@pytest.mark.parametrize("engine", ["auto", "s3fs", "obstore"])
async def test_certificates_of_the_environment_are_used(
    moto_server: MotoServer, engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = moto_server.new_bucket()
    moto_server.seed(bucket, {"object": CONTENT})
    certificate = make_certificate(tmp_path)
    async with behind_tls(moto_server.url, certificate) as address:
        arguments = moto_server.fs_args()
        arguments["client_kwargs"] = {**arguments["client_kwargs"], "endpoint_url": address}
        settings = Settings(root=f"s3://{bucket}", fs_args=arguments, engine=engine, retries=0, timeout=20)
        stranger = open_storage(settings)
        with pytest.raises(StorageError, match="certificate"):
            await stranger.read("object")
        await stranger.aclose()
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        storage = open_storage(settings)
        assert await storage.read("object") == CONTENT
        await storage.write("another", CONTENT)
        assert storage.stats.engine == "s3fs"
        await storage.aclose()


def make_certificate(folder: Path) -> Path:
    """Write a certificate for this machine that signs itself, and its key, to one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "certificate.pem"
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


@asynccontextmanager
async def behind_tls(address: str, certificate: Path) -> AsyncIterator[str]:
    """Pass connections with TLS on to a server without."""
    host, _, port = address.rpartition("/")[2].partition(":")

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pour(reader, inner_writer), pour(inner_reader, writer))
        for end in (writer, inner_writer):
            with suppress(ConnectionError, ssl.SSLError):
                await end.wait_closed()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def test_every_argument_that_obstore_may_pass_over_is_one_of_the_filesystem() -> None:
    from fsspec.asyn import AsyncFileSystem
    from fsspec.dircache import DirCache
    from fsspec.spec import AbstractFileSystem
    from s3fs import S3FileSystem

    known = {
        name
        for kind in (S3FileSystem, AsyncFileSystem, AbstractFileSystem, DirCache)
        for name in inspect.signature(kind.__init__).parameters
    }
    assert known | {"skip_instance_cache"} >= obstore._OF_THE_FILESYSTEM
    assert all(obstore.suits({name: True}) for name in obstore._OF_THE_FILESYSTEM | obstore._SAME)
    assert not obstore.suits({"anything": True})
