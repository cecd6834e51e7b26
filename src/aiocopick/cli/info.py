"""``aiocopick info``: show a project, or some entities, in detail."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
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
from aiocopick.cli.printing import print_json, print_table
from aiocopick.cli.running import execute, report_errors
from aiocopick.cli.unmatched import tell_unmatched

if TYPE_CHECKING:
    from aiocopick.entities import AsyncEntity, AsyncRoot


def info(
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
    """Show a project (layers, runs, objects); or with a URI, --kinds or --runs, details of entities.

    Files are read for the number of points and faces, metadata of volumes for their levels. Exit code 3 if a file
    could not be read.
    """
    wanted = parse_kinds(kinds)
    fields = overrides(
        fs_args, endpoint_url=endpoint_url, allow_protocols=allow_protocol, catalog=catalog, must_exist=True
    )
    execute(lambda: _info(source, fields, uri or None, runs, wanted, as_json))


async def _info(
    source: str, fields: dict[str, Any], uris: list[str] | None, runs: str | None, kinds: set[str] | None, as_json: bool
) -> int:
    import aiocopick
    from aiocopick.cli.printing import as_row
    from aiocopick.concurrency.fan_out import stream
    from aiocopick.tables.stats import stats_of

    async with aiocopick.open(source, **fields) as root:
        if uris is None and kinds is None and runs is None:
            _show(await _project(root), "project", as_json)
            return 0
        selection = aiocopick.select(root, uris, runs, kinds=kinds, on_error="skip")
        errors: dict[str, Exception] = {}
        shown = 0

        async def look(entity: AsyncEntity) -> dict[str, Any]:
            return as_row(entity) | await stats_of(entity)

        async with selection as found, stream(look, found, limit=16, ordered=True) as looked:
            async for entity, row in looked:
                shown += 1
                if isinstance(row, aiocopick.CopickError):
                    errors[entity.path] = row
                else:
                    _show(row, f"{entity.ref.run} {entity.uri}", as_json)
        if not shown and not selection.errors:
            await tell_unmatched(root, uris, runs, kinds)
        return report_errors(errors | selection.errors)


async def _project(root: AsyncRoot) -> dict[str, Any]:
    from aiocopick.errors import AccessDeniedError
    from aiocopick.tables.held import stored_objects

    maps: set[str] | None = None
    # Without the right to list them it is not known which have a map; the rest is.
    with suppress(AccessDeniedError):
        maps = {item.name for item in await stored_objects(root)}
    config = root.config
    objects = [
        {
            "name": item.name,
            "is_particle": item.is_particle,
            "label": item.label,
            "radius": item.radius,
            "density_map": None if maps is None else item.name in maps,
        }
        for item in config.pickable_objects
    ]
    known = {item["name"] for item in objects}
    return {
        "name": config.name,
        "description": config.description,
        "user_id": config.user_id,
        "session_id": config.session_id,
        "runs": len(await root.query()),
        "layers": [
            {"name": layer.name, "url": layer.url, "priority": layer.priority, "read_only": layer.read_only}
            | ({} if layer.stats.engine is None else {"engine": layer.stats.engine})
            for layer in root.layers
        ],
        "objects": objects + [{"name": name, "density_map": True} for name in sorted((maps or set()) - known)],
    }


def _show(row: Mapping[str, Any], title: str, as_json: bool) -> None:
    if as_json:
        print_json(row)
        return
    print_table(title, ["what", "value"], [(name, _text(value)) for name, value in row.items() if value is not None])


def _text(value: Any) -> str:
    """Return nested values as lines."""
    if isinstance(value, Mapping):
        return "\n".join(f"{name}: {_text(item)}" for name, item in value.items())
    if isinstance(value, list):
        separator = "\n\n" if value and isinstance(value[0], Mapping) else " "
        return separator.join(_text(item) for item in value)
    return str(value)
