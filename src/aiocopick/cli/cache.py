"""``aiocopick cache``: the folder in which contents of distant projects are kept."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from aiocopick.cli.options import AsJson, Command, Group
from aiocopick.cli.printing import print_json, print_table
from aiocopick.cli.running import PROBLEMS, execute

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiocopick.storage.cache_folder import CacheFolder, Usage

DEFAULT = "~/.cache/aiocopick"

app = typer.Typer(cls=Group, no_args_is_help=True, help="Show, check or empty the cache on disk.")

Folder = Annotated[
    str | None,
    typer.Option("--folder", metavar="PATH", help=f"The folder; by default $AIOCOPICK_CACHE, else {DEFAULT}."),
]


@app.command(cls=Command)
def info(folder: Folder = None, as_json: AsJson = False) -> None:
    """Show entries and bytes, by location. A location is a kind of server, an address and a user."""
    execute(lambda: _show(folder, as_json, lambda cache: cache.usage()))


@app.command(cls=Command)
def verify(folder: Folder = None, as_json: AsJson = False) -> None:
    """Read all entries and compare them with their checksums. A damaged entry is dropped, and fetched again when needed.

    Exit code 3 if an entry was damaged.
    """
    execute(lambda: _show(folder, as_json, lambda cache: cache.verify()))


@app.command(cls=Command)
def clear(folder: Folder = None) -> None:
    """Empty the folder. Running programs go on, and fetch what they need again."""
    execute(lambda: _clear(folder))


def _open(folder: str | None) -> CacheFolder:
    from aiocopick.storage.cache_folder import cache_folder

    return cache_folder(folder or os.environ.get("AIOCOPICK_CACHE") or DEFAULT, 1)


async def _show(folder: str | None, as_json: bool, count: Callable[[CacheFolder], dict[str, Usage]]) -> int:
    from aiocopick.concurrency.threads import in_thread

    cache = _open(folder)
    found = await in_thread(count, cache) if await in_thread(cache.check) else {}
    damaged = sum(usage.damaged for usage in found.values())
    if as_json:
        for location, usage in found.items():
            print_json({"location": location, "entries": usage.entries, "bytes": usage.bytes, "damaged": usage.damaged})
        return PROBLEMS if damaged else 0
    rows = [(location, str(usage.entries), str(usage.bytes), str(usage.damaged)) for location, usage in found.items()]
    print_table(f"kept in {cache.path}", ["location", "entries", "bytes", "damaged"], rows)
    return PROBLEMS if damaged else 0


async def _clear(folder: str | None) -> int:
    from aiocopick.concurrency.threads import in_thread

    cache = _open(folder)
    if not await in_thread(cache.check):
        typer.echo(f"There is no cache at {cache.path}.")
        return 0
    removed = await in_thread(cache.clear)
    typer.echo(f"{removed.entries} entries were removed, {removed.bytes} bytes.")
    return 0
