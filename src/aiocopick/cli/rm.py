"""``aiocopick rm``: delete named entities."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from aiocopick.cli.options import (
    AllowProtocol,
    AsJson,
    DryRun,
    EndpointUrl,
    FsArgs,
    Kinds,
    Runs,
    Source,
    Uris,
    overrides,
    parse_kinds,
)
from aiocopick.cli.printing import print_json, progress
from aiocopick.cli.running import PROBLEMS, confirmed, execute, report_errors
from aiocopick.cli.unmatched import tell_unmatched


def rm(
    source: Source,
    uri: Uris = None,
    runs: Runs = None,
    kinds: Kinds = None,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
    fs_args: FsArgs = None,
    endpoint_url: EndpointUrl = None,
    allow_protocol: AllowProtocol = None,
) -> None:
    """Delete the entities that URIs or --kinds name; with --runs alone, whole runs.

    The command lists the entities and asks before it deletes; without a terminal, --yes is required. Exit code 3 if
    an entity could not be deleted.
    """
    wanted = parse_kinds(kinds)
    if not uri and wanted is None and runs is None:
        raise typer.BadParameter("say what to delete: a URI, --kinds or --runs", param_hint="URI")
    if not (yes or dry_run or (sys.stdin.isatty() and not as_json)):
        raise typer.BadParameter("without a terminal to ask on, give --yes or --dry-run", param_hint="--yes")
    fields = overrides(fs_args, endpoint_url=endpoint_url, allow_protocols=allow_protocol, must_exist=True)
    execute(lambda: _rm(source, fields, uri or None, runs, wanted, dry_run, yes, as_json))


async def _rm(
    source: str,
    fields: dict[str, Any],
    uris: list[str] | None,
    runs: str | None,
    kinds: set[str] | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> int:
    import aiocopick
    from aiocopick.cli.printing import as_line, as_row
    from aiocopick.upkeep import matching, remove

    async with aiocopick.open(source, **fields) as root:
        chosen = await matching(root, uris, runs=runs, kinds=kinds)
        if not chosen:
            await tell_unmatched(root, uris, runs, kinds)
        rows = [as_row(entity) for entity in chosen]
        if not as_json:
            for entity in chosen:
                typer.echo(as_line(entity, False))
        failed: dict[str, Any] = {}
        if chosen and not dry_run:
            if not yes and not confirmed(f"Delete these {len(chosen)}?"):
                return 0
            with progress("deleting", len(chosen)) as advance:
                failed = await remove(chosen, progress=advance)
    if as_json:
        for row in rows:
            error = failed.get(row["path"])
            print_json(row | {"deleted": not dry_run and error is None} | ({"error": str(error)} if error else {}))
        return PROBLEMS if failed else 0
    if not dry_run:
        typer.echo(f"{len(chosen) - len(failed)} deleted")
    return report_errors(failed)
