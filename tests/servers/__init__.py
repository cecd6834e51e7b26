"""Real servers on loopback, for tests and benchmarks.

Each is a context manager that starts on a free port with a temporary folder, waits until it answers, and leaves nothing
behind. How each differs from the service it stands for is said in its module.
"""

from __future__ import annotations

from tests.servers.azure import AzureServer
from tests.servers.gcs import GcsServer
from tests.servers.process import NotInstalledError, Server, ServerError
from tests.servers.s3 import MinioServer, MotoServer, S3Server
from tests.servers.toxiproxy import Proxy, ToxiproxyServer
from tests.servers.web import WebServer

__all__ = [
    "AzureServer",
    "GcsServer",
    "MinioServer",
    "MotoServer",
    "NotInstalledError",
    "Proxy",
    "S3Server",
    "Server",
    "ServerError",
    "ToxiproxyServer",
    "WebServer",
]
