"""A folder over plain HTTP, with listings, as `python -m http.server` serves it; in a thread."""

from __future__ import annotations

import re
import threading
from collections import Counter
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from tests.servers.loopback import HOST


class WebServer:
    """Serves a folder; a context manager.

    Parameters
    ----------
    folder : Path
        What is served.
    ranges : bool, default True
        Answer Range requests with the part, as web servers do. False is Python's own server: it always answers with
        everything, which a client has to notice.
    """

    def __init__(self, folder: Path, *, ranges: bool = True) -> None:
        self.folder = folder
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._server = _Server((HOST, 0), self._handler(ranges))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """Address without a slash at the end."""
        return f"http://{HOST}:{self._server.server_address[1]}"

    def request_counts(self) -> Counter[str]:
        """Requests answered so far, by method."""
        with self._lock:
            return self._counts.copy()

    def start(self) -> Self:
        """Start to answer."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End the thread and close the socket."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _handler(self, ranges: bool) -> type[SimpleHTTPRequestHandler]:
        counts, lock, folder = self._counts, self._lock, str(self.folder)

        class Handler(SimpleHTTPRequestHandler):
            # Keeps connections open; with 1.0 every request is a connection.
            protocol_version = "HTTP/1.1"

            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments, directory=folder)

            def send_head(self) -> BytesIO | BinaryIO | None:
                with lock:
                    counts[self.command] += 1
                part = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", "")) if ranges else None
                path = Path(self.translate_path(self.path))
                if part is None or part.groups() == ("", "") or not path.is_file():
                    return super().send_head()
                return self._send_part(path, *part.groups())

            def _send_part(self, path: Path, first: str, last: str) -> BytesIO | None:
                content = path.read_bytes()
                start = int(first) if first else max(len(content) - int(last), 0)
                stop = min(int(last) + 1, len(content)) if first and last else len(content)
                if start >= stop:
                    self.send_error(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
                    return None
                self.send_response(HTTPStatus.PARTIAL_CONTENT)
                self.send_header("Content-Type", self.guess_type(str(path)))
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(content)}")
                self.send_header("Content-Length", str(stop - start))
                self.end_headers()
                return BytesIO(content[start:stop])

            def log_message(self, *arguments: object) -> None:
                pass

        return Handler


class _Server(ThreadingHTTPServer):
    # A kept-alive connection must not hold up the end of the test run.
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that went away."""
