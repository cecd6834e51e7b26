"""Progress of work on many runs: a function of the caller, or a bar with total, percentage, rate and remaining time.

The runs of a project are listed first, so that their number is known. A bar counts runs, whatever is shown beside it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Self, TypeAlias

from aiocopick.extras import optional

Progress: TypeAlias = Callable[[str], Any] | bool | None
"""A function that is called with the name of what is done; True for a bar; None or False for nothing.

If the function has a method ``expect``, that is called first, with the number of runs.
"""

# Control characters, line separators, characters that change the direction of text, and single surrogates.
_INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """Return text on one line, without characters that control a terminal: names come from storage."""
    return _INVISIBLE.sub(lambda found: ascii(found[0])[1:-1], text)


class Bar:
    """A progress bar on standard error, or in a notebook (tqdm's, if it is installed); nothing in a log file.

    Parameters
    ----------
    what : str
        The work, in one word.
    total : int, optional
        Number of steps, if it is known.
    """

    def __init__(self, what: str, total: int | None = None) -> None:
        self._what = what
        self._total = total
        self._rich: Any = None
        self._tqdm: Any = None

    def start(self) -> Self:
        """Show the bar."""
        if _in_notebook() and (tqdm := _tqdm()) is not None:
            self._tqdm = tqdm(desc=self._what, total=self._total, unit=" runs")
        elif _in_notebook() or sys.stderr.isatty():
            self._rich = _rich_bar()
            self._task = self._rich.add_task(self._what, total=self._total)
            self._rich.start()
        return self

    def expect(self, total: int) -> None:
        """Set the number of steps."""
        self._total = total
        if self._tqdm is not None:
            self._tqdm.total = total
            self._tqdm.refresh()
        elif self._rich is not None:
            self._rich.update(self._task, total=total)

    def __call__(self, name: str, total: int | None = None, /) -> None:
        """Take a step; the number of all steps may be given with it."""
        if total is not None and total != self._total:
            self.expect(total)
        self._show(name, 1)

    def note(self, name: str) -> None:
        """Show what is done within a step."""
        self._show(name, 0)

    def _show(self, name: str, steps: int) -> None:
        if self._tqdm is not None:
            self._tqdm.set_postfix_str(visible(name), refresh=False)
            self._tqdm.update(steps)
        elif self._rich is not None:
            self._rich.update(self._task, advance=steps, description=f"{self._what} {visible(name)}")

    def stop(self) -> None:
        """Take the bar away; in a notebook it stays."""
        if self._tqdm is not None:
            self._tqdm.close()
        if self._rich is not None:
            self._rich.stop()
        self._tqdm = self._rich = None


@contextmanager
def shown(progress: Progress, what: str) -> Iterator[Any]:
    """Give what is called for each step, or None; a bar is shown as long as the block runs."""
    if progress is True:
        bar = Bar(what).start()
        try:
            yield bar
        finally:
            bar.stop()
    else:
        yield progress or None


def expect(progress: Any, total: int) -> None:
    """Tell the number of steps, if it is asked for."""
    if (tell := getattr(progress, "expect", None)) is not None:
        tell(total)


def by_item(progress: Any) -> tuple[Any, Callable[[str], Any] | None]:
    """Return what is called for each run, and for each item of a run: a function is only called for items."""
    return (progress, progress.note) if isinstance(progress, Bar) else (None, progress)


def _rich_bar() -> Any:
    """Return rich's bar: number and total, percentage, runs per second, time passed and left."""
    rich = optional("rich.progress", "A progress bar")
    text, console = optional("rich.text", "A progress bar").Text, optional("rich.console", "A progress bar").Console

    class Rate(rich.ProgressColumn):  # type: ignore[misc, name-defined]
        def render(self, task: Any) -> Any:
            speed = task.finished_speed or task.speed
            return text("" if speed is None else f"{speed:.1f}/s", style="progress.data.speed")

    return rich.Progress(
        rich.TextColumn("{task.description}", markup=False),
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TaskProgressColumn(),
        Rate(),
        rich.TimeElapsedColumn(),
        rich.TimeRemainingColumn(),
        console=console(stderr=True),
        transient=True,
    )


def _in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


def _tqdm() -> Any:
    try:
        return import_module("tqdm.auto").tqdm
    except ImportError:
        return None


__all__ = ["Bar", "Progress", "by_item", "expect", "shown", "visible"]
