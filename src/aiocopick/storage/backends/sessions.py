"""Settings of aiohttp sessions that all backends with a session need."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiocopick.storage.backends.base import CONNECT_TIMEOUT, READ_TIMEOUT, connections
from aiocopick.storage.settings import merge

if TYPE_CHECKING:
    import aiohttp


def session_arguments(name: str, fs_args: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of an fsspec filesystem over HTTP: our settings of its session, updated by the caller's.

    Parameters
    ----------
    name : str
        The argument with the settings of the session.
    fs_args : mapping
        The arguments of the project.
    """
    import aiohttp

    session: dict[str, Any] = {
        "timeout": aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=READ_TIMEOUT),
        "auto_decompress": False,
    }
    if "connector" not in (fs_args.get(name) or {}):
        session["connector"] = aiohttp.TCPConnector(limit=connections())
    fixed = {"asynchronous": True, "skip_instance_cache": True, "use_listings_cache": False}
    return {**merge({name: session}, fs_args), **fixed}


def prepared(session: aiohttp.ClientSession) -> aiohttp.ClientSession:
    """Disable automatic behaviour of a session: repeated requests, and the continuation of cancelled requests.

    The one retry layer counts what is sent. aiohttp repeats what is idempotent once when a kept connection breaks, and
    has no public switch for that; its own test client turns it off in this way.

    A connection that aiohttp closes in the middle of an upload is first emptied: the server gets the rest, or if it
    takes nothing, the socket stays open for good.
    """
    session._retry_connection = False
    connector: Any = session.connector
    ending: Any = _ending_at_once()
    if connector is not None and connector._factory.func is not ending:
        connector._factory = functools.partial(ending, *connector._factory.args, **connector._factory.keywords)
    return session


@functools.cache
def _ending_at_once() -> type[Any]:
    from aiohttp.client_proto import ResponseHandler

    class Ending(ResponseHandler):
        """A connection whose end is its end, whatever waits to be sent."""

        def close(self) -> None:
            transport = self.transport
            super().close()
            if transport is not None:
                transport.abort()

    return Ending


class Proxies:
    """The proxies that ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` name, as they are at first
    use.
    """

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
