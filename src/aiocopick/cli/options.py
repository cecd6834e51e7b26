"""The arguments and options that several commands share, and what their text means."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any

import typer

# `aiocopick.layout.refs.NOUNS` once more (a test compares them): importing it would make `--help` four times slower.
NOUNS = ("voxel_spacings", "tomograms", "features", "picks", "meshes", "segmentations", "filaments")
LOADABLE = ("picks", "meshes", "filaments", "meta")


def complete_kinds(incomplete: str) -> list[str]:
    """Kinds for the shell's completion; what was typed before a comma stays."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{noun}" for noun in NOUNS if noun.startswith(last)]


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
        help='Arguments of the file system: {"anon": true}. Secrets belong into the environment or a config.',
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Uri = Annotated[
    str,
    typer.Argument(metavar="URI", help="What to select: 'ribosome:user/session', 'wbp@10.0'; *, ? and [] are globs."),
]


def parse_kinds(values: Iterable[str] | None, known: Iterable[str] = NOUNS, option: str = "--kinds") -> set[str] | None:
    """The names in ``--kinds a,b --kinds c``; None when there are none.

    Raises
    ------
    typer.BadParameter
        One of them is not known.
    """
    names = {name.strip() for value in values or () for name in value.split(",") if name.strip()}
    unknown = sorted(names.difference(known))
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is not one of {', '.join(known)}", param_hint=option)
    return names or None


def overrides(fs_args: str | None, **fields: Any) -> dict[str, Any]:
    """Config fields from options.

    Raises
    ------
    typer.BadParameter
        ``--fs-args`` is no JSON object.
    """
    if fs_args is None:
        return fields
    try:
        parsed = json.loads(fs_args)
    except json.JSONDecodeError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint="--fs-args") from None
    if not isinstance(parsed, dict):
        raise typer.BadParameter("must be a JSON object", param_hint="--fs-args")
    return {"fs_args": parsed, **fields}
