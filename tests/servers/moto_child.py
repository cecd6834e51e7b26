"""The process of `MotoServer`: moto's own application behind routes of ours, `/_seed/BUCKET`, `/_drop/BUCKET`, `/_counts`.

    python moto_child.py HOST PORT

Seeding through moto's HTTP front is 200 to 350 objects a second; straight into its store it is some thousands.
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
import threading
from collections import Counter
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any
from urllib.parse import parse_qs

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import make_server


class Application:
    """Counts what moto is asked, by the operation's name."""

    def __init__(self) -> None:
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.counts: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.deciding = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/_counts":
            with self.lock:
                return _answer(start_response, dict(self.counts))
        if path.startswith("/_seed/"):
            length = int(environ["CONTENT_LENGTH"])
            return _answer(start_response, _seed(path.removeprefix("/_seed/"), environ["wsgi.input"].read(length)))
        if path.startswith("/_drop/"):
            del s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[path.removeprefix("/_drop/")]
            return _answer(start_response, {})
        with self.lock:
            self.counts[operation(environ)] += 1
        # moto looks whether the condition of a write holds, and writes a moment later: two writes could both see it hold.
        conditional = environ["REQUEST_METHOD"] == "PUT" and environ.keys() & {"HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH"}
        with self.deciding if conditional else nullcontext():
            answer: Iterable[bytes] = self.moto(environ, start_response)
        return answer


def operation(environ: dict[str, Any]) -> str:
    """Name of the S3 operation of a path-style request, as S3's documentation and MinIO's metrics call it."""
    method = environ["REQUEST_METHOD"]
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    _, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
    if "uploadId" in query or "uploads" in query:
        names = {"PUT": "PutObjectPart", "DELETE": "AbortMultipartUpload", "GET": "ListObjectParts"}
        return names.get(method, "CompleteMultipartUpload" if "uploadId" in query else "NewMultipartUpload")
    if key:
        if method == "PUT" and "HTTP_X_AMZ_COPY_SOURCE" in environ:
            return "CopyObject"
        return f"{method.title()}Object"
    if method == "POST" and "delete" in query:
        return "DeleteMultipleObjects"
    if method == "GET" and environ["PATH_INFO"] != "/" and not query.keys() & {"location", "policy", "versioning"}:
        return "ListObjectsV2" if query.get("list-type") == ["2"] else "ListObjectsV1"
    return f"{method.title()}Bucket"


def _seed(bucket: str, archive: bytes) -> dict[str, int]:
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    count = 0
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is not None:
                backend.put_object(bucket, member.name, content.read())
                count += 1
    return {"objects": count}


def _answer(start_response: Any, value: dict[str, int]) -> Iterable[bytes]:
    body = json.dumps(value).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


class QuietRequestHandler(MotoRequestHandler):
    """A log line per request costs more than some requests."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


if __name__ == "__main__":
    host, port = sys.argv[1:]
    server = make_server(host, int(port), Application(), threaded=True, request_handler=QuietRequestHandler)
    server.serve_forever()
