"""The command line: arguments are parsed, one coroutine is awaited, its result is printed.

Each command is one file that calls only the public API.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line; the console script ``aiocopick`` calls this."""
    from aiocopick.cli.app import app

    app(prog_name="aiocopick")


__all__ = ["main"]
