"""Progress: a function, or a bar with total, percentage, rate and remaining time."""

from __future__ import annotations

import io
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pandas  # noqa: F401 - imported on first use by pyarrow, which blocks
import pytest
import pytest_asyncio

import aiocopick
from aiocopick import upkeep
from aiocopick.entities import AsyncRoot
from aiocopick.progress import Bar
from tests.entities.projects import write_run

NAMES = ["TS_1", "TS_2", "TS_3"]


@pytest_asyncio.fixture
async def root(tmp_path: Path) -> AsyncIterator[AsyncRoot]:
    async with aiocopick.open(tmp_path / "p", user_id="me") as root:
        for name in NAMES:
            await write_run(root, name, volumes=False)
        yield root


class Noted:
    """A function of the caller that also asks for the number of runs."""

    def __init__(self) -> None:
        self.total: int | None = None
        self.names: list[str] = []

    def expect(self, total: int) -> None:
        assert not self.names
        self.total = total

    def __call__(self, name: str) -> None:
        self.names.append(name)


async def ahead(root: AsyncRoot, progress: Any) -> None:
    async with root.crawl(progress=progress) as runs:
        async for _ in runs:
            pass


async def step(root: AsyncRoot, progress: Any) -> None:
    async for _ in root.crawl(progress=progress):
        pass


Work = Callable[[AsyncRoot, Any], Awaitable[Any]]

BY_RUN: list[Work] = [
    ahead,
    step,
    lambda root, progress: aiocopick.catalog(root, progress=progress),
    lambda root, progress: aiocopick.catalog(root, stats=True, progress=progress),
    lambda root, progress: upkeep.examine(root, progress=progress),
]

BY_ITEM: list[Work] = [
    lambda root, progress: aiocopick.points(root, "ribosome", progress=progress),
    lambda root, progress: copied(root, progress),
]


async def copied(root: AsyncRoot, progress: Any) -> Any:
    async with aiocopick.open(f"{root.url}-copy") as target:
        return await upkeep.copy(root, target, "ribosome", progress=progress)


@pytest.mark.asyncio
@pytest.mark.parametrize("work", BY_RUN)
async def test_a_function_is_called_for_each_run(root: AsyncRoot, work: Work) -> None:
    noted = Noted()
    await work(root, noted)
    assert (noted.total, noted.names) == (3, NAMES)
    names: list[str] = []
    await work(root, names.append)
    assert names == NAMES
    await work(root, None)
    await work(root, False)


@pytest.mark.asyncio
@pytest.mark.parametrize("work", BY_ITEM)
async def test_a_function_is_called_for_each_item(root: AsyncRoot, work: Work) -> None:
    names: list[str] = []
    await work(root, names.append)
    assert [name for name in names if name.endswith("ribosome.json")] == [
        name for name in names if "Picks" in name and "ribosome" in name
    ]
    assert sum("ribosome" in name for name in names) == 6


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.asyncio
@pytest.mark.parametrize("work", BY_RUN + BY_ITEM)
async def test_true_is_a_bar(root: AsyncRoot, work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    await work(root, True)
    shown = terminal.getvalue()
    assert "3/3" in shown
    assert "100%" in shown
    assert "TS_3" in shown
    # The cursor is shown again: the bar has ended.
    assert shown.rstrip().endswith(("\x1b[?25h", "\x1b[2K"))


@pytest.mark.asyncio
async def test_a_bar_ends_where_a_crawl_is_left(root: AsyncRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    async for _ in root.crawl(progress=True):
        break
    async with root.crawl(progress=True) as runs:
        async for _ in runs:
            break
    # Two bars at once would be an error of rich.
    await step(root, True)


@pytest.mark.asyncio
async def test_nothing_is_written_into_a_file(root: AsyncRoot, capsys: pytest.CaptureFixture[str]) -> None:
    await step(root, True)
    assert capsys.readouterr().err == ""


def test_rate_and_remaining_time_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("COLUMNS", "160")
    bar = Bar("reading").start()
    bar.expect(4)
    for name in ("a", "b", "[red]c\x1b[2J"):
        bar(name)
    bar._rich.refresh()
    bar.stop()
    shown = terminal.getvalue()
    assert "3/4" in shown
    assert "75%" in shown
    assert "/s" in shown
    assert "0:00:00" in shown
    assert "[red]c\\x1b[2J" in shown


@pytest.mark.asyncio
async def test_a_notebook_has_the_bar_of_tqdm(root: AsyncRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    class ZMQInteractiveShell:
        pass

    class Tqdm:
        made: ClassVar[list[Any]] = []

        def __init__(self, desc: str, total: int | None, unit: str) -> None:
            self.n, self.total, self.closed = 0, total, False
            self.made.append(self)

        def update(self, steps: int) -> None:
            self.n += steps

        def set_postfix_str(self, text: str, refresh: bool) -> None:
            self.text = text

        def refresh(self) -> None:
            pass

        def close(self) -> None:
            self.closed = True

    notebook, tqdm = ModuleType("IPython"), ModuleType("tqdm.auto")
    notebook.get_ipython = ZMQInteractiveShell  # type: ignore[attr-defined]
    tqdm.tqdm = Tqdm  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setitem(sys.modules, "tqdm", ModuleType("tqdm"))
    monkeypatch.setitem(sys.modules, "tqdm.auto", tqdm)
    for work in (*BY_RUN, *BY_ITEM):
        await work(root, True)
    assert {(bar.n, bar.total, bar.closed) for bar in Tqdm.made} == {(3, 3, True)}
    assert len(Tqdm.made) == len(BY_RUN) + len(BY_ITEM)


def test_blocking_code_has_it_too(tmp_path: Path) -> None:
    root = aiocopick.open_sync(tmp_path)
    for name in NAMES:
        root.new_run(name)
    noted = Noted()
    assert [run.name for run in root.crawl(progress=noted)] == NAMES
    assert (noted.total, noted.names) == (3, NAMES)
    root.close()
