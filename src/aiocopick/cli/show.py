"""``aiocopick show``: draw one picture."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aiocopick.cli.options import AllowProtocol, EndpointUrl, FsArgs, Runs, Source, overrides
from aiocopick.cli.running import execute
from aiocopick.cli.unmatched import unmatched

if TYPE_CHECKING:
    from aiocopick.entities import AsyncRoot, AsyncRun


def show(
    source: Source,
    uri: Annotated[
        str,
        typer.Argument(
            metavar="URI",
            help="A tomogram ('wbp@10'), which is shown with all picks and segmentations; or the picks "
            "('ribosome:user/session') or segmentations ('membrane:*/*@10') to draw.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.png", help="The file to write; standard output without.")
    ] = None,
    runs: Runs = None,
    size: Annotated[int, typer.Option("--size", min=1, max=4096, help="Pixels along the longer side.")] = 640,
    fs_args: FsArgs = None,
    endpoint_url: EndpointUrl = None,
    allow_protocol: AllowProtocol = None,
) -> None:
    """Draw the middle of a tomogram as PNG, with picks and outlines of segmentations, of the first run that has the URI."""
    if out is None and sys.stdout.isatty():
        raise typer.BadParameter("a picture cannot be printed; name a file, or pipe it", param_hint="--out")
    fields = overrides(fs_args, endpoint_url=endpoint_url, allow_protocols=allow_protocol, must_exist=True)
    execute(lambda: _show(source, fields, uri, out, runs, size))


async def _show(source: str, fields: dict[str, Any], uri: str, out: Path | None, runs: str | None, size: int) -> int:
    import aiocopick
    from aiocopick.concurrency.threads import in_thread
    from aiocopick.layout.uris import parse_uri
    from aiocopick.pictures import Choice
    from aiocopick.storage.single_files import replace_file

    shows_tomogram = parse_uri(uri).kind == "tomogram"
    tomogram, annotations = (uri, None) if shows_tomogram else (None, uri)
    Choice.of(tomogram, annotations)
    async with aiocopick.open(source, **fields) as root:
        run = await _first_run(root, uri, runs)
        picture = await run.picture(tomogram, annotations, size=size)
    if out is None:
        await in_thread(sys.stdout.buffer.write, picture)
    else:
        await in_thread(replace_file, out, picture)
        typer.echo(f"{run.name} is in {out}")
    return 0


async def _first_run(root: AsyncRoot, uri: str, runs: str | None) -> AsyncRun:
    """Return the first run that has something of the URI.

    Raises
    ------
    NotFoundError
        There is none.
    """
    from aiocopick.errors import NotFoundError
    from aiocopick.layout.refs import NOUNS
    from aiocopick.layout.uris import parse_uri
    from aiocopick.tables.held import held

    pattern = parse_uri(uri)
    noun = next(noun for noun, kind in NOUNS.items() if kind == pattern.kind)
    error: Exception | None = None
    async for run in root.crawl(runs=runs, kinds={noun}):
        error = error or run.error
        if run.error is None and any(pattern.matches(entity.ref) for entity in await held(run, {noun})):
            return run
    if error is not None:
        raise error
    [why] = await unmatched(root, [uri], runs, takes_kinds=False)
    raise NotFoundError(f"No run of {root.url} has {uri}: {why}", path=root.url)
