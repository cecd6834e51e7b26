"""``aiocopick points``: print coordinates of picks across runs."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from aiocopick.cli.options import (
    AllowProtocol,
    AsJson,
    Catalog,
    EndpointUrl,
    FsArgs,
    Out,
    Runs,
    Since,
    Source,
    Uris,
    check_out,
    overrides,
)
from aiocopick.cli.printing import print_json, progress
from aiocopick.cli.running import execute, report_errors
from aiocopick.cli.unmatched import tell_unmatched


def points(
    source: Source,
    uri: Uris = None,
    runs: Runs = None,
    out: Out = None,
    since: Since = None,
    transforms: Annotated[
        bool, typer.Option("--transforms", help="Also the transformations, 16 numbers each.")
    ] = False,
    as_json: AsJson = False,
    fs_args: FsArgs = None,
    endpoint_url: EndpointUrl = None,
    allow_protocol: AllowProtocol = None,
    catalog: Catalog = None,
) -> None:
    """Print the points of picks as CSV (lengths in angstrom), or write them to a Parquet file.

    Exit code 3 if some runs or files could not be read; the others are printed.
    """
    check_out(out)
    if since is not None and out is None:
        raise typer.BadParameter("goes with --out", param_hint="--since")
    fields = overrides(
        fs_args, endpoint_url=endpoint_url, allow_protocols=allow_protocol, catalog=catalog, must_exist=True
    )
    execute(lambda: _points(source, fields, uri or ["*"], runs, out, since, transforms, as_json))


async def _points(
    source: str,
    fields: dict[str, Any],
    uris: list[str],
    runs: str | None,
    out: str | None,
    since: str | None,
    transforms: bool,
    as_json: bool,
) -> int:
    import aiocopick
    from aiocopick.tables.opened import file_arguments
    from aiocopick.tables.parquet import write_csv
    from aiocopick.tables.rows import rows_of
    from aiocopick.tables.schema import metadata_of

    async with aiocopick.open(source, **fields) as root:
        earlier = None if since is None else await aiocopick.load_table(since, **file_arguments(root, since))
        with progress("reading") as advance:
            table = await aiocopick.points(root, uris, runs=runs, since=earlier, on_error="skip", progress=advance)
        if out is not None:
            await aiocopick.store_table(table, out, **file_arguments(root, out, to_write=True))
        metadata = metadata_of(table)
        if not metadata["files"] and not metadata["errors"]:
            await tell_unmatched(root, None if uris == ["*"] else uris, runs, {"picks"})
    if out is not None:
        summary = {"points": table.num_rows, "files": len(metadata["files"]), "out": out}
        if as_json:
            print_json(summary)
        else:
            typer.echo(f"{table.num_rows:,} points of {len(metadata['files']):,} picks are in {out}")
    else:
        shown = table if transforms else table.drop_columns(["transform"])
        if as_json:
            for row in rows_of(shown):
                print_json(row)
        else:
            write_csv(shown, sys.stdout)
    return report_errors(metadata["errors"])
