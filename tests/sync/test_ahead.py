"""Read-ahead: code that looks at one file after the other finds the next ones read."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import anyio
import pytest

from aiocopick import CopickConfigFS, CopickConfigFSSpec, CopickRootFS
from aiocopick.entities import AsyncRoot
from aiocopick.errors import ConflictError, FormatError, NotFoundError
from aiocopick.formats.mesh import encode_mesh
from aiocopick.layers import Stack
from aiocopick.layers.filesystem import FilesystemLayer
from aiocopick.storage import open_storage
from aiocopick.sync import bridge
from aiocopick.sync.bridge import call
from aiocopick.testing import CountingStorage

POINTS = b'{"points": [{"location": {"x": 1, "y": 2, "z": 3}}]}'
FIRST_WINDOW = 4


class Noted(NamedTuple):
    """A project, its storage, and the keys that were read."""

    root: CopickRootFS
    storage: CountingStorage

    @property
    def read(self) -> list[str]:
        return [key for verb, key in self.storage.calls if verb == "read"]

    def settled(self) -> list[str]:
        """The keys that were read when everything under way is finished."""

        async def finish() -> None:
            while tasks := list(self.root._reader._tasks):
                await asyncio.wait(tasks)

        call(finish)
        return self.read


def noted(config: CopickConfigFS, **options: Any) -> Noted:
    config = config.model_copy(update=options)
    storage = CountingStorage(open_storage(config))
    return Noted(CopickRootFS._over(AsyncRoot._over(config, Stack([FilesystemLayer(config, storage)]))), storage)


def write(config: CopickConfigFS, files: dict[str, bytes]) -> None:
    call(open_storage(config).write_many, [(f"ExperimentRuns/{key}", data) for key, data in files.items()])


def fill(config: CopickConfigFS, runs: int, *names: str, suffix: str = "", content: bytes = POINTS) -> None:
    """Write so many runs with picks of these names: user, session, object."""
    keys = [f"TS_{run:03}/Picks/{name}.json" for run in range(runs) for name in names]
    write(config, dict.fromkeys(keys, content))


def look_at(files: Any, count: int) -> None:
    for picks in files[:count]:
        assert len(picks.points) == 1


def all_picks(root: CopickRootFS) -> list[Any]:
    return [picks for run in root.runs for picks in run.picks]


# --- counted ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("looks", "most"), [(1, 1), (2, 2), (3, 3 + FIRST_WINDOW)])
def test_few_looks_read_little_more(config: CopickConfigFS, looks: int, most: int) -> None:
    fill(config, 100, "u_1_a", "u_1_b", "u_2_c")
    project = noted(config)
    look_at(all_picks(project.root), looks)
    assert len(project.settled()) == most


@pytest.mark.parametrize("files", [1, 2, 3, 300])
def test_every_file_is_read_once(config: CopickConfigFS, files: int) -> None:
    fill(config, -(-files // 3), *("u_1_a", "u_1_b", "u_2_c")[:files])
    project = noted(config)
    for run in project.root.runs:
        for picks in run.picks:
            assert len(picks.points) == 1
    assert len(project.read) == len(set(project.read)) == files


def test_files_are_read_side_by_side(config: CopickConfigFS) -> None:
    fill(config, 100, "u_1_a", "u_1_b", "u_2_c")
    project = noted(config)
    files = all_picks(project.root)
    turns = 0
    for picks in files:
        turns += id(picks.aio) not in project.root._reader._ahead
        assert len(picks.points) == 1
    assert turns == 3


@pytest.mark.parametrize(
    "choose",
    [
        lambda run: run.get_picks("ribosome"),
        lambda run: run.get_picks(object_name="ribosome", user_id="me", session_id="1"),
        lambda run: run.get_picks(user_id="me"),
        lambda run: run.get_picks(session_id="1"),
        lambda run: run.user_picks(),
        lambda run: run.tool_picks(),
        lambda run: run.picks,
        lambda run: run.picks[2:3],
    ],
)
def test_the_order_may_be_that_of_a_choice_across_runs(
    config: CopickConfigFS, choose: Callable[[Any], list[Any]]
) -> None:
    fill(
        config, 12, "me_1_ribosome", "me_2_membrane", "tool_0_ribosome", "tool_0_actin", "me_2_ribosome", "you_1_actin"
    )
    project = noted(config)
    wanted = [picks for run in project.root.runs for picks in choose(run)]
    assert len(wanted) >= 12
    for picks in wanted[:5]:
        assert picks.points
    assert len(project.settled()) > 5
    for picks in wanted[5:]:
        assert picks.points
    read = project.settled()
    assert sorted(read) == sorted(picks.key for picks in wanted)


def test_runs_without_such_a_file_are_passed_over(config: CopickConfigFS) -> None:
    fill(config, 40, "me_1_membrane")
    write(config, {f"TS_{run:03}/Picks/me_1_ribosome.json": POINTS for run in range(0, 40, 5)})
    project = noted(config)
    for run in project.root.runs:
        for picks in run.get_picks("ribosome"):
            assert picks.points
    assert len(project.read) == 8


@pytest.mark.parametrize("kind", ["meshes", "filaments"])
def test_meshes_and_filaments_are_read_ahead_as_well(config: CopickConfigFS, kind: str) -> None:
    import trimesh

    if kind == "meshes":
        content = encode_mesh(trimesh.creation.box().scene())
        write(config, {f"TS_{run:03}/Meshes/u_1_a.glb": content for run in range(10)})
    else:
        root = CopickRootFS(config)
        for run in range(10):
            root.new_run(f"TS_{run:03}").new_filaments("actin", "1").from_numpy([[[0.0, 0, 0], [1, 1, 1]]])
    project = noted(config)
    for run in project.root.runs[:3]:
        for item in getattr(run, kind):
            assert getattr(item, "mesh" if kind == "meshes" else "filaments") is not None
    assert len(project.settled()) == 3 + FIRST_WINDOW
    for run in project.root.runs:
        for item in getattr(run, kind):
            assert getattr(item, "mesh" if kind == "meshes" else "filaments") is not None
    assert len(project.settled()) == 10


# --- no order, or no wish ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "order",
    [
        [40, 3, 77, 12, 99, 0, 55, 31],
        list(range(99, -1, -1)),
        list(range(0, 100, 2)),
        [0, 2, 1, 3, 5, 4, 6, 8, 7],
    ],
    ids=["random", "backwards", "every second", "shuffled"],
)
def test_without_an_order_nothing_is_read_ahead(config: CopickConfigFS, order: list[int]) -> None:
    fill(config, 100, "u_1_a")
    project = noted(config)
    files = all_picks(project.root)
    for index in order:
        assert files[index].points
    assert len(project.settled()) == len(order)


def test_threads_read_no_file_twice_and_each_has_an_order(config: CopickConfigFS) -> None:
    fill(config, 40, "u_1_a")
    project = noted(config)
    files = all_picks(project.root)
    # One thread goes through the list, the other one looks at random; by turns.
    wild = [31, 7, 25, 2, 39, 12, 20, 5]
    turns = [threading.Semaphore(0), threading.Semaphore(0)]

    def work(own: int, order: list[int]) -> None:
        for index in order:
            assert turns[own].acquire(timeout=20)
            assert files[index].points
            turns[1 - own].release()

    workers = [threading.Thread(target=work, args=(own, order)) for own, order in enumerate([list(range(8)), wild])]
    for worker in workers:
        worker.start()
    turns[0].release()
    for worker in workers:
        worker.join()
    read = project.settled()
    assert len(read) == len(set(read))
    assert 14 < len(read) < 16 + 16


@pytest.mark.parametrize("how", ["config", "options"])
def test_it_can_be_switched_off(config: CopickConfigFS, how: str) -> None:
    fill(config, 20, "u_1_a")
    project = noted(config, **({"read_ahead": 0} if how == "config" else {}))
    root = project.root.options(read_ahead=0) if how == "options" else project.root
    look_at(all_picks(root), 10)
    assert not root._reader.in_use
    assert len(project.read) == 10


def test_a_wrong_number_of_seconds_is_refused() -> None:
    for wrong in (-1, "soon", float("nan"), float("inf")):
        with pytest.raises(ValueError, match="read_ahead"):
            CopickConfigFS(root="memory://x", read_ahead=wrong)  # type: ignore[arg-type]


def test_other_ways_to_read_ask_the_storage(config: CopickConfigFS) -> None:
    fill(config, 20, "me_1_ribosome")
    project = noted(config)
    files = all_picks(project.root)
    look_at(files, 3)
    assert len(project.settled()) == 3 + FIRST_WINDOW
    files[3].load()
    assert project.settled().count(files[3].key) == 2
    # Data that is set and stored without loading it: the rest of the file is read then.
    files[4].from_numpy([[1.0, 2.0, 3.0]])
    assert project.settled().count(files[4].key) == 2
    files[5].update(lambda points: points * 2)
    assert project.settled().count(files[5].key) == 2


def test_only_the_first_look_is_served(config: CopickConfigFS) -> None:
    fill(config, 20, "me_1_ribosome")
    project = noted(config)
    files = all_picks(project.root)
    look_at(files, 3)
    project.settled()
    files[3].aio.refresh()
    files[4].run.refresh_picks()
    assert files[3].points
    [renewed] = files[4].run.picks
    assert renewed.points
    read = project.settled()
    assert read.count(files[3].key) == read.count(renewed.key) == 2


# --- what is out of date ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("writer", ["itself", "another root", "a view", "async", "a project in it"])
def test_a_write_of_this_process_drops_what_was_read(config: CopickConfigFS, writer: str) -> None:
    fill(config, 20, "me_1_ribosome")
    project = noted(config)
    files = all_picks(project.root)
    look_at(files, 3)
    project.settled()
    if writer == "a project in it":
        inner = config.model_copy(update={"root": f"{config.root}/ExperimentRuns/TS_004"})
        call(open_storage(inner).write, "Picks/me_1_ribosome.json", b'{"points": []}')
    else:
        other = {
            "itself": project.root,
            "another root": CopickRootFS(config),
            "a view": project.root.options(timeout=5),
            "async": CopickRootFS(config),
        }[writer]
        [picks] = other.runs[4].get_picks("ribosome")
        if writer == "async":

            async def empty() -> None:
                await picks.aio.load()
                picks.aio.points = []
                await picks.aio.store()

            asyncio.run(empty())
        else:
            picks.points = []
            picks.store()
    assert len(files[3].points) == 1
    assert files[4].points == []
    assert project.settled().count(files[3].key) == 2


def test_a_write_to_another_project_drops_nothing(config: CopickConfigFS) -> None:
    fill(config, 20, "me_1_ribosome")
    project = noted(config)
    files = all_picks(project.root)
    other = CopickRootFS(config.model_copy(update={"root": f"{config.root}2"}))
    for index, picks in enumerate(files):
        assert picks.points
        other.new_run(f"TS_{index}")
    assert len(project.settled()) == 20


def test_results_in_an_overlay_do_not_drop_what_is_read_below_it(config: CopickConfigFS) -> None:
    fill(config, 20, "me_1_ribosome")
    pair = CopickConfigFSSpec(user_id="me", static_root=config.root, overlay_root=f"{config.root}-overlay")
    root = CopickRootFS(pair)
    for run in root.runs:
        for picks in run.get_picks("ribosome"):
            assert picks.points
        run.new_picks("membrane", "1").store()
    assert root.layers[1].stats.requests["read"] == 20
    assert root._reader._sequences


def test_code_that_writes_between_its_looks_reads_little_in_vain(config: CopickConfigFS) -> None:
    fill(config, 60, "a_1_ribosome", "b_1_ribosome", "c_1_ribosome")
    project = noted(config)
    looked = 0
    for run in project.root.runs:
        for picks in run.get_picks("ribosome"):
            assert picks.points
            looked += 1
        run.new_picks("membrane", "1").store()
    assert looked <= len(project.settled()) <= looked + FIRST_WINDOW


def test_a_change_by_another_program_is_a_conflict(config: CopickConfigFS) -> None:
    fill(config, 20, "me_1_ribosome")
    project = noted(config)
    files = all_picks(project.root)
    look_at(files, 3)
    project.settled()
    _as_another_program(config, files[4].key, b'{"points": []}')
    assert len(files[4].points) == 1
    assert project.read.count(files[4].key) == 1
    files[4].points.append(files[4].points[0])
    with pytest.raises(ConflictError):
        files[4].store()


def _as_another_program(config: CopickConfigFS, key: str, data: bytes | None) -> None:
    """Change a file in memory, unseen by the storage."""
    import fsspec

    filesystem = fsspec.filesystem("memory")
    path = f"{config.root.removeprefix('memory:/')}/{key}"
    if data is None:
        filesystem.rm(path)
    else:
        filesystem.pipe_file(path, data)


def test_errors_are_not_kept(config: CopickConfigFS) -> None:
    fill(config, 20, "me_1_ribosome")
    project = noted(config)
    files = all_picks(project.root)
    _as_another_program(config, files[4].key, b"{")
    _as_another_program(config, files[5].key, None)
    look_at(files, 3)
    project.settled()
    assert files[3].points
    with pytest.raises(FormatError):
        _ = files[4].points
    _as_another_program(config, files[4].key, POINTS)
    assert files[4].points
    with pytest.raises(NotFoundError):
        _ = files[5].points
    assert files[6].points


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_the_window_is_bounded_in_bytes_and_in_files(config: CopickConfigFS) -> None:
    large = POINTS + b" " * 1000
    fill(config, 60, "me_1_ribosome", content=large)
    project = noted(config, max_bytes_in_flight=3 * len(large))
    most = 0
    for picks in all_picks(project.root):
        assert picks.points
        most = max(most, len(project.root._reader._ahead))
    assert most == 3
    assert len(project.settled()) == 60
    project = noted(config, max_concurrency=7)
    most = 0
    for picks in all_picks(project.root):
        assert picks.points
        most = max(most, len(project.root._reader._ahead))
    assert most == 7


def test_slow_code_has_no_more_read_than_it_looks_at_in_time(
    config: CopickConfigFS, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(config, 40, "me_1_ribosome")
    project = noted(config)
    assert project.root.runs  # the loop runs
    loop = bridge._running_thread().loop
    passed = [0.0]
    real = loop.time
    monkeypatch.setattr(loop, "time", lambda: real() + passed[0])
    for picks in all_picks(project.root):
        assert picks.points
        assert len(project.settled()) <= 40
        assert len(project.root._reader._ahead) <= 4
        passed[0] += 0.9
    assert len(project.settled()) == 40


def test_what_is_too_old_is_read_again(config: CopickConfigFS, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(config, 20, "me_1_ribosome")
    project = noted(config)
    files = all_picks(project.root)
    look_at(files, 3)
    project.settled()
    for ahead in project.root._reader._ahead.values():
        ahead.arrived -= 6
    assert files[3].points
    assert project.settled().count(files[3].key) == 2


def test_nothing_is_left_after_a_while(config: CopickConfigFS) -> None:
    fill(config, 20, "me_1_ribosome")
    project = noted(config, read_ahead=0.2)
    look_at(all_picks(project.root), 3)
    reader = project.root._reader

    async def wait() -> None:
        while reader.in_use or reader._sequences:
            await anyio.sleep(0.02)

    call(wait)
    assert reader._idle is None


# --- the end ----------------------------------------------------------------------------------------------------------


class Stalled(CountingStorage):
    """A storage whose reads wait, from the fourth on."""

    async def around(self, verb: str, key: str, call: Callable[[], Any]) -> Any:
        if verb == "read" and self.count("read") >= 3:
            self.calls.append((verb, key))
            await anyio.sleep_forever()
        return await super().around(verb, key, call)


@pytest.fixture
def stalled(config: CopickConfigFS) -> Iterator[CopickRootFS]:
    fill(config, 20, "me_1_ribosome")
    storage = Stalled(open_storage(config))
    root = CopickRootFS._over(AsyncRoot._over(config, Stack([FilesystemLayer(config, storage)])))
    look_at(all_picks(root), 3)
    assert root._reader._tasks
    yield root
    assert not root._reader.in_use


def running() -> int:
    """Tasks on the facade's loop, besides this one and its main task."""

    async def count() -> int:
        return len(asyncio.all_tasks()) - 2

    return call(count)


def test_close_ends_it(stalled: CopickRootFS) -> None:
    stalled.close()
    assert running() == 0


def test_reconnect_ends_it(stalled: CopickRootFS) -> None:
    stalled.reconnect()
    assert running() == 0


def test_ctrl_c_in_another_call_ends_it(stalled: CopickRootFS) -> None:
    async def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stalled._call(interrupted)
    assert running() == 0


def test_an_interrupted_look_ends_it(stalled: CopickRootFS) -> None:
    files = all_picks(stalled)

    async def look() -> None:
        task = asyncio.ensure_future(stalled._reader.look(files[3].aio, threading.get_ident()))
        await anyio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    call(look)
    stalled._call(stalled._reader.end)
    assert running() == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_reads_on_its_own(config: CopickConfigFS, stalled: CopickRootFS) -> None:
    files = all_picks(stalled)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            stalled.layer.storage.calls.clear()  # type: ignore[union-attr]
            look_at(files[3:], 3)
            gc.collect()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    stalled.close()


def test_a_root_is_pickled_without_it(config: CopickConfigFS) -> None:
    import pickle

    fill(config, 20, "me_1_ribosome")
    root = CopickRootFS(config)
    look_at(all_picks(root), 3)
    copy = pickle.loads(pickle.dumps(root))
    assert not copy._reader.in_use
    look_at(all_picks(copy), 20)
