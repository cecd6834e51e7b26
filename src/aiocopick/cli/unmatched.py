"""A line for what matched nothing: names that are near, or some of those that there are."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING

from aiocopick.cli.running import tell

if TYPE_CHECKING:
    from aiocopick.entities import AsyncRoot

_SHOWN = 5


async def tell_unmatched(
    root: AsyncRoot, uris: Iterable[str] | None, runs: str | None, kinds: Iterable[str] | None = None
) -> None:
    """Say on standard error that nothing matched, and what would.

    The project is listed once more, all kinds of it: what is missing among picks may be a mesh.
    """
    for line in await unmatched(root, uris, runs, kinds):
        tell(line)


async def unmatched(
    root: AsyncRoot,
    uris: Iterable[str] | None,
    runs: str | None,
    kinds: Iterable[str] | None = None,
    *,
    takes_kinds: bool = True,
) -> list[str]:
    """Return sentences that nothing matched, and what would.

    Parameters
    ----------
    root, uris, runs, kinds
        The project, and the arguments that matched nothing.
    takes_kinds : bool
        True if the command has an option for kinds, which helps if other kinds have the name.
    """
    from aiocopick.layout.refs import NOUN_OF
    from aiocopick.tables.held import held, is_listed
    from aiocopick.tables.scope import Scope

    names = [run.name for run in await root.query()]
    scope = Scope.of(runs, None)
    if runs is not None and not any(map(scope.holds_run, names)):
        return [f"nothing matched: no run is called {runs}{_there_are([runs], names, 'runs')}"]
    found: dict[str, set[str]] = {}
    async with root.crawl(runs=scope.runs) as crawled:
        async for run in crawled:
            for entity in await held(run, None) if is_listed(run) else []:
                for text in (entity.uri, entity.uri.partition(":")[0].partition("@")[0]):
                    found.setdefault(text, set()).add(NOUN_OF[entity.kind])
    # Voxel spacings have no name.
    found.pop("*", None)
    if uris is None:
        wanted = ", ".join(sorted(kinds or ()))
        return ["nothing matched: there are no " + (wanted or "entities")]
    lines = []
    for uri in uris:
        near = get_close_matches(uri, found, n=_SHOWN, cutoff=0.7)
        # A name is enough: its URIs would only repeat it.
        near = [text for text in near if not any(text != other and text.startswith(other) for other in near)]
        if uri in found:
            nouns = sorted(found[uri])
            advice = f"; add --kinds {','.join(nouns)}" if takes_kinds else ", which are not shown"
            lines.append(f"nothing matched {uri}: there are {' and '.join(nouns)} of that name{advice}")
        elif near:
            shown = ", ".join(f"{text} ({', '.join(sorted(found[text]))})" for text in near)
            lines.append(f"nothing matched {uri}; did you mean {shown}?")
        else:
            bare = sorted(text for text in found if ":" not in text and "@" not in text)
            lines.append(f"nothing matched {uri}{_there_are([], bare, 'names')}")
    return lines


def _there_are(wanted: list[str], names: list[str], what: str) -> str:
    near = [name for text in wanted for name in get_close_matches(text, names, n=_SHOWN, cutoff=0.7)]
    if near:
        return f"; did you mean {', '.join(near)}?"
    more = ", ..." if len(names) > _SHOWN else ""
    return f"; there are the {what} {', '.join(names[:_SHOWN])}{more}" if names else f"; there are no {what}"


__all__ = ["tell_unmatched", "unmatched"]
