"""``aiocopick doctor``: find problems in a project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from aiocopick.cli.options import (
    AllowProtocol,
    AsJson,
    EndpointUrl,
    FsArgs,
    Kinds,
    Runs,
    Source,
    Uris,
    overrides,
    parse_kinds,
)
from aiocopick.cli.printing import print_json, print_table, progress
from aiocopick.cli.running import PROBLEMS, execute
from aiocopick.cli.unmatched import tell_unmatched

if TYPE_CHECKING:
    from aiocopick.tables import Selection


def doctor(
    source: Source,
    uri: Uris = None,
    runs: Runs = None,
    kinds: Kinds = None,
    as_json: AsJson = False,
    fs_args: FsArgs = None,
    endpoint_url: EndpointUrl = None,
    allow_protocol: AllowProtocol = None,
) -> None:
    """Read everything in a project and report problems. Nothing is changed.

    Reported: unparsable names, temporary files of writes that were killed, files and metadata that cannot be read,
    unfinished volumes, feature maps without their tomogram, annotations of objects that the configuration
    does not name, points outside their tomogram or without a position. With URIs, only the named entities are examined.
    With --json, print a line per finding.
    Exit code 3 if a problem was found.
    """
    wanted = parse_kinds(kinds)
    fields = overrides(fs_args, endpoint_url=endpoint_url, allow_protocols=allow_protocol, must_exist=True)
    execute(lambda: _doctor(source, fields, uri or None, runs, wanted, as_json))


async def _doctor(
    source: str, fields: dict[str, Any], uris: list[str] | None, runs: str | None, kinds: set[str] | None, as_json: bool
) -> int:
    import aiocopick
    from aiocopick.upkeep import examine

    async with aiocopick.open(source, **fields) as root:
        with progress("reading") as advance:
            findings = await examine(root, uris, runs=runs, kinds=kinds, progress=advance)
        if not findings and (uris or runs or kinds) and not await _any(aiocopick.select(root, uris, runs, kinds=kinds)):
            await tell_unmatched(root, uris, runs, kinds)
    if as_json:
        for finding in findings:
            print_json(finding.to_json())
    elif findings:
        rows = [(finding.problem, finding.path, finding.detail) for finding in findings]
        print_table(f"{len(findings)} found", ["problem", "where", "what"], rows)
    else:
        typer.echo("Nothing wrong was found.")
    return PROBLEMS if findings else 0


async def _any(selection: Selection) -> bool:
    async for _ in selection:
        return True
    return False
