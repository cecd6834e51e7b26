"""Plain HTTP to a server on this machine: no proxy settings, no redirects, no library."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

HOST = "127.0.0.1"


def free_port() -> int:
    """A port that was free a moment ago; a server that finds it taken is started again on another."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def request(
    method: str,
    url: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 30.0,
) -> tuple[int, bytes]:
    """Send one request and return its status and body; OSError when nobody answers."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or HOST, parts.port, timeout=timeout)
    try:
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        connection.request(method, target, body, dict(headers or {}))
        response = connection.getresponse()
        return response.status, response.read()
    except http.client.HTTPException as error:
        raise ConnectionError(f"{method} {url}: {error!r}") from error
    finally:
        connection.close()


def request_ok(method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> bytes:
    """Send one request that must succeed and return its body."""
    status, content = request(method, url, body, headers)
    if not 200 <= status < 300:
        raise RuntimeError(f"{method} {url} answered {status}: {content[:500].decode(errors='replace')}")
    return content


def request_json(method: str, url: str, value: Any = None) -> Any:
    """Send `value` as JSON and return what the answer holds, None when it is empty."""
    body = None if value is None else json.dumps(value).encode()
    content = request_ok(method, url, body, {"Content-Type": "application/json"})
    return json.loads(content) if content else None
