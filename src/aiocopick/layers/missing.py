"""Explanation of an empty listing of runs: a misspelt path, the folder above the project, or one inside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from aiocopick.concurrency.fan_out import gather
from aiocopick.errors import CopickError, NotFoundError
from aiocopick.layout.paths import RUNS

if TYPE_CHECKING:
    from aiocopick.layers.base import Layer
    from aiocopick.storage.base import Entry

_SHOWN = 5
"""Number of names in a message."""


async def explain_missing(layers: Iterable[Layer]) -> str | None:
    """Explain why there is no project in any of the layers: one request for each, the first page of its listing.

    Returns
    -------
    str or None
        A sentence for each layer; None if one of them holds a project, or cannot say.

    Raises
    ------
    NotFoundError
        The bucket does not exist.
    """
    reasons = await gather(_explain, list(layers), limit=8)
    return None if not reasons or None in reasons else " ".join(filter(None, reasons))


async def _explain(layer: Layer) -> str | None:
    if layer.storage is None or layer.from_catalog:
        return None
    try:
        async with layer.storage.scan("", "/") as pages:
            entries: Sequence[Entry] = await anext(pages, [])
    except NotFoundError:
        raise
    except CopickError:
        # A web server may list nothing but the folders of a project.
        return None
    if any(entry.is_prefix and entry.name == RUNS for entry in entries):
        return None
    return f"There is no project at {layer.url}: it has no {RUNS}. {_instead(layer.url, entries)}"


def _instead(url: str, entries: Sequence[Entry]) -> str:
    """Return what is there instead, and what to do about it."""
    above, inside, _ = f"{url}/".partition(f"/{RUNS}/")
    if inside:
        return f"This is a folder inside of a project: open {above}"
    if not entries:
        return "Nothing is stored there: check the path. A new project is made by its first run, or by ensure(create=True)."
    folders = [entry.name for entry in entries if entry.is_prefix]
    names = folders or [entry.name for entry in entries]
    shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
    if folders:
        return f"There are the folders {shown} instead: open the one that holds the project."
    return f"There are only the files {shown}: check the path."


__all__ = ["explain_missing"]
