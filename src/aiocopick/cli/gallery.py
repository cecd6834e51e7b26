"""``aiocopick gallery``: a page with pictures of a project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from aiocopick.cli.options import AllowProtocol, AsJson, EndpointUrl, FsArgs, Runs, Source, overrides
from aiocopick.cli.printing import print_json, progress
from aiocopick.cli.running import execute, report_errors, tell
from aiocopick.cli.unmatched import unmatched

Tomogram = Annotated[
    str | None,
    typer.Option("--tomogram", metavar="URI", help="The tomogram to show: wbp@10. Default: the largest voxels."),
]
Annotations = Annotated[
    list[str] | None,
    typer.Argument(metavar="URI", help="CoPick URIs of the picks and segmentations to draw; all without."),
]


def gallery(
    source: Source,
    uri: Annotations = None,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="The HTML file to write.")] = Path("gallery.html"),
    runs: Runs = None,
    tomogram: Tomogram = None,
    since: Annotated[
        Path | None,
        typer.Option("--since", metavar="FILE", help="An earlier page, complete or interrupted: its cards are reused."),
    ] = None,
    as_json: AsJson = False,
    fs_args: FsArgs = None,
    endpoint_url: EndpointUrl = None,
    allow_protocol: AllowProtocol = None,
) -> None:
    """Write a web page with a picture of every run: a slice, with picks and outlines of segmentations on it.

    The page is one file that needs no server and no network. Exit code 3 if some runs or files could not be read; their
    cards say why.
    """
    fields = overrides(fs_args, endpoint_url=endpoint_url, allow_protocols=allow_protocol, must_exist=True)
    execute(lambda: _gallery(source, fields, uri or None, out, runs, tomogram, since, as_json))


async def _gallery(
    source: str,
    fields: dict[str, Any],
    uris: list[str] | None,
    out: Path,
    runs: str | None,
    tomogram: str | None,
    since: Path | None,
    as_json: bool,
) -> int:
    import aiocopick
    from aiocopick.pages import write_gallery

    async with aiocopick.open(source, **fields) as root:
        with progress("drawing") as advance:
            written = await write_gallery(root, out, uris, runs=runs, tomogram=tomogram, since=since, progress=advance)
        nothing = written.unmatched or (uris if runs is not None and not written.runs else None)
        if nothing or (runs is not None and not written.runs):
            for line in await unmatched(root, nothing, runs, takes_kinds=False):
                tell(line)
    if as_json:
        print_json({"out": str(out), "runs": written.runs, "reused": written.reused, "errors": written.errors})
    else:
        reused = f", {written.reused:,} of them taken from {since}" if since is not None else ""
        typer.echo(f"{written.runs:,} runs are in {out}{reused}")
    return report_errors(written.errors)
