"""The commands, put together."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Annotated

import typer

from aiocopick.cli.options import Command, Group

COMMANDS = (
    "demo", "crawl", "ls", "tree", "info", "points", "show", "gallery", "serve", "doctor", "cp", "rm", "add", "export",
)  # fmt: skip
"""Each is a function in a file of that name, if no other is given below."""

GROUPS = ("cache",)
"""Each is a file with an ``app``."""

_FILES = {"add": "convert", "export": "convert"}

EXIT_CODES = """\
Exit codes: 0 done; 1 failed, with the reason on standard error; 2 wrong arguments;
3 done, but some runs or files could not be read, or problems were found; 130 interrupted.
"""


def _show_version(value: bool) -> None:
    if value:
        from aiocopick._version import __version__

        typer.echo(f"aiocopick {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Read, write and crawl CoPick projects, wherever they are stored."""


def program(names: Iterable[str] = (*COMMANDS, *GROUPS)) -> typer.Typer:
    """Return the program with commands of these names; others are not imported."""
    app = typer.Typer(
        name="aiocopick",
        cls=Group,
        help="Read, write and crawl CoPick projects, wherever they are stored.",
        epilog=EXIT_CODES,
        no_args_is_help=True,
        # Errors of the library are printed in one line. Others are bugs, for which a plain traceback is best.
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    for name in names:
        module = import_module(f"aiocopick.cli.{_FILES.get(name, name)}")
        if name in GROUPS:
            app.add_typer(module.app, name=name)
        else:
            app.command(cls=Command)(getattr(module, name))
    return app
