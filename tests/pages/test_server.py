"""The server: the same project over HTTP, and nothing for whom it is not meant."""

from __future__ import annotations

import io
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import anyio
import numpy as np
import pytest
from PIL import Image
from yarl import URL

import aiocopick
from aiocopick.entities import AsyncRoot
from aiocopick.errors import CopickError, InvalidNameError
from aiocopick.pages import keys, serving
from tests.pictures.scenes import write_scene

pytestmark = pytest.mark.asyncio


class Browser:
    """Requests to a server, by path below its front page."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session = session
        self.url = url

    async def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, Any, bytes]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        address = path if path.startswith("http") else self.url + path
        async with self.session.request(
            method, URL(address, encoded=True), headers=sent, allow_redirects=False
        ) as answer:
            return answer.status, answer.headers, await answer.read()


@asynccontextmanager
async def browsing(root: AsyncRoot, **how: Any) -> AsyncIterator[Browser]:
    async with serving(root, **how) as url, aiohttp.ClientSession() as session:
        yield Browser(session, url)


async def test_a_project_over_its_url_holds_the_same(root: AsyncRoot) -> None:
    for name in ("TS_1", "a b%20c#?&;+é"):
        await write_scene(root, name)
    async with serving(root) as url, aiocopick.open(f"{url}keys", must_exist=True) as served:
        assert served.read_only
        assert [run.name for run in await served.runs()] == [run.name for run in await root.runs()]
        for run, other in zip(await served.runs(), await root.runs(), strict=True):
            for noun in ("voxel_spacings", "picks", "segmentations", "meshes"):
                here, there = await getattr(run, noun)(), await getattr(other, noun)()
                assert [item.ref for item in here] == [item.ref for item in there]
            [picks], [same] = await run.picks(), await other.picks()
            assert np.array_equal((await picks.numpy())[0], (await same.numpy())[0])
            [spacing] = await run.voxel_spacings()
            [tomogram] = await spacing.tomograms()
            assert (await tomogram.numpy(z=slice(3, 5))).shape == (2, 40, 60)
            assert len(await run.picture()) > 1000
        found = {item.ref async for run in served.crawl() for item in await run.picks()}
        assert len(found) == 2
        async with serving(served) as again, aiocopick.open(f"{again}keys") as twice:
            assert len(await twice.runs()) == 2


async def test_keys_have_ranges_and_versions(root: AsyncRoot) -> None:
    await write_scene(root)
    content = bytes(range(256))
    await root.layer.storage.write("ExperimentRuns/TS_1/x.bin", content)  # type: ignore[union-attr]
    async with browsing(root) as browser:
        key = "keys/ExperimentRuns/TS_1/x.bin"
        status, headers, body = await browser.ask(key)
        assert (status, body, headers["Content-Type"]) == (200, content, "application/octet-stream")
        for asked, span in {"0-9": (0, 10), "250-": (250, 256), "-6": (250, 256), "200-9999": (200, 256)}.items():
            status, found, body = await browser.ask(key, Range=f"bytes={asked}")
            assert (status, body) == (206, content[slice(*span)])
            assert found["Content-Range"] == f"bytes {span[0]}-{span[1] - 1}/256"
        for asked in (
            "bytes=256-",
            "bytes=9-3",
            "bytes=-",
            "bytes=-0",
            "bytes=0-1,3-4",
            "items=0-1",
            f"bytes=0-{10**30}",
        ):
            status, found, body = await browser.ask(key, Range=asked)
            assert (status, body, found["Content-Range"]) == (416, b"", "bytes */256")
        status, found, body = await browser.ask(key, "HEAD")
        assert (status, body, found["Content-Length"]) == (200, b"", "256")
        etag = headers.get("ETag")
        if root.layer.storage.capabilities.etags:  # type: ignore[union-attr]
            assert found["ETag"] == etag
            assert (await browser.ask(key, If_None_Match=etag))[::2] == (304, b"")
            assert (await browser.ask(key, If_None_Match=f'"x", W/{etag}'))[0] == 304
            assert (await browser.ask(key, If_None_Match='"other"'))[::2] == (200, content)
            assert (await browser.ask(key, Range="bytes=0-1", If_Range='"other"'))[::2] == (200, content)
            assert (await browser.ask(key, Range="bytes=0-1", If_Range=etag))[::2] == (206, content[:2])
        assert (await browser.ask("keys/ExperimentRuns/TS_1/missing"))[0] == 404
        assert (await browser.ask("keys/ExperimentRuns/TS_9/"))[0] == 404


async def test_large_objects_are_sent_in_pieces(root: AsyncRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "LARGE", 100)
    monkeypatch.setattr(keys, "_PIECE", 70)
    content = np.random.default_rng(0).bytes(1000)
    await root.layer.storage.write("ExperimentRuns/x.bin", content)  # type: ignore[union-attr]
    async with browsing(root) as browser:
        assert (await browser.ask("keys/ExperimentRuns/x.bin"))[::2] == (200, content)
        status, headers, body = await browser.ask("keys/ExperimentRuns/x.bin", Range="bytes=5-")
        assert (status, body, headers["Content-Length"]) == (206, content[5:], "995")


async def test_nothing_outside_of_the_project_is_served(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("treasure")
    async with aiocopick.open(tmp_path / "project") as root:
        await write_scene(root)
        async with browsing(root) as browser:
            for path in (
                "../secret", "..%2fsecret", "%2e%2e/secret", "%2e%2e%2fsecret", "ExperimentRuns/../../secret",
                "..%5csecret", "/etc/passwd", "%2fetc/passwd", "x%00", "..%252fsecret", "%ff", "./x", "a//b", "../",
            ):  # fmt: skip
                status, _, body = await browser.ask(f"keys/{path}")
                assert status in (400, 404), path
                assert b"treasure" not in body, path
            for path in ("viewer/../keys/", "pictures/..%2f..%2fx", "other", "keys"):
                assert (await browser.ask(path))[0] in (400, 404), path
            for method in ("PUT", "POST", "DELETE", "PATCH"):
                assert (await browser.ask("keys/ExperimentRuns/x", method))[0] == 405
    assert sorted(path.name for path in (tmp_path / "project").iterdir()) == ["ExperimentRuns"]


async def test_only_who_knows_the_token_is_answered(root: AsyncRoot) -> None:
    await write_scene(root)
    async with browsing(root) as browser:
        parts = urlsplit(browser.url)
        origin, token = f"{parts.scheme}://{parts.netloc}", parts.path.strip("/")
        assert len(token) >= 32
        for path in (
            "/",
            "/keys/",
            f"/{token}",
            f"/{token[:-1]}/",
            f"/{token}x/",
            f"//{token}/",
            f"/{token.upper()}/",
        ):
            assert (await browser.ask(origin + path))[0] == 404, path
        status, headers, _ = await browser.ask("")
        assert (status, headers["Referrer-Policy"]) == (200, "no-referrer")
    async with serving(root) as other:
        assert token not in other


async def test_other_names_of_this_machine_are_refused(root: AsyncRoot) -> None:
    await write_scene(root)
    async with browsing(root) as browser:
        port = urlsplit(browser.url).port
        for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}"):
            assert (await browser.ask("keys/", Host=host))[0] == 200, host
        for host in (f"evil.example:{port}", "127.0.0.1", "127.0.0.1:1", f"127.0.0.1.evil.example:{port}", "",
                     f"x@127.0.0.1:{port}", f"192.0.2.1:{port}", "[", f"localhost.:{port}"):  # fmt: skip
            assert (await browser.ask("keys/", Host=host))[0] in (400, 421), host


async def test_only_allowed_viewers_can_read_answers(root: AsyncRoot) -> None:
    await write_scene(root)
    async with browsing(root, origins=["http://localhost:5173"]) as browser:
        _, headers, _ = await browser.ask("keys/", Origin="http://localhost:5173")
        assert headers["Access-Control-Allow-Origin"] == "http://localhost:5173"
        assert headers["Vary"] == "Origin"
        status, headers, _ = await browser.ask("keys/", "OPTIONS", Origin="http://localhost:5173")
        assert (status, headers["Access-Control-Allow-Headers"]) == (204, "Range, If-None-Match")
        for origin in ("http://evil.example", "null", "http://localhost:5174", "https://localhost:5173"):
            _, headers, _ = await browser.ask("keys/", Origin=origin)
            assert "Access-Control-Allow-Origin" not in headers
            assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert (await browser.ask("keys/", "OPTIONS", Origin=origin))[0] == 403
    for origin in ("https://viewer.example", "*", "null", "http://localhost:1/path", "localhost"):
        with pytest.raises(InvalidNameError, match="viewer on this machine"):
            async with serving(root, origins=[origin]):
                pass


async def test_a_taken_port_is_one_clear_error(root: AsyncRoot) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(CopickError, match=f"port {port} is taken"):
            async with serving(root, port=port):
                pass
    with pytest.raises(CopickError, match="cannot be used"):
        async with serving(root, host="203.0.113.1"):
            pass


async def test_the_front_page_and_its_pictures(root: AsyncRoot) -> None:
    await write_scene(root, "TS <1>")
    await root.new_run("TS_2")
    run = await write_scene(root, "TS_3")
    [spacing] = await run.voxel_spacings()
    await spacing.delete_tomograms("wbp")
    await spacing.new_tomogram("wbp")
    async with browsing(root) as browser:
        before = root.stats.total if hasattr(root.stats, "total") else None
        status, _, body = await browser.ask("")
        assert status == 200
        text = body.decode()
        assert text.count('<li class="card"') == 3
        assert "TS &lt;1&gt;" in text
        assert "no tomogram to show" in text
        assert "pip install" in text
        assert "Open in the viewer" not in text
        assert before is None or before
        status, headers, body = await browser.ask("pictures/TS%20%3C1%3E")
        assert (status, headers["Content-Type"]) == (200, "image/webp")
        assert len(body) <= 15_000
        status, headers, body = await browser.ask("pictures/TS%20%3C1%3E?large")
        assert Image.open(io.BytesIO(body)).width == 800
        # The reason is in the place of the picture.
        status, headers, body = await browser.ask("pictures/TS_3")
        assert (status, headers["Content-Type"]) == (200, "image/png")
        assert (await browser.ask("pictures/TS_9"))[0] == 404


async def test_the_catalogue_is_json_and_parquet(root: AsyncRoot) -> None:
    await write_scene(root)
    async with browsing(root) as browser:
        _, _, body = await browser.ask("catalog.json")
        kinds = [row["kind"] for row in json.loads(body)]
        assert sorted(kinds) == ["picks", "run", "segmentation", "tomogram", "voxel_spacing"]
        _, _, body = await browser.ask("catalog.parquet")
        import pyarrow.parquet

        table = await anyio.to_thread.run_sync(pyarrow.parquet.read_table, io.BytesIO(body))
        assert table["kind"].to_pylist() == kinds


async def test_a_viewer_is_served_and_volumes_open_in_it(root: AsyncRoot, tmp_path: Path) -> None:
    await write_scene(root)
    folder = tmp_path / "viewer"
    await anyio.Path(folder).mkdir()
    await anyio.Path(folder / "index.html").write_text("<title>viewer</title>")
    async with browsing(root, viewer=folder) as browser:
        _, _, body = await browser.ask("")
        assert 'href="viewer/v/TS_1/"' in body.decode()
        status, headers, body = await browser.ask("viewer/v/TS_1/")
        assert (status, body) == (200, b"<title>viewer</title>")
        assert "default-src 'self'" in headers["Content-Security-Policy"]
        assert (await browser.ask("viewer/v/TS_1/missing.js"))[0] == 404
        assert (await browser.ask("viewer/state/TS_1", "POST"))[0] == 200
        async with browser.session.get(f"{browser.url}viewer/events/TS_1") as answer:
            assert answer.content_type == "text/event-stream"
            event = json.loads((await answer.content.readline()).removeprefix(b"data: "))
        assert [layer["type"] for layer in event["s"]["layers"]] == ["image", "segmentation"]
        for layer in event["s"]["layers"]:
            address = layer["source"].removeprefix("zarr://")
            assert address.startswith(browser.url)
            assert (await browser.ask(f"{address}.zattrs"))[0] == 200


async def test_several_layers_are_folders(tmp_path: Path) -> None:
    roots = [AsyncRoot(aiocopick.CopickConfigFS(root=str(tmp_path / name), user_id="x")) for name in ("a", "b")]
    for root, name in zip(roots, ("TS_1", "TS_2"), strict=True):
        await write_scene(root, name)
    async with browsing(AsyncRoot.stack(roots)) as browser:
        for path, status in {
            "keys/0/ExperimentRuns/TS_1/": 200, "keys/1/ExperimentRuns/TS_2/": 200, "keys/0/ExperimentRuns/TS_2/": 404,
            "keys/2/": 404, "keys/": 404, "keys/-1/": 404, "keys/x/": 404,
        }.items():  # fmt: skip
            assert (await browser.ask(path))[0] == status, path
        _, _, body = await browser.ask("")
        assert body.decode().count('<li class="card"') == 2
