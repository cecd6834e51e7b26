"""``aiocopick export``: entities of a project into files of other programs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from aiocopick.cli.options import AllowProtocol, AsJson, EndpointUrl, FsArgs, PixelSize, Runs, Source, overrides
from aiocopick.cli.printing import progress
from aiocopick.cli.running import execute, print_report


def export(
    source: Source,
    uri: Annotated[
        str,
        typer.Argument(metavar="URI", help="What to write: 'wbp@10', 'membrane:user@10', 'ribosome:user/session'."),
    ],
    out: Annotated[
        str,
        typer.Option("--out", metavar="PATH", help="A folder for MRC files; a .star file, or a folder, for picks."),
    ],
    runs: Runs = None,
    level: Annotated[
        str | None, typer.Option("--level", metavar="NAME", help="Level of volumes; by default the finest.")
    ] = None,
    pixel_size: PixelSize = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    as_json: AsJson = False,
    fs_args: FsArgs = None,
    endpoint_url: EndpointUrl = None,
    allow_protocol: AllowProtocol = None,
) -> None:
    """Write tomograms and segmentations to MRC files, and picks to a STAR file for RELION.

    Exit code 3 if something could not be written; the rest is written.
    """
    fields = overrides(fs_args, endpoint_url=endpoint_url, allow_protocols=allow_protocol, must_exist=True)
    choice = {"runs": runs, "level": level, "pixel_size": pixel_size, "overwrite": overwrite}
    execute(lambda: _export(source, fields, uri, out, choice, as_json))


async def _export(
    source: str, fields: dict[str, Any], uri: str, out: str, choice: dict[str, Any], as_json: bool
) -> int:
    import aiocopick
    from aiocopick import convert

    async with aiocopick.open(source, **fields) as root:
        with progress("exporting") as advance:
            report = await convert.export(root, uri, out, progress=advance, **choice)
    return print_report(report, as_json)
