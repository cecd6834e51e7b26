"""Local disk: power cuts, forks, disks that hang, file systems that lack something, modes and groups."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
import pytest_asyncio

from aiocopick.concurrency.fan_out import gather
from aiocopick.errors import AlreadyExistsError, ConflictError, StorageError, StorageTimeoutError
from aiocopick.storage import Storage, open_storage
from aiocopick.storage.backends import disk
from aiocopick.storage.backends.hops import Hops
from aiocopick.storage.retries import operation_deadline
from aiocopick.storage.settings import Settings
from tests.children import run_child
from tests.storage.power_cut import PowerCut, needs_proc

fcntl = pytest.importorskip("fcntl", reason="this system has no locks of folders and no rights of POSIX")

KEY = "ExperimentRuns/TS_1/Picks/u_s_o.json"
# Of what is to run out of time. A slow disk has longer for everything else.
SHORT = 0.5


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


@pytest_asyncio.fixture
async def storage(root: Path) -> AsyncIterator[Storage]:
    storage = open_storage(Settings(root=str(root), retries=0))
    yield storage
    await storage.aclose()


@needs_proc
@pytest.mark.asyncio
async def test_what_is_acknowledged_outlasts_a_power_cut(
    storage: Storage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = PowerCut(monkeypatch, root)
    etag = await storage.write(KEY, b"1")
    assert cut.keeps(root / KEY)
    etag = await storage.write(KEY, b"2", if_match=etag)
    assert cut.keeps(root / KEY)
    await storage.write(KEY, b"3")
    assert cut.keeps(root / KEY)
    await storage.write("new/.meta", b"4", create=True)
    assert cut.keeps(root / "new/.meta")
    await storage.copy(KEY, "other/folder/copy")
    assert cut.keeps(root / "other/folder/copy")
    # Each writer finds directories that another one is just making.
    keys = [f"many/of/{number % 3}/{number}" for number in range(30)]

    async def write(key: str) -> None:
        await storage.write(key, b"5")
        assert await anyio.to_thread.run_sync(cut.keeps, root / key), key

    await gather(write, keys, limit=16)


@needs_proc
@pytest.mark.asyncio
async def test_what_was_deleted_stays_away_after_a_power_cut(
    storage: Storage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await storage.write(KEY, b"1")
    await storage.write("other", b"2")
    cut = PowerCut(monkeypatch, root)
    await storage.delete_many(["other"])
    assert cut.loses(root / "other")
    await storage.delete_tree("ExperimentRuns/TS_1")
    assert cut.loses(root / "ExperimentRuns/TS_1")


@pytest.mark.asyncio
async def test_many_missing_directories_are_made_at_once(storage: Storage) -> None:
    key = "/".join("a" * 100)
    await storage.write(key, b"1")
    assert await storage.read(key) == b"1"


@needs_proc
@pytest.mark.asyncio
async def test_a_write_is_synced_before_it_is_shown(
    storage: Storage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await storage.write(KEY, b"old")
    cut, replace, seen = PowerCut(monkeypatch, root), os.replace, []

    def watched(source: str, target: str) -> None:
        seen.append(cut.is_synced(source))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    await storage.write(KEY, b"new")
    assert seen == [True]


@pytest.mark.asyncio
async def test_a_failing_sync_is_an_error_and_leaves_the_old_content(
    storage: Storage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await storage.write(KEY, b"old")

    def failing(handle: int) -> None:
        raise OSError(errno.EIO, "as the test asked for")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(StorageError):
            await storage.write(KEY, b"new")
    assert await storage.read(KEY) == b"old"
    assert await storage.leftovers() == []


@needs_proc
@pytest.mark.asyncio
async def test_a_writer_does_not_rely_on_directories_that_another_one_is_just_making(
    storage: Storage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = PowerCut(monkeypatch, root)
    begun = threading.Event()

    def is_first_of_root(where: Any) -> bool:
        if begun.is_set() or os.readlink(f"/proc/self/fd/{where}") != str(root):
            return False
        begun.set()
        return True

    with hanging(monkeypatch, "fsync", is_first_of_root):
        making = asyncio.ensure_future(storage.write("new/a", b"1"))
        assert await anyio.to_thread.run_sync(begun.wait, 60)
        await storage.write("new/b", b"2")
        assert cut.keeps(root / "new/b")
    await asyncio.gather(making, return_exceptions=True)


# --- deadlines --------------------------------------------------------------------------------------------------------


@contextmanager
def hanging(monkeypatch: pytest.MonkeyPatch, name: str, concerns: Callable[[Any], bool]) -> Iterator[threading.Event]:
    """A call of the system that does not come back until the event is set."""
    real, woken = getattr(os, name), threading.Event()

    def call(first: Any, *args: Any, **kwargs: Any) -> Any:
        if concerns(first):
            woken.wait(60)
        return real(first, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, name, call)
        try:
            yield woken
        finally:
            woken.set()


def is_in(folder: Path) -> Callable[[Any], bool]:
    def concerns(where: Any) -> bool:
        path = os.readlink(f"/proc/self/fd/{where}") if isinstance(where, int) else str(where)
        return path.startswith(str(folder))

    return concerns


@needs_proc
@pytest.mark.asyncio
async def test_a_sync_that_hangs_ends_at_the_deadline_and_changes_nothing_afterwards(
    storage: Storage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await storage.write("dead/a", b"old")
    with hanging(monkeypatch, "fsync", is_in(root / "dead")) as woken:
        with anyio.fail_after(30), pytest.raises(StorageTimeoutError):
            await storage.options(timeout=SHORT).write("dead/a", b"late")
        await storage.write("alive/a", b"1")
        woken.set()
        # The thread wakes up, and finds that its caller has gone.
        while await storage.leftovers():
            await anyio.sleep(0.01)
    assert await storage.read("dead/a") == b"old"
    await storage.write("dead/a", b"new")


@pytest.mark.parametrize(
    "operation",
    [
        *("list", "read", "delete_tree"),
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("scan", "read_many", "stat", "list_nested", "delete")
        ),
    ],
)
@pytest.mark.asyncio
async def test_a_dead_mount_ends_every_operation_at_the_deadline(
    storage: Storage, root: Path, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    await storage.write("dead/a", b"1")
    await storage.write("alive/a", b"2")
    hasty = storage.options(timeout=SHORT)

    async def attempt() -> None:
        if operation == "scan":
            async with hasty.scan("dead") as pages:
                [page async for page in pages]
        elif operation == "read_many":
            async with hasty.read_many(["dead/a"]) as results:
                for result in [result async for _, result in results]:
                    if isinstance(result, Exception):
                        raise result
        elif operation == "list_nested":
            for result in await hasty.list_nested(["dead"], lambda name: True):
                if isinstance(result, Exception):
                    raise result
        elif operation == "delete":
            await hasty.delete_many(["dead/a"])
        elif operation == "read":
            await hasty.read("dead/a")
        else:
            await getattr(hasty, operation)("dead")

    calls = {"read": "open", "read_many": "open", "stat": "stat", "delete": "unlink", "delete_tree": "rename"}
    name = calls.get(operation, "scandir")
    concerns = (lambda where: where == "dead") if operation == "delete_tree" else is_in(root / "dead")
    with hanging(monkeypatch, name, concerns):
        with anyio.fail_after(30), pytest.raises(StorageTimeoutError):
            await attempt()
        assert await storage.read("alive/a") == b"2"
        assert len(await storage.list("alive")) == 1


@pytest.mark.slow
@pytest.mark.asyncio
async def test_threads_that_hang_stay_few(storage: Storage, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await storage.write("dead/a", b"1")
    before, hasty = threading.active_count(), storage.options(timeout=SHORT)
    with hanging(monkeypatch, "scandir", is_in(root / "dead")):
        for _ in range(2):
            results = await asyncio.gather(*(hasty.list("dead") for _ in range(40)), return_exceptions=True)
            assert {type(result) for result in results} == {StorageTimeoutError}
        assert threading.active_count() - before <= 20
    with anyio.fail_after(30):
        while True:
            try:
                assert len(await hasty.list("dead")) == 1
            except StorageTimeoutError:
                continue
            break


@pytest.mark.asyncio
async def test_what_is_late_before_it_has_a_thread_never_runs_and_gives_its_place_back() -> None:
    hops, ran = Hops(1), list[int]()
    with anyio.fail_after(30):
        past = operation_deadline.set(anyio.current_time())
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await hops.change(ran.append, 1)
        operation_deadline.reset(past)
        await hops.change(ran.append, 2)
    assert ran == [2]


@pytest.mark.asyncio
async def test_what_was_left_in_a_thread_gives_its_place_back_at_its_end() -> None:
    hops, begun, end = Hops(1), threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert end.wait(30)

    left = asyncio.ensure_future(hops.look(wait))
    assert await anyio.to_thread.run_sync(begun.wait, 30)
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    end.set()
    with anyio.fail_after(30):
        assert await hops.look(lambda: 1) == 1


@pytest.mark.asyncio
async def test_a_lock_that_another_program_holds_is_waited_for_until_the_deadline(storage: Storage, root: Path) -> None:
    etag = await storage.write("locked/a", b"1")
    free = await storage.write("free/a", b"1")
    handle = os.open(root / "locked", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        with anyio.fail_after(30):
            hasty = storage.options(timeout=1.0)
            waiting = [asyncio.ensure_future(hasty.write("locked/a", b"2", if_match=etag)) for _ in range(40)]
            await anyio.sleep(0.3)
            # Those who wait hold up nobody else.
            await storage.write("free/a", b"2", if_match=free)
            assert await storage.read("locked/a") == b"1"
            results = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(result) for result in results} == {StorageTimeoutError}
    finally:
        os.close(handle)
    await storage.write("locked/a", b"3", if_match=etag)
    assert await storage.read("locked/a") == b"3"
    with anyio.fail_after(30):
        # The last threads find only now that their callers have gone.
        while await storage.leftovers():
            await anyio.sleep(0.01)


@pytest.mark.asyncio
async def test_a_lock_that_is_released_in_time_is_taken(storage: Storage, root: Path) -> None:
    etag = await storage.write("locked/a", b"1")
    handle = os.open(root / "locked", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    waiting = asyncio.ensure_future(storage.write("locked/a", b"2", if_match=etag))
    await anyio.sleep(0.2)
    os.close(handle)
    await waiting
    assert await storage.read("locked/a") == b"2"


# --- file systems that lack something ---------------------------------------------------------------------------------

_replace = os.replace


def slow_replace(source: str, target: str) -> None:
    """Leave others the time to look for the target, which is not there yet."""
    time.sleep(0.02)
    _replace(source, target)


LACKS_LINKS = [errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS, errno.EACCES]


@pytest.mark.parametrize("code", LACKS_LINKS, ids=lambda code: errno.errorcode[code])
@pytest.mark.parametrize("locks", [True, False], ids=["locks", "no locks"])
@pytest.mark.asyncio
async def test_without_hard_links_one_of_many_creates(
    storage: Storage, root: Path, monkeypatch: pytest.MonkeyPatch, code: int, locks: bool
) -> None:
    def refused(*args: Any, **kwargs: Any) -> None:
        raise OSError(code, os.strerror(code))

    def no_locks(*args: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(os, "link", refused)
    monkeypatch.setattr(os, "replace", slow_replace)
    if not locks:
        monkeypatch.setattr(disk.fcntl, "flock", no_locks)
    contents = [b"%d" % number for number in range(20)]
    results = await asyncio.gather(
        *(storage.write("a/b", content, create=True) for content in contents), return_exceptions=True
    )
    made = [content for content, result in zip(contents, results, strict=True) if isinstance(result, str)]
    assert [type(result) for result in results if not isinstance(result, str)] == [AlreadyExistsError] * 19
    assert [await storage.read("a/b")] == made
    entry = await storage.stat("a/b")
    await storage.write("a/b", b"changed", if_match=entry.etag)
    with pytest.raises(ConflictError):
        await storage.write("a/b", b"again", if_match=entry.etag)
    (root / "a/link").symlink_to(root / "nowhere")
    with pytest.raises(AlreadyExistsError):
        await storage.write("a/link", b"", create=True)
    assert await storage.leftovers() == []


@pytest.mark.asyncio
async def test_without_locks_one_of_many_in_this_process_replaces(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*args: Any) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    etag = await storage.write("a/b", b"1")
    monkeypatch.setattr(disk.fcntl, "flock", no_locks)
    monkeypatch.setattr(os, "replace", slow_replace)
    results = await asyncio.gather(
        *(storage.write("a/b", b"%d" % number, if_match=etag) for number in range(5)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["ConflictError"] * 4 + ["str"]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP, errno.EBADF])
@pytest.mark.asyncio
async def test_directories_that_cannot_be_synced_are_written_to(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    fsync = os.fsync

    def of_files(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(code, os.strerror(code))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", of_files)
    await storage.write("a/b/c", b"1", create=True)
    await storage.write("a/b/c", b"2")
    await storage.delete_tree("a")


# --- modes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o666, 0o444, 0o755])
@pytest.mark.asyncio
async def test_a_replaced_file_keeps_its_mode_and_group(storage: Storage, root: Path, mode: int) -> None:
    etag = await storage.write("a/b", b"1")
    path = root / "a/b"
    group = next((group for group in os.getgroups() if group != os.getgid()), os.getgid())
    if os.geteuid() == 0:
        os.chown(path, 1234, 5678)
    else:
        os.chown(path, -1, group)
    path.chmod(mode)
    before = path.stat()
    etag = (await storage.stat("a/b")).etag
    etag = await storage.write("a/b", b"2", if_match=etag)
    await storage.write("a/b", b"3")
    await storage.write("source", b"4")
    await storage.copy("source", "a/b")
    after = path.stat()
    assert (after.st_mode, after.st_gid, after.st_uid) == (before.st_mode, before.st_gid, before.st_uid)
    assert path.read_bytes() == b"4"


@pytest.mark.asyncio
async def test_a_group_that_cannot_be_kept_gets_no_rights_of_another(
    storage: Storage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await storage.write("a", b"1")
    lstat = os.lstat

    def of_others(path: Any, **where: Any) -> Any:
        fields = list(lstat(path, **where))
        fields[0] = stat.S_IFREG | 0o664
        fields[5] = fields[5] + 1
        return os.stat_result(fields)

    def refused(*args: Any) -> None:
        raise PermissionError(errno.EPERM, "not a member")

    monkeypatch.setattr(os, "fchown", refused)
    with monkeypatch.context() as patch:
        patch.setattr(disk.os, "lstat", of_others)
        await storage.write("a", b"2")
    assert stat.S_IMODE(lstat(root / "a").st_mode) == 0o644


def test_new_files_have_what_the_umask_leaves(root: Path) -> None:
    program = """
        import asyncio, os, stat, sys
        from aiocopick.storage import open_storage
        from aiocopick.storage.settings import Settings

        async def main(root, mask):
            os.umask(mask)
            storage = open_storage(Settings(root=root))
            await storage.write(f"{mask:o}/a", b"1")
            await storage.write(f"{mask:o}/b", b"1", create=True)
            modes = [os.stat(f"{root}/{mask:o}{name}").st_mode for name in ("/a", "/b", "")]
            print(*(f"{stat.S_IMODE(mode):o}" for mode in modes))

        for mask in (0o022, 0o077, 0o002):
            asyncio.run(main(sys.argv[1], mask))
    """
    assert run_child(program, str(root)).splitlines() == ["644 644 755", "600 600 700", "664 664 775"]
