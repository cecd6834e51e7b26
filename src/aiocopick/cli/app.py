"""The commands, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from aiocopick.cli.cache import app as cache
from aiocopick.cli.convert import add, export
from aiocopick.cli.cp import cp
from aiocopick.cli.crawl import crawl
from aiocopick.cli.demo import demo
from aiocopick.cli.doctor import doctor
from aiocopick.cli.gallery import gallery
from aiocopick.cli.info import info
from aiocopick.cli.ls import ls
from aiocopick.cli.options import Command, Group
from aiocopick.cli.points import points
from aiocopick.cli.rm import rm
from aiocopick.cli.serve import serve
from aiocopick.cli.show import show
from aiocopick.cli.tree import tree

EXIT_CODES = """\
Exit codes: 0 done; 1 failed, with the reason on standard error; 2 wrong arguments;
3 done, but some runs or files could not be read, or problems were found; 130 interrupted.
"""

app = typer.Typer(
    name="aiocopick",
    cls=Group,
    help="Read, write and crawl CoPick projects, wherever they are stored.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    # Errors of the library are printed in one line. Others are bugs, for which a plain traceback is best.
    pretty_exceptions_enable=False,
)
for command in (demo, crawl, ls, tree, info, points, show, gallery, serve, doctor, cp, rm, add, export):
    app.command(cls=Command)(command)
app.add_typer(cache, name="cache")


def _show_version(value: bool) -> None:
    if value:
        from aiocopick._version import __version__

        typer.echo(f"aiocopick {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Read, write and crawl CoPick projects, wherever they are stored."""
