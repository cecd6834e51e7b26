"""From a coroutine to an exit code: the one place where the command line catches errors."""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

import typer

from aiocopick.cli.printing import visible
from aiocopick.errors import CopickError

FAILED = 1
PROBLEMS = 3
INTERRUPTED = 130


def execute(work: Callable[[], Awaitable[int]]) -> None:
    """Run a command's coroutine to its end; what it returns is the exit code.

    An error of ours becomes one line on standard error and exit code 1; what the library warns of is a line each.
    """
    import anyio

    try:
        with _warnings_as_lines():
            code = anyio.run(work)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader (`| head`) has seen enough.
        _drop_output()
        raise typer.Exit(0) from None
    except CopickError as error:
        fail(error)
    except (TimeoutError, ConnectionError):
        # A storage maps these to errors of ours.
        raise
    except OSError as error:
        # A full disk below the standard output, or a file of the command's own that cannot be written.
        _drop_output()
        where = "" if error.filename is None else f" {error.filename}"
        _tell(f"Cannot write{where}: {one_line(error.strerror or error)}")
        raise typer.Exit(FAILED) from None
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("interrupted", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if code:
        raise typer.Exit(code)


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Say what the library logs and warns of without a place in its source, and with nothing that a terminal obeys."""

    def show(message: Warning | str, *place: Any, **more: Any) -> None:
        _tell(one_line(message))

    handler = _Lines(logging.WARNING)
    logger = logging.getLogger("aiocopick")
    logger.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = show
            yield
    finally:
        logger.removeHandler(handler)


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _tell(one_line(record.getMessage()))


def _tell(line: str) -> None:
    typer.echo(f"aiocopick: {line}", err=True)


def _drop_output() -> None:
    """Python would complain once more when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def confirmed(question: str) -> bool:
    """Ask on the terminal. Nothing else runs on the loop that the question could hold up.

    Raises
    ------
    typer.Abort
        An interrupt, or the end of the input.
    """
    # asyncio answers an interrupt with a cancellation, which would wait for the answer; it takes the signal back after.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return typer.confirm(question)
    finally:
        signal.signal(signal.SIGINT, before)


def fail(error: CopickError) -> NoReturn:
    """Print an error in one line and leave with exit code 1."""
    _tell(one_line(error))
    raise typer.Exit(FAILED) from None


def report_errors(errors: Mapping[str, Any]) -> int:
    """Print what could not be done, a line each on standard error; returns the exit code."""
    for what, error in errors.items():
        _tell(f"{visible(what)}: {one_line(error)}")
    return PROBLEMS if errors else 0


def one_line(error: object) -> str:
    """The message of an error without line breaks, and how many others came with it."""
    notes = len(getattr(error, "__notes__", ()))
    more = f" (and {notes} more)" if notes else ""
    return (visible(" ".join(str(error).split())) or type(error).__name__) + more
