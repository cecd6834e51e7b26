"""``aiocopick serve``: look at a project in a browser."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from aiocopick.cli.gallery import Annotations, Tomogram
from aiocopick.cli.options import AllowProtocol, EndpointUrl, FsArgs, Source, overrides
from aiocopick.cli.running import execute


def serve(
    source: Source,
    uri: Annotations = None,
    tomogram: Tomogram = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 0,
    host: Annotated[
        str,
        typer.Option(
            "--host",
            metavar="ADDRESS",
            help="Address to listen on. Others than this machine can reach one that is not 127.0.0.1.",
        ),
    ] = "127.0.0.1",
    allow_origin: Annotated[
        list[str] | None,
        typer.Option("--allow-origin", metavar="URL", help="A viewer on this machine that may read. Repeatable."),
    ] = None,
    endpoint_url: EndpointUrl = None,
    fs_args: FsArgs = None,
    allow_protocol: AllowProtocol = None,
) -> None:
    """Serve a project to the browsers of this machine, until it is interrupted. Nothing can be changed.

    The address that is printed holds a random token. Whoever knows it can read the project. It shows the runs with their
    pictures; below it are the files (keys/), which aiocopick and other zarr clients can read, and the catalogue.
    """
    fields = overrides(fs_args, endpoint_url=endpoint_url, allow_protocols=allow_protocol, must_exist=True)
    execute(lambda: _serve(source, fields, uri or None, tomogram, host, port, allow_origin or []))


async def _serve(
    source: str,
    fields: dict[str, Any],
    uris: list[str] | None,
    tomogram: str | None,
    host: str,
    port: int,
    origins: list[str],
) -> int:
    import anyio

    import aiocopick
    from aiocopick.pages import serving

    async with (
        aiocopick.open(source, **fields) as root,
        serving(root, uris, tomogram=tomogram, host=host, port=port, origins=origins) as address,
    ):
        typer.echo(f"{address}\nInterrupt (Ctrl-C) ends it.")
        await anyio.sleep_forever()
    return 0
