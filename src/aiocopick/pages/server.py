"""A local server that only reads: who may ask, and where it listens.

A page of another place must not be able to read a project through the browser of somebody who serves it. So a random token is
a part of every path, names that are not of this machine are refused (DNS rebinding), and answers can be read by no
other origin than those that are allowed.
"""

from __future__ import annotations

import errno
import ipaddress
import mimetypes
import secrets
import socket
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio

from aiocopick.concurrency.fan_out import unwrap
from aiocopick.concurrency.threads import in_thread
from aiocopick.errors import CopickError, InvalidNameError
from aiocopick.extras import optional
from aiocopick.pages.viewers import installed_viewer
from aiocopick.pictures import Choice, require_pillow

if TYPE_CHECKING:
    from aiocopick.entities import AsyncRoot

HOST = "127.0.0.1"
_EXPOSED = "Content-Length, Content-Range, ETag"
_SAFE = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


@asynccontextmanager
async def serving(
    root: AsyncRoot,
    annotations: str | Iterable[str] | None = None,
    *,
    tomogram: str | None = None,
    host: str = HOST,
    port: int = 0,
    origins: Iterable[str] = (),
    viewer: Path | None = None,
) -> AsyncIterator[str]:
    """Serve a project over HTTP as long as the block runs; give the address of its front page.

    Parameters
    ----------
    root : AsyncRoot
        The project; it is only read.
    annotations, tomogram
        Content of pictures, as for :meth:`aiocopick.AsyncRun.picture`.
    host : str
        Address to listen on.
    port : int
        Port; 0 takes a free one.
    origins : iterable of str
        Viewers on this machine that may read answers (``"http://localhost:5173"``), besides the one that is served.
    viewer : path, optional
        Folder of a viewer's page; by default, that of an installed neuroglancer.

    Raises
    ------
    CopickError
        The address cannot be used, for example because the port is taken; or Starlette or uvicorn is missing.
    InvalidNameError
        An origin is not one of this machine.
    """
    require_pillow()
    await in_thread(_prepare)
    import uvicorn

    from aiocopick.pages.site import Site

    choice = Choice.of(tomogram, annotations)
    allowed = frozenset(map(_checked_origin, origins))
    folder = viewer or await in_thread(installed_viewer)
    token = secrets.token_urlsafe(24)
    site = Site(root, choice, folder)
    listener = await in_thread(_listen, host, port)
    taken: int = listener.getsockname()[1]
    gate = Gate(await in_thread(site.app), token, host, taken, allowed)

    class Server(uvicorn.Server):
        def __init__(self, config: uvicorn.Config) -> None:
            super().__init__(config)
            self.ready = anyio.Event()

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            self.ready.set()

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            # The program that serves decides about its signals.
            yield

    server = Server(
        uvicorn.Config(
            gate,
            http="h11",
            ws="none",
            lifespan="off",
            proxy_headers=False,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=2,
            limit_concurrency=256,
        )
    )

    async def run() -> None:
        with anyio.CancelScope(shield=True):
            await server.serve([listener])

    with unwrap():
        async with anyio.create_task_group() as group:
            group.start_soon(run)
            try:
                await server.ready.wait()
                shown = f"[{host}]" if ":" in host else host
                yield f"http://{shown}:{taken}/{token}/"
            finally:
                site.closed.set()
                server.should_exit = True


def _prepare() -> None:
    """Import what the pages need, because the first import of it would hold up the event loop."""
    for module in ("starlette", "uvicorn", "aiocopick.pages.site"):
        optional(module, "The server")
    # pyarrow looks for pandas, and the answers for types of files, when they are needed first.
    optional("pyarrow", "The catalogue of the server").Table.from_pylist([{"": ""}])
    mimetypes.init()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        where = f"{host}, port {port}"
        if error.errno == errno.EADDRINUSE:
            raise CopickError(
                f"{where} is taken by another program; choose another port, or 0 for a free one."
            ) from error
        raise CopickError(f"{where} cannot be used: {error.strerror or error}.") from error
    except OverflowError as error:
        raise CopickError(f"{port} is not a port; choose one from 0 to 65535.") from error


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _checked_origin(origin: str) -> str:
    parts = urlsplit(origin)
    whole = f"{parts.scheme}://{parts.netloc}"
    if parts.scheme not in ("http", "https") or whole != origin.rstrip("/") or not _is_loopback(parts.hostname or ""):
        raise InvalidNameError(
            f"{origin!r} is not the origin of a viewer on this machine, such as http://localhost:5173.", path=origin
        )
    return whole.lower()


class Gate:
    """The only way in: method, host, token and origin of a request are checked before it is looked at.

    Parameters
    ----------
    app : ASGI application
        The pages, below the token.
    token : str
        First part of every path.
    host : str
        Address that the server listens on.
    port : int
        Its port.
    origins : frozenset of str
        Origins whose scripts may read answers.
    """

    def __init__(self, app: Any, token: str, host: str, port: int, origins: frozenset[str]) -> None:
        self._app = app
        self._token = token.encode()
        self._host = host
        self._port = port
        self._origins = origins

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        from starlette.datastructures import Headers
        from starlette.responses import Response

        from aiocopick.pages.site import POLICY, is_viewer

        headers = Headers(scope=scope)
        path: str = scope["path"]
        token, slash, rest = path.removeprefix("/").partition("/")
        origin = headers.get("origin", "").lower()
        added = dict(_SAFE)
        if origin in self._origins:
            added |= {"Access-Control-Allow-Origin": headers["origin"], "Access-Control-Expose-Headers": _EXPOSED}
        if self._origins:
            added["Vary"] = "Origin"
        if is_viewer(f"/{rest}"):
            added["Content-Security-Policy"] = POLICY

        async def send_with(message: Any) -> None:
            if message["type"] == "http.response.start":
                more = [(name.lower().encode(), value.encode()) for name, value in added.items()]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        app: Any = self._app
        if not self._knows(headers.get("host", "")):
            app = Response("This server is asked for by another name than its own.\n", 421, media_type="text/plain")
        elif not (slash and secrets.compare_digest(token.encode(errors="replace"), self._token)):
            app = Response("The address is incomplete: its token is missing or wrong.\n", 404, media_type="text/plain")
        elif scope["method"] == "OPTIONS":
            asked = {
                "Access-Control-Allow-Methods": "GET, HEAD",
                "Access-Control-Allow-Headers": "Range, If-None-Match",
            }
            app = Response(status_code=204, headers=asked) if origin in self._origins else Response(status_code=403)
        inner = {**scope, "path": f"/{rest}", "root_path": "", "app_root_path": f"/{token}"}
        await app(inner, receive, send_with)

    def _knows(self, host: str) -> bool:
        """Return True for an address that a rebound name cannot have: one of numbers, or a name of this machine."""
        try:
            parts = urlsplit(f"//{host}")
            name, port = parts.hostname or "", parts.port or 80
        except ValueError:
            return False
        if port != self._port or parts.username is not None:
            return False
        return _is_loopback(name) if _is_loopback(self._host) else _is_address(name) or name == self._host
