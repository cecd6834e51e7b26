"""toxiproxy: latency, bandwidth and broken connections in front of any server, set while it runs."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from tests.servers.loopback import HOST, free_port, request, request_json
from tests.servers.process import Server, executable


class Proxy:
    """One proxied server: `url` is the way through.

    Every fault holds until `clear`, for new and open connections alike.
    """

    def __init__(self, control: str, name: str, listen: str) -> None:
        self.url = f"http://{listen}"
        self._control = f"{control}/proxies/{name}"

    def latency(self, milliseconds: int, jitter: int = 0) -> None:
        """Delay every answer; a request takes this much longer."""
        self._add("latency", latency=milliseconds, jitter=jitter)

    def bandwidth(self, kilobytes_per_second: int) -> None:
        """Limit what comes back."""
        self._add("bandwidth", rate=kilobytes_per_second)

    def reset(self, after_milliseconds: int = 0) -> None:
        """Reset connections (RST) after a while."""
        self._add("reset_peer", timeout=after_milliseconds)

    def timeout(self, milliseconds: int = 0) -> None:
        """Let no request through and close after a while; 0 never closes: a stalled server."""
        # On the way back it would close together with a server that has answered.
        self._add("timeout", stream="upstream", timeout=milliseconds)

    def slow_close(self, milliseconds: int) -> None:
        """Delay the end of a connection."""
        self._add("slow_close", delay=milliseconds)

    def limit(self, count: int) -> None:
        """Close a connection once `count` bytes came back."""
        self._add("limit_data", bytes=count)

    def down(self) -> None:
        """Refuse connections until `clear`."""
        request_json("POST", self._control, {"enabled": False})

    def clear(self) -> None:
        """Take all faults away."""
        for toxic in request_json("GET", f"{self._control}/toxics"):
            request_json("DELETE", f"{self._control}/toxics/{toxic['name']}")
        request_json("POST", self._control, {"enabled": True})

    def remove(self) -> None:
        """Close the way through."""
        request_json("DELETE", self._control)

    def _add(self, kind: str, stream: str = "downstream", **attributes: Any) -> None:
        toxic = {"type": kind, "stream": stream, "attributes": attributes}
        request_json("POST", f"{self._control}/toxics", toxic)


class ToxiproxyServer(Server):
    """The toxiproxy server; `proxy` puts it in front of another."""

    name = "toxiproxy"

    def command(self) -> list[str]:
        """See Server."""
        return [executable("toxiproxy"), "-host", HOST, "-port", str(self.port)]

    def is_ready(self) -> bool:
        """See Server."""
        status, _ = request("GET", f"{self.url}/version", timeout=2)
        return status == 200

    @contextmanager
    def proxy(self, upstream: str) -> Iterator[Proxy]:
        """Open a way to the server at the URL `upstream`, closed at the end of the block."""
        name = uuid.uuid4().hex
        listen = f"{HOST}:{free_port()}"
        request_json(
            "POST", f"{self.url}/proxies", {"name": name, "listen": listen, "upstream": urlsplit(upstream).netloc}
        )
        proxy = Proxy(self.url, name, listen)
        try:
            yield proxy
        finally:
            proxy.remove()
