"""The bridge: blocking calls that cancel, nest, fork and end as blocking calls should."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import signal
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest

from aiocopick.sync import bridge
from aiocopick.sync.bridge import call
from tests.children import run_child


async def double(value: int) -> int:
    await asyncio.sleep(0)
    return 2 * value


def test_returns_what_the_coroutine_returns() -> None:
    assert call(double, 21) == 42
    assert call(double, value=4) == 8


def test_raises_what_the_coroutine_raises_itself() -> None:
    error = KeyError("x")

    async def fail() -> None:
        raise error

    with pytest.raises(KeyError) as caught:
        call(fail)
    assert caught.value is error


def test_a_wrong_call_is_a_type_error_in_the_caller() -> None:
    with pytest.raises(TypeError, match="argument"):
        call(double)  # type: ignore[call-arg]
    assert call(double, 1) == 2


@pytest.mark.parametrize("kind", [asyncio.CancelledError, KeyboardInterrupt, SystemExit])
def test_exceptions_that_end_loops_reach_the_caller_and_leave_the_loop_alone(kind: type[BaseException]) -> None:
    async def fail() -> None:
        raise kind

    thread = bridge._running_thread()
    with pytest.raises(kind):
        call(fail)
    assert call(double, 1) == 2
    assert bridge._running_thread() is thread


def test_context_variables_of_the_caller_are_visible_inside_and_not_changed() -> None:
    variable = contextvars.ContextVar("variable", default=0)

    async def change() -> int:
        seen = variable.get()
        variable.set(2)
        return seen

    variable.set(1)
    assert call(change) == 1
    assert variable.get() == 1


def test_on_its_own_loop_a_call_raises_instead_of_waiting_for_itself() -> None:
    async def inner() -> int:
        return call(double, 1)

    with pytest.raises(RuntimeError, match=r"await the async twin.*\.aio"):
        call(inner)


@pytest.mark.asyncio
async def test_inside_another_running_loop_it_works() -> None:
    assert call(double, 3) == 6


def test_many_threads_call_at_once_on_one_loop() -> None:
    barrier = threading.Barrier(32)

    async def where(value: int) -> tuple[int, int]:
        await asyncio.sleep(0)
        return value, threading.get_ident()

    def ask(value: int) -> tuple[int, int]:
        barrier.wait()
        return call(where, value)

    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(ask, range(32)))
    assert [value for value, _ in answers] == list(range(32))
    assert len({ident for _, ident in answers}) == 1


def test_a_hundred_nested_calls_do_not_starve() -> None:
    limiter_size = 100

    async def descend(depth: int, limiter: anyio.CapacityLimiter) -> int:
        if depth == 0:
            return 0
        return 1 + await anyio.to_thread.run_sync(lambda: call(descend, depth - 1, limiter), limiter=limiter)

    async def start() -> int:
        return await descend(100, anyio.CapacityLimiter(limiter_size))

    assert call(start) == 100


def test_an_interrupt_cancels_the_coroutine_and_waits_for_its_clean_up() -> None:
    seen: list[str] = []

    async def work() -> None:
        try:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            await asyncio.sleep(0)
            seen.append("cleaned up")
            raise

    with pytest.raises(KeyboardInterrupt):
        call(work)
    assert seen == ["cancelled", "cleaned up"]
    assert call(double, 1) == 2


def test_an_interrupt_before_the_first_step_never_runs_the_coroutine(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    async def work() -> None:
        ran.append("work")

    async def hold_the_loop() -> None:
        entered.set()
        released.wait()

    class InterruptedWhileQueued(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            if timeout is None:
                raise KeyboardInterrupt
            released.set()
            return super().wait(timeout)

    class QueuedCall(bridge._Call):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.done = InterruptedWhileQueued()

    entered, released = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(call, hold_the_loop)
        entered.wait()
        monkeypatch.setattr(bridge, "_Call", QueuedCall)
        with pytest.raises(KeyboardInterrupt):
            call(work)
        monkeypatch.undo()
        holding.result()
    assert call(double, 1) == 2
    assert ran == []


def test_a_coroutine_that_refuses_to_end_holds_an_interrupted_caller_only_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bridge, "CANCEL_SECONDS", 0.01)
    finish = asyncio.Event()
    ended = threading.Event()

    async def stubborn() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        while not finish.is_set():
            try:
                await finish.wait()
            except asyncio.CancelledError:
                continue
        ended.set()

    async def let_go() -> None:
        finish.set()

    with pytest.raises(KeyboardInterrupt):
        call(stubborn)
    assert not ended.is_set()
    call(let_go)
    assert ended.wait(60)


def test_a_finished_call_keeps_nothing_alive() -> None:
    class Thing:
        pass

    async def pass_on(thing: Thing) -> Thing:
        return thing

    async def fail(thing: Thing) -> None:
        raise ValueError(thing)

    gc.collect()
    gc.disable()
    try:
        thing = Thing()
        watched = weakref.ref(thing)
        call(pass_on, thing)
        with pytest.raises(ValueError) as caught:
            call(fail, thing)
        del thing, caught
        call(double, 1)  # the loop's own last reference goes with its next turn
        assert watched() is None
    finally:
        gc.enable()


def test_helper_threads_are_reused_between_calls() -> None:
    async def ident() -> int:
        return await anyio.to_thread.run_sync(threading.get_ident)

    assert len({call(ident) for _ in range(5)}) == 1


SETUP = """
    import asyncio, os, sys, threading
    import anyio
    from aiocopick.sync.bridge import call

    async def double(value):
        await anyio.to_thread.run_sync(int)
        return 2 * value
"""


def test_importing_starts_no_thread() -> None:
    assert run_child(SETUP + "    print(threading.active_count())") == "1"


def test_a_process_that_used_it_ends_cleanly_although_nobody_closes() -> None:
    assert run_child(SETUP + "    print(call(double, 2))") == "4"


def test_a_process_ends_cleanly_after_work_in_the_threads_of_the_loop() -> None:
    # Codecs of volumes run there; from Python 3.12 on no thread can be started any more to end them.
    script = """
    async def work():
        return await asyncio.to_thread(int, "5")
    print(call(work))
    """
    assert run_child(SETUP + script) == "5"


def test_a_process_ends_cleanly_with_calls_under_way_in_other_threads() -> None:
    script = """
    started, cleaned = threading.Event(), []
    async def wait():
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            print("cleaned up", flush=True)
    def worker():
        try:
            call(wait)
        except asyncio.CancelledError:
            pass
    threading.Thread(target=worker, daemon=True).start()
    started.wait()
    """
    assert run_child(SETUP + script) == "cleaned up"


def test_async_generators_left_open_are_finished_on_their_loop_at_exit() -> None:
    script = """
    async def guard():
        try:
            yield
        finally:
            await asyncio.sleep(0)
            print("closed in", threading.current_thread().name, flush=True)
    guards = []
    async def begin():
        guards.append(guard())
        await guards[0].__anext__()
    call(begin)
    """
    assert run_child(SETUP + script) == "closed in aiocopick"


def test_ctrl_c_ends_a_script_the_way_it_ends_any_script() -> None:
    script = """
    import signal
    async def forever():
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            print("cancelled", flush=True)
    try:
        call(forever)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    """
    assert run_child(SETUP + script).splitlines() == ["cancelled", "interrupted"]


FORK = """
    def in_child(function):
        child = os.fork()
        if child == 0:
            try:
                function()
            except BaseException as error:
                print(repr(error), flush=True)
                os._exit(1)
            sys.exit(0)
        assert os.waitpid(child, 0)[1] == 0
"""
# Python 3.12 warns about any fork of a process with threads.
FORK_WARNINGS = "error,ignore:This process:DeprecationWarning"


def run_forking_child(script: str) -> str:
    head = "import warnings; warnings.filterwarnings('ignore', 'This process', DeprecationWarning)\n"
    return run_child(head + "if True:\n" + SETUP + FORK + script)


def test_after_a_fork_the_child_gets_a_loop_of_its_own_and_the_parent_keeps_its() -> None:
    script = """
    call(double, 1)
    in_child(lambda: print(call(double, 2), flush=True))
    print(call(double, 3))
    """
    assert run_forking_child(script).splitlines() == ["4", "6"]


def test_a_fork_while_calls_are_under_way_leaves_them_to_the_parent() -> None:
    script = """
    release = None
    started = threading.Event()
    async def wait():
        global release
        release = asyncio.Event()
        started.set()
        await release.wait()
        return "parent's"
    async def let_go():
        release.set()
    answers = []
    worker = threading.Thread(target=lambda: answers.append(call(wait)))
    worker.start()
    started.wait()
    in_child(lambda: print(call(double, 2), flush=True))
    call(let_go)
    worker.join()
    print(answers)
    """
    assert run_forking_child(script).splitlines() == ["4", '["parent\'s"]']


def test_a_fork_that_happens_while_the_loop_is_being_started_does_not_lock_the_child() -> None:
    script = """
    from aiocopick.sync import bridge
    with bridge._lock:
        in_child(lambda: print(call(double, 2), flush=True))
    """
    assert run_forking_child(script) == "4"


@pytest.mark.slow
def test_children_of_every_start_method_call_on_their_own(tmp_path: object) -> None:
    script = """
    import multiprocessing
    from tests.sync.spawned import double_blocking
    import warnings; warnings.filterwarnings("ignore", "This process", DeprecationWarning)
    call(double, 1)
    for method in ("fork", "spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            print(method, pool.map(double_blocking, [1, 2, 3]), flush=True)
            pool.close()
            pool.join()
    """
    lines = [f"{method} [2, 4, 6]" for method in ("fork", "spawn", "forkserver")]
    assert run_child(SETUP + script).splitlines() == lines
