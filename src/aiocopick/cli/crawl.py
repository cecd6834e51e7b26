"""``aiocopick crawl``: list and count the content of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from aiocopick.cli.options import (
    LOADABLE,
    NOUNS,
    AllowProtocol,
    AsJson,
    EndpointUrl,
    FsArgs,
    Kinds,
    Out,
    Runs,
    Since,
    Source,
    Uris,
    check_out,
    complete_loadable,
    overrides,
    parse_kinds,
)
from aiocopick.cli.printing import print_json, progress
from aiocopick.cli.running import PROBLEMS, execute
from aiocopick.cli.unmatched import tell_unmatched

if TYPE_CHECKING:
    from aiocopick.cli.survey import Survey
    from aiocopick.entities import AsyncEntity, AsyncRoot, AsyncRun
    from aiocopick.tables import Selection

_RUNS_AT_ONCE = 8


def crawl(
    source: Source,
    uri: Uris = None,
    runs: Runs = None,
    kinds: Kinds = None,
    load: Annotated[
        list[str] | None,
        typer.Option(
            "--load",
            metavar="KIND,...",
            help=f"Also read: {', '.join(LOADABLE)}.",
            autocompletion=complete_loadable,
        ),
    ] = None,
    out: Out = None,
    since: Since = None,
    stats: Annotated[
        bool, typer.Option("--stats", help="With --out: also read the files, for numbers of points, shapes and so on.")
    ] = False,
    as_json: AsJson = False,
    fs_args: FsArgs = None,
    endpoint_url: EndpointUrl = None,
    allow_protocol: AllowProtocol = None,
) -> None:
    """List every run of a project, and count its entities, or those that URIs name.

    With --out, also write the catalogue of the project, with one row per entity. With --since, also count the changes
    since an earlier catalogue. Exit code 3 if some runs or files could not be read; the others are counted.
    """
    for option, given in (("--since", since is not None), ("--stats", stats)):
        if given and out is None:
            raise typer.BadParameter("goes with --out", param_hint=option)
    check_out(out)
    if load and out is not None:
        raise typer.BadParameter("does not go with --out; use --stats", param_hint="--load")
    if uri and out is not None:
        raise typer.BadParameter(
            "do not go with --out, because a catalogue covers whole kinds; use --kinds", param_hint="URI"
        )
    wanted = parse_kinds(kinds)
    loaded = parse_kinds(load, LOADABLE, "--load") or set()
    fields = overrides(fs_args, endpoint_url=endpoint_url, allow_protocols=allow_protocol, must_exist=True)
    execute(lambda: _crawl(source, fields, uri or None, runs, wanted, loaded, out, since, stats, as_json))


async def _crawl(
    source: str,
    fields: dict[str, Any],
    uris: list[str] | None,
    runs: str | None,
    kinds: set[str] | None,
    load: set[str],
    out: str | None,
    since: str | None,
    stats: bool,
    as_json: bool,
) -> int:
    import aiocopick
    from aiocopick.cli.survey import Survey, print_result

    async with aiocopick.open(source, **fields) as root:
        chosen = aiocopick.select(root, uris, runs, kinds=kinds)
        survey = Survey(root.url, frozenset(chosen.scope.nouns or NOUNS))
        more: dict[str, Any] = {}
        if out is None and chosen.is_by_uri:
            await _count_chosen(root, survey, chosen, frozenset(load))
        elif out is None:
            await _count(root, survey, runs, kinds, load)
        else:
            more = await _write(root, survey, runs, kinds, out, since, stats)
        result = survey.result(root) | more
        nothing = not (sum(survey.entities.values()) if uris or kinds else survey.runs)
        if nothing and not survey.errors and (uris or runs or kinds):
            await tell_unmatched(root, uris, runs, kinds)
    if as_json:
        print_json(result)
    else:
        print_result(result)
    return PROBLEMS if result["errors"] else 0


async def _count(root: AsyncRoot, survey: Survey, runs: str | None, kinds: set[str] | None, load: set[str]) -> None:
    with progress("crawling") as advance:
        async with root.crawl(runs=runs, kinds=kinds, load=load, progress=advance) as found:
            async for run in found:
                await survey.add(run, frozenset(load))


async def _count_chosen(root: AsyncRoot, survey: Survey, chosen: Selection, load: frozenset[str]) -> None:
    """Count the entities that URIs name, like :func:`_count`: only those are read."""
    from aiocopick.concurrency.fan_out import first_error, stream
    from aiocopick.entities import load as load_entities
    from aiocopick.errors import CopickError
    from aiocopick.layout.refs import NOUN_OF
    from aiocopick.tables.held import is_listed

    async def read(run: AsyncRun) -> list[AsyncEntity]:
        entities = await chosen.of_run(run) if is_listed(run) else []
        results = await load_entities([item for item in entities if NOUN_OF[item.kind] in load], on_error="return")
        error = (
            first_error(failures) if (failures := [item for item in results if isinstance(item, CopickError)]) else None
        )
        if isinstance(error, CopickError):
            run.error = run.error or error
        return entities

    scope = chosen.scope
    with progress("crawling") as advance:
        crawl = root.crawl(runs=scope.runs, kinds=scope.nouns, load=load & {"meta"}, progress=advance)
        async with crawl as found, stream(read, found, limit=_RUNS_AT_ONCE, ordered=True) as results:
            async for run, entities in results:
                if isinstance(entities, CopickError):
                    run.error, entities = entities, []
                await survey.add(run, load, entities)


async def _write(
    root: AsyncRoot, survey: Survey, runs: str | None, kinds: set[str] | None, out: str, since: str | None, stats: bool
) -> dict[str, Any]:
    """Make the catalogue; return the additional lines of the summary."""
    import aiocopick
    from aiocopick.tables.opened import file_arguments

    earlier = None if since is None else await aiocopick.load_table(since, **file_arguments(root, since))
    with progress("crawling") as advance:
        table = await aiocopick.catalog(root, kinds, runs=runs, stats=stats, since=earlier, progress=advance)
    await aiocopick.store_table(table, out, **file_arguments(root, out, to_write=True))
    survey.add_table(table)
    if earlier is None:
        return {"out": out}
    changed = aiocopick.changes(earlier, table)["change"].to_pylist()
    return {"out": out, "changes": {kind: changed.count(kind) for kind in ("added", "changed", "removed")}}
