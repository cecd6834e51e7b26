"""Index pages of the web servers that people have, and pages that are none."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, strategies as st

from aiocopick.errors import StorageError
from aiocopick.opening import open as open_project
from aiocopick.storage import open_storage
from aiocopick.storage.backends.index_pages import read_index
from aiocopick.storage.faults import AnswerError
from aiocopick.storage.settings import Settings
from aiocopick.testing import Answer, FaultServer, Request

BASE = "http://host/p/ExperimentRuns/"
FOUND = [("TS 1", True), ("a&b.json", False)]

PAGES = {
    "nginx": (
        "text/html",
        '<html>\r\n<head><title>Index of /p/ExperimentRuns/</title></head>\r\n<body>\r\n<h1>Index of /p/ExperimentRuns/'
        '</h1><hr><pre><a href="../">../</a>\r\n<a href="TS%201/">TS 1/</a>  19-Nov-2026 10:00    -\r\n'
        '<a href="a%26b.json">a&amp;b.json</a>   19-Nov-2026 10:00   12\r\n</pre><hr></body>\r\n</html>',
    ),
    "apache": (
        "text/html;charset=UTF-8",
        '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN"><html><head><title>Index of /p/ExperimentRuns</title>'
        '</head><body><h1>Index of /p/ExperimentRuns</h1><table><tr><th><a href="?C=N;O=D">Name</a></th></tr><tr><td>'
        '<a href="/p/">Parent Directory</a></td></tr><tr><td><img src="/icons/folder.gif" alt="[DIR]"></td><td>'
        '<a href="TS%201/">TS 1/</a></td></tr><tr><td><a href="a&amp;b.json">a&amp;b.json</a></td></tr></table>'
        "<address>Apache/2.4 Server at host Port 80</address></body></html>",
    ),
    "python": (
        "text/html; charset=utf-8",
        '<!DOCTYPE HTML>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Directory listing for '
        "/p/ExperimentRuns/</title>\n</head>\n<body>\n<h1>Directory listing for /p/ExperimentRuns/</h1>\n<hr>\n<ul>\n"
        '<li><a href="TS%201/">TS 1/</a></li>\n<li><a href="a%26b.json">a&amp;b.json</a></li>\n</ul>\n</body></html>',
    ),
    "go": ("text/html; charset=utf-8", '<pre>\n<a href="TS%201/">TS 1/</a>\n<a href="a&amp;b.json">a&amp;b.json</a>\n</pre>\n'),
    "caddy": (
        "text/html; charset=utf-8",
        '<!DOCTYPE html><html><head><title>/p/ExperimentRuns/</title><style>a{}</style></head><body><header><h1>'
        '<a href="/">/</a><a href="../../">p</a></h1></header><table><tr><td><a href="..">Up</a></td></tr><tr><td>'
        '<a href="./TS%201/">TS 1</a></td></tr><tr><td><a href="./a&amp;b.json">a&amp;b.json</a></td></tr></table>'
        '<script>const a = "<a href=\'wrong/\'>";</script></body></html>',
    ),
    "iis": (
        "text/html",
        "<html><head><title>host - /p/ExperimentRuns/</title></head><body><H1>host - /p/ExperimentRuns/</H1><hr>"
        '<pre><A HREF="/p/">[To Parent Directory]</A><br><br> 11/19/2026 &lt;dir&gt; <A HREF="/p/ExperimentRuns/TS%201/">'
        'TS 1</A><br> 12 <A HREF="/p/ExperimentRuns/a&amp;b.json">a&amp;b.json</A><br></pre><hr></body></html>',
    ),
    "xhtml": (
        "application/xhtml+xml",
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"><head>'
        '<title>Index of /p/</title></head><body><!-- <a href="wrong/"> --><ul><li><a class="d" href="TS%201/">TS 1/</a>'
        '</li><li><a href = \'a&amp;b.json\' >a</a></li></ul></body></html>',
    ),
    "nginx json": (
        "application/json",
        '[\n{ "name":"TS 1", "type":"directory", "mtime":"Thu, 19 Nov 2026 10:00:00 GMT" },\n'
        '{ "name":"a&b.json", "type":"file", "mtime":"Thu, 19 Nov 2026 10:00:00 GMT", "size":12 }\n]',
    ),
    "nginx xml": (
        "text/xml; charset=utf-8",
        '<?xml version="1.0"?>\n<list>\n<directory mtime="2026-11-19T10:00:00Z">TS 1</directory>\n'
        '<file mtime="2026-11-19T10:00:00Z" size="12">a&amp;b.json</file>\n</list>',
    ),
    "caddy json": (
        "application/json; charset=utf-8",
        '[{"name":"TS 1/","size":4096,"url":"./TS%201/","mod_time":"2026-11-19T10:00:00Z","mode":2147484141,'
        '"is_dir":true,"is_symlink":false},{"name":"a&b.json","size":12,"url":"./a&b.json","is_dir":false}]',
    ),
    "dufs json": (
        "application/json",
        '{"href":"/p","kind":"Index","paths":[{"path_type":"Dir","name":"TS 1","mtime":1,"size":0},'
        '{"path_type":"File","name":"a&b.json","mtime":1,"size":12}]}',
    ),
    "files json": (
        "application/json",
        '{"files":[{"base":"TS 1/","type":"folder"},{"base":"a&b.json","type":"file"}],"directory":"p/"}',
    ),
}  # fmt: skip


def entries(kind: str, text: str | bytes, **headers: str) -> list[tuple[str, bool]]:
    data = text.encode() if isinstance(text, str) else text
    found = read_index(data, {"content-type": kind, **{k.replace("_", "-"): v for k, v in headers.items()}}, BASE, "")
    return [(entry.key, entry.is_prefix) for entry in found]


@pytest.mark.parametrize("server", PAGES)
def test_the_indexes_of_servers_are_read(server: str) -> None:
    kind, text = PAGES[server]
    assert entries(kind, text) == FOUND


@pytest.mark.parametrize("server", PAGES)
def test_compressed_indexes_are_read(server: str) -> None:
    kind, text = PAGES[server]
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    assert entries(kind, gzip.compress(text.encode()), content_encoding="gzip") == FOUND
    assert entries(kind, zlib.compress(text.encode()), content_encoding="deflate") == FOUND
    assert entries(kind, raw.compress(text.encode()) + raw.flush(), content_encoding="deflate") == FOUND


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("text/html", '<html><head><title>Index of /p/</title></head><body><h1>Index of /p/</h1><pre></pre></body></html>'),
        ("text/html", '<html><body><a href="../">../</a></body></html>'),
        ("text/html", "<html><title>Directory listing for /</title><ul></ul></html>"),
        ("text/html", "<pre>\n</pre>\n"),
        ("application/json", "[]"),
        ("application/json", '{"paths": []}'),
        ("text/xml", '<?xml version="1.0"?>\n<list>\n</list>'),
    ],
)  # fmt: skip
def test_an_empty_index_is_empty(kind: str, text: str) -> None:
    assert entries(kind, text) == []


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("text/html", "<html><head><title>Welcome to nginx!</title></head><body><h1>Welcome to nginx!</h1></body></html>"),
        ("text/html", '<h1>Shop</h1><a href="about/">About</a><a href="https://elsewhere.org/">more</a>'),
        ("text/html", '<!doctype html><div id="root"></div><script src="app.js"></script>'),
        ("text/html", '<form action="login"><a href="help/">Help</a></form>'),
        ("text/html", '<a href="/">Home</a>'),
        ("text/html", '<h1>404 Not Found</h1><p>There is no such page.</p><a href="index.html">home</a>'),
        ("text/html", '<title>Sign in</title><a href="signup">Sign up</a><a href="help/">Help</a>'),
        ("text/html", '<title>Login - Files</title><ul><li><a href="reset/">Reset</a></ul>'),
        ("text/html", '<h2>Access denied</h2><a href="ask/">Ask for access</a>'),
        ("text/html", '<title>Service unavailable</title><pre></pre><a href="status/">Status</a>'),
        ("text/html", "plain words"),
        ("text/html", ""),
        ("text/html", " \n"),
        ("text/plain", '<a href="../">../</a>'),
        ("", '<a href="../">../</a>'),
        ("application/json", "{}"),
        ("application/json", "null"),
        ("application/json", '"text"'),
        ("application/json", "[1, 2]"),
        ("application/json", '["a/", "b"]'),
        ("application/json", '[{"name": "a"}]'),
        ("application/json", '[{"name": 1, "type": "directory"}]'),
        ("application/json", '[{"type": "directory"}]'),
        ("application/json", '{"error": "not found"}'),
        ("application/json", "[{]"),
        ("application/json", "[" * 200_000),
        ("application/json", "[" + "9" * 10_000 + "]"),
        ("application/xml", "<ListBucketResult></ListBucketResult>"),
        ("application/xml", "<listing><directory>a</directory></listing>"),
        ("application/octet-stream", "x"),
    ],
)  # fmt: skip
def test_other_pages_are_not_empty_folders(kind: str, text: str) -> None:
    with pytest.raises(AnswerError, match="not a listing"):
        entries(kind, text)


def test_an_index_that_unpacks_to_too_much_is_refused() -> None:
    bomb = gzip.compress(b" " * (80 * 1024 * 1024), compresslevel=1)
    with pytest.raises(AnswerError, match="more than"):
        entries("text/html", bomb, content_encoding="gzip")
    whole = gzip.compress(PAGES["nginx"][1].encode())
    with pytest.raises(AnswerError, match="cut short"):
        entries("text/html", whole[:-20], content_encoding="gzip")
    with pytest.raises(AnswerError, match="not gzip"):
        entries("text/html", b"<html>", content_encoding="gzip")


HOSTILE = [
    "<a ", "<a", "<", "<!--", "<!", "</", "<a href=", '<a href="', "<a href='", "<a href=\"x'", "<script>", "<script", "</script",
    "<a\"'", '"<a \'"', "<a x=y ", "&", "&#", "&#x41", "<a href='&#" , "<pre", "<title>", " ", "/", "<a/", "<?", "<list",
    "= ", "<a =",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
@pytest.mark.parametrize("kind", ["text/html", "text/xml"])
def test_time_grows_with_the_size_alone(piece: str, kind: str) -> None:
    # A reader that goes back would not end within the time that a test has.
    for text in (piece * (400_000 // len(piece)), "<list>" + piece * (400_000 // len(piece))):
        try:
            entries(kind, text)
        except AnswerError:
            continue


@given(
    st.lists(st.sampled_from([*HOSTILE, "a", ">", '"', "'", "=", "href", "../", "x/", "<a href=x>", "\n"])).map("".join)
)
def test_any_page_is_read_or_refused(text: str) -> None:
    for kind in ("text/html", "text/xml", "application/json"):
        try:
            found = entries(kind, text)
        except AnswerError:
            continue
        assert all(name and "/" not in name and name not in (".", "..") for name, _ in found)


def test_links_that_are_no_addresses_are_passed_over() -> None:
    page = '<a href="../">..</a><a href="http://[x/">b</a><a href="&#' + "9" * 5000 + ';">c</a><a href="d/">d</a>'
    assert entries("text/html", page) == [("d", True)]


def index_of(contents: dict[str, bytes], style: str) -> Callable[[Request], Answer]:
    """Return a server of files whose folders are listed in one of several styles."""

    def answer(request: Request) -> Answer:
        path = request.path
        if path in contents:
            return Answer(200, {"content-type": "application/json"}, contents[path])
        folder = path.rstrip("/") + "/"
        names = sorted({name[len(folder) :].partition("/")[0] for name in contents if name.startswith(folder)})
        if not names:
            return Answer(404)
        if not path.endswith("/"):
            return Answer(301, {"location": f"{path}/"})
        found = [(name, f"{folder}{name}" not in contents) for name in names]
        if style == "json":
            items = [{"name": name, "type": "directory" if folder else "file"} for name, folder in found]
            return Answer(200, {"content-type": "application/json"}, json.dumps(items).encode())
        links = "".join(f'<a href="{name}{"/" if folder else ""}">x</a>' for name, folder in found)
        data = f"<h1>Index of</h1>{links}".encode()
        if style == "gzip":
            return Answer(200, {"content-type": "text/html", "content-encoding": "gzip"}, gzip.compress(data))
        return Answer(200, {"content-type": "text/html"}, data)

    return answer


POINTS: dict[str, Any] = {
    "pickable_object_name": "ribosome", "user_id": "u", "session_id": "1", "run_name": "TS_1", "voxel_spacing": None,
    "unit": "angstrom", "points": [],
}  # fmt: skip


@pytest.mark.asyncio
@pytest.mark.parametrize("style", ["html", "json", "gzip"])
async def test_a_project_is_read_through_any_of_them(style: str) -> None:
    contents = {
        "/p/ExperimentRuns/TS_1/Picks/u_1_ribosome.json": json.dumps(POINTS).encode(),
        "/p/ExperimentRuns/TS_2/Picks/u_1_ribosome.json": json.dumps(POINTS).encode(),
    }
    async with FaultServer() as server:
        server.always(index_of(contents, style))
        async with open_project(f"{server.url}/p", must_exist=True) as root:
            assert [run.name for run in await root.query()] == ["TS_1", "TS_2"]
            run = await root.get_run("TS_1")
            assert run is not None
            [picks] = await run.query_picks()
            await picks.load()
            assert picks.points == []


@pytest.mark.asyncio
async def test_a_listing_that_leads_to_another_page_is_not_empty() -> None:
    async with FaultServer(contents={"/login": b"<html>Log in</html>"}) as server:
        server.plan("/dir/", [f"redirect {server.url}/login"])
        storage = open_storage(Settings(root=f"{server.url}/p"))
        with pytest.raises(StorageError, match="redirect"):
            await storage.list("dir")
        assert await storage.list("other") == []
        await storage.aclose()
