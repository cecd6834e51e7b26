"""``aiocopick ls``: list runs or entities, one per line."""

from __future__ import annotations

import warnings
from typing import Annotated, Any

import typer

from aiocopick.cli.options import (
    AllowProtocol,
    AsJson,
    Catalog,
    EndpointUrl,
    FsArgs,
    Kinds,
    Runs,
    Source,
    Uris,
    overrides,
    parse_kinds,
)
from aiocopick.cli.printing import print_json
from aiocopick.cli.running import execute, report_errors
from aiocopick.cli.unmatched import tell_unmatched


def ls(
    source: Source,
    uri: Uris = None,
    runs: Runs = None,
    kinds: Kinds = None,
    long: Annotated[bool, typer.Option("--long", "-l", help="Also size, time of change and path.")] = False,
    as_json: AsJson = False,
    fs_args: FsArgs = None,
    endpoint_url: EndpointUrl = None,
    allow_protocol: AllowProtocol = None,
    catalog: Catalog = None,
) -> None:
    """List runs, or the entities in them.

    Without a URI and --kinds, the runs are listed. Each line of entities is the run, the kind and the CoPick URI,
    separated by tabs. Exit code 3 if some runs could not be read.
    """
    wanted = parse_kinds(kinds)
    fields = overrides(fs_args, endpoint_url=endpoint_url, allow_protocols=allow_protocol, catalog=catalog)
    execute(lambda: _ls(source, fields, uri or None, runs, wanted, long, as_json))


async def _ls(
    source: str,
    fields: dict[str, Any],
    uris: list[str] | None,
    runs: str | None,
    kinds: set[str] | None,
    long: bool,
    as_json: bool,
) -> int:
    import aiocopick
    from aiocopick.cli.printing import as_line, as_row

    shown = 0

    def show(entity: Any) -> None:
        nonlocal shown
        shown += 1
        if as_json:
            print_json(as_row(entity))
        else:
            typer.echo(as_line(entity, long))

    of_runs = uris is None and kinds is None
    # A list of runs shows that there is a project, without a request of its own.
    async with aiocopick.open(source, **fields, must_exist=not of_runs) as root:
        if of_runs:
            with warnings.catch_warnings(record=True) as warned:
                warnings.simplefilter("always")
                found_runs = await root.query()
            if not found_runs:
                async with aiocopick.open(source, **fields, must_exist=True):
                    pass
            for warning in warned:
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
            if runs is not None:
                from aiocopick.tables.scope import Scope

                scope = Scope.of(runs, None)
                found_runs = [run for run in found_runs if scope.holds_run(run.name)]
            for run in found_runs:
                show(run)
            if runs is not None and not shown:
                await tell_unmatched(root, None, runs)
            return 0
        selection = aiocopick.select(root, uris, runs, kinds=kinds, on_error="skip")
        async with selection as found:
            async for entity in found:
                show(entity)
        if not shown and not selection.errors:
            await tell_unmatched(root, uris, runs, kinds)
        return report_errors(selection.errors)
