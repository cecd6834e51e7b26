"""``aiocopick crawl``: what a project holds."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from aiocopick.cli.options import LOADABLE, NOUNS, AsJson, FsArgs, Kinds, Runs, Source, overrides, parse_kinds
from aiocopick.cli.printing import print_json, progress
from aiocopick.cli.running import PROBLEMS, execute


def crawl(
    source: Source,
    runs: Runs = None,
    kinds: Kinds = None,
    load: Annotated[
        list[str] | None, typer.Option("--load", metavar="KIND,...", help=f"Also read: {', '.join(LOADABLE)}.")
    ] = None,
    as_json: AsJson = False,
    fs_args: FsArgs = None,
) -> None:
    """List every run of a project, and count what is in it.

    Exit code 3 when some runs could not be read; the others are counted.
    """
    wanted = parse_kinds(kinds)
    loaded = parse_kinds(load, LOADABLE, "--load") or set()
    fields = overrides(fs_args, must_exist=True)
    execute(lambda: _crawl(source, fields, runs, wanted, loaded, as_json))


async def _crawl(
    source: str, fields: dict[str, Any], runs: str | None, kinds: set[str] | None, load: set[str], as_json: bool
) -> int:
    import aiocopick
    from aiocopick.cli.survey import Survey, print_result

    async with aiocopick.open(source, **fields) as root:
        survey = Survey(root.url, frozenset(kinds or NOUNS))
        with progress("crawling") as advance:
            async with root.crawl(runs=runs, kinds=kinds, load=load) as found:
                async for run in found:
                    await survey.add(run, frozenset(load))
                    advance(run.name)
        result = survey.result(root)
    if as_json:
        print_json(result)
    else:
        print_result(result)
    return PROBLEMS if result["errors"] else 0
