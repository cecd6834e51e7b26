"""An answer that is not what was asked for is an error, on every backend: never an empty project, nor a success."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from botocore.parsers import BaseXMLResponseParser

from aiocopick.errors import AccessDeniedError, ConflictError, NotFoundError, StorageError, StorageTimeoutError
from aiocopick.opening import open as open_project
from aiocopick.storage import Storage, open_storage, retries
from aiocopick.storage.backends.base import MOST_IDLE_PAGES
from aiocopick.storage.settings import Settings
from aiocopick.testing import Answer, FaultServer, Request

KINDS = ["s3", "obstore", "gs", "az", "http"]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repeat at once: how long the pauses are is another test's business."""
    monkeypatch.setattr(retries, "pause", lambda attempt: 0.0)


def fields(kind: str, address: str) -> dict[str, Any]:
    """Return the fields of a config for a project at an address."""
    if kind in ("s3", "obstore"):
        client = {"endpoint_url": address, "region_name": "us-east-1"}
        engine = "obstore" if kind == "obstore" else "s3fs"
        return {
            "root": "s3://bucket/p",
            "fs_args": {"key": "key", "secret": "secret", "client_kwargs": client},
            "engine": engine,
        }
    if kind == "gs":
        return {"root": "gs://bucket/p", "fs_args": {"token": "anon", "endpoint_url": address}}
    if kind == "az":
        string = f"DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;BlobEndpoint={address}/a;"
        return {"root": "az://bucket/p", "fs_args": {"connection_string": string}}
    return {"root": f"{address}/p"}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest_asyncio.fixture
async def opened(kind: str) -> AsyncIterator[tuple[FaultServer, Storage]]:
    async with FaultServer() as server:
        storage = open_storage(Settings(**fields(kind, server.url), retries=1))
        yield server, storage
        await storage.aclose()


PAGE = b"<!DOCTYPE html><html><head><title>Log in</title></head><body><a href='/'>home</a> Welcome</body></html>"
STRANGE = {
    "html": Answer(200, {"content-type": "text/html"}, PAGE),
    "html with an etag": Answer(200, {"content-type": "text/html", "etag": '"x"'}, PAGE),
    "xhtml": Answer(200, {"content-type": "application/xhtml+xml"}, b'<?xml version="1.0"?>' + PAGE[15:]),
    "nothing": Answer(200),
    "nothing, as xml": Answer(200, {"content-type": "application/xml"}),
    "json": Answer(200, {"content-type": "application/json"}, b'{"status": "ok"}'),
    "json array": Answer(200, {"content-type": "application/json"}, b"[1, 2]"),
    "empty json object": Answer(200, {"content-type": "application/json"}, b"{}"),
    "deep json": Answer(200, {"content-type": "application/json"}, b"[" * 100_000),
    "text": Answer(200, {"content-type": "text/plain"}, b"It works!"),
    "gzip": Answer(200, {"content-type": "application/gzip"}, b"\x1f\x8b\x08\x00"),
    "broken gzip": Answer(200, {"content-type": "text/html", "content-encoding": "gzip"}, b"\x1f\x8b\x08\x00"),
    "unknown encoding": Answer(200, {"content-type": "text/html", "content-encoding": "br"}, b"\x1f\x8b\x08\x00"),
    "xml": Answer(
        200,
        {"content-type": "application/xml"},
        b'<?xml version="1.0"?><Feed><Name>bucket</Name><IsTruncated>false</IsTruncated></Feed>',
    ),
    "broken xml": Answer(200, {"content-type": "application/xml"}, b"<ListBucketResult><Name>"),
    "an error as success": Answer(200, {"content-type": "application/xml"}, b"<Error><Code>Unheard</Code></Error>"),
    "204": Answer(204),
    "206": Answer(206, {"content-type": "text/html"}, PAGE),
    "304": Answer(304),
    "300": Answer(300, {"content-type": "text/html"}, PAGE),
}


@pytest.fixture(params=STRANGE)
def strange(request: pytest.FixtureRequest) -> Answer:
    return STRANGE[request.param]


@pytest.mark.asyncio
async def test_what_is_not_a_listing_is_an_error(opened: tuple[FaultServer, Storage], strange: Answer) -> None:
    server, storage = opened
    server.always(strange)
    with pytest.raises(StorageError) as caught:
        await storage.list("dir")
    assert storage.url in str(caught.value)
    assert len(server.requests) <= 2
    with pytest.raises(StorageError):
        await scan(storage)


async def scan(storage: Storage, prefix: str = "", **arguments: Any) -> None:
    async with storage.scan(prefix, **arguments) as pages:
        async for _ in pages:
            pass


@pytest.mark.asyncio
async def test_no_project_is_found_on_such_a_server(kind: str, strange: Answer) -> None:
    async with FaultServer() as server:
        server.always(strange)
        config = {**fields(kind, server.url), "retries": 0}
        with pytest.raises(StorageError):
            await open_project(config, must_exist=True)
        async with open_project(config) as root:
            with pytest.raises(StorageError):
                await root.query()
            with pytest.raises(StorageError):
                async for _ in root.crawl():
                    pass


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "http"])
async def test_no_change_is_believed(opened: tuple[FaultServer, Storage], kind: str, strange: Answer) -> None:
    server, storage = opened
    server.always(strange)
    operations: list[Callable[[], Awaitable[Any]]] = [
        lambda: storage.write("a", b"1"),
        lambda: storage.write("a", b"1", create=True),
        lambda: storage.write("a", b"1", if_match="x"),
        lambda: storage.copy("a", "b"),
        lambda: storage.delete_tree("dir"),
    ]
    if not (strange.status in (200, 204) and not strange.body):
        # Nothing is what they do answer to a deletion.
        operations += [lambda: storage.delete_many(["a"]), lambda: storage.delete_many(["a", "b"])]
    if kind == "obstore" and strange.headers.get("etag"):
        # obstore shows nothing else of its answer.
        del operations[0]
    for operation in operations:
        with pytest.raises(StorageError):
            await operation()


@pytest.mark.asyncio
async def test_no_version_is_no_object(opened: tuple[FaultServer, Storage], kind: str, strange: Answer) -> None:
    server, storage = opened
    server.always(strange)
    html = "html" in strange.headers.get("content-type", "")
    if kind == "http" and strange.status == 200 and not html:
        assert await storage.read("a") == strange.body
        return
    if strange.headers.get("etag") and kind in ("s3", "obstore", "az"):
        # An object may well hold a page.
        assert await storage.read("a") == strange.body
        return
    for span in (None, (0, 4), (-4, None)):
        if kind == "http" and span is None and strange.headers.get("content-encoding") == "gzip":
            # Whole documents are handed on as they are packed; who reads them says what is broken.
            assert await storage.read("a.json") == strange.body
        if kind == "http" and strange.headers.get("content-encoding") is None and strange.status == 200:
            with pytest.raises(StorageError, match="HTML"):
                await storage.read("a", span)
        else:
            with pytest.raises(StorageError):
                await storage.read("a", span)


CONTENT = b"0123456789"
VERSION = {"etag": '"1"', "x-goog-generation": "1", "last-modified": "Tue, 01 Jan 2030 00:00:00 GMT"}


def part(told: str | None, body: bytes, status: int = 206) -> Answer:
    return Answer(status, VERSION | ({} if told is None else {"content-range": told}), body)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("span", "answer"),
    [
        ((2, 5), part(None, b"234")),
        ((2, 5), part("", b"234")),
        ((2, 5), part("bytes 2-4/*", b"234")),
        ((2, 5), part("items 2-4/10", b"234")),
        ((2, 5), part("bytes 3-5/10", b"345")),
        ((2, 5), part("bytes 2-3/10", b"23")),
        ((2, 5), part("bytes 2-5/10", b"2345")),
        ((2, 5), part("bytes 2-4/10", b"23")),
        ((2, None), part("bytes 2-7/10", b"234567")),
        ((2, None), part("bytes 0-9/10", CONTENT)),
        ((2, None), part("bytes 2-7/*", b"234567")),
        ((-3, None), part("bytes 6-8/10", b"678")),
        ((-3, None), part("bytes 8-9/10", b"89")),
        ((-3, None), part("bytes 7-9/*", b"789")),
        ((-3, None), part(None, b"789")),
        (None, part(None, CONTENT)),
        (None, part("bytes 0-4/10", b"01234")),
        (None, part("bytes 0-9/*", CONTENT)),
        (None, part("bytes 1-9/10", b"123456789")),
        (None, part("", b"")),
        (None, Answer(204, VERSION)),
        (None, Answer(304, VERSION)),
        ((2, 5), Answer(204, VERSION)),
        ((2, 5), Answer(304, VERSION)),
        (None, part(None, CONTENT, 203)),
        ((2, 5), Answer(416, VERSION | {"content-range": "bytes */10"})),
    ],
)
async def test_a_part_is_the_one_that_was_asked_for(
    opened: tuple[FaultServer, Storage], kind: str, span: tuple[int, int | None] | None, answer: Answer
) -> None:
    server, storage = opened

    def honest_head(request: Any) -> Answer:
        return Answer(200, VERSION | {"content-length": "10"}) if request.method == "HEAD" else answer

    server.always(honest_head)
    with pytest.raises(StorageError):
        await storage.read("object", span)


@pytest.mark.asyncio
async def test_what_was_asked_for_is_taken(opened: tuple[FaultServer, Storage]) -> None:
    server, storage = opened

    def honest(request: Any) -> Answer:
        if request.method == "HEAD":
            return Answer(200, VERSION | {"content-length": "10"})
        asked = request.headers.get("range") or request.headers.get("x-ms-range")
        if asked is None:
            return Answer(200, dict(VERSION), CONTENT)
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start = int(first) if first else 10 - int(last)
        stop = min(10, int(last) + 1) if first and last else 10
        return part(f"bytes {start}-{stop - 1}/10", CONTENT[start:stop])

    server.always(honest)
    for span in (None, (2, 5), (2, None), (8, 20), (-3, None)):
        assert await storage.read("object", span) == (CONTENT if span is None else CONTENT[slice(*span)])


@pytest.mark.asyncio
async def test_a_body_that_says_it_is_too_large_is_not_waited_for(kind: str) -> None:
    key = "ExperimentRuns/TS_1/Picks/u_1_o.json"
    async with FaultServer() as server:
        storage = open_storage(Settings(**fields(kind, server.url), max_file_bytes=10, retries=0, timeout=30.0))

        def says(length: int) -> Callable[[Request], Answer]:
            told = VERSION | {"content-length": str(length)}
            ranged = told | {"content-range": f"bytes 0-{length - 1}/{length}"}
            # obstore asks for a range even when it wants everything.
            return lambda request: Answer(*((206, ranged) if "range" in request.headers else (200, told)), CONTENT)

        # S3's first answer is read by botocore, the next ones are not.
        for _ in range(2):
            server.always(says(11))
            with pytest.raises(StorageError, match="max_file_bytes") as caught:
                await storage.read(key)
            assert not isinstance(caught.value, StorageTimeoutError)
            server.always(says(10))
            assert await storage.read(key) == CONTENT
        await storage.aclose()


@pytest.mark.asyncio
async def test_a_packed_body_that_cannot_be_read_is_refused(opened: tuple[FaultServer, Storage]) -> None:
    server, storage = opened
    told = VERSION | {"content-encoding": "zstd"}
    ranged = told | {"content-range": "bytes 0-9/10"}
    server.always(lambda request: Answer(*((206, ranged) if "range" in request.headers else (200, told)), CONTENT))
    with pytest.raises(StorageError, match="compressed"):
        await storage.read("object")


def listing(kind: str, name: str, token: str = "") -> Answer:
    """Return a page that lists one name, of a folder if it ends in a slash."""
    if kind == "gs":
        page: dict[str, Any] = {"kind": "storage#objects"}
        page |= {"prefixes": [name]} if name.endswith("/") else {"items": [{"name": name}]} if name else {}
        page |= {"nextPageToken": token} if token else {}
        return Answer(200, {"content-type": "application/json"}, json.dumps(page).encode())
    more = "true" if token else "false"
    if kind == "az":
        inner = f"<Blob><Name>{name}</Name></Blob>" if name else ""
        inner = f"<BlobPrefix><Name>{name}</Name></BlobPrefix>" if name.endswith("/") else inner
        body = f"<EnumerationResults><Blobs>{inner}</Blobs><NextMarker>{token}</NextMarker></EnumerationResults>"
    else:
        inner = f"<Contents><Key>{name}</Key><Size>1</Size></Contents>" if name else ""
        inner = f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>" if name.endswith("/") else inner
        token = f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
        body = f"<ListBucketResult><IsTruncated>{more}</IsTruncated>{inner}{token}</ListBucketResult>"
    return Answer(200, {"content-type": "application/xml"}, body.encode())


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "http"])
@pytest.mark.parametrize("name", ["elsewhere/key", "key", "p/other/key", "p/dirs", "other/", "/p/dir/key", "P/dir/key"])
async def test_keys_outside_of_what_was_listed_are_an_error(
    opened: tuple[FaultServer, Storage], kind: str, name: str
) -> None:
    server, storage = opened
    server.always(listing(kind, "p/dir/key"))
    assert [entry.key for entry in await storage.list("dir")] == ["dir/key"]
    server.always(listing(kind, name))
    with pytest.raises(StorageError, match="asked for"):
        await storage.list("dir")


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["http", "az"])
async def test_a_size_is_not_guessed(opened: tuple[FaultServer, Storage], kind: str) -> None:
    server, storage = opened
    server.always(Answer(200, VERSION | {"transfer-encoding": "chunked"}))
    with pytest.raises(StorageError, match=r"without a length|how long"):
        await (storage.stat("object") if kind == "http" else storage.read("object", (-3, None)))


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["http"])
async def test_the_size_of_a_file_is_the_length_that_the_server_tells(opened: tuple[FaultServer, Storage]) -> None:
    server, storage = opened
    server.always(Answer(200, VERSION | {"content-length": "10"}))
    entry = await storage.stat("object")
    assert (entry.size, entry.is_prefix) == (10, False)
    server.always(Answer(206, VERSION | {"content-length": "10"}))
    with pytest.raises(StorageError, match="206"):
        await storage.stat("object")


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["s3"])
async def test_times_are_those_of_their_zones(opened: tuple[FaultServer, Storage]) -> None:
    server, storage = opened
    for told in ("2030-01-01T00:00:00Z", "2030-01-01T02:00:00+02:00", "2030-01-01T00:00:00", "1893456000"):
        page = f"<Contents><Key>p/dir/a</Key><Size>1</Size><LastModified>{told}</LastModified></Contents>"
        body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{page}</ListBucketResult>"
        server.always(Answer(200, {"content-type": "application/xml"}, body.encode()))
        assert [entry.modified for entry in await storage.list("dir")] == [1893456000]


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["s3"])
async def test_large_answers_are_parsed_in_a_thread(
    opened: tuple[FaultServer, Storage], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    parse = BaseXMLResponseParser._parse_xml_string_to_dom

    def watched(self: Any, text: bytes) -> Any:
        threads.append(threading.current_thread())
        return parse(self, text)

    monkeypatch.setattr(BaseXMLResponseParser, "_parse_xml_string_to_dom", watched)
    server, storage = opened
    names = "".join(f"<Contents><Key>p/dir/{number:0600}</Key><Size>1</Size></Contents>" for number in range(1000))
    body = f"<ListBucketResult><IsTruncated>false</IsTruncated>{names}</ListBucketResult>"
    server.always(Answer(200, {"content-type": "application/xml"}, body.encode()))
    assert len(await storage.list("dir")) == 1000
    assert threads
    assert threading.main_thread() not in threads


@pytest.mark.asyncio
async def test_what_is_forbidden_is_absent_only_where_that_was_asked_for_and_it_is_no_listing(kind: str) -> None:
    for absent in (False, True):
        async with FaultServer() as server:
            body = b"<Error><Code>AccessDenied</Code></Error>"
            server.always(Answer(403, {"content-type": "application/xml"}, body))
            storage = open_storage(Settings(**fields(kind, server.url), forbidden_is_absent=absent, retries=0))
            # A listing is what other kinds answer this with.
            with pytest.raises(NotFoundError if absent and kind == "http" else AccessDeniedError) as caught:
                await storage.stat("object")
            assert ("forbidden_is_absent" in str(caught.value)) is (kind == "http" and not absent)
            with pytest.raises(NotFoundError if absent else AccessDeniedError):
                await storage.read("object")
            with pytest.raises(AccessDeniedError):
                await storage.list("dir")
            await storage.aclose()


def endless(kind: str, way: str) -> Callable[[Any], Answer]:
    """Return a server whose listings do not end."""
    count = 0

    def answer(request: Any) -> Answer:
        nonlocal count
        if request.method == "DELETE":
            return Answer(202 if kind == "az" else 204)
        if request.method == "POST":
            return Answer(200, {"content-type": "application/xml"}, b"<DeleteResult></DeleteResult>")
        count += 1
        if way == "empty pages":
            return listing(kind, "", f"token{count}")
        if way == "one token":
            return listing(kind, "", "token")
        if way == "one page":
            return listing(kind, "p/dir/a", f"token{count}")
        if way == "a folder":
            return listing(kind, "p/dir/a/", f"token{count}")
        return listing(kind, f"p/dir/{'abc'[count % 3]}", f"token{count % 3}")

    return answer


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "http"])
@pytest.mark.parametrize("way", ["empty pages", "one token", "one page", "a folder", "a cycle"])
async def test_a_listing_that_gets_nowhere_ends(
    opened: tuple[FaultServer, Storage], kind: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, storage = opened
    most = MOST_IDLE_PAGES
    if way != "empty pages":
        # The real limit is tried once; a hundred pages each time would show no more.
        most = 12
        for module in ("scan", "backends.object_stores"):
            monkeypatch.setattr(f"aiocopick.storage.{module}.MOST_IDLE_PAGES", most)
    for operation in (
        lambda: storage.list("dir"),
        lambda: scan(storage, "dir"),
        lambda: scan(storage, "dir", start_after="dir/0", stop_before="dir/z"),
        lambda: scan(storage, "dir", collapse=None),
        lambda: storage.delete_tree("dir"),
    ):
        server.requests.clear()
        server.always(endless(kind, way))
        with pytest.raises(StorageError, match="anything new"):
            await operation()
        assert len([request for request in server.requests if request.method == "GET"]) <= 5 * most
    server.always(endless(kind, way))
    if way in ("empty pages", "one token"):
        for key in ("dir/x", "dir"):
            with pytest.raises(StorageError, match="pages"):
                await storage.stat(key)


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "http"])
async def test_a_few_empty_pages_are_passed_over(opened: tuple[FaultServer, Storage], kind: str) -> None:
    server, storage = opened
    server.plan("", [listing(kind, "", f"token{number}") for number in range(5)] + [listing(kind, "p/dir/a")])
    assert [entry.key for entry in await storage.list("dir")] == ["dir/a"]
    server.plan("", [listing(kind, "", f"token{number}") for number in range(5)] + [listing(kind, "p/dir/a")])
    assert (await storage.stat("dir/a")).key == "dir/a"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("gs", Answer(412, {"content-type": "application/json"}, b"{}")),
        ("gs", Answer(404, {"content-type": "text/plain"}, b"Not Found")),
        ("az", Answer(412, {"x-ms-error-code": "ConditionNotMet"})),
        ("az", Answer(412)),
    ],
)
async def test_a_condition_that_does_not_hold_is_a_conflict(
    opened: tuple[FaultServer, Storage], answer: Answer
) -> None:
    server, storage = opened
    gone = Answer(404, {"x-ms-error-code": "BlobNotFound"})
    server.always(lambda request: answer if request.method in ("PUT", "POST") else gone)
    with pytest.raises(ConflictError):
        await storage.write("a", b"1", if_match="x")
    assert [request.method in ("PUT", "POST") for request in server.requests] == [True, False]


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["gs", "az"])
async def test_a_plain_write_has_no_condition_to_fail(opened: tuple[FaultServer, Storage]) -> None:
    server, storage = opened
    server.always(Answer(403))
    for conditions in ({}, {"create": True}):
        with pytest.raises(AccessDeniedError):
            await storage.write("a", b"1", **conditions)  # type: ignore[arg-type]
