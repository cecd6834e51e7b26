"""``aiocopick cp``: copy from one project into another."""

from __future__ import annotations

from dataclasses import asdict
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
from aiocopick.cli.running import PROBLEMS, execute, report_errors
from aiocopick.cli.unmatched import tell_unmatched


def cp(
    source: Source,
    target: Annotated[str, typer.Argument(metavar="TARGET", help="URL, path or config of the project to copy into.")],
    uri: Uris = None,
    runs: Runs = None,
    kinds: Kinds = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that differ in the target.")] = False,
    checksum: Annotated[
        bool,
        typer.Option(
            "--checksum/--no-checksum",
            help="If no store has checksums, compare the contents of files of equal size, not their times.",
        ),
    ] = True,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    fs_args: FsArgs = None,
    endpoint_url: EndpointUrl = None,
    allow_protocol: AllowProtocol = None,
    target_fs_args: Annotated[
        str | None, typer.Option("--target-fs-args", metavar="JSON", help="Like --fs-args, for the target.")
    ] = None,
    target_endpoint_url: Annotated[
        str | None, typer.Option("--target-endpoint-url", metavar="URL", help="Like --endpoint-url, for the target.")
    ] = None,
) -> None:
    """Copy a project, some runs, kinds or entities into another one, on any two stores.

    Every file is verified. Repeat the command after an interruption: files that are already copied are skipped. Exit
    code 3 if a file could not be copied; the others are copied.
    """
    wanted = parse_kinds(kinds)
    fields = (
        overrides(fs_args, endpoint_url=endpoint_url, allow_protocols=allow_protocol, must_exist=True),
        overrides(target_fs_args, option="--target-fs-args", endpoint_url=target_endpoint_url),
    )
    choice = {"runs": runs, "kinds": wanted, "overwrite": overwrite, "checksum": checksum, "dry_run": dry_run}
    execute(lambda: _cp(source, target, fields, uri or None, choice, as_json))


async def _cp(
    source: str,
    target: str,
    fields: tuple[dict[str, Any], dict[str, Any]],
    uris: list[str] | None,
    choice: dict[str, Any],
    as_json: bool,
) -> int:
    import aiocopick
    from aiocopick.upkeep import copy

    async with aiocopick.open(source, **fields[0]) as origin, aiocopick.open(target, **fields[1]) as copied:
        with progress("copying") as advance:
            report = await copy(origin, copied, uris, progress=advance, **choice)
        if not report.entities and not report.errors and (uris or choice["runs"] or choice["kinds"]):
            await tell_unmatched(origin, uris, choice["runs"], choice["kinds"])
    if as_json:
        print_json(asdict(report))
        return PROBLEMS if report.errors else 0
    verb = "would be copied" if choice["dry_run"] else "copied"
    typer.echo(
        f"{report.files:,} files ({report.bytes:,} bytes) of {report.entities:,} runs and entities {verb}, "
        f"{report.skipped:,} were there"
    )
    return report_errors(report.errors)
