"""Running of a command's coroutine. Only this file of the command line catches errors."""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from aiocopick.cli.advice import for_shell
from aiocopick.cli.printing import print_json
from aiocopick.errors import CopickError
from aiocopick.progress import visible

if TYPE_CHECKING:
    from aiocopick.convert import ConvertReport

FAILED = 1
PROBLEMS = 3
INTERRUPTED = 130


def execute(work: Callable[[], Awaitable[int]]) -> None:
    """Run a command's coroutine to its end and exit with its result.

    An error of ours becomes one line on standard error and exit code 1; each warning of the library is one line.
    """
    import anyio

    try:
        with _warnings_as_lines():
            code = anyio.run(work)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader (`| head`) has closed the pipe.
        _drop_output()
        raise typer.Exit(0) from None
    except CopickError as error:
        fail(error)
    except (TimeoutError, ConnectionError):
        # Storages translate these into errors of ours.
        raise
    except OSError as error:
        # The disk of the standard output is full, or a file of the command itself cannot be written.
        _drop_output()
        where = "" if error.filename is None else f" {error.filename}"
        tell(f"Cannot write{where}: {one_line(error.strerror or error)}")
        raise typer.Exit(FAILED) from None
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("interrupted", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if code:
        raise typer.Exit(code)


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Print log records and warnings of the library without source lines and terminal control characters."""

    def show(message: Warning | str, *place: Any, **more: Any) -> None:
        tell(one_line(message))

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
        tell(one_line(record.getMessage()))


def tell(line: str) -> None:
    """Print a line on standard error."""
    typer.echo(f"aiocopick: {line}", err=True)


def _drop_output() -> None:
    """Drop buffered output: Python would report the closed pipe once more when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def confirmed(question: str) -> bool:
    """Ask on the terminal. The question blocks the event loop, on which nothing else runs.

    Raises
    ------
    typer.Abort
        An interrupt, or the end of the input.
    """
    # asyncio turns an interrupt into a cancellation, which would wait for the answer; it restores its handler afterwards.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return typer.confirm(question)
    finally:
        signal.signal(signal.SIGINT, before)


def fail(error: CopickError) -> NoReturn:
    """Print an error in one line and exit with code 1."""
    tell(one_line(error))
    raise typer.Exit(FAILED) from None


def report_errors(errors: Mapping[str, Any]) -> int:
    """Print the errors, one per line, on standard error; return the exit code."""
    for what, error in errors.items():
        tell(f"{visible(what)}: {one_line(error)}")
    return PROBLEMS if errors else 0


def print_report(report: ConvertReport, as_json: bool) -> int:
    """Print what was converted, a line per file, and the errors; return the exit code."""
    if as_json:
        print_json({"done": report.done, "errors": {name: str(error) for name, error in report.errors.items()}})
        return PROBLEMS if report.errors else 0
    for path, entities in sorted(report.done.items()):
        typer.echo(visible(f"{path}: {', '.join(entities)}"))
    return report_errors(report.errors)


def one_line(error: object) -> str:
    """Return the message of an error without line breaks, and the number of further errors."""
    notes = len(getattr(error, "__notes__", ()))
    more = f" (and {notes} more)" if notes else ""
    return (visible(for_shell(" ".join(str(error).split()))) or type(error).__name__) + more
