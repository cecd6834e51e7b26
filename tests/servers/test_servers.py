"""Every server answers, and behaves as its module says. These are the grounds other tests stand on."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from aiocopick.testing import FaultServer
from tests.children import child
from tests.isolation import OutsideError
from tests.leftovers import without_leftovers
from tests.servers import (
    AzureServer,
    GcsServer,
    MinioServer,
    MotoServer,
    NotInstalledError,
    S3Server,
    Server,
    ServerError,
    ToxiproxyServer,
)
from tests.servers.fixtures import MakeWebServer
from tests.servers.loopback import request

OBJECTS = {
    "project/ExperimentRuns/TS_001/.meta": b"meta",
    "project/ExperimentRuns/TS_001/Picks/alice_17_ribosome.json": b"{}",
    "project/ExperimentRuns/position 7 µ/empty": b"",
} | {f"many/{number:04}.json": b"x" * number for number in range(1200)}


def test_s3_seed_puts_every_object(s3_server: S3Server) -> None:
    bucket = s3_server.new_bucket()
    s3_server.seed(bucket, OBJECTS)
    assert s3_server.keys(bucket) == sorted(OBJECTS)
    client = s3_server.client()
    for key in ("project/ExperimentRuns/position 7 µ/empty", "many/1199.json"):
        assert client.get_object(Bucket=bucket, Key=key)["Body"].read() == OBJECTS[key]
    client.close()


def test_s3_buckets_are_fresh(s3_server: S3Server) -> None:
    first, second = s3_server.new_bucket(), s3_server.new_bucket()
    s3_server.seed(first, {"a": b"1"})
    assert s3_server.keys(second) == []


def test_s3_seeds_a_folder_following_links(s3_server: S3Server, tmp_path: Path) -> None:
    (tmp_path / "project" / "run").mkdir(parents=True)
    (tmp_path / "project" / "run" / ".meta").write_bytes(b"meta")
    (tmp_path / "project" / "linked").symlink_to("run", target_is_directory=True)
    bucket = s3_server.new_bucket()
    s3_server.seed_folder(bucket, tmp_path / "project", prefix="data/")
    assert s3_server.keys(bucket) == ["data/linked/.meta", "data/run/.meta"]


def test_s3_counts_requests_by_operation(s3_server: S3Server) -> None:
    bucket = s3_server.new_bucket()
    client = s3_server.client()
    with s3_server.counting() as counts:
        client.put_object(Bucket=bucket, Key="a", Body=b"1")
        client.get_object(Bucket=bucket, Key="a")["Body"].read()
        client.head_object(Bucket=bucket, Key="a")
        client.list_objects_v2(Bucket=bucket)
        client.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "a"})
        client.delete_object(Bucket=bucket, Key="b")
        client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a"}]})
    client.close()
    assert counts == {
        "PutObject": 1,
        "GetObject": 1,
        "HeadObject": 1,
        "ListObjectsV2": 1,
        "CopyObject": 1,
        "DeleteObject": 1,
        "DeleteMultipleObjects": 1,
    }


def test_s3_conditional_writes(s3_server: S3Server) -> None:
    bucket = s3_server.new_bucket()
    client = s3_server.client()
    etag = client.put_object(Bucket=bucket, Key="a", Body=b"1", IfNoneMatch="*")["ETag"]
    with pytest.raises(client.exceptions.ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=bucket, Key="a", Body=b"2", IfNoneMatch="*")
    client.put_object(Bucket=bucket, Key="a", Body=b"3", IfMatch=etag)
    with pytest.raises(client.exceptions.ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=bucket, Key="a", Body=b"4", IfMatch=etag)
    assert client.get_object(Bucket=bucket, Key="a")["Body"].read() == b"3"
    client.close()


VOLUMES = {f"run/{name}.zarr/{chunk}": b"" for name in ("a", "b", "c", "d") for chunk in range(9)} | {
    "run/.meta": b"meta",
    "run/e.json": b"{}",
}
COLLAPSED = ["run/.meta", "run/a.zarr/", "run/b.zarr/", "run/c.zarr/", "run/d.zarr/", "run/e.json"]


def entries_of(page: dict[str, Any]) -> list[str]:
    """Keys and common prefixes of one page, in the order of the whole."""
    keys = [entry["Key"] for entry in page.get("Contents", ())]
    return sorted(keys + [entry["Prefix"] for entry in page.get("CommonPrefixes", ())])


def list_by_token(client: Any, bucket: str, page_size: int, max_pages: int) -> list[list[str]]:
    """Pages of a listing that collapses volumes, each asked for with the token of the one before."""
    pages: list[list[str]] = []
    more: dict[str, str] = {}
    for _ in range(max_pages):
        page = client.list_objects_v2(Bucket=bucket, Prefix="run/", Delimiter=".zarr/", MaxKeys=page_size, **more)
        pages.append(entries_of(page))
        if not page["IsTruncated"]:
            break
        more = {"ContinuationToken": page["NextContinuationToken"]}
    return pages


def list_by_start_after(client: Any, bucket: str, page_size: int) -> list[str]:
    """Entries of the same listing, each page asked for by the last entry seen: what works on every store.

    A common prefix stands for all keys that begin with it, so the next page starts after the greatest of those.
    """
    seen: set[str] = set()
    start_after = ""
    while True:
        page = client.list_objects_v2(
            Bucket=bucket, Prefix="run/", Delimiter=".zarr/", MaxKeys=page_size, StartAfter=start_after
        )
        entries = entries_of(page)
        seen.update(entries)
        if not page["IsTruncated"]:
            return sorted(seen)
        start_after = entries[-1] + ("\U0010ffff" if entries[-1].endswith("/") else "")


@pytest.mark.parametrize("page_size", [1, 2, 3, 5, 7, 1000])
def test_s3_start_after_gets_every_entry_of_a_collapsed_listing(s3_server: S3Server, page_size: int) -> None:
    bucket = s3_server.new_bucket()
    s3_server.seed(bucket, VOLUMES)
    client = s3_server.client()
    assert list_by_start_after(client, bucket, page_size) == COLLAPSED
    client.close()


def test_moto_token_advances_past_a_common_prefix(moto_server: MotoServer) -> None:
    bucket = moto_server.new_bucket()
    moto_server.seed(bucket, VOLUMES)
    client = moto_server.client()
    assert list_by_token(client, bucket, 2, max_pages=20) == [COLLAPSED[0:2], COLLAPSED[2:4], COLLAPSED[4:6]]
    client.close()


def test_minio_token_does_not_advance_past_a_common_prefix(minio_server: MinioServer) -> None:
    """The reason to go on with StartAfter: pages by token repeat the same prefix and never reach the end."""
    bucket = minio_server.new_bucket()
    minio_server.seed(bucket, VOLUMES)
    client = minio_server.client()
    pages = list_by_token(client, bucket, 2, max_pages=20)
    client.close()
    assert len(pages) == 20
    assert {entry for page in pages for entry in page} < set(COLLAPSED)


@pytest.mark.asyncio
async def test_minio_denies_strangers(minio_server: MinioServer) -> None:
    import s3fs

    bucket = minio_server.new_bucket()
    minio_server.seed(bucket, {"project/.meta": b"meta"})
    fs = s3fs.S3FileSystem(asynchronous=True, skip_instance_cache=True, **minio_server.denied_fs_args())
    session = await fs.set_session()
    try:
        with pytest.raises(PermissionError):
            await fs._cat_file(f"{bucket}/project/.meta")
        with pytest.raises(PermissionError):
            await fs._lsdir(f"{bucket}/project")
    finally:
        await session.close()


def test_gcs_cuts_a_long_delimiter(gcs_server: GcsServer) -> None:
    bucket = gcs_server.new_bucket()
    gcs_server.seed(bucket, VOLUMES)
    assert gcs_server.keys(bucket) == sorted(VOLUMES)
    page = gcs_server.list_page(bucket, prefix="run/", delimiter=".zarr/")
    # Google's own service says run/a.zarr/ here.
    assert page["prefixes"] == ["run/a.", "run/b.", "run/c.", "run/d."]


@pytest.mark.slow
def test_azure_cuts_a_long_delimiter(azure_server: AzureServer) -> None:
    bucket = azure_server.new_bucket()
    azure_server.seed(bucket, VOLUMES)
    assert azure_server.keys(bucket) == sorted(VOLUMES)
    with azure_server.container(bucket) as container:
        found = [entry.name for entry in container.walk_blobs(name_starts_with="run/", delimiter=".zarr/")]
    assert "run/a." in found
    assert "run/a.zarr/" not in found


def test_web_lists_and_answers_ranges(web_server: MakeWebServer, tmp_path: Path) -> None:
    (tmp_path / "a b.json").write_bytes(b"0123456789")
    server = web_server(tmp_path)
    assert b'href="a%20b.json"' in request("GET", f"{server.url}/")[1]
    url = f"{server.url}/a%20b.json"
    assert request("GET", url) == (200, b"0123456789")
    assert request("GET", url, headers={"Range": "bytes=2-4"}) == (206, b"234")
    assert request("GET", url, headers={"Range": "bytes=7-"}) == (206, b"789")
    assert request("GET", url, headers={"Range": "bytes=-2"}) == (206, b"89")
    assert request("GET", url, headers={"Range": "bytes=10-"})[0] == 416
    assert request("GET", f"{server.url}/missing")[0] == 404
    assert server.request_counts() == {"GET": 7}


def test_web_without_ranges_answers_with_everything(web_server: MakeWebServer, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    assert request("GET", f"{web_server(tmp_path, ranges=False).url}/a", headers={"Range": "bytes=2-4"}) == (
        200,
        b"0123456789",
    )


def test_toxiproxy_passes_on_and_breaks(toxiproxy_server: ToxiproxyServer, moto_server: MotoServer) -> None:
    with toxiproxy_server.proxy(moto_server.url) as proxy:
        counts = f"{proxy.url}/_counts"
        assert request("GET", counts)[0] == 200
        proxy.latency(1)
        assert request("GET", counts)[0] == 200
        proxy.reset()
        with pytest.raises(OSError, match=r"reset|closed"):
            request("GET", counts)
        proxy.clear()
        assert request("GET", counts)[0] == 200
        proxy.timeout()
        with pytest.raises(TimeoutError):
            request("GET", counts, timeout=0.2)
        proxy.clear()
        proxy.down()
        with pytest.raises(ConnectionRefusedError):
            request("GET", counts)
        proxy.clear()
        assert request("GET", counts)[0] == 200
    with pytest.raises(ConnectionRefusedError):
        request("GET", counts)


class Sleeper(Server):
    """A process that never answers."""

    name = "sleeper"

    def command(self) -> list[str]:
        return [sys.executable, "-c", "import time; time.sleep(600)"]


class Failing(Server):
    """A process that ends at once."""

    name = "failing"

    def command(self) -> list[str]:
        return [sys.executable, "-c", "raise SystemExit('no reason to live')"]


def test_a_server_that_ends_says_why_and_leaves_nothing() -> None:
    server = Failing()
    with pytest.raises(ServerError, match="no reason to live"):
        server.start()
    assert server.folder == Path()


def test_a_server_that_does_not_answer_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.servers.process.READY_WITHIN", 0.3)
    monkeypatch.setattr("tests.servers.process.ATTEMPTS", 1)
    started: list[int] = []
    popen = subprocess.Popen

    def recording(*arguments: Any, **named: Any) -> Any:
        process = popen(*arguments, **named)
        started.append(process.pid)
        return process

    monkeypatch.setattr("tests.servers.process.subprocess.Popen", recording)
    with pytest.raises(ServerError, match="did not answer"):
        Sleeper().start()
    [pid] = started
    with pytest.raises(ProcessLookupError):
        os.killpg(pid, 0)


def test_a_server_ends_with_whoever_started_it() -> None:
    """Even when that one is killed: the pipe that the supervisor reads from ends with it."""
    script = """
import os, signal, sys
from tests.servers import MotoServer
server = MotoServer().start()
print(server.url, server.folder, flush=True)
sys.stdin.read(1)
os.kill(os.getpid(), signal.SIGKILL)
"""
    with child([sys.executable, "-c", script], stdin=subprocess.PIPE) as starter:
        assert starter.stdin is not None
        assert starter.stdout is not None
        url, folder = starter.stdout.readline().split()
        assert request("GET", f"{url}/_counts")[0] == 200
        assert Path(folder).is_dir()
        starter.communicate("x")
    until_gone(url, Path(folder))


def until_gone(url: str, folder: Path) -> None:
    """Look until nobody listens and the folder is removed; the time limit of tests bounds it."""
    while folder.exists():
        os.sched_yield()
    with pytest.raises(ConnectionRefusedError):
        request("GET", f"{url}/_counts")


def test_what_is_missing_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIOCOPICK_TEST_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    remedy = "minio is not installed: run `python scripts/servers.py install minio`"
    assert MinioServer.missing() == remedy
    with pytest.raises(NotInstalledError, match=remedy):
        MinioServer().start()


def test_the_test_run_stays_on_this_machine() -> None:
    with pytest.raises(OutsideError, match=r"9\.9\.9\.9"):
        request("GET", "http://9.9.9.9", timeout=1)


@pytest.mark.asyncio
async def test_a_forgotten_task_fails_its_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.leftovers.PATIENCE", 0.05)
    forgotten: list[asyncio.Task[object]] = []

    async def forgets() -> None:
        forgotten.append(asyncio.create_task(asyncio.Event().wait()))

    async def ends(what: Callable[[], object] = lambda: None) -> None:
        task = asyncio.create_task(asyncio.sleep(0))
        what()
        del task

    with pytest.raises(pytest.fail.Exception, match="left 1 tasks running"):
        await without_leftovers(forgets)()
    forgotten[0].cancel()
    await without_leftovers(ends)()


def test_a_connection_that_is_open_when_its_loop_ends_is_seen(open_connections: list[str]) -> None:
    forgotten: list[asyncio.Transport] = []

    async def forgets() -> None:
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=one)
        forgotten.append(transport)

    one, other = socket.socketpair()
    with one, other:
        asyncio.run(forgets())
        # The garbage collector would tell as well.
        vars(forgotten[0])["_sock"] = None
    assert len(open_connections) == 1
    open_connections.clear()


@pytest.mark.parametrize(
    "request_line", [b"", b"GET /content HTTP/1.1\r\n\r\n", b"PUT / HTTP/1.1\r\ncontent-length: 9\r\n\r\n"]
)
def test_a_server_that_ends_closes_what_it_has_just_accepted(request_line: bytes, open_connections: list[str]) -> None:
    release = threading.Event()
    with ExitStack() as clients:
        with FaultServer(contents={"/content": bytes(2**22)}) as server:
            assert server._loop is not None
            address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
            talking = clients.enter_context(socket.create_connection(address))
            talking.sendall(request_line)
            # They connect while the loop is busy, which then has to accept them and to end.
            server._loop.call_soon_threadsafe(release.wait)
            for _ in range(20):
                clients.enter_context(socket.create_connection(address)).sendall(request_line)
            server._loop.call_soon_threadsafe(server._stop.set)
            release.set()
        assert open_connections == []
