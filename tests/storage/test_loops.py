"""One set of connections per event loop: made, shared, closed and given up."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Iterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from aiocopick.storage import Storage, loops, open_storage
from aiocopick.storage.factory import backend_of
from aiocopick.storage.keys import parse_root
from aiocopick.storage.settings import Settings
from aiocopick.testing import FaultServer
from tests.children import run_child
from tests.servers.s3 import MotoServer

CONTENT = b"content"


@pytest.fixture(params=["s3", "obstore", "http"])
def storage(request: pytest.FixtureRequest) -> Storage:
    """A storage with an object, not yet used in any loop."""
    if request.param == "http":
        server = request.getfixturevalue("fault_server")
        return open_storage(Settings(root=server.url))
    moto: MotoServer = request.getfixturevalue("moto_server")
    bucket = moto.new_bucket()
    moto.seed(bucket, {"object": CONTENT})
    engine = "obstore" if request.param == "obstore" else "s3fs"
    return open_storage(Settings(root=f"s3://{bucket}", fs_args=moto.fs_args(), engine=engine))


@pytest.fixture
def known() -> set[object]:
    """What was made on other loops before the test, such as the one that serves every facade of the process."""
    return set(loops._loops.values())


@pytest.fixture
def fault_server() -> Iterator[FaultServer]:
    with FaultServer(contents={"/object": CONTENT}) as server:
        yield server


async def read(storage: Storage) -> bytes:
    return await storage.read("object")


def test_two_loops_in_turn(storage: Storage, known: set[object]) -> None:
    for _ in range(3):
        assert asyncio.run(read(storage)) == CONTENT
    assert anyio.run(read, storage) == CONTENT
    assert set(loops._loops.values()) <= known


def test_several_loops_at_once(storage: Storage) -> None:
    results: list[bytes] = []
    threads = [threading.Thread(target=lambda: results.append(asyncio.run(read(storage)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [CONTENT] * 4


@pytest.fixture
def abandoned(open_connections: list[str]) -> Iterator[None]:
    """Let a test close a loop whose connections are open, on purpose."""
    yield
    open_connections.clear()


@pytest.mark.usefixtures("abandoned")
def test_a_loop_closed_without_a_goodbye_is_swept(storage: Storage, known: set[object]) -> None:
    loop = asyncio.new_event_loop()
    assert loop.run_until_complete(read(storage)) == CONTENT
    loop.close()
    assert asyncio.run(read(storage)) == CONTENT
    assert set(loops._loops.values()) <= known
    del loop
    # An unclosed session or transport would warn now, and a warning is an error.
    gc.collect()


@pytest.mark.usefixtures("abandoned")
def test_a_new_loop_with_an_old_address_is_another_loop(storage: Storage) -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(read(storage))
    state = loops._loops[id(loop)]
    loop.close()
    another = asyncio.new_event_loop()
    loops._loops[id(another)] = loops._loops.pop(id(loop))
    try:
        assert another.run_until_complete(read(storage)) == CONTENT
        assert loops._loops[id(another)] is not state
        another.run_until_complete(another.shutdown_asyncgens())
    finally:
        another.close()
    assert not any(connection.connected for connection in state.connections.values())


@pytest.mark.asyncio
async def test_equal_storages_share_connections_until_the_last_is_closed(storage: Storage) -> None:
    other = open_storage(storage._core.settings)  # type: ignore[attr-defined]
    assert await read(storage) == CONTENT
    assert await read(other) == CONTENT
    state = loops._loops[id(asyncio.get_running_loop())]
    assert len(state.connections) == 1
    (connection,) = state.connections.values()
    await storage.aclose()
    assert list(state.connections.values()) == [connection]
    assert await read(other) == CONTENT
    await other.aclose()
    assert not state.connections
    await other.aclose()


@pytest.mark.asyncio
async def test_a_forgotten_storage_keeps_nothing_open_for_others(storage: Storage) -> None:
    other = open_storage(storage._core.settings)  # type: ignore[attr-defined]
    await read(storage)
    await read(other)
    del other
    gc.collect()
    await storage.aclose()
    assert not loops._loops[id(asyncio.get_running_loop())].connections


@pytest.mark.asyncio
async def test_different_credentials_share_nothing(fault_server: FaultServer) -> None:
    first = open_storage(Settings(root=fault_server.url, fs_args={"headers": {"Authorization": "one"}}))
    second = open_storage(Settings(root=fault_server.url, fs_args={"headers": {"Authorization": "two"}}))
    await read(first)
    await read(second)
    assert [request.headers["authorization"] for request in fault_server.requests] == ["one", "two"]
    await first.aclose()
    await second.aclose()


def test_a_cancelled_program_leaves_nothing_open(storage: Storage, known: set[object]) -> None:
    async def interrupted() -> None:
        await read(storage)
        with anyio.move_on_after(0):
            await storage.list("")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(interrupted())
    assert set(loops._loops.values()) <= known
    gc.collect()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_connects_anew() -> None:
    program = """
        import asyncio, os, sys
        from aiocopick.storage import open_storage
        from aiocopick.storage.settings import Settings
        from aiocopick.testing import FaultServer

        async def main(storage, server):
            assert await storage.read("object") == b"content"
            child = os.fork()
            if child == 0:
                # A child starts with a loop of its own; this one is its parent's.
                asyncio.events._set_running_loop(None)
                code = 1
                try:
                    assert asyncio.run(storage.read("object")) == b"content"
                    code = 0
                finally:
                    os._exit(code)
            status = await asyncio.to_thread(os.waitpid, child, 0)
            assert status[1] == 0, status
            assert await storage.read("object") == b"content"

        with FaultServer(contents={"/object": b"content"}) as server:
            asyncio.run(main(open_storage(Settings(root=server.url)), server))
            # Two connections: the child did not speak on its parent's.
            assert len(server.requests) == 3
        print("done")
    """
    assert run_child(program) == "done"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_is_refused_the_engine_whose_threads_it_lacks(moto_server: MotoServer) -> None:
    bucket = moto_server.new_bucket()
    moto_server.seed(bucket, {"object": CONTENT})
    program = f"""
        import asyncio, os
        from aiocopick.errors import StorageError
        from aiocopick.storage import open_storage
        from aiocopick.storage.settings import Settings

        settings = Settings(root="s3://{bucket}", fs_args={moto_server.fs_args()!r}, engine="obstore")
        storage = open_storage(settings)
        assert asyncio.run(storage.read("object")) == b"content"
        child = os.fork()
        if child == 0:
            code = 1
            try:
                asyncio.run(storage.read("object"))
            except StorageError as error:
                code = 0 if "engine='s3fs'" in str(error) else 2
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert asyncio.run(storage.read("object")) == b"content"
        print("done")
    """
    assert run_child(program) == "done"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_uses_the_other_engine(moto_server: MotoServer) -> None:
    bucket = moto_server.new_bucket()
    moto_server.seed(bucket, {"object": CONTENT})
    program = f"""
        import asyncio, os
        from aiocopick.models import CopickConfigFS
        from aiocopick.storage import open_storage

        config = CopickConfigFS(root="s3://{bucket}", fs_args={moto_server.fs_args()!r})
        storage = open_storage(config)
        assert asyncio.run(storage.read("object")) == b"content"
        assert storage.stats.engine == "obstore"
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for place in (storage, open_storage(config)):
                    assert asyncio.run(place.read("object")) == b"content"
                    assert place.stats.engine == "s3fs"
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        assert asyncio.run(storage.read("object")) == b"content"
        assert storage.stats.engine == "obstore"
        print("done")
    """
    assert run_child(program) == "done"


def test_nothing_is_left_open_at_exit() -> None:
    # In the interpreter's development mode every unclosed socket, transport or task is told, and here that is an error.
    program = """
        import asyncio, gc
        from aiocopick.storage import open_storage
        from aiocopick.storage.settings import Settings
        from aiocopick.testing import FaultServer

        async def main(root):
            storage = open_storage(Settings(root=root))
            await storage.read("object")
            async with storage.read_many(["object"] * 20) as results:
                async for _ in results:
                    break

        with FaultServer(contents={"/object": b"content"}) as server:
            asyncio.run(main(server.url))
            loop = asyncio.new_event_loop()
            loop.run_until_complete(main(server.url))
            loop.close()
            asyncio.run(main(server.url))
        gc.collect()
        print("done")
    """
    assert run_child(program) == "done"


def test_ctrl_c_ends_a_program_at_once() -> None:
    program = """
        import asyncio, os, signal
        from aiocopick.storage import open_storage
        from aiocopick.storage.settings import Settings
        from aiocopick.testing import FaultServer

        async def main(server):
            storage = open_storage(Settings(root=server.url))
            reading = asyncio.ensure_future(storage.read("object"))
            while not server.requests:
                await asyncio.sleep(0)
            os.kill(os.getpid(), signal.SIGINT)
            await reading

        with FaultServer(contents={"/object": b"content"}) as server:
            server.always("stall")
            try:
                asyncio.run(main(server))
            except KeyboardInterrupt:
                print("interrupted")
    """
    assert run_child(program) == "interrupted"


@pytest.mark.asyncio
async def test_a_cancelled_close_closes_all_the_same() -> None:
    closed = []

    class Slow:
        async def connect(self) -> None:
            pass

        async def close(self) -> None:
            await anyio.lowlevel.checkpoint()
            closed.append(self)

    connection = loops.Connection(Slow())  # type: ignore[arg-type]
    for count in (1, 2):
        await connection.connect()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await connection.close()
        await connection.close()
        assert len(closed) == count


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("root", "fs_args"),
    [
        ("s3://bucket/project", {"key": "key", "secret": "secret"}),
        ("gs://bucket/project", {"token": "anon"}),
        ("https://127.0.0.1:9/project", {}),
    ],
)
async def test_no_other_loop_takes_part(root: str, fs_args: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """fsspec would start a thread with a loop, and close what belongs to ours on that one."""
    started: list[object] = []
    monkeypatch.setattr("fsspec.asyn.get_loop", lambda: started.append(root))
    settings = Settings(root=root, fs_args=fs_args)
    location = parse_root(root)
    backend = backend_of(location.protocol)(settings, location)
    await backend.connect()
    await backend.close()
    assert started == []
