"""Arguments and options that several commands share, the parsing of their text, and their help."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

# A copy of `aiocopick.layout.refs.NOUNS` (a test compares them): importing it would make `--help` four times slower.
NOUNS = ("voxel_spacings", "tomograms", "features", "picks", "meshes", "segmentations", "filaments")
LOADABLE = ("picks", "meshes", "filaments", "meta")


def complete_kinds(incomplete: str) -> list[str]:
    """Return the kinds that complete the text, for the shell."""
    return _complete(incomplete, NOUNS)


def complete_loadable(incomplete: str) -> list[str]:
    """Return the kinds of files that a crawl can read and that complete the text, for the shell."""
    return _complete(incomplete, LOADABLE)


def _complete(incomplete: str, names: Iterable[str]) -> list[str]:
    # Text before a comma is kept.
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in names if name.startswith(last)]


Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE", help="URL or path of a project (s3://bucket/project, /data/project), or of a config JSON."
    ),
]
Runs = Annotated[str | None, typer.Option("--runs", metavar="GLOB", help="Only runs whose name matches.")]
Kinds = Annotated[
    list[str] | None,
    typer.Option("--kinds", metavar="KIND,...", help=f"Only these: {', '.join(NOUNS)}.", autocompletion=complete_kinds),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
FsArgs = Annotated[
    str | None,
    typer.Option(
        "--fs-args",
        metavar="JSON",
        help='Arguments of the file system: {"anon": true}. Put secrets into the environment or a config.',
    ),
]
EndpointUrl = Annotated[
    str | None,
    typer.Option("--endpoint-url", metavar="URL", help="Server of S3 or Google Cloud, if it is not their own."),
]
AllowProtocol = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-protocol",
        metavar="NAME",
        help="A further protocol that a config file may name (zip, reference, ...). Repeatable.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the planned actions without doing them.")]
Uris = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="URI",
        help="CoPick URIs: 'ribosome:user/session', 'wbp@10.0', 'membrane@10.0?multilabel=true'; parts may be globs. "
        "They name picks unless --kinds is given.",
    ),
]
PixelSize = Annotated[
    float | None,
    typer.Option(
        "--pixel-size", metavar="ANGSTROM", help="Pixel size of the tilt series: the unit of rlnCoordinateX/Y/Z."
    ),
]
Catalog = Annotated[
    str | None,
    typer.Option("--catalog", metavar="FILE", help="Take listings from this catalogue (see crawl --out)."),
]
Out = Annotated[
    str | None,
    typer.Option("--out", metavar="FILE", help="Write a Parquet file (or .csv), to a path or URL."),
]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="FILE", help="An earlier --out file: unchanged files are not read again."),
]


def parse_kinds(values: Iterable[str] | None, known: Iterable[str] = NOUNS, option: str = "--kinds") -> set[str] | None:
    """Return the names in ``--kinds a,b --kinds c``; None if there are none.

    Raises
    ------
    typer.BadParameter
        A name is unknown.
    """
    names = {name.strip() for value in values or () for name in value.split(",") if name.strip()}
    unknown = sorted(names.difference(known))
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is not one of {', '.join(known)}", param_hint=option)
    return names or None


def check_out(out: str | None) -> None:
    """Refuse a file of another format before anything is read.

    Raises
    ------
    typer.BadParameter
        Its name ends like that.
    """
    if out is None:
        return
    from aiocopick.errors import FormatError
    from aiocopick.tables.parquet import check_suffix

    try:
        check_suffix(out)
    except FormatError as error:
        raise typer.BadParameter(str(error), param_hint="--out") from None


def overrides(fs_args: str | None, *, option: str = "--fs-args", **fields: Any) -> dict[str, Any]:
    """Return the arguments of ``aiocopick.open()`` from options; missing options are left out.

    Raises
    ------
    typer.BadParameter
        `fs_args` is not a JSON object.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    if fs_args is None:
        return given
    try:
        parsed = json.loads(fs_args)
    except json.JSONDecodeError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint=option) from None
    if not isinstance(parsed, dict):
        raise typer.BadParameter("must be a JSON object", param_hint=option)
    return {"fs_args": parsed, **given}


# --- help -------------------------------------------------------------------------------------------------------------


def _without_types(params: list[Any]) -> list[Any]:
    for param in params:
        if getattr(param, "is_flag", False) and param.metavar is None:
            param.metavar = ""
    return params


class Command(TyperCommand):
    """One command."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return arguments and options, ``--help`` included."""
        return _without_types(super().get_params(ctx))


class Group(TyperGroup):
    """The program with its commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the options, ``--help`` included."""
        return _without_types(super().get_params(ctx))
