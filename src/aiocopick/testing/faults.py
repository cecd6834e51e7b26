"""A scripted HTTP server that fails on demand: in front of another server, or with contents of its own."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeAlias
from urllib.parse import unquote, urlsplit


@dataclass(slots=True)
class Request:
    """A request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        """The path, unquoted, without query."""
        return unquote(self.target.partition("?")[0])


@dataclass(slots=True)
class Answer:
    """An answer before it is spoiled; in a plan, the answer that is given as it is.

    With the header ``transfer-encoding`` the length is left out, and with the status 204 or 304.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def head(self, *, length: bool = True) -> bytes:
        """Status line and headers."""
        lines = [f"HTTP/1.1 {self.status} Scripted"]
        lines += [f"{name}: {value}" for name, value in self.headers.items() if name != "content-length"]
        if length and self.status not in (204, 304) and "transfer-encoding" not in self.headers:
            lines.append(f"content-length: {self.headers.get('content-length', len(self.body))}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


Action: TypeAlias = str | Answer | Callable[[Request], Answer]
"""Action for a request: see :class:`FaultServer`."""


class FaultServer:
    """Answers on loopback, from a thread and an event loop of its own; a context manager, plain or async.

    A plan is a list of actions for the requests to one path, one each, in order; when it is used up (and for paths
    without one) the answer is the honest one. Actions:

    - ``"ok"``: the honest answer.
    - ``"later 2"``: the honest answer after 2 s.
    - ``"503"``, or any status; ``"503 2"`` sends ``Retry-After: 2`` with it.
    - ``"reset"``: the connection is cut before an answer. ``"lost"``: after the request has had its effect.
    - ``"truncate"``: half of the body, then the connection is cut. ``"short"``: half of it, without saying how long
    it is. - ``"no-length"``: all of it, without saying how long it is. - ``"whole"``: all of it, whatever range was
    asked for. - ``"endless"``: spaces without an end, in chunks; ``"endless no-length"``: the same without them.
    - ``"stall"``: nothing, until the client gives up. ``"hang"``: the head and half of the body, and then
    nothing. - ``"redirect URL"``: a redirect; ``"redirect URL 307"``: one with this status. - An :class:`Answer`, or a
    function from the :class:`Request` to one: that answer.

    Parameters
    ----------
    upstream : str, optional
        Address of the server that gives honest answers, as ``http://127.0.0.1:9000``.
    contents : mapping, optional
        Without an upstream: paths (with a leading ``/``) and what is there, for GET and HEAD with ranges. With one:
        what ``"whole"`` answers, where the upstream would notice that the range was taken out of a signed request.

    Attributes
    ----------
    requests : list of Request
        What arrived.
    peak : int
        Most requests under way at a time.
    poured : int
        Bytes of endless answers.
    """

    def __init__(self, upstream: str | None = None, contents: Mapping[str, bytes] | None = None) -> None:
        self._upstream = urlsplit(upstream) if upstream else None
        self.contents = dict(contents or {})
        self.requests: list[Request] = []
        self.peak = 0
        self.poured = 0
        self._in_flight = 0
        self._plans: dict[str, list[Action]] = {}
        self._always: Action | None = None
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def plan(self, path: str, actions: Sequence[Action]) -> None:
        """Say what happens to the next requests whose path ends in `path`."""
        self._plans[path] = list(actions)

    def always(self, action: Action | None) -> None:
        """Say what happens to every request that has no plan."""
        self._always = action

    @property
    def counts(self) -> Counter[str]:
        """Requests by method."""
        return Counter(request.method for request in self.requests)

    @property
    def url(self) -> str:
        """Address without a slash at the end."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, traceback)

    def _run(self) -> None:
        # A loop of this kind can be told to accept nothing more, on every system.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._started.set()
        await self._stop.wait()
        # asyncio accepts in tasks of its own, and one that is under way when its server closes leaves its socket open.
        for listening in self._server.sockets:
            self._loop.remove_reader(listening)
        if accepting := asyncio.all_tasks() - {asyncio.current_task(), *self._connections}:
            await asyncio.wait(accepting)
        self._server.close()
        writers = list(self._connections.values())
        if conversations := list(self._connections):
            for task in conversations:
                task.cancel()
            await asyncio.wait(conversations)
        await asyncio.gather(*(writer.wait_closed() for writer in writers), return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # No coroutine: it would not run at all when it is cancelled before its first step.
        task = asyncio.ensure_future(self._converse(reader, writer))
        self._connections[task] = writer
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        # The writer must live until its transport is closed: Python 3.13 warns otherwise.
        writer = self._connections.pop(task)
        writer.transport.abort()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while (request := await _read_request(reader, writer)) is not None:
                self.requests.append(request)
                self._in_flight += 1
                self.peak = max(self.peak, self._in_flight)
                try:
                    if not await self._answer(request, writer):
                        return
                finally:
                    self._in_flight -= 1

    def _action(self, request: Request) -> Action:
        for path, actions in self._plans.items():
            if request.path.endswith(path) and actions:
                return actions.pop(0)
        return self._always or "ok"

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Answer as the plan says; whether the connection stays open."""
        planned = self._action(request)
        if not isinstance(planned, str):
            answer = planned if isinstance(planned, Answer) else planned(request)
            writer.write(answer.head() + (b"" if request.method == "HEAD" else answer.body))
            await writer.drain()
            return True
        action, _, extra = planned.partition(" ")
        if action == "reset":
            return False
        if action == "stall":
            await asyncio.Event().wait()
        if action == "endless":
            await self._pour(writer, chunked=extra != "no-length")
        if action == "later":
            await asyncio.sleep(float(extra))
        if action.isdigit():
            headers = {"retry-after": extra} if extra else {}
            answer = Answer(int(action), headers, b"<Error><Code>Scripted</Code></Error>")
        elif action == "redirect":
            target, _, status = extra.partition(" ")
            answer = Answer(int(status or 302), {"location": target})
        else:
            answer = await self._honest(request, ignore_range=action == "whole")
        if action == "lost":
            return False
        body = b"" if request.method == "HEAD" else answer.body
        if action in ("no-length", "short"):
            half = len(body) if action == "no-length" else len(body) // 2
            writer.write(answer.head(length=False) + body[:half])
            await writer.drain()
            writer.write_eof()
            return False
        if action in ("truncate", "hang"):
            writer.write(answer.head() + body[: len(body) // 2])
            await writer.drain()
            if action == "hang":
                await asyncio.Event().wait()
            return False
        writer.write(answer.head() + body)
        await writer.drain()
        return True

    async def _pour(self, writer: asyncio.StreamWriter, *, chunked: bool) -> None:
        """Answer until the client has enough, and is gone."""
        headers = {"content-type": "application/json", "etag": '"1"', "x-goog-generation": "1"}
        piece = b" " * 65536
        if chunked:
            headers["transfer-encoding"] = "chunked"
            piece = b"10000\r\n" + piece + b"\r\n"
        writer.write(Answer(200, headers).head(length=False))
        while True:
            writer.write(piece)
            await writer.drain()
            self.poured += len(piece)

    async def _honest(self, request: Request, *, ignore_range: bool) -> Answer:
        content = self.contents.get(request.path)
        if self._upstream is not None and (content is None or not ignore_range):
            return await self._forward(request, ignore_range)
        if content is None:
            return Answer(404)
        headers = {"etag": f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'}
        span = request.headers.get("range")
        if span is None or ignore_range:
            return Answer(200, {**headers, "content-length": str(len(content))}, content)
        first, _, last = span.removeprefix("bytes=").partition("-")
        start = int(first) if first else max(0, len(content) - int(last))
        stop = min(int(last) + 1, len(content)) if first and last else len(content)
        if start >= stop:
            return Answer(416)
        headers["content-range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        return Answer(206, headers, content[start:stop])

    async def _forward(self, request: Request, ignore_range: bool) -> Answer:
        assert self._upstream is not None
        reader, writer = await asyncio.open_connection(self._upstream.hostname, self._upstream.port)
        try:
            dropped = {"connection", "expect", *(["range"] if ignore_range else [])}
            head = [f"{request.method} {request.target} HTTP/1.1"]
            head += [f"{name}: {value}" for name, value in request.headers.items() if name not in dropped]
            writer.write(("\r\n".join([*head, "connection: close"]) + "\r\n\r\n").encode("latin-1") + request.body)
            await writer.drain()
            status, headers = _parse_head(await reader.readuntil(b"\r\n\r\n"))
            body = b"" if request.method == "HEAD" else await _read_body(reader, headers)
        finally:
            # What it has not taken yet would keep a connection that is only closed.
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        for name in ("connection", "transfer-encoding", "keep-alive"):
            headers.pop(name, None)
        return Answer(int(status.split()[1]), headers, body)


def _parse_head(data: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = data.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return first, {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if "chunked" in headers.get("transfer-encoding", ""):
        parts = []
        while size := int((await reader.readline()).split(b";")[0], 16):
            parts.append(await reader.readexactly(size))
            await reader.readline()
        await reader.readline()
        return b"".join(parts)
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    return await reader.read()


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, headers = _parse_head(head)
    method, target, _ = first.split(" ")
    has_body = "content-length" in headers or "transfer-encoding" in headers
    if "chunked" in headers.get("transfer-encoding", ""):
        raise ConnectionError("requests in chunks are not understood")
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await _read_body(reader, headers) if has_body else b""
    return Request(method, target, headers, body)
