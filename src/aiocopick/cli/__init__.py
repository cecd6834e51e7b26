"""The command line: arguments are parsed, one coroutine is awaited, its result is printed.

Each command is one file that calls only the public API.
"""

from __future__ import annotations

import atexit
import gc
import sys


def main() -> None:
    """Run the command line; the console script ``aiocopick`` calls this."""
    # A fifth of a short command's time is a search for garbage among modules otherwise, while they are imported and once
    # more when the process ends.
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)

    from aiocopick.cli.app import COMMANDS, GROUPS, program

    everything = (*COMMANDS, *GROUPS)
    # The parameters of all commands take as long to make as those of one to parse and obey.
    named = [name for name in sys.argv[1:2] if name in everything]
    program(named or everything)(prog_name="aiocopick")


__all__ = ["main"]
