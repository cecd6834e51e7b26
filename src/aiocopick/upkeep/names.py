"""Findings from raw listings: unparsable names, and feature maps without a tomogram."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from aiocopick.errors import AccessDeniedError, CopickError, NotFoundError
from aiocopick.layers.copying import leased_key
from aiocopick.layout.refs import FeaturesRef, RunRef
from aiocopick.layout.uris import format_uri
from aiocopick.storage import leases
from aiocopick.upkeep.finding import Finding

if TYPE_CHECKING:
    from aiocopick.entities import AsyncRoot
    from aiocopick.layers import Layer
    from aiocopick.tables.scope import Scope


async def unparsable_names(layer: Layer, scope: Scope) -> tuple[list[Finding], list[tuple[FeaturesRef, str]]]:
    """Return findings for unparsable keys at the level of entities, and for leases of volumes; and the feature maps
    without a tomogram in the same folder.
    """

    def skipped(run: str | None, keys: Iterable[str]) -> Iterator[Finding]:
        for key in keys:
            yield Finding(
                problem="unparsable name",
                run=run,
                path=layer.path_of(key),
                detail="no entity can have this name, it is a directory instead of a file or a file instead of a directory, "
                "or another name with the same meaning hides it",
            )

    listing = await layer.list_runs()
    objects: Sequence[str] = ()
    hidden: Sequence[str] = ()
    # Objects that cannot be listed are reported with the objects.
    with suppress(AccessDeniedError):
        if scope.nouns is None:
            found = await layer.list_objects()
            objects, hidden = found.skipped, found.hidden
    findings = list(skipped(None, (*listing.skipped, *objects)))
    findings += await held_volumes(layer, None, hidden)
    alone: list[tuple[FeaturesRef, str]] = []
    wanted = [run for run in listing.located if isinstance(run.ref, RunRef) and scope.holds_run(run.ref.run)]
    async with layer.scan(wanted, scope.nouns, details=False) as listings:
        async for run, listed in listings:
            assert isinstance(run.ref, RunRef)
            # A run that cannot be listed is reported by the crawl.
            if isinstance(listed, CopickError):
                continue
            findings += skipped(run.ref.run, listed.skipped)
            findings += await held_volumes(layer, run.ref.run, listed.hidden)
            refs = {located.ref for located in listed.located}
            for ref, key, *_ in listed.located:
                if isinstance(ref, FeaturesRef) and ref.parent not in refs:
                    alone.append((ref, layer.path_of(key)))
    return findings, alone


async def held_volumes(layer: Layer, run: str | None, hidden: Iterable[str]) -> list[Finding]:
    """Return the volumes that are being written, or were when the writer was killed: each has a lease file."""
    storage = layer.storage
    findings = []
    for key in hidden if storage is not None else ():
        volume = leased_key(key)
        if volume is None:
            continue
        try:
            found = await storage.read_aged(key)  # type: ignore[union-attr]
        except NotFoundError:
            continue
        seen = f"{leases.holder_of(found.data)} was last seen {found.age or 0:.0f} s ago"
        if found.age is not None and found.age > leases.LIFETIME:
            problem, then = "lease of a killed writer", "the next one that writes the volume takes it over"
        else:
            problem, then = "volume being written", f"others are kept out for {leases.LIFETIME:g} s after that"
        findings.append(Finding(problem=problem, run=run, path=layer.path_of(key), detail=f"{seen}; {then}"))
    return findings


async def without_tomogram(root: AsyncRoot, features: Sequence[tuple[FeaturesRef, str]]) -> list[Finding]:
    """Return the feature maps whose tomogram is in no layer: they cannot be accessed without it."""
    findings = []
    for ref, path in features:
        if await root._stack.find(ref.parent) is None:
            detail = f"there is no tomogram {format_uri(ref.parent)}, through which they are reached"
            findings.append(Finding(problem="features without tomogram", run=ref.run, path=path, detail=detail))
    return findings


__all__ = ["unparsable_names", "without_tomogram"]
