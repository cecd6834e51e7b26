"""``aiocopick tree``: show runs and their entities as a tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aiocopick.cli.options import (
    AllowProtocol,
    AsJson,
    Catalog,
    EndpointUrl,
    FsArgs,
    Kinds,
    Runs,
    Source,
    Uris,
    overrides,
    parse_kinds,
)
from aiocopick.cli.printing import console, print_json
from aiocopick.cli.running import execute, report_errors
from aiocopick.cli.unmatched import tell_unmatched
from aiocopick.progress import visible

if TYPE_CHECKING:
    from rich.tree import Tree

    from aiocopick.entities import AsyncEntity, AsyncRun


def tree(
    source: Source,
    uri: Uris = None,
    runs: Runs = None,
    kinds: Kinds = None,
    as_json: AsJson = False,
    fs_args: FsArgs = None,
    endpoint_url: EndpointUrl = None,
    allow_protocol: AllowProtocol = None,
    catalog: Catalog = None,
) -> None:
    """Show the runs of a project, and their entities, as a tree.

    With --json, a line per run: its name, and the URIs of its entities by kind. Exit code 3 if some runs could not be
    read.
    """
    wanted = parse_kinds(kinds)
    fields = overrides(
        fs_args, endpoint_url=endpoint_url, allow_protocols=allow_protocol, catalog=catalog, must_exist=True
    )
    execute(lambda: _tree(source, fields, uri or None, runs, wanted, as_json))


async def _tree(
    source: str, fields: dict[str, Any], uris: list[str] | None, runs: str | None, kinds: set[str] | None, as_json: bool
) -> int:
    import aiocopick
    from aiocopick.tables.held import is_listed

    errors: dict[str, Exception] = {}
    shown = 0
    async with aiocopick.open(source, **fields) as root:
        chosen = aiocopick.select(root, uris, runs, kinds=kinds)
        async with root.crawl(runs=chosen.scope.runs, kinds=chosen.scope.nouns) as found:
            async for run in found:
                if run.error is not None:
                    errors[run.name] = run.error
                    if not is_listed(run):
                        continue
                entities = await chosen.of_run(run)
                shown += len(entities) + chosen.is_everything
                if as_json:
                    print_json(_by_kind(run, entities))
                elif entities or chosen.is_everything:
                    console().print(_branches(run, entities))
        if not shown and not errors and (uris or runs or kinds):
            await tell_unmatched(root, uris, runs, kinds)
    return report_errors(errors)


def _by_kind(run: AsyncRun, entities: Sequence[AsyncEntity]) -> dict[str, Any]:
    kinds: dict[str, list[str]] = {}
    for entity in entities:
        kinds.setdefault(entity.kind, []).append(entity.uri)
    return {"run": run.name, "entities": kinds}


def _branches(run: AsyncRun, entities: Sequence[AsyncEntity]) -> Tree:
    from rich.text import Text
    from rich.tree import Tree

    top = Tree(Text(visible(run.name), style="bold"))
    for kind, uris in _by_kind(run, entities)["entities"].items():
        branch = top.add(Text(kind.replace("_", " "), style="dim"))
        for uri in uris:
            branch.add(Text(visible(uri)))
    return top
