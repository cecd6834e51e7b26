"""Local disk: atomic writes, links, crashes, few file descriptors, names of unfinished files."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import pytest_asyncio

from aiocopick.concurrency.fan_out import gather
from aiocopick.errors import AccessDeniedError, ConflictError, InvalidNameError, NotFoundError, StorageError
from aiocopick.storage import Storage, open_storage
from aiocopick.storage.backends.base import Some, Use
from aiocopick.storage.backends.disk import Disk
from aiocopick.storage.backends.durability import is_temporary, temporary_name
from aiocopick.storage.settings import Settings
from tests.children import run_child


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "project"


@pytest_asyncio.fixture
async def storage(root: Path) -> AsyncIterator[Storage]:
    storage = open_storage(Settings(root=str(root)))
    yield storage
    await storage.aclose()


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.mark.asyncio
async def test_a_batch_is_one_hop(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [f"a/{number}" for number in range(200)]
    await storage.write_many((key, key.encode()) for key in keys)
    hops: list[int] = []
    read_some = Disk.read_some

    def counting(disk: Disk, items: list[Any], budget: int, use: Use[Any], most: Any) -> Some[Any]:
        hops.append(len(items))
        return read_some(disk, items, budget, use, most)

    monkeypatch.setattr(Disk, "read_some", counting)
    async with storage.read_many(keys) as results:
        contents = {item: content async for item, content in results}
    assert contents == {key: key.encode() for key in keys}
    assert sorted(hops) == [8, 64, 64, 64]
    assert storage.stats.requests["read"] == 200


@pytest.mark.asyncio
async def test_slow_disks_are_walked_side_by_side_and_others_one_after_the_other(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await storage.write_many((f"runs/{number}/Picks/a.json", b"") for number in range(8))
    nested, walking, peak = Disk.nested, 0, 0
    all_walk = threading.Barrier(4)

    def slow(disk: Disk, prefixes: Any, *arguments: Any) -> Any:
        nonlocal walking, peak
        walking += 1
        peak = max(peak, walking)
        time.sleep(0.005 * len(prefixes))
        walking -= 1
        return nested(disk, prefixes, *arguments)

    def together(disk: Disk, prefixes: Any, *arguments: Any) -> Any:
        all_walk.wait(60)
        return nested(disk, prefixes, *arguments)

    async def list_all() -> list[Any]:
        pairs = [(f"runs/{number}", f"runs/{number + 1}") for number in range(0, 8, 2)]
        return await gather(lambda pair: storage.list_nested(pair, lambda name: True), pairs, limit=4)

    monkeypatch.setattr(Disk, "nested", slow)
    await list_all()
    assert peak == 1
    # It was noticed how long that took.
    monkeypatch.setattr(Disk, "nested", together)
    found = await list_all()
    assert [entry.name for pair in found for entries in pair for entry in entries] == ["a.json"] * 8


@pytest.mark.asyncio
async def test_large_files_do_not_pile_up_in_a_hop(root: Path) -> None:
    storage = open_storage(Settings(root=str(root), max_bytes_in_flight=4_000_000))
    content = os.urandom(1_000_000)
    keys = [f"a/{number}" for number in range(40)]
    await storage.write_many((key, content) for key in keys)
    held = peak = 0
    async with storage.read_many(keys) as results:
        async for _, result in results:
            held = sum(len(pair[1]) for pair in results._ready) + len(result)  # type: ignore[attr-defined,arg-type]
            peak = max(peak, held)
            assert result == content
    assert peak <= 2_000_000
    await storage.aclose()


@pytest.mark.asyncio
async def test_unfinished_files_are_not_seen(storage: Storage, root: Path) -> None:
    await storage.write("run/a", b"1")
    left = root / "run" / temporary_name()
    left.write_bytes(b"torn")
    assert [entry.key for entry in await storage.list("run")] == ["run/a"]
    async with storage.scan("") as pages:
        assert [entry.key async for page in pages for entry in page] == ["run/a"]
    for prefix in ("", "run"):
        assert [(entry.key, entry.size) for entry in await storage.leftovers(prefix)] == [(f"run/{left.name}", 4)]
    assert await storage.leftovers("nowhere") == []
    assert await storage.delete_tree("run") == 1
    assert not left.exists()


def test_only_names_of_ours_are_unfinished() -> None:
    assert is_temporary(temporary_name())
    for name in (".aiocopick-x.tmp", ".aiocopick-", temporary_name() + "x", "x" + temporary_name(), ".meta"):
        assert not is_temporary(name)


@pytest.mark.asyncio
async def test_a_write_that_fails_leaves_nothing(storage: Storage, root: Path) -> None:
    await storage.write("a/b", b"1")
    with pytest.raises(StorageError, match="in the way"):
        await storage.write("a", b"2")
    with pytest.raises(StorageError, match="in the way"):
        await storage.write("a/b/c", b"3")
    with pytest.raises(ConflictError):
        await storage.write("a/new", b"4", if_match="something")
    with pytest.raises(ConflictError):
        await storage.write("deleted/with/all", b"5", if_match="something")
    # No directory either: it would be listed as a run.
    assert sorted(path.name for path in root.rglob("*")) == ["a", "b"]


@pytest.mark.asyncio
async def test_a_cancelled_write_leaves_the_old_or_the_new(storage: Storage, root: Path) -> None:
    contents = [bytes([number]) * 100_000 for number in range(30)]
    await storage.write("a", contents[0])
    for content in contents:
        task = asyncio.ensure_future(storage.write("a", content))
        for _ in range(content[0] % 7):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert await storage.read("a") in contents
        assert files(root) == ["a"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.slow
def test_no_crash_tears_a_file_or_loses_what_was_acknowledged(root: Path) -> None:
    program = """
        import asyncio, os, random, signal, sys, time
        from pathlib import Path
        from aiocopick.storage import open_storage
        from aiocopick.storage.settings import Settings

        root = Path(sys.argv[1])
        SIZE = 40_000

        async def write_on(pipe, start):
            storage = open_storage(Settings(root=str(root)))
            for number in range(start, start + 10_000):
                content = b"%08d" % number * (SIZE // 8)
                await storage.write("run/Picks/a.json", content)
                os.write(pipe, b"%08d" % number)

        chance = random.Random(7)
        acknowledged = 0
        for crash in range(100):
            reader, writer = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(reader)
                asyncio.run(write_on(writer, acknowledged + 1))
            os.close(writer)
            heard = os.read(reader, 8)
            time.sleep(chance.random() * 0.01)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            while more := os.read(reader, 4096):
                heard += more
            os.close(reader)
            acknowledged = int(heard[len(heard) - 8 - len(heard) % 8:][:8])
            content = (root / "run/Picks/a.json").read_bytes()
            number = int(content[:8])
            assert content == b"%08d" % number * (SIZE // 8), "torn"
            assert number >= acknowledged, "lost"
            acknowledged = number

        async def look():
            storage = open_storage(Settings(root=str(root)))
            return [entry.key for entry in await storage.list("run/Picks")]

        assert asyncio.run(look()) == ["run/Picks/a.json"]
        print(acknowledged >= 100)
    """
    assert run_child(program, str(root)) == "True"


@pytest.mark.slow
def test_64_file_descriptors_are_enough(root: Path) -> None:
    program = """
        import asyncio, resource, sys
        from aiocopick.storage import open_storage
        from aiocopick.storage.settings import Settings
        from aiocopick.testing import FaultServer

        async def main(root):
            storage = open_storage(Settings(root=root))
            keys = [f"a/{number}" for number in range(500)]
            await storage.write_many((key, key.encode()) for key in keys)
            async with storage.read_many(keys) as results:
                assert all([content == key.encode() async for key, content in results])
            async with storage.scan("") as pages:
                assert len([entry async for page in pages for entry in page]) == 500

        async def fetch(root, keys):
            storage = open_storage(Settings(root=root))
            async with storage.read_many(keys) as results:
                assert all([content == key.encode() async for key, content in results])

        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        asyncio.run(main(sys.argv[1]))
        keys = [f"a/{number}" for number in range(500)]
        with FaultServer(contents={"/" + key: key.encode() for key in keys}) as server:
            asyncio.run(fetch(server.url, keys))
        print(server.peak <= 16)
    """
    assert run_child(program, str(root)) == "True"


@pytest.mark.asyncio
async def test_linked_runs_are_found_and_read(storage: Storage, root: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere/Picks").mkdir(parents=True)
    (tmp_path / "elsewhere/Picks/a.json").write_bytes(b"[]")
    (root / "ExperimentRuns").mkdir(parents=True)
    (root / "ExperimentRuns/linked").symlink_to(tmp_path / "elsewhere")
    (root / "ExperimentRuns/nowhere").symlink_to(tmp_path / "missing")
    (root / "ExperimentRuns/loop").symlink_to(root / "ExperimentRuns")
    assert [(entry.name, entry.is_prefix) for entry in await storage.list("ExperimentRuns")] == [
        ("linked", True),
        ("loop", True),
    ]
    assert await storage.read("ExperimentRuns/linked/Picks/a.json") == b"[]"
    async with storage.scan("ExperimentRuns") as pages:
        found = [entry.key async for page in pages for entry in page]
    assert found == ["ExperimentRuns/linked/Picks/a.json", "ExperimentRuns/loop"]
    # Deleting a linked run removes the link and leaves the archive behind it alone.
    await storage.delete_tree("ExperimentRuns/linked")
    assert (tmp_path / "elsewhere/Picks/a.json").exists()


@pytest.mark.asyncio
async def test_a_walk_through_links_ends(storage: Storage, root: Path) -> None:
    (root / "ExperimentRuns/a/Picks").mkdir(parents=True)
    (root / "ExperimentRuns/a/Picks/u_s_o.json").write_bytes(b"[]")
    # One leads above the tree that is listed, so that what lies inside of it is no link but comes again.
    (root / "ExperimentRuns/a/up").symlink_to(root)
    (root / "ExperimentRuns/b").mkdir()
    (root / "ExperimentRuns/b/other").symlink_to(root / "ExperimentRuns/a/Picks")
    async with storage.scan("ExperimentRuns") as pages:
        found = [entry.key async for page in pages for entry in page]
    assert found == [
        "ExperimentRuns/a/Picks/u_s_o.json",
        "ExperimentRuns/a/up/ExperimentRuns",
        "ExperimentRuns/b/other/u_s_o.json",
    ]


async def listed(storage: Storage, prefix: str = "") -> list[str]:
    async with storage.scan(prefix) as pages:
        return [entry.key async for page in pages for entry in page]


@pytest.mark.slow
@pytest.mark.parametrize("web", ["all to all", "each to the later ones", "two to the next"])
@pytest.mark.asyncio
async def test_a_web_of_links_is_listed_in_proportion_to_its_folders(storage: Storage, root: Path, web: str) -> None:
    # The paths through it are 2 to the power of that many, or far more.
    folders = 40 if web == "two to the next" else 16
    links = 0
    for number in range(folders):
        (root / f"{number:02}").mkdir(parents=True)
        (root / f"{number:02}/file").write_bytes(b"")
    for number in range(folders):
        others = set(range(folders)) - {number} if web == "all to all" else set(range(number + 1, folders))
        if web == "two to the next":
            others = {number + 1} & set(range(folders))
        for other in others:
            for name in ("a", "b") if web == "two to the next" else ("to",):
                (root / f"{number:02}/{name}{other:02}").symlink_to(root / f"{other:02}")
                links += 1
    found = await listed(storage)
    assert len(found) == len(set(found))
    assert len(found) <= (folders + links + 1000 + 16 * folders) * folders
    # What is there, and what is behind one link, is there as a whole.
    assert {f"{number:02}/file" for number in range(folders)} <= set(found)
    assert len([key for key in found if key.count("/") == 2 and key.endswith("/file")]) == links


@pytest.mark.asyncio
async def test_a_folder_may_be_shared_by_any_number_of_runs(storage: Storage, root: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    (shared / "more").mkdir(parents=True)
    (shared / "more/a.json").write_bytes(b"")
    (root / "runs").mkdir(parents=True)
    for number in range(600):
        run = tmp_path / f"elsewhere/{number:04}"
        (run / "plain").mkdir(parents=True)
        (run / "Picks").symlink_to(shared)
        (run / "plain/again").symlink_to(shared / "more")
        (root / f"runs/{number:04}").symlink_to(run)
    found = await listed(storage, "runs")
    ends = ("Picks/more/a.json", "plain/again/a.json")
    assert found == [f"runs/{number:04}/{end}" for number in range(600) for end in ends]


@pytest.mark.asyncio
async def test_a_tree_is_listed_in_key_order_from_anywhere(storage: Storage, root: Path) -> None:
    names = ["a/x", "a-b/x", "a.zarr/0", "a.zarr-b", "b/.x", "b/x/y", "b0", "c"]
    await storage.write_many((f"r/{name}", b"") for name in names)
    (root / "r/b/empty/inner").mkdir(parents=True)
    keys = ["r/a-b/x", "r/a.zarr-b", "r/a.zarr", "r/a/x", "r/b/.x", "r/b/empty/inner", "r/b/x/y", "r/b0", "r/c"]
    async with storage.scan("r") as pages:
        assert [entry.key async for page in pages for entry in page] == keys
    positions = ["r/a-b/x", "r/a.zarr-b", "r/a.zarr/", "r/a/x", "r/b/.x", "r/b/empty/inner/", "r/b/x/y", "r/b0", "r/c"]
    for first, start in enumerate(positions):
        for last, stop in enumerate(positions):
            async with storage.scan("r", start_after=start, stop_before=stop) as pages:
                assert [entry.key async for page in pages for entry in page] == keys[first + 1 : last]


@pytest.mark.asyncio
async def test_directories_of_a_zarr_tree_go_with_their_last_file(storage: Storage, root: Path) -> None:
    volume = "ExperimentRuns/a/VoxelSpacing10.000/wbp.zarr"
    await storage.write_many((f"{volume}/{name}", b"") for name in ("0/.zarray", "0/0/0/0", "1/.zarray", "1/0/0/0"))
    await storage.write("ExperimentRuns/a/Picks/u_s_o.json", b"[]")
    await storage.delete_many([f"{volume}/1/0/0/0", f"{volume}/1/.zarray", f"{volume}/0/0/0/0", f"{volume}/2/missing"])
    assert [entry.key for entry in await storage.list(volume)] == [f"{volume}/0"]
    assert [entry.key for entry in await storage.list(f"{volume}/0")] == [f"{volume}/0/.zarray"]
    await storage.delete_many([f"{volume}/0/.zarray", "ExperimentRuns/a/Picks/u_s_o.json"])
    assert await storage.list(volume) == []
    # The volume itself, and what is above it, is for whoever made it to delete.
    assert (root / volume).is_dir()
    assert (root / "ExperimentRuns/a/Picks").is_dir()


@pytest.mark.asyncio
async def test_a_tree_is_gone_at_once_whatever_stops_its_removal(
    storage: Storage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await storage.write_many((f"runs/a.zarr/0/{number}", b"") for number in range(5))
    unlink, removed = os.unlink, []

    def failing(path: Any, **where: Any) -> None:
        removed.append(path)
        if len(removed) == 3:
            raise PermissionError(errno.EPERM, "refused, as the test asked for")
        unlink(path, **where)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", failing)
        with pytest.raises(AccessDeniedError):
            await storage.delete_tree("runs/a.zarr")
    assert await storage.list("runs") == []
    assert not await storage.exists("runs/a.zarr")
    assert [is_temporary(path.name) for path in (root / "runs").iterdir()] == [True]
    assert [entry.is_prefix for entry in await storage.leftovers("runs")] == [True]
    await storage.write("runs/a.zarr/0/0", b"new")
    assert await storage.delete_tree("runs/a.zarr") == 1


@pytest.mark.asyncio
async def test_directories_that_go_do_not_hinder_writers(storage: Storage) -> None:
    key = "a.zarr/0/{}/{}/0"
    for attempt in range(30):
        old = [key.format(0, number) for number in range(8)]
        await storage.write_many((name, b"old") for name in old)
        new = [key.format(number % 2, 10 + number) for number in range(8)]
        async with anyio.create_task_group() as group:
            for name in old:
                group.start_soon(storage.delete_many, [name])
            group.start_soon(storage.write_many, [(name, b"new") for name in new])
        async with storage.scan("a.zarr", None) as pages:
            assert [entry.key async for page in pages for entry in page] == sorted(new), attempt
        await storage.delete_many(new)
        assert await storage.list("a.zarr") == []


@pytest.mark.asyncio
async def test_links_out_of_the_root_can_be_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_bytes(b"secret")
    (root / "inside").mkdir(parents=True)
    (root / "inside/file").write_bytes(b"file")
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "out.json").symlink_to(tmp_path / "outside/secret")
    (root / "in").symlink_to(root / "inside")
    storage = open_storage(Settings(root=str(root), follow_symlinks=False))
    assert [entry.key for entry in await storage.list("")] == ["in", "inside"]
    assert await storage.read("in/file") == b"file"

    opened: list[str] = []
    watching = True

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if watching and event in ("open", "os.listdir", "os.scandir") and str(tmp_path / "outside") in str(arguments):
            opened.append(str(arguments))

    sys.addaudithook(hook)
    for operation in (
        lambda: storage.read("out/secret"),
        lambda: storage.read("out.json"),
        lambda: storage.list("out"),
        lambda: storage.stat("out/secret"),
        lambda: storage.write("out/new", b"x"),
        lambda: storage.copy("out/secret", "mine"),
        lambda: storage.delete_many(["out/secret"]),
        lambda: storage.delete_tree("out"),
    ):
        with pytest.raises(AccessDeniedError, match="symbolic link"):
            await operation()
    async with storage.scan("") as pages:
        assert [entry.key async for page in pages for entry in page] == ["in/file", "inside/file"]
    async with storage.read_many(["out/secret"]) as results:
        assert isinstance((await anext(results))[1], AccessDeniedError)
    watching = False
    assert opened == []
    assert (tmp_path / "outside/secret").read_bytes() == b"secret"
    await storage.aclose()


@pytest.mark.asyncio
async def test_a_file_is_no_root(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    storage = open_storage(Settings(root=str(tmp_path / "file")))
    with pytest.raises(StorageError, match="is a file"):
        await storage.list("")
    await storage.aclose()


@pytest.mark.asyncio
async def test_pipes_and_directories_are_no_objects(storage: Storage, root: Path) -> None:
    await storage.write("a/b", b"1")
    os.mkfifo(root / "a/pipe")
    with pytest.raises(NotFoundError):
        await storage.read("a/pipe")
    with pytest.raises(NotFoundError):
        await storage.read("a")
    assert [entry.key for entry in await storage.list("a")] == ["a/b"]
    await storage.delete_many(["a"])
    assert await storage.read("a/b") == b"1"


@pytest.mark.asyncio
async def test_a_name_that_is_too_long_says_so(storage: Storage) -> None:
    with pytest.raises(InvalidNameError, match="shorter"):
        await storage.write("a" * 300, b"1")


@pytest.mark.asyncio
async def test_empty_directories_are_entries(storage: Storage, root: Path) -> None:
    (root / "run/VoxelSpacing10.000").mkdir(parents=True)
    async with storage.scan("") as pages:
        assert [(entry.key, entry.is_prefix) async for page in pages for entry in page] == [
            ("run/VoxelSpacing10.000", True)
        ]
    assert await storage.exists("run/VoxelSpacing10.000")


@pytest.mark.asyncio
async def test_versions_differ_even_when_size_and_second_are_equal(storage: Storage) -> None:
    etags = [await storage.write("a", b"%d" % (number % 10)) for number in range(60)]
    assert len(set(etags)) == 60


@pytest.mark.asyncio
async def test_writers_and_a_deleter_of_directories_get_along(storage: Storage) -> None:
    async def write(number: int) -> None:
        await storage.write(f"a/b/c/{number}", b"x")

    tasks = [asyncio.ensure_future(write(number)) for number in range(40)]
    for _ in range(10):
        await storage.delete_tree("a")
    for task in tasks:
        await task
    await storage.delete_tree("a")
    assert not await storage.exists("a")
