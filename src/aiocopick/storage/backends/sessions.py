"""Sessions of aiohttp: what all backends that have one need of it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import aiohttp


def without_repeats(session: aiohttp.ClientSession) -> aiohttp.ClientSession:
    """Keep a session from sending a request again by itself: the one retry layer counts what is sent.

    aiohttp repeats what is idempotent once when a kept connection breaks, and has no public switch for that; its own
    test client turns it off in this way.
    """
    session._retry_connection = False
    return session


class Proxies:
    """The proxies that ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` name, as they are at first use."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str | None] = {}

    def of(self, url: str) -> str | None:
        """Return the proxy for a URL, None for none."""
        parts = urlsplit(url)
        origin = (parts.scheme, parts.netloc.rpartition("@")[2])
        if origin not in self._known:
            self._known[origin] = _proxy(*origin)
        return self._known[origin]


def _proxy(scheme: str, host: str) -> str | None:
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    proxy = proxies.get(scheme) or proxies.get("all")
    if proxy is None or proxy_bypass(host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
