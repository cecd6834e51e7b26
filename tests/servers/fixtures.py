"""Fixtures of the servers; `tests/conftest.py` makes them known to every test.

A server is started once for a test run and only when a test asks for it. Make a fresh bucket per test. A server that is
not installed skips its tests, with the command that installs it; nothing is installed from here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from tests.servers.azure import AzureServer
from tests.servers.gcs import GcsServer
from tests.servers.process import Server
from tests.servers.programs import PROGRAMS
from tests.servers.s3 import MinioServer, MotoServer, S3Server
from tests.servers.toxiproxy import ToxiproxyServer
from tests.servers.web import WebServer

AnyServer = TypeVar("AnyServer", bound=Server)

SERVERS: tuple[type[Server], ...] = (MotoServer, MinioServer, ToxiproxyServer, GcsServer, AzureServer)
RAN = pytest.StashKey[set[str]]()
"""Names of the servers, and versions of copick, that this run has used."""


class MakeWebServer(Protocol):
    def __call__(self, folder: Path, *, ranges: bool = True) -> WebServer: ...


def _serve(server: type[AnyServer], config: pytest.Config) -> Iterator[AnyServer]:
    if reason := server.missing():
        pytest.skip(reason)
    with server() as running:
        config.stash.setdefault(RAN, set()).add(server.name)
        yield running


@pytest.fixture(scope="session")
def moto_server(pytestconfig: pytest.Config) -> Iterator[MotoServer]:
    """S3 by moto, for counting requests."""
    yield from _serve(MotoServer, pytestconfig)


@pytest.fixture(scope="session")
def minio_server(pytestconfig: pytest.Config) -> Iterator[MinioServer]:
    """S3 by MinIO, a real store."""
    yield from _serve(MinioServer, pytestconfig)


@pytest.fixture(params=["moto", pytest.param("minio", marks=pytest.mark.minio)])
def s3_server(request: pytest.FixtureRequest) -> S3Server:
    """Both S3 servers in turn."""
    server: S3Server = request.getfixturevalue(f"{request.param}_server")
    return server


@pytest.fixture(scope="session")
def toxiproxy_server(pytestconfig: pytest.Config) -> Iterator[ToxiproxyServer]:
    """Latency and broken connections in front of another server."""
    yield from _serve(ToxiproxyServer, pytestconfig)


@pytest.fixture(scope="session")
def gcs_server(pytestconfig: pytest.Config) -> Iterator[GcsServer]:
    """Google Cloud Storage by fake-gcs-server."""
    yield from _serve(GcsServer, pytestconfig)


@pytest.fixture(scope="session")
def azure_server(pytestconfig: pytest.Config) -> Iterator[AzureServer]:
    """Azure Blob Storage by Azurite."""
    yield from _serve(AzureServer, pytestconfig)


@pytest.fixture
def web_server() -> Iterator[MakeWebServer]:
    """Serve a folder over HTTP: `web_server(folder, ranges=True)` gives the running server."""
    with ExitStack() as stack:

        def make(folder: Path, *, ranges: bool = True) -> WebServer:
            return stack.enter_context(WebServer(folder, ranges=ranges))

        yield make


def server_summary(config: pytest.Config) -> list[str]:
    """A line per server: whether it ran, was not asked for, or is missing."""
    started = config.stash.get(RAN, set())
    lines = []
    for server in SERVERS:
        program = PROGRAMS.get(server.name)
        label = f"{server.name} {program.version if program else ''}".strip()
        if server.name in started:
            lines.append(f"ran      {label}")
        elif reason := server.missing():
            lines.append(f"MISSING  {label}: {reason}")
        else:
            lines.append(f"unused   {label}: installed, but no selected test asked for it")
    return lines
