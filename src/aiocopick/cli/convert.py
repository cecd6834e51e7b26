"""``aiocopick add`` and ``aiocopick export``: files of other programs into a project, and out of it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from aiocopick.cli.options import AllowProtocol, AsJson, EndpointUrl, FsArgs, PixelSize, Runs, Source, overrides
from aiocopick.cli.printing import progress
from aiocopick.cli.running import execute, print_report


def add(
    source: Source,
    uri: Annotated[
        str,
        typer.Argument(
            metavar="URI",
            help="What each file becomes: 'wbp@10' or 'membrane:user/session@10' (MRC, TIFF), "
            "'ribosome:user/session' (STAR). 'wbp@' takes the voxel size of the file.",
        ),
    ],
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="MRC, TIFF or STAR files on this machine.")],
    run: Annotated[
        str | None, typer.Option("--run", metavar="NAME", help="Run of the file; by default the name of the file.")
    ] = None,
    run_pattern: Annotated[
        str | None,
        typer.Option(
            "--run-pattern",
            metavar="REGEX",
            help="Finds the run in the name of the file, or in rlnTomoName: its first group, or all of it.",
        ),
    ] = None,
    levels: Annotated[
        int | None, typer.Option("--levels", help="Levels of the pyramid: 3 of tomograms, 1 of segmentations.")
    ] = None,
    pixel_size: PixelSize = None,
    ignore_header: Annotated[
        bool, typer.Option("--ignore-header", help="Trust the given sizes where the file contradicts them.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace entities that exist.")] = False,
    as_json: AsJson = False,
    fs_args: FsArgs = None,
    endpoint_url: EndpointUrl = None,
    allow_protocol: AllowProtocol = None,
) -> None:
    """Add tomograms, segmentations and picks from MRC, TIFF and STAR files.

    Voxel sizes are compared with those of the files. Exit code 3 if a file could not be added; the others are added.
    Repeat the command after an interruption.
    """
    choice = {
        "run": run,
        "run_pattern": run_pattern,
        "levels": levels,
        "pixel_size": pixel_size,
        "ignore_header": ignore_header,
        "overwrite": overwrite,
    }
    fields = overrides(fs_args, endpoint_url=endpoint_url, allow_protocols=allow_protocol)
    execute(lambda: _add(source, fields, uri, files, choice, as_json))


async def _add(
    source: str, fields: dict[str, Any], uri: str, files: list[str], choice: dict[str, Any], as_json: bool
) -> int:
    import aiocopick
    from aiocopick import convert

    async with aiocopick.open(source, **fields) as root:
        with progress("adding", None if uri.count("@") == 0 else len(files)) as advance:
            report = await convert.add(root, uri, files, progress=advance, **choice)
    return print_report(report, as_json)


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
